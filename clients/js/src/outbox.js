// Own messages until the server answers for them: their order, their bound, their retries.
// Not here: timers and sockets (`room_client.js`); time comes in as an argument.

import { jitteredDelayMs } from './backoff.js';
import { MoimError } from './frames.js';

/** @import { Ack, AckLevel, Message, Refusal } from './frames.js' */

/** Messages that wait for an answer; one more is refused with `outbox_full`. */
export const OUTBOX_MAX = 500;
/** Sent without an answer yet: enough for any person's speed, few enough that a refusal disturbs little. */
export const IN_FLIGHT_MAX = 16;
/** The server promises an answer, never silence; after this the same message is sent again. */
export const ANSWER_TIMEOUT_MS = 15_000;
const UNANSWERED_MAX = 5;
/** The server knows a `clientId` for 10 minutes from its last try; later the same send could become a second message. */
export const IDEMPOTENT_MS = 570_000;
/** A server that asks for a longer pause is not believed: it would forget the `clientId` meanwhile. */
const PAUSE_MS_MAX = 60_000;

/** Refusals that pass: the same message is sent again. All others are final. */
const PASSING = ['rate_limited', 'overloaded', 'unavailable', 'store_unavailable'];

/** @typedef {'pending' | 'sent' | 'stored' | 'failed'} DeliveryState */
/**
 * @typedef {object} Delivery how it stands with an own message
 * @property {string} clientId
 * @property {string} content
 * @property {DeliveryState} state sent: in the room's log; stored: in the store
 * @property {number} [seq]
 * @property {string} [epoch]
 * @property {MoimError} [error] why it failed, or why it is still pending
 */
/** @typedef {{ clientId: string, seq?: number, epoch?: string, level: AckLevel }} Receipt */
/**
 * @typedef {object} Draft
 * @property {string} clientId
 * @property {string} content
 * @property {AckLevel} [ack]
 */
/**
 * @typedef {object} EntryFields
 * @property {'pending' | 'sent'} state
 * @property {boolean} inFlight
 * @property {boolean} held was refused for now: until it is through, nothing is sent beside it
 * @property {number} dueAt not before this; the end of patience while in flight
 * @property {number | null} triedAt
 * @property {number} tries answered with a passing refusal
 * @property {number} unanswered
 * @property {number} [seq]
 * @property {string} [epoch]
 * @property {Promise<Receipt>} receipt
 * @property {(receipt: Receipt) => void} resolve
 * @property {(error: MoimError) => void} reject
 */
/** @typedef {Draft & EntryFields} Entry */

export class Outbox {
  /** @type {Map<string, Entry>} in the order they were written */
  #entries = new Map();
  #report;
  #random;

  /** @param {{ report: (delivery: Delivery) => void, random: () => number }} options */
  constructor({ report, random }) {
    this.#report = report;
    this.#random = random;
  }

  get size() {
    return this.#entries.size;
  }

  /**
   * @param {Draft} draft
   * @returns {Promise<Receipt>} rejects when it is refused for good, or the outbox is full
   */
  add(draft) {
    const known = this.#entries.get(draft.clientId);
    if (known) return known.receipt;
    if (this.#entries.size >= OUTBOX_MAX) {
      return Promise.reject(new MoimError('outbox_full', `${OUTBOX_MAX} messages are waiting already`));
    }
    let resolve = (/** @type {Receipt} */ _receipt) => {};
    let reject = (/** @type {MoimError} */ _error) => {};
    /** @type {Promise<Receipt>} */
    const receipt = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
    // The `delivery` event tells it too: who does not wait for the receipt need not catch.
    receipt.catch(() => {});
    /** @type {Entry} */
    const entry = {
      ...draft, receipt, resolve, reject,
      state: 'pending', inFlight: false, held: false, dueAt: 0, triedAt: null, tries: 0, unanswered: 0,
    };
    this.#entries.set(entry.clientId, entry);
    this.#tell(entry);
    return receipt;
  }

  /**
   * What to send now, in order; it counts as sent from here on.
   * @param {number} now
   * @returns {Draft[]}
   */
  takeDue(now) {
    this.#giveUpWaiting(now);
    const entries = [...this.#entries.values()];
    const pending = entries.filter((entry) => entry.state === 'pending');
    let room = pending.some((entry) => entry.held) ? 1 : IN_FLIGHT_MAX;
    room -= pending.filter((entry) => entry.inFlight).length;
    const due = entries.filter((entry) => entry.state === 'sent' && !entry.inFlight && entry.dueAt <= now);
    for (const entry of pending) {
      if (entry.inFlight) continue;
      // Nobody overtakes one that has to wait.
      if (entry.dueAt > now || room <= 0) break;
      room -= 1;
      due.push(entry);
    }
    for (const entry of due) {
      Object.assign(entry, { inFlight: true, triedAt: now, dueAt: now + ANSWER_TIMEOUT_MS });
    }
    return due;
  }

  /**
   * How long until `takeDue` has something to do by itself; null: nothing to wait for.
   * @param {number} now
   */
  nextDueMs(now) {
    const times = [...this.#entries.values()].map((entry) => entry.dueAt).filter((dueAt) => dueAt > now);
    return times.length > 0 ? Math.min(...times) - now : null;
  }

  /** @param {Ack} ack */
  acked({ clientId, seq, epoch, level }) {
    const entry = this.#entries.get(clientId);
    if (!entry) return;
    Object.assign(entry, { seq, epoch });
    this.#settle(entry, level);
  }

  /** An own message among those of the room: it is in the log, whatever its ack will say. @param {Message} message */
  seen({ clientId, seq, epoch }) {
    const entry = clientId === undefined ? undefined : this.#entries.get(clientId);
    if (!entry || entry.seq !== undefined) return;
    Object.assign(entry, { seq, epoch });
    this.#logged(entry);
  }

  /**
   * @param {Refusal} refusal
   * @param {number} now
   * @returns {boolean} whether it was about a message that waits here
   */
  refused({ code, message, clientId = '', retryAfterMs }, now) {
    const entry = this.#entries.get(clientId);
    if (!entry) return false;
    const error = new MoimError(code, message, retryAfterMs);
    if (!PASSING.includes(code)) {
      this.#fail(entry, error);
      return true;
    }
    const asked = retryAfterMs ?? jitteredDelayMs(entry.tries, this.#random);
    const pauseMs = Math.min(Math.max(asked, 0), PAUSE_MS_MAX);
    Object.assign(entry, { inFlight: false, dueAt: now + pauseMs, tries: entry.tries + 1, unanswered: 0 });
    // The message is in the log; only its ack is late.
    if (code === 'store_unavailable') this.#logged(entry);
    else entry.held = true;
    if (entry.state === 'pending') this.#tell(entry, error);
    return true;
  }

  disconnected() {
    for (const entry of this.#entries.values()) Object.assign(entry, { inFlight: false, dueAt: 0 });
  }

  /**
   * Before anything is sent again: what was tried too long ago to be tried safely.
   * @param {number} now
   * @param {boolean} certain whether every message since was seen, so that what was not seen was not taken
   */
  reconnected(now, certain) {
    for (const entry of this.#entries.values()) {
      if (entry.triedAt === null || now - entry.triedAt < IDEMPOTENT_MS) continue;
      if (entry.state === 'sent') this.#settle(entry, 'wal');
      else if (!certain) {
        this.#fail(entry, new MoimError('outcome_unknown', 'it may or may not have been delivered'));
      }
    }
  }

  /** @param {number} now */
  #giveUpWaiting(now) {
    for (const entry of this.#entries.values()) {
      if (!entry.inFlight || entry.dueAt > now) continue;
      entry.unanswered += 1;
      Object.assign(entry, { inFlight: false, held: true, dueAt: 0 });
      if (entry.unanswered < UNANSWERED_MAX) continue;
      if (entry.state === 'sent') this.#settle(entry, 'wal');
      else this.#fail(entry, new MoimError('no_answer', 'the server does not answer'));
    }
  }

  /** @param {Entry} entry */
  #logged(entry) {
    const isNew = entry.state === 'pending';
    entry.state = 'sent';
    if (isNew || entry.seq !== undefined) this.#tell(entry);
    if (entry.ack !== 'stored') entry.resolve(this.#receipt(entry, 'wal'));
  }

  /** @param {Entry} entry @param {AckLevel} level */
  #settle(entry, level) {
    this.#entries.delete(entry.clientId);
    const { clientId, content, seq, epoch } = entry;
    const state = level === 'stored' ? 'stored' : 'sent';
    this.#report({ clientId, content, seq, epoch, state });
    entry.resolve(this.#receipt(entry, level));
  }

  /** @param {Entry} entry @param {MoimError} error */
  #fail(entry, error) {
    this.#entries.delete(entry.clientId);
    const { clientId, content } = entry;
    this.#report({ clientId, content, state: 'failed', error });
    entry.reject(error);
  }

  /** @param {Entry} entry @param {MoimError} [error] */
  #tell({ clientId, content, state, seq, epoch }, error) {
    this.#report({ clientId, content, state, seq, epoch, error });
  }

  /** @param {Entry} entry @param {AckLevel} level @returns {Receipt} */
  #receipt({ clientId, seq, epoch }, level) {
    return { clientId, seq, epoch, level };
  }
}
