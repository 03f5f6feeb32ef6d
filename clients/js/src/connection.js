// One connection after another to the same room: dialling, giving up, coming back.
// Not here: what the frames mean (`intake.js`), what is waiting to be sent (`outbox.js`).

import { jitteredDelayMs } from './backoff.js';
import { mayReconnect } from './close_codes.js';
import { MoimError, SUBPROTOCOL, parseFrame } from './frames.js';
import { Watchdog } from './watchdog.js';

/** @import { Environment, Socket } from './environment.js' */

/** The `readyState` of a WebSocket that takes frames. */
const SOCKET_OPEN = 1;
/** From dialling to `joined`. */
export const JOIN_TIMEOUT_MS = 15_000;
/** A connection that lived this long was a good one: the next fault is a first one again. */
export const STABLE_MS = 5_000;
/** A server that asks for more than this is not believed. */
const AFTER_MS_MAX = 300_000;

/** @typedef {'idle' | 'connecting' | 'open' | 'waiting' | 'closed'} State */
/**
 * @typedef {object} StateChange
 * @property {State} state
 * @property {State} previous
 * @property {number} [retryInMs] while `waiting`
 * @property {number} [code] the close code, while `waiting` or `closed`
 * @property {string} [reason] its text
 * @property {MoimError} [error] what the server said before, or why there was no connection
 */
/**
 * @typedef {object} ConnectionOptions
 * @property {Environment} environment
 * @property {() => string} url asked before each dial: it carries the cursor
 * @property {(change: StateChange) => void} onState
 * @property {(frame: any) => void} onFrame
 * @property {(error: MoimError) => void} onBadFrame
 */

export class Connection {
  /** @type {State} */
  state = 'idle';
  #options;
  #environment;
  #watchdog;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {any} one timer: the join's deadline while connecting, the pause while waiting */
  #timer = null;
  /** Tries that have failed in a row. */
  #attempt = 0;
  #openedAt = 0;
  /** @type {number | null} when the server asked us to come back */
  #comeBackAt = null;
  /** @type {MoimError | undefined} the last refusal that was about the connection */
  #refusal;
  #stopWake = () => {};

  /** @param {ConnectionOptions} options */
  constructor(options) {
    this.#options = options;
    this.#environment = options.environment;
    this.#watchdog = new Watchdog(options.environment, {
      ping: () => this.send({ type: 'ping' }),
      giveUp: () => this.#lost(1006, 'no answer'),
    });
  }

  connect() {
    if (this.state !== 'idle' && this.state !== 'closed') return;
    this.#stopWake = this.#environment.onWake(() => this.#wake());
    this.#attempt = 0;
    this.#comeBackAt = null;
    this.#dial();
  }

  /** Ends it for good, until `connect()`. */
  close() {
    if (this.state === 'closed') return;
    const socket = this.#detach();
    this.#finish({ code: 1000, reason: 'closed here' });
    socket?.close(1000);
  }

  /** Ends the pause now, whatever asked for it. */
  retryNow() {
    if (this.state === 'waiting') this.#dial();
  }

  /**
   * @param {object} frame
   * @returns {boolean} whether there was a connection to put it on
   */
  send(frame) {
    // While a socket closes a browser takes frames, drops them and complains on the console.
    if (this.state !== 'open' || this.#socket?.readyState !== SOCKET_OPEN) return false;
    try {
      this.#socket.send(JSON.stringify(frame));
      return true;
    } catch {
      return false; // Its `onclose` is on the way.
    }
  }

  #dial() {
    this.#environment.clearTimeout(this.#timer);
    this.#refusal = undefined;
    this.#comeBackAt = null;
    this.#enter('connecting', {});
    // A listener may have closed it.
    if (this.state !== 'connecting') return;
    try {
      this.#socket = new this.#environment.WebSocket(this.#options.url(), [SUBPROTOCOL]);
    } catch (error) {
      const known = error instanceof MoimError;
      this.#finish({ error: known ? error : new MoimError('cannot_connect', String(error)) });
      return;
    }
    this.#socket.onmessage = (event) => this.#receive(event.data);
    this.#socket.onclose = (event) => this.#lost(event.code, event.reason);
    this.#socket.onerror = () => {}; // `onclose` follows and says more.
    this.#timer = this.#environment.setTimeout(() => this.#lost(1006, 'no join in time'), JOIN_TIMEOUT_MS);
  }

  /** @param {unknown} data */
  #receive(data) {
    this.#watchdog.heard();
    let frame;
    try {
      frame = parseFrame(data);
    } catch (error) {
      this.#options.onBadFrame(/** @type {MoimError} */ (error));
      return;
    }
    if (frame === null) return;
    if (frame.type === 'joined' && this.state === 'connecting') this.#opened();
    if (frame.type === 'reconnect') this.#comeBackIn(frame.afterMs);
    if (frame.type === 'error' && this.state === 'connecting') {
      this.#refusal = new MoimError(frame.code, frame.message, frame.retryAfterMs);
    }
    this.#options.onFrame(frame);
  }

  #opened() {
    this.#environment.clearTimeout(this.#timer);
    this.#openedAt = this.#environment.now();
    this.#watchdog.start();
    this.#enter('open', {});
  }

  /** @param {number} afterMs */
  #comeBackIn(afterMs) {
    this.#comeBackAt = this.#environment.now() + Math.min(Math.max(afterMs, 0), AFTER_MS_MAX);
  }

  /** @param {number} code @param {string} [reason] */
  #lost(code, reason) {
    const wasGood = this.state === 'open' && this.#environment.now() - this.#openedAt >= STABLE_MS;
    // A dead socket may take minutes to say so: it is left behind, not waited for.
    this.#detach()?.close();
    if (!mayReconnect(code)) {
      this.#finish({ code, reason, error: this.#refusal });
      return;
    }
    if (wasGood) this.#attempt = 0;
    const retryInMs = this.#pauseMs();
    this.#attempt += 1;
    this.#timer = this.#environment.setTimeout(() => this.#dial(), retryInMs);
    this.#enter('waiting', { retryInMs, code, reason, error: this.#refusal });
  }

  #pauseMs() {
    // The server spreads those it sends away by itself; our own jitter would spoil its plan.
    if (this.#comeBackAt !== null) return Math.max(0, this.#comeBackAt - this.#environment.now());
    const asked = Math.min(this.#refusal?.retryAfterMs ?? 0, AFTER_MS_MAX);
    return asked + jitteredDelayMs(this.#attempt, this.#environment.random);
  }

  /** The network is back or the page is looked at: a pause of our own ends; one the server asked for does not. */
  #wake() {
    if (this.state === 'waiting' && this.#comeBackAt === null) this.#dial();
    if (this.state === 'open') this.#watchdog.probe();
  }

  #detach() {
    const socket = this.#socket;
    this.#socket = null;
    this.#watchdog.stop();
    this.#environment.clearTimeout(this.#timer);
    if (socket) {
      socket.onmessage = null;
      socket.onclose = null;
    }
    return socket;
  }

  /** @param {Omit<StateChange, 'state' | 'previous'>} details */
  #finish(details) {
    this.#stopWake();
    this.#enter('closed', details);
  }

  /** @param {State} state @param {Omit<StateChange, 'state' | 'previous'>} details */
  #enter(state, details) {
    const previous = this.state;
    this.state = state;
    this.#options.onState({ state, previous, ...details });
  }
}
