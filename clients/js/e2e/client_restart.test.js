// Our client module in Node, against a real server that is killed in the middle of what three clients say.
// Not here: the module against servers that misbehave (`test/misbehaving_server.test.js`), the page (`restart.test.js`).

import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';

import { RoomClient } from '../src/index.js';
import { MoimServer } from './moim_server.js';

const ROOM = '세 사람';
const NAMES = ['민수', '제인', '지민'];
const SENDS_EACH = 100;
/** The server dies while this many of the 300 are known to be stored. */
const STORED_BEFORE_DEATH = 90;
/** Longer than any of it takes on a busy machine. */
const PATIENCE_MS = 60_000;

/** @type {MoimServer} */
let server;

before(async () => {
  server = await MoimServer.start();
});
after(() => server?.remove());

/** One client, and everything it was told. */
class Talker {
  /** @type {import('../src/frames.js').Message[]} in the order it came */
  heard = [];
  /** @type {Map<string, string[]>} the states of each own message, by its clientId */
  states = new Map();
  /** @type {unknown[]} what must not happen */
  faults = [];
  /** @type {Promise<import('../src/outbox.js').Receipt>[]} */
  receipts = [];
  wasLost = false;

  /** @param {string} username @param {() => void} onStored */
  constructor(username, onStored) {
    this.client = new RoomClient({
      url: server.origin,
      room: ROOM,
      username,
      environment: { WebSocket: /** @type {any} */ (WebSocket) },
    });
    this.client.on('message', (message) => this.heard.push(message));
    this.client.on('history', ({ messages }) => this.heard.push(...messages));
    for (const fault of /** @type {const} */ (['gap', 'reset', 'error'])) {
      this.client.on(fault, (event) => this.faults.push({ fault, event }));
    }
    this.client.onState(({ state }) => (this.wasLost ||= state === 'waiting'));
    this.client.on('delivery', ({ clientId, state }) => {
      this.states.set(clientId, [...(this.states.get(clientId) ?? []), state]);
      if (state === 'stored') onStored();
    });
  }

  async connect() {
    const open = this.until(() => this.client.state === 'open');
    this.client.connect();
    await open;
  }

  say() {
    for (let number = 1; number <= SENDS_EACH; number += 1) {
      this.receipts.push(this.client.send(`${this.client.username} ${number}`, { ack: 'stored' }));
    }
  }

  /** Settles as soon as something that the client tells makes it true. @param {() => boolean} isSo */
  async until(isSo) {
    if (isSo()) return;
    await new Promise((resolve) => {
      const look = () => isSo() && resolve(undefined);
      this.client.on('message', look);
      this.client.onState(look);
    });
  }
}

test('300 sends of three clients over a kill -9 are stored once each, and all see one order', { timeout: PATIENCE_MS }, async (t) => {
  let stored = 0;
  /** @type {(value?: unknown) => void} */
  let die = () => {};
  const halfway = new Promise((resolve) => (die = resolve));
  const talkers = NAMES.map((name) => new Talker(name, () => (stored += 1) === STORED_BEFORE_DEATH && die()));
  // A client left open would keep this process from ending.
  t.after(() => talkers.forEach(({ client }) => client.close()));
  await Promise.all(talkers.map((talker) => talker.connect()));

  talkers.forEach((talker) => talker.say());
  await halfway;
  await server.kill();
  const storedAtDeath = stored;
  assert.ok(storedAtDeath < NAMES.length * SENDS_EACH, 'it died too late to matter');
  await server.start();

  const receipts = await Promise.all(talkers.flatMap((talker) => talker.receipts));
  await Promise.all(talkers.map((talker) => talker.until(() => talker.heard.length >= receipts.length)));
  t.diagnostic(`${storedAtDeath} of ${receipts.length} were stored before the kill`);
  const log = await server.messages(ROOM);
  const order = log.map(({ seq, content }) => `${seq} ${content}`);
  assert.equal(log.length, NAMES.length * SENDS_EACH);
  for (const { client, heard, states, faults, wasLost } of talkers) {
    assert.ok(wasLost, `${client.username} did not notice the kill`);
    assert.deepEqual(faults, []);
    assert.deepEqual(heard.map(({ seq, content }) => `${seq} ${content}`), order);
    assert.equal(states.size, SENDS_EACH);
    for (const told of states.values()) assert.deepEqual(told.filter((state) => state !== 'pending' && state !== 'sent'), ['stored']);
    // What one person says stays in the order it was said.
    const own = log.filter(({ username }) => username === client.username).map(({ content }) => content);
    assert.deepEqual(own, Array.from({ length: SENDS_EACH }, (_, index) => `${client.username} ${index + 1}`));
  }
  const seqOf = new Map(log.map(({ clientId, seq }) => [clientId, seq]));
  for (const { clientId, seq, level } of receipts) assert.deepEqual([level, seq], ['stored', seqOf.get(clientId)]);
});
