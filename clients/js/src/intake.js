// What a room's frames mean for a reader: the order after a join, each message once, every hole told.
// Not here: the arithmetic of numbers (`cursor.js`), what was asked for (`pages.js`), own sends (`outbox.js`).

import { Cursor } from './cursor.js';

/** @import { Environment } from './environment.js' */
/** @import { Message, Joined, Gap, Position, System } from './frames.js' */

/** Messages in the history of a join. */
export const HISTORY_ON_JOIN = 20;
/** So long without a frame ends a replay whose last number never comes (a head right after a jump has no message). */
export const SETTLE_MS = 2_000;
/** A server whose store is slow may take this long for the history of a join; one that comes later still counts. */
export const HISTORY_WAIT_MS = 10_000;

/** @typedef {'away' | 'history' | 'replay' | 'live'} Phase what the next frames are */
/**
 * @typedef {object} HistoryEvent
 * @property {'join' | 'older' | 'gap'} kind why it came
 * @property {Message[]} messages oldest first, none told before
 * @property {boolean} complete false: the store could not be asked
 * @property {boolean} beginning nothing is older than these
 */
/**
 * @typedef {object} IntakeEvents
 * @property {Message} message
 * @property {HistoryEvent} history
 * @property {Gap} gap
 * @property {Record<string, never>} reset the room's log began anew: what was shown is not part of it
 * @property {{ userCount: number }} presence
 * @property {System} system
 * @property {{ username: string, isTyping: boolean }} typing
 */
/**
 * @typedef {object} IntakeOptions
 * @property {Environment} environment
 * @property {Position | null} position what an earlier run has seen
 * @property {<Name extends keyof IntakeEvents>(name: Name, event: IntakeEvents[Name]) => void} emit
 * @property {(message: Message) => void} onSeen every message, for those who wait for their own
 * @property {(certain: boolean) => void} onLive what was missed is in; `certain`: all of it
 */

export class Intake {
  /** @type {number | null} the lowest number told of, or where the first would be; none before the first history */
  oldest;
  /** Nothing is older than `oldest`. */
  atBeginning = false;
  #cursor;
  /** @type {Phase} */
  #phase = 'away';
  /** @type {Joined | null} the last answer to a join */
  #joined = null;
  /** That answer promised a history, which is not here yet. */
  #historyIsDue = false;
  /** @type {any} */
  #timer = null;
  #options;

  /** @param {IntakeOptions} options */
  constructor(options) {
    this.#options = options;
    this.#cursor = new Cursor(options.position);
    // What an earlier run has seen is older than anything this one tells.
    this.oldest = options.position ? options.position.seq + 1 : null;
  }

  /** What to resume from. */
  get position() {
    return this.#cursor.position;
  }

  get isLive() {
    return this.#phase === 'live';
  }

  disconnected() {
    this.#phase = 'away';
    this.#options.environment.clearTimeout(this.#timer);
  }

  /** @param {any} frame */
  handle(frame) {
    if (frame.type === 'joined') return this.#join(frame);
    // Nothing counts before the answer to the join.
    if (this.#phase === 'away') return;
    switch (frame.type) {
      case 'message':
        return this.#message(frame);
      case 'history':
        return this.#history(frame);
      case 'gap':
        return this.#gap(frame);
      case 'system':
        this.#presence(frame);
        return this.#options.emit('system', frame);
      case 'typing':
        return this.#options.emit('typing', { username: frame.username, isTyping: frame.isTyping === true });
    }
  }

  /** @param {Joined} joined */
  #join(joined) {
    if (this.#cursor.isOtherLog(joined)) this.#startAnew();
    this.#presence(joined);
    const resumed = this.#cursor.position !== null && joined.recovered;
    // An unasked `joined` may announce an epoch; the live frames go on.
    if (this.#phase === 'live' && resumed) return;
    this.#joined = joined;
    this.#historyIsDue = !resumed;
    this.#phase = resumed ? 'replay' : 'history';
    this.#awaitQuiet();
    this.#endReplay();
  }

  /** @param {Message} message */
  #message(message) {
    this.#options.onSeen(message);
    const { fresh, gap } = this.#cursor.admit(message);
    if (gap) this.#options.emit('gap', gap);
    if (fresh) {
      this.oldest ??= message.seq;
      this.#options.emit('message', message);
    }
    if (this.#phase !== 'live') this.#awaitQuiet();
    this.#endReplay();
  }

  /** The history of a join. @param {{ messages: Message[], complete?: boolean }} frame */
  #history({ messages, complete = true }) {
    if (!this.#historyIsDue || !this.#joined) return;
    this.#historyIsDue = false;
    const first = this.#cursor.position === null;
    /** @type {Message[]} */
    const fresh = [];
    for (const message of messages) {
      this.#options.onSeen(message);
      const admitted = this.#cursor.admit(message);
      if (admitted.gap) this.#options.emit('gap', admitted.gap);
      if (admitted.fresh) fresh.push(message);
    }
    const missing = this.#cursor.settle(this.#joined, complete);
    if (missing) this.#options.emit('gap', missing);
    if (first) {
      this.oldest = fresh[0]?.seq ?? this.#joined.seq + 1;
      this.atBeginning = complete && (messages.length < HISTORY_ON_JOIN || messages[0].prev === 0);
    }
    this.#options.emit('history', { kind: 'join', messages: fresh, complete, beginning: this.atBeginning });
    this.#live(false);
  }

  /** @param {Gap} told */
  #gap(told) {
    const { epoch, from, to } = this.#cursor.skip(told);
    // What lies below everything shown will come with the older pages.
    const hidden = this.oldest !== null && to < this.oldest;
    if (!hidden) this.#options.emit('gap', { epoch, from, to });
    this.#endReplay();
  }

  /** @param {{ userCount: number }} frame */
  #presence({ userCount }) {
    if (Number.isSafeInteger(userCount)) this.#options.emit('presence', { userCount });
  }

  #startAnew() {
    this.#cursor.forget();
    this.oldest = null;
    this.atBeginning = false;
    this.#options.emit('reset', {});
  }

  #endReplay() {
    const [seen, head] = [this.#cursor.position, this.#joined];
    if (this.#phase === 'replay' && seen && head && seen.seq >= head.seq) this.#live(true);
  }

  #awaitQuiet() {
    this.#options.environment.clearTimeout(this.#timer);
    const quietMs = this.#phase === 'history' ? HISTORY_WAIT_MS : SETTLE_MS;
    this.#timer = this.#options.environment.setTimeout(() => this.#live(false), quietMs);
  }

  /** @param {boolean} certain */
  #live(certain) {
    this.#options.environment.clearTimeout(this.#timer);
    this.#phase = 'live';
    this.#options.onLive(certain);
  }
}
