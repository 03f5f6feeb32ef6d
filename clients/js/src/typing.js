// Telling the others that somebody types here: seldom enough, and ended when the keys rest.
// Not here: showing who else types (the page).

/** @import { Environment } from './environment.js' */

/** Told again this often while typing goes on; readers forget a typist after twice this. */
export const REPEAT_MS = 3_000;
/** So long without a key is no typing. */
export const REST_MS = 5_000;

export class TypingSignal {
  #environment;
  #send;
  /** @type {number | null} when it was last told; null: not typing, as far as the others know */
  #toldAt = null;
  /** @type {any} */
  #timer = null;

  /** @param {{ environment: Environment, send: (frame: object) => boolean }} options */
  constructor({ environment, send }) {
    this.#environment = environment;
    this.#send = send;
  }

  /** A key was pressed. */
  started() {
    const now = this.#environment.now();
    if (this.#toldAt === null || now - this.#toldAt >= REPEAT_MS) {
      if (this.#send({ type: 'typing', isTyping: true })) this.#toldAt = now;
    }
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(() => this.stopped(), REST_MS);
  }

  /** The text was sent or taken back, or the keys rest. */
  stopped() {
    this.#environment.clearTimeout(this.#timer);
    if (this.#toldAt !== null) this.#send({ type: 'typing', isTyping: false });
    this.#toldAt = null;
  }

  /** The server tells the others by itself that this connection is gone. */
  disconnected() {
    this.#environment.clearTimeout(this.#timer);
    this.#toldAt = null;
  }
}
