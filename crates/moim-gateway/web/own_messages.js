// What was written here, from the press of Enter until the server keeps it, also over a reload of the page.
// Not here: retries and their order (`/client/outbox.js`), how a message looks (`message_item.js`).

import { memory } from './memory.js';
import { MoimError } from '/client/index.js';

/** @import { RoomClient } from '/client/index.js' */
/** @import { Delivery } from '/client/outbox.js' */
/** @import { MessageList } from './message_list.js' */
/** @import { Shown } from './timeline.js' */

/** Own messages whose state is kept. */
const DELIVERIES_MAX = 1000;
/** Below the ten minutes for which the server knows a message again. */
const KNOWN_AGAIN_MS = 540_000;

export class OwnMessages {
  /** @type {RoomClient | null} */
  #client = null;
  /** @type {Map<string, Delivery>} newest last */
  #deliveries = new Map();
  #list;
  #actions;
  #stopListening = () => {};

  /**
   * @param {MessageList} list
   * @param {{ changed: () => void, fault: (error: any, content?: string) => void }} actions a fault gives back its text
   */
  constructor(list, actions) {
    this.#list = list;
    this.#actions = actions;
    addEventListener('pagehide', () => this.#keep());
  }

  /** A room is entered: what was on its way when the page was left goes on. @param {RoomClient} client */
  start(client) {
    this.#client = client;
    this.#stopListening = client.on('delivery', (delivery) => this.#show(delivery));
    for (const { clientId, content, at = 0 } of memory.unsent(client.room)) {
      const age = Date.now() - at;
      if (age >= 0 && age < KNOWN_AGAIN_MS) void client.send(content, { clientId }).catch(() => {});
      // Sent by itself it could become a second message: its writer decides.
      else this.#show({ clientId, content, state: 'failed', error: new MoimError('outcome_unknown', '') });
    }
  }

  /** The room is left; what is still on its way is kept for the next time. */
  stop() {
    this.#keep();
    this.#stopListening();
    this.#client = null;
    this.#deliveries.clear();
  }

  /** @param {string} clientId @returns {Delivery['state'] | undefined} */
  stateOf(clientId) {
    return this.#deliveries.get(clientId)?.state;
  }

  /** @param {string} content */
  send(content) {
    this.#client?.send(content).catch((error) => {
      // Else the message itself shows it.
      if (error.code === 'outbox_full' || error.code === 'message_too_large') this.#actions.fault(error, content);
    });
  }

  /** @param {Shown} failed */
  resend({ content, clientId = '', error }) {
    // Under its old name it cannot become a second message; only a name that was refused needs a new one.
    if (error?.code === 'client_id_reused' || error?.code === 'client_id_invalid') {
      this.#deliveries.delete(clientId);
      this.#list.timeline.removeOwn(clientId);
      this.#list.draw();
      this.send(content);
      return;
    }
    this.#client?.send(content, { clientId }).catch((again) => {
      if (again.code === 'outbox_full') this.#actions.fault(again);
    });
  }

  /** @param {Delivery} delivery */
  #show(delivery) {
    const { clientId, content, state, seq, error } = delivery;
    this.#deliveries.delete(clientId);
    this.#deliveries.set(clientId, delivery);
    if (this.#deliveries.size > DELIVERIES_MAX) this.#deliveries.delete(this.#deliveries.keys().next().value ?? '');
    this.#keep();
    const { timeline } = this.#list;
    // The time of the first try stands, until the room's own comes with the message.
    const timestamp = timeline.own(clientId)?.timestamp ?? new Date().toISOString();
    const username = this.#client?.username ?? '';
    timeline.put({ kind: 'message', clientId, content, state, error, username, own: true, timestamp, ...(seq !== undefined && { seq }) });
    this.#list.draw();
    this.#actions.changed();
  }

  #keep() {
    if (!this.#client) return;
    const open = [...this.#deliveries.values()].filter(({ state }) => state === 'pending' || state === 'failed');
    const at = Date.now();
    memory.keepUnsent(this.#client.room, open.map(({ clientId, content, state }) => ({ clientId, content, at: state === 'failed' ? 0 : at })));
  }
}
