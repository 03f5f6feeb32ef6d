// Finds connections that died without a word: a browser shows no WebSocket pings, so the client asks by itself.
// Not here: what is done about a dead connection (`connection.js`).

/** @import { Environment } from './environment.js' */

/** Below the 30 s after which the server would ping, and the 60 s after which proxies hang up. */
export const SILENCE_MS = 25_000;
export const ANSWER_MS = 10_000;

export class Watchdog {
  #environment;
  #ping;
  #giveUp;
  #heardAt = 0;
  /** @type {number | null} when the open question was asked */
  #askedAt = null;
  /** @type {any} */
  #timer = null;

  /**
   * @param {Environment} environment
   * @param {{ ping: () => void, giveUp: () => void }} actions
   */
  constructor(environment, { ping, giveUp }) {
    this.#environment = environment;
    this.#ping = ping;
    this.#giveUp = giveUp;
  }

  start() {
    this.stop();
    this.heard();
    this.#wait(SILENCE_MS);
  }

  stop() {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = null;
    this.#askedAt = null;
  }

  /** Any frame is a sign of life. The timer is left alone: it looks when it fires. */
  heard() {
    this.#heardAt = this.#environment.now();
    this.#askedAt = null;
  }

  /** Asks now: the machine may have slept, or changed its network. */
  probe() {
    if (this.#timer === null || this.#askedAt !== null) return;
    this.#askedAt = this.#environment.now();
    this.#wait(ANSWER_MS);
    this.#ping();
  }

  #look() {
    const now = this.#environment.now();
    if (this.#askedAt !== null) {
      const left = this.#askedAt + ANSWER_MS - now;
      return left > 0 ? this.#wait(left) : this.#giveUp();
    }
    const left = this.#heardAt + SILENCE_MS - now;
    return left > 0 ? this.#wait(left) : this.probe();
  }

  /** @param {number} ms */
  #wait(ms) {
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(() => this.#look(), ms);
  }
}
