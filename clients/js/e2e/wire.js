// The network between a client and a server: it can be cut, be refused, and hold back what is under way.
// Not here: what is said on it.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/** @import { Server, Socket } from 'node:net' */
/** @typedef {'toServer' | 'toClient'} Direction */

export class Wire {
  #server;
  #targetPort;
  /** @type {Set<{ client: Socket, target: Socket }>} */
  #pairs = new Set();
  #isUp = true;
  /** @type {Set<Direction>} */
  #held = new Set();
  /** @type {Set<Socket>} ends that are never read again */
  #frozen = new Set();

  /** @param {Server} server @param {number} targetPort */
  constructor(server, targetPort) {
    this.#server = server;
    this.#targetPort = targetPort;
    server.on('connection', (client) => this.#carry(client));
  }

  /** @param {number} targetPort */
  static async to(targetPort) {
    const server = createServer({ allowHalfOpen: true });
    const wire = new Wire(server, targetPort);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return wire;
  }

  get origin() {
    return `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (this.#server.address()).port}`;
  }

  /** Every connection breaks, and new ones are refused until `mend`. What was held back is lost. */
  cut() {
    this.#isUp = false;
    for (const { client, target } of this.#pairs) {
      client.resetAndDestroy();
      target.resetAndDestroy();
    }
    this.#held.clear();
  }

  mend() {
    this.#isUp = true;
  }

  /** What goes that way stops here; both ends see a silent connection. @param {Direction} direction */
  hold(direction) {
    this.#held.add(direction);
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** New connections go to another server. @param {number} port */
  leadTo(port) {
    this.#targetPort = port;
  }

  /** What was held back goes on its way. */
  release() {
    this.#held.clear();
    for (const pair of this.#pairs) this.#flow(pair);
  }

  /** Connections of now stay, silent for good, as for a machine that slept; new ones are carried. */
  freeze() {
    for (const { client, target } of this.#pairs) {
      this.#frozen.add(client).add(target);
      client.pause();
      target.pause();
    }
  }

  async close() {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** @param {Socket} client */
  #carry(client) {
    if (!this.#isUp) {
      client.resetAndDestroy();
      return;
    }
    const target = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true });
    const pair = { client, target };
    this.#pairs.add(pair);
    const ways = /** @type {const} */ ([[client, target], [target, client]]);
    for (const [from, to] of ways) {
      from.on('data', (bytes) => {
        to.write(bytes);
      });
      from.on('end', () => to.end());
      // A broken end breaks the other: there is nothing more to tell it.
      from.on('error', () => to.resetAndDestroy());
      from.on('close', () => {
        if (!to.destroyed && from.errored) to.resetAndDestroy();
        if (to.destroyed) this.#pairs.delete(pair);
      });
    }
    this.#flow(pair);
  }

  /** @param {{ client: Socket, target: Socket }} pair */
  #flow({ client, target }) {
    const flow = (/** @type {Socket} */ from, /** @type {Direction} */ direction) => {
      if (this.#held.has(direction) || this.#frozen.has(from)) from.pause();
      else from.resume();
    };
    flow(client, 'toServer');
    flow(target, 'toClient');
  }
}
