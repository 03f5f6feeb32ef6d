// A room as a program uses it: connect, listen, send, read back.
// Not here: how each of these is done; this file only joins the parts together.

import { Connection } from './connection.js';
import { Emitter } from './emitter.js';
import { platform } from './environment.js';
import { FRAME_BYTES_MAX, MoimError, ROOM_DEFAULT, USERNAME_DEFAULT, chatUrl } from './frames.js';
import { Intake } from './intake.js';
import { Outbox } from './outbox.js';
import { PAGE_LIMIT, Pages } from './pages.js';
import { TypingSignal } from './typing.js';

/** @import { StateChange } from './connection.js' */
/** @import { Environment } from './environment.js' */
/** @import { AckLevel, Gap, Message, Position } from './frames.js' */
/** @import { IntakeEvents } from './intake.js' */
/** @import { Delivery, Receipt } from './outbox.js' */
/** @import { Page } from './pages.js' */

/** @typedef {IntakeEvents & { state: StateChange, delivery: Delivery, error: MoimError }} Events */
/**
 * @typedef {object} RoomOptions
 * @property {string} url the server, such as `wss://chat.example.org`
 * @property {string} [room]
 * @property {string} [username]
 * @property {Position | null} [position] an earlier client's `position`: go on from there
 * @property {Partial<Environment>} [environment] replaces sockets, timers, clock or chance
 */

export class RoomClient {
  /** @type {string} */
  room;
  /** @type {string} */
  username;
  /** @type {Emitter<Events>} */
  #events = new Emitter();
  #environment;
  #connection;
  #intake;
  #outbox;
  #pages;
  #typing;
  /** @type {any} */
  #outboxTimer = null;
  /** @type {Promise<Page> | null} */
  #older = null;

  /** @param {RoomOptions} options */
  constructor({ url, room, username, position = null, environment }) {
    this.room = room || ROOM_DEFAULT;
    this.username = username || USERNAME_DEFAULT;
    this.#environment = { ...platform(), ...environment };
    const send = (/** @type {object} */ frame) => this.#connection.send({ ...frame, room: this.room });
    this.#connection = new Connection({
      environment: this.#environment,
      url: () => chatUrl(url, this, this.#intake.position),
      onState: (change) => this.#changed(change),
      onFrame: (frame) => this.#handle(frame),
      onBadFrame: (error) => this.#events.emit('error', error),
    });
    this.#intake = new Intake({
      environment: this.#environment,
      position,
      emit: (name, event) => this.#events.emit(name, /** @type {any} */ (event)),
      onSeen: (message) => this.#seen(message),
      onLive: (certain) => this.#live(certain),
    });
    this.#outbox = new Outbox({
      report: (delivery) => this.#events.emit('delivery', delivery),
      random: this.#environment.random,
    });
    this.#pages = new Pages({ environment: this.#environment, send });
    this.#typing = new TypingSignal({ environment: this.#environment, send });
  }

  get state() {
    return this.#connection.state;
  }

  /** Messages that wait for the server's answer. */
  get waitingCount() {
    return this.#outbox.size;
  }

  /** Whether `loadOlder` may find something. */
  get hasOlder() {
    return !this.#intake.atBeginning;
  }

  /** The lowest number told of, or where the first message would be. */
  get oldest() {
    return this.#intake.oldest;
  }

  /** The last number seen, to be kept by those who want to go on after a restart. */
  get position() {
    return this.#intake.position;
  }

  /**
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(event: Events[Name]) => void} listener
   * @returns {() => void} stops listening
   */
  on(name, listener) {
    return this.#events.on(name, listener);
  }

  /** @param {(change: StateChange) => void} listener */
  onState(listener) {
    return this.on('state', listener);
  }

  connect() {
    this.#connection.connect();
  }

  /** Leaves. What was not answered yet stays, for the next `connect()`. */
  close() {
    this.#connection.close();
  }

  retryNow() {
    this.#connection.retryNow();
  }

  /**
   * Says something; without a connection it waits for one.
   * @param {string} content
   * @param {{ ack?: AckLevel, clientId?: string }} [options] the `clientId` of a failed message repeats that one
   * @returns {Promise<Receipt>} once it is in the log, or as durable as `ack` asks
   */
  send(content, { ack, clientId = this.#environment.newId() } = {}) {
    // Half a character (a lone surrogate) is JSON that no server can read.
    const whole = new TextDecoder().decode(new TextEncoder().encode(content));
    const draft = { content: whole, clientId, ...(ack && { ack }) };
    const bytes = new TextEncoder().encode(JSON.stringify(this.#messageFrame(draft))).length;
    if (bytes > FRAME_BYTES_MAX) {
      return Promise.reject(new MoimError('message_too_large', `a message is at most ${FRAME_BYTES_MAX} bytes`));
    }
    const receipt = this.#outbox.add(draft);
    this.#pump();
    return receipt;
  }

  /** Call it for each key (`true`) and when the text is sent or empty again (`false`). @param {boolean} isTyping */
  typing(isTyping) {
    if (isTyping) this.#typing.started();
    else this.#typing.stopped();
  }

  /**
   * The page before everything told so far, or before a given number. Also told as `history`.
   * @param {{ before?: number, limit?: number }} [options]
   * @returns {Promise<Page>}
   */
  loadOlder({ before = this.#intake.oldest ?? undefined, limit = PAGE_LIMIT } = {}) {
    if (before === undefined) return Promise.reject(new MoimError('not_joined', 'the room was not entered yet'));
    if (this.#older) return this.#older;
    this.#older = this.#loadOlder(before, limit).finally(() => (this.#older = null));
    return this.#older;
  }

  /**
   * Reads the newest part of what a `gap` named. Also told as `history`.
   * @param {Gap} gap
   * @param {{ limit?: number }} [options]
   * @returns {Promise<{ messages: Message[], remaining: Gap | null }>} what is still missing, to be asked for next
   */
  async fillGap(gap, { limit = PAGE_LIMIT } = {}) {
    const page = await this.#pages.ask(gap.to + 1, limit);
    const messages = page.messages.filter(({ seq }) => seq >= gap.from);
    const first = page.messages[0];
    const next = first ? (first.prev ?? first.seq - 1) : gap.to;
    const closed = page.beginning || (first !== undefined && next < gap.from);
    this.#told('gap', messages, page);
    return { messages, remaining: closed ? null : { ...gap, to: next } };
  }

  /** @param {number} before @param {number} limit */
  async #loadOlder(before, limit) {
    const page = await this.#pages.ask(before, limit);
    const first = page.messages[0];
    if (first && first.seq < (this.#intake.oldest ?? Infinity)) this.#intake.oldest = first.seq;
    if (page.beginning) this.#intake.atBeginning = true;
    this.#told('older', page.messages, page);
    return page;
  }

  /** @param {'older' | 'gap'} kind @param {Message[]} messages @param {Page} page */
  #told(kind, messages, { complete, beginning }) {
    messages.forEach((message) => this.#seen(message));
    this.#events.emit('history', { kind, messages, complete, beginning });
  }

  /** @param {any} frame */
  #handle(frame) {
    if (frame.room !== undefined && frame.room !== this.room) return;
    if (frame.type === 'ack') this.#outbox.acked(frame);
    else if (frame.type === 'error') this.#refused(frame);
    else if (frame.type === 'history' && frame.limit !== undefined) this.#pages.answered(frame);
    else this.#intake.handle(frame);
    this.#pump();
  }

  /** @param {any} refusal */
  #refused(refusal) {
    if (this.#outbox.refused(refusal, this.#environment.now())) return;
    if (refusal.clientId === undefined) this.#pages.refused(refusal);
    this.#events.emit('error', new MoimError(refusal.code, refusal.message, refusal.retryAfterMs));
  }

  /** @param {Message} message */
  #seen(message) {
    if (message.username === this.username) this.#outbox.seen(message);
  }

  /** @param {StateChange} change */
  #changed(change) {
    if (change.previous === 'open') {
      this.#intake.disconnected();
      this.#outbox.disconnected();
      this.#pages.disconnected();
      this.#typing.disconnected();
      this.#environment.clearTimeout(this.#outboxTimer);
    }
    if (change.state === 'closed') {
      this.#pages.rejectAll(change.error ?? new MoimError('closed', 'the connection was closed'));
    }
    this.#events.emit('state', change);
  }

  /** @param {boolean} certain */
  #live(certain) {
    this.#outbox.reconnected(this.#environment.now(), certain);
    this.#pages.reconnected();
    this.#pump();
  }

  /** Sends what is due, and comes back when more will be. */
  #pump() {
    if (this.#outbox.size === 0 || !this.#intake.isLive || this.state !== 'open') return;
    const now = this.#environment.now();
    for (const draft of this.#outbox.takeDue(now)) this.#connection.send(this.#messageFrame(draft));
    this.#environment.clearTimeout(this.#outboxTimer);
    const nextMs = this.#outbox.nextDueMs(now);
    if (nextMs !== null) this.#outboxTimer = this.#environment.setTimeout(() => this.#pump(), nextMs);
  }

  /** @param {{ clientId: string, content: string, ack?: AckLevel }} draft */
  #messageFrame({ clientId, content, ack }) {
    return { type: 'message', room: this.room, content, clientId, ...(ack && { ack }) };
  }
}
