// A clock that is turned by hand and a server that is played by the test.
// Not here: any test.

import { readFileSync, readdirSync } from 'node:fs';

import { RoomClient } from '../src/index.js';

/** @import { Message } from '../src/frames.js' */

export const EPOCH = 'e1';

/** Every golden frame by its file's name. @returns {Map<string, any>} */
export function goldenFrames() {
  const folder = new URL('../fixtures/frames/', import.meta.url);
  return new Map(
    readdirSync(folder).map((name) => [name.replace('.json', ''), JSON.parse(readFileSync(new URL(name, folder), 'utf8'))]),
  );
}

/** @param {number} seed @returns {() => number} the same numbers for the same seed */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Clock {
  time = 1_000_000;
  /** @type {{ at: number, run: () => void }[]} */
  #timers = [];

  /** @param {() => void} run @param {number} ms */
  setTimeout(run, ms) {
    const timer = { at: this.time + ms, run };
    this.#timers.push(timer);
    return timer;
  }

  /** @param {any} timer */
  clearTimeout(timer) {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  /** Runs what falls due meanwhile, in order. @param {number} ms */
  advance(ms) {
    const end = this.time + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.time = Math.max(this.time, next.at);
      this.clearTimeout(next);
      next.run();
    }
    this.time = end;
  }
}

/** The server's end of one connection. */
export class FakeSocket {
  /** @type {any[]} frames from the client */
  sent = [];
  closedByClient = false;
  /** Open; 2: closing, which a client may see before `onclose`. */
  readyState = 1;
  /** @type {((event: any) => void) | null} */
  onmessage = null;
  /** @type {((event: any) => void) | null} */
  onclose = null;
  /** @type {((event: any) => void) | null} */
  onerror = null;

  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    this.url = new URL(url);
    this.protocols = protocols;
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.closedByClient = true;
  }

  /** @param {any} frame */
  deliver(frame) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) });
  }

  /** @param {number} [code] @param {string} [reason] */
  drop(code = 1006, reason = '') {
    this.onclose?.({ code, reason });
  }

  /** @param {string} type */
  sentOf(type) {
    return this.sent.filter((frame) => frame.type === type);
  }

  /** The contents of the messages that came, in order. */
  get contents() {
    return this.sentOf('message').map(({ content }) => content);
  }
}

/** @param {number} seq @param {Partial<Message>} [more] @returns {Message & { type: string }} */
export function message(seq, more = {}) {
  return {
    type: 'message', room: 'r', username: 'other', content: `m${seq}`, timestamp: '2026-11-23T06:00:00.000Z',
    seq, prev: seq - 1, id: `id${seq}`, epoch: EPOCH, ...more,
  };
}

/** @param {number} from @param {number} to */
export function messages(from, to) {
  return Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
}

/** @param {number} seq @param {object} [more] */
export function joined(seq, more = {}) {
  return { type: 'joined', room: 'r', epoch: EPOCH, seq, userCount: 2, recovered: true, ...more };
}

/** @param {number} seq @param {string} clientId @param {string} [level] */
export function ack(clientId, seq, level = 'stored') {
  return { type: 'ack', room: 'r', clientId, seq, epoch: EPOCH, level };
}

const EVENTS = /** @type {const} */ (['state', 'message', 'history', 'gap', 'reset', 'presence', 'system', 'typing', 'delivery', 'error']);

/**
 * A client, everything it tells, and the sockets it opens.
 * @param {{ random?: () => number, position?: { seq: number, epoch: string } }} [options]
 */
export function start({ random = () => 0.5, position } = {}) {
  const clock = new Clock();
  /** @type {FakeSocket[]} */
  const sockets = [];
  let ids = 0;
  let wake = () => {};
  const client = new RoomClient({
    url: 'http://server.test/',
    room: 'r',
    username: 'me',
    position,
    environment: {
      WebSocket: class extends FakeSocket {
        /** @param {string} url @param {string[]} protocols */
        constructor(url, protocols) {
          super(url, protocols);
          sockets.push(this);
        }
      },
      setTimeout: (run, ms) => clock.setTimeout(run, ms),
      clearTimeout: (timer) => clock.clearTimeout(timer),
      now: () => clock.time,
      random,
      newId: () => `c${(ids += 1)}`,
      onWake: (run) => {
        wake = run;
        return () => (wake = () => {});
      },
    },
  });
  /** @type {{ name: string, event: any }[]} */
  const told = [];
  for (const name of EVENTS) client.on(name, (event) => told.push({ name, event }));
  const run = {
    client,
    clock,
    sockets,
    told,
    get socket() {
      return sockets[sockets.length - 1];
    },
    /** @param {string} name */
    events: (name) => told.filter((entry) => entry.name === name).map(({ event }) => event),
    wake: () => wake(),
    /** The numbers of all messages told, however they came. */
    seqs: () =>
      told.flatMap(({ name, event }) => {
        if (name === 'message') return [event.seq];
        return name === 'history' ? event.messages.map((/** @type {Message} */ { seq }) => seq) : [];
      }),
    /** Joins for the first time, with messages 1 to `head`, of which at most 20 are told. @param {number} head */
    enter(head) {
      client.connect();
      run.socket.deliver(joined(head));
      run.socket.deliver({ type: 'history', room: 'r', messages: messages(Math.max(1, head - 19), head), complete: true });
      return run;
    },
    /** Loses the connection and waits until the client dials again. @param {number} [code] */
    reconnect(code) {
      run.socket.drop(code);
      clock.advance(run.events('state').at(-1).retryInMs);
      return run.socket;
    },
  };
  return run;
}
