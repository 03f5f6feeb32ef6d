// A real moim of one's own: its ports, its data, and every way it can stop and come back.
// Not here: the network between it and a client (`wire.js`), browsers (`people.js`).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** To be listening, on a machine that builds other things at the same time. */
const START_MS = 30_000;
/** Longer than the server's own bound for a drain. */
const STOP_MS = 40_000;
const ANSWER_MS = 20_000;
/** Below the range from which the kernel takes ports for outgoing connections: one that is free stays so for a restart. */
const [PORT_FIRST, PORT_LAST] = [10_000, 32_000];
const PORT_TRIES = 20;

/** What a test cannot do without. @param {string} name */
export function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; \`cargo xtask test --only e2e\` sets it, or see clients/js/README.md`);
  return value;
}

export class MoimServer {
  /** @type {import('node:child_process').ChildProcess | null} */
  #process = null;
  #folder;
  #env;
  #log = '';
  #ports = [0, 0];

  /** @param {string} folder @param {Record<string, string>} env */
  constructor(folder, env) {
    this.#folder = folder;
    this.#env = env;
  }

  /**
   * Starts one on free ports with data of its own.
   * @param {{ env?: Record<string, string> }} [options] settings, such as `MOIM__DRAIN__SPREAD_SECONDS`
   */
  static async start({ env = {} } = {}) {
    const server = new MoimServer(await mkdtemp(join(tmpdir(), 'moim-e2e-')), env);
    for (let attempt = 1; ; attempt += 1) {
      server.#ports = [freePort(), freePort()];
      try {
        await server.start();
        return server;
      } catch (error) {
        // Somebody else may have taken the port meanwhile.
        if (attempt < PORT_TRIES && String(error).includes('in use')) continue;
        await server.remove();
        throw error;
      }
    }
  }

  get port() {
    return this.#ports[0];
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  get isRunning() {
    return this.#process !== null && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** What it has written, for a failed test to show. */
  get log() {
    return this.#log;
  }

  /** Starts it again, on the same ports and data. */
  async start() {
    const [port, opsPort] = this.#ports;
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--ops-listen', `127.0.0.1:${opsPort}`];
    const own = spawn(needed('MOIM_BIN'), [...args, '--data', join(this.#folder, 'data')], {
      env: { PATH: process.env.PATH, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = own;
    const keep = (/** @type {Buffer} */ text) => (this.#log += text);
    own.stderr?.on('data', keep);
    const listening = new Promise((resolve) => {
      let banner = '';
      own.stdout?.on('data', (text) => {
        keep(text);
        banner += text;
        // Its last line.
        if (banner.includes('Ctrl-C')) resolve(true);
      });
    });
    const ended = once(own, 'exit').then(() => false);
    if ((await Promise.race([listening, ended, late(START_MS)])) !== true) {
      await this.kill();
      throw new Error(`moim did not start:\n${this.#log}`);
    }
  }

  /** kill -9: nothing is said, nothing is finished. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** SIGTERM: it sends everyone away and stores what was said. @returns {Promise<number | null>} the exit code */
  async terminate() {
    return this.#end('SIGTERM');
  }

  /** Ends it for good, and its data with it. */
  async remove() {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /**
   * Says something over HTTP.
   * @param {string} room
   * @param {string} username
   * @param {string} content
   */
  async post(room, username, content) {
    const answer = await fetch(`${this.origin}/api/v1/rooms/${encodeURIComponent(room)}/messages`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ username, content }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The whole log of a room, as anyone may read it. @param {string} room @returns {Promise<any[]>} oldest first */
  async messages(room) {
    /** @type {any[]} */
    const all = [];
    for (;;) {
      const after = all.at(-1)?.seq ?? 0;
      const address = `${this.origin}/api/v1/rooms/${encodeURIComponent(room)}/messages?after=${after}&limit=100`;
      const page = await (await fetch(address, { signal: AbortSignal.timeout(ANSWER_MS) })).json();
      if (!page.messages || page.complete === false) throw new Error(`no whole page: ${JSON.stringify(page)}`);
      if (page.messages.length === 0) return all;
      all.push(...page.messages);
    }
  }

  /** The last hundred of a room, which is all that a server without a store can be asked for. @param {string} room @returns {Promise<any[]>} */
  async newest(room) {
    const address = `${this.origin}/api/v1/rooms/${encodeURIComponent(room)}/messages?limit=100`;
    return (await (await fetch(address, { signal: AbortSignal.timeout(ANSWER_MS) })).json()).messages;
  }

  /** @param {'SIGKILL' | 'SIGTERM'} signal */
  async #end(signal) {
    const own = this.#process;
    if (!own || !this.isRunning) return null;
    const ended = once(own, 'exit');
    own.kill(signal);
    if ((await Promise.race([ended, late(STOP_MS)])) === undefined) {
      own.kill('SIGKILL');
      throw new Error(`moim did not stop after ${signal}:\n${this.#log}`);
    }
    return own.exitCode;
  }
}

/** One that was free a moment ago, most likely. */
export function freePort() {
  return PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST));
}

/** A bound on a wait that should end otherwise; it keeps nothing running. @param {number} ms @returns {Promise<undefined>} */
function late(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined).unref());
}
