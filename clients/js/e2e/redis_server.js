// A Redis of one's own, for nodes that share their rooms.
// Not here: the nodes (`moim_server.js`).

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort, needed } from './moim_server.js';

const START_MS = 30_000;

export class RedisServer {
  #process;
  #folder;
  #port;

  /** @param {import('node:child_process').ChildProcess} own @param {string} folder @param {number} port */
  constructor(own, folder, port) {
    this.#process = own;
    this.#folder = folder;
    this.#port = port;
  }

  static async start() {
    const folder = await mkdtemp(join(tmpdir(), 'moim-e2e-redis-'));
    const end = Date.now() + START_MS;
    for (;;) {
      const port = freePort();
      const settings = ['--save', '', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction'];
      const own = spawn(needed('REDIS_SERVER'), ['--port', String(port), '--dir', folder, '--bind', '127.0.0.1', ...settings], { stdio: 'ignore' });
      const server = new RedisServer(own, folder, port);
      while (own.exitCode === null && Date.now() < end) if (await answers(port)) return server;
      await server.remove();
      if (Date.now() >= end) throw new Error('Redis did not start');
    }
  }

  get url() {
    return `redis://127.0.0.1:${this.#port}`;
  }

  async remove() {
    if (this.#process.exitCode === null) {
      this.#process.kill('SIGKILL');
      await once(this.#process, 'exit');
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @param {number} port */
async function answers(port) {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write('PING\r\n');
    const [data] = await once(socket, 'data');
    return String(data).startsWith('+PONG');
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return false;
  } finally {
    socket.destroy();
  }
}
