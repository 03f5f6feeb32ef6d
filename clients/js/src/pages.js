// Pages of older messages: one question at a time, asked again until it is answered.
// Not here: which messages were told before (`intake.js`), what is done with them (`room_client.js`).

import { jitteredDelayMs } from './backoff.js';
import { MoimError } from './frames.js';

/** @import { Environment } from './environment.js' */
/** @import { Message, Refusal } from './frames.js' */

export const PAGE_LIMIT = 50;
/** Questions that wait for their turn; one more is refused with `pages_full`. */
const QUESTIONS_MAX = 16;
/** After so many tries an incomplete page is handed on as it is. */
export const TRIES_MAX = 5;
const ANSWER_TIMEOUT_MS = 10_000;

/** @typedef {{ messages: Message[], complete: boolean, beginning: boolean }} Page */
/**
 * @typedef {object} Question
 * @property {number} before
 * @property {number} limit
 * @property {number} tries
 * @property {(page: Page) => void} resolve
 * @property {(error: MoimError) => void} reject
 */

export class Pages {
  /** @type {Question[]} the first one is being asked */
  #questions = [];
  #environment;
  #send;
  /** @type {any} the answer's deadline, or the pause before asking again */
  #timer = null;

  /** @param {{ environment: Environment, send: (frame: object) => boolean }} options `send` says whether it could */
  constructor({ environment, send }) {
    this.#environment = environment;
    this.#send = send;
  }

  /**
   * @param {number} before
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  ask(before, limit) {
    if (this.#questions.length >= QUESTIONS_MAX) {
      return Promise.reject(new MoimError('pages_full', `${QUESTIONS_MAX} pages are being loaded already`));
    }
    return new Promise((resolve, reject) => {
      this.#questions.push({ before, limit, tries: 0, resolve, reject });
      if (this.#questions.length === 1) this.#ask();
    });
  }

  /**
   * @param {object} frame
   * @param {number} [frame.before]
   * @param {number} [frame.limit]
   * @param {Message[]} frame.messages
   * @param {boolean} [frame.complete]
   * @param {number} [frame.retryAfterMs]
   */
  answered({ before, limit, messages, complete = true, retryAfterMs }) {
    const question = this.#questions[0];
    if (!question || question.before !== before || question.limit !== limit) return;
    if (!complete && question.tries < TRIES_MAX) {
      this.#again(retryAfterMs);
      return;
    }
    const usable = complete ? messages : adjacentTo(before, messages);
    const beginning = complete && (messages.length < limit || messages[0]?.prev === 0);
    this.#next().resolve({ messages: usable, complete, beginning });
  }

  /**
   * A refusal without a `clientId`, which may be about the question.
   * @param {Refusal} refusal
   */
  refused({ code, message, retryAfterMs }) {
    if (this.#questions.length === 0) return;
    if (code === 'cursor_invalid' || code === 'limit_invalid') this.#next().reject(new MoimError(code, message));
    else if (retryAfterMs !== undefined) this.#again(retryAfterMs);
  }

  disconnected() {
    this.#environment.clearTimeout(this.#timer);
  }

  reconnected() {
    if (this.#questions.length > 0) this.#ask();
  }

  /** @param {MoimError} error */
  rejectAll(error) {
    this.#environment.clearTimeout(this.#timer);
    for (const question of this.#questions.splice(0)) question.reject(error);
  }

  #ask() {
    const question = this.#questions[0];
    const { before, limit } = question;
    this.#environment.clearTimeout(this.#timer);
    // Not connected: `reconnected` asks.
    if (!this.#send({ type: 'history', before, limit })) return;
    question.tries += 1;
    this.#timer = this.#environment.setTimeout(() => this.#unanswered(), ANSWER_TIMEOUT_MS);
  }

  #unanswered() {
    if (this.#questions[0].tries < TRIES_MAX) this.#ask();
    else this.#next().reject(new MoimError('no_answer', 'the server does not answer'));
  }

  /** @param {number} [retryAfterMs] */
  #again(retryAfterMs) {
    const pauseMs = retryAfterMs ?? jitteredDelayMs(this.#questions[0].tries, this.#environment.random);
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(() => this.#ask(), pauseMs);
  }

  #next() {
    const [done] = this.#questions.splice(0, 1);
    this.#environment.clearTimeout(this.#timer);
    if (this.#questions.length > 0) this.#ask();
    return done;
  }
}

/**
 * Of a page with holes, what joins up with the message before which it was asked: showing more would hide a hole.
 * @param {number} before
 * @param {Message[]} messages
 */
function adjacentTo(before, messages) {
  let start = messages.length;
  let wanted = before - 1;
  while (start > 0 && messages[start - 1].seq === wanted) {
    start -= 1;
    wanted = messages[start].prev ?? -1;
  }
  return messages.slice(start);
}
