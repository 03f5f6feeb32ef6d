// A room whose server is played by the test, inside the browser: states that a real one shows only under faults.
// Not here: real servers (`moim_server.js`).

/** @import { Page } from 'playwright-core' */

const EPOCH = 'e1';

/** @param {number} seq @param {object} [more] */
export function said(seq, more = {}) {
  const timestamp = new Date(Date.UTC(2026, 10, 20, 6, 0, seq)).toISOString();
  return { type: 'message', room: 'r', username: '지민', content: `${seq}번째 말`, timestamp, seq, prev: seq - 1, id: `id${seq}`, epoch: EPOCH, ...more };
}

export class PlayedRoom {
  /** @type {any[]} frames from the page */
  heard = [];
  /** What is said to a join. @type {object[]} */
  greeting;
  /** @type {(frame: any) => void} */
  answer = () => {};
  /** @type {import('playwright-core').WebSocketRoute | null} */
  #socket = null;

  /** @param {object[]} [greeting] */
  constructor(greeting = [joined(0), { type: 'history', room: 'r', messages: [], complete: true }]) {
    this.greeting = greeting;
  }

  /** Takes the place of the server for every socket of the page. @param {Page} page */
  async take(page) {
    await page.routeWebSocket(/\/chat\//, (socket) => {
      this.#socket = socket;
      socket.onMessage((text) => {
        const frame = JSON.parse(String(text));
        this.heard.push(frame);
        this.answer(frame);
      });
      for (const frame of this.greeting) this.say(frame);
    });
  }

  /** @param {object} frame */
  say(frame) {
    this.#socket?.send(JSON.stringify(frame));
  }

  /** @param {number} code */
  async hangUp(code) {
    await this.#socket?.close({ code });
  }
}

/** @param {number} seq @param {object} [more] */
export function joined(seq, more = {}) {
  return { type: 'joined', room: 'r', epoch: EPOCH, seq, userCount: 2, recovered: true, ...more };
}
