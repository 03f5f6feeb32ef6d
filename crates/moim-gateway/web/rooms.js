// The rooms visited before: how many are in each now, and what was said there since.
// Not here: what is remembered of them (`memory.js`), entering them (`page.js`).

import { isDots } from '/client/index.js';

import { memory } from './memory.js';
import { part } from './message_item.js';
import { plainName } from './rich_text.js';
import { texts } from './texts.js';

/** @typedef {{ userCount: number, seq: number, epoch: string, members?: string[] }} RoomState */

const ASK_EVERY_MS = 15_000;

/** How it stands with a room, or null while that cannot be known. @param {string} room @returns {Promise<RoomState | null>} */
export async function roomState(room) {
  // No room can be called so: the server would only refuse it.
  if (/\p{Cc}/u.test(room) || isDots(room)) return null;
  try {
    const answer = await fetch(`/api/v1/rooms/${encodeURIComponent(room)}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

export class RoomList {
  /** @type {Map<string, RoomState>} */
  #states = new Map();
  #lists;
  #actions;
  #isAsking = false;

  /**
   * @param {HTMLElement[]} lists where it is shown
   * @param {{ pick: (room: string) => void, current: () => string | null, mayAsk: () => boolean, drawn: (rooms: number) => void }} actions
   */
  constructor(lists, actions) {
    this.#lists = lists;
    this.#actions = actions;
    setInterval(() => void this.ask(), ASK_EVERY_MS);
    document.addEventListener('visibilitychange', () => void this.ask());
  }

  /** Asks the server about each, one after another, and shows it. */
  async ask() {
    if (this.#isAsking || document.hidden) return;
    this.#isAsking = true;
    for (const { room } of memory.visits) {
      if (!this.#actions.mayAsk()) break;
      if (room === this.#actions.current()) continue;
      const state = await roomState(room);
      if (state) this.#states.set(room, state);
      else this.#states.delete(room);
    }
    this.#isAsking = false;
    this.draw();
  }

  draw() {
    const { visits } = memory;
    for (const list of this.#lists) {
      const focused = list.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
      const [room, act] = [focused?.dataset.room, focused?.className];
      list.replaceChildren(...visits.map((visit) => this.#row(visit)));
      const again = [...list.querySelectorAll('button')].find((one) => one.dataset.room === room && one.className === act);
      if (focused) (again ?? list.querySelector('button'))?.focus();
    }
    this.#actions.drawn(visits.length);
  }

  /** @param {import('./memory.js').Visit} visit */
  #row({ room, seq, epoch }) {
    const row = part('li', 'visit');
    const isHere = room === this.#actions.current();
    const state = isHere ? undefined : this.#states.get(room);
    const pick = part('button', 'pick');
    Object.assign(pick, { type: 'button' });
    pick.dataset.testid = 'pick';
    pick.dataset.room = room;
    if (isHere) pick.setAttribute('aria-current', 'page');
    const name = part('bdi', 'name', plainName(room));
    pick.append(name);
    // Numbers of another epoch cannot be counted from.
    const unread = state && seq !== undefined && state.epoch === epoch ? Math.max(0, state.seq - seq) : 0;
    if (unread > 0) {
      const count = part('span', 'unread-count', unread > 99 ? '99+' : String(unread));
      count.setAttribute('aria-label', texts().unreadIn(unread));
      count.setAttribute('role', 'img');
      pick.append(count);
    }
    if (state && state.userCount > 0) pick.append(part('span', 'here', texts().count(state.userCount)));
    pick.addEventListener('click', () => this.#actions.pick(room));
    const forget = part('button', 'forget');
    Object.assign(forget, { type: 'button', title: texts().forget(plainName(room)) });
    forget.dataset.testid = 'forget';
    forget.dataset.room = room;
    forget.append(part('span', 'hidden-words', texts().forget(plainName(room))));
    forget.addEventListener('click', () => {
      memory.forget(room);
      this.draw();
    });
    row.append(pick);
    if (!isHere) row.append(forget);
    return row;
  }
}
