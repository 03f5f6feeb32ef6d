// A server that drops, repeats, reorders, strays, half-joins, half-writes and hangs up, from a seed: nothing is told twice,
// no hole is silent, and every own message is in the log once, in the order it was written.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FakeSocket, ack, message, randomFrom, start } from './harness.js';

/** @import { Gap, Message } from '../src/frames.js' */

const STEPS = 120;

class Server {
  /** @type {Message[]} */
  log = [];
  epoch = 'e0';
  honest = false;
  #refusingUntil = 0;
  /** How many of a socket's frames were read. @type {Map<FakeSocket, number>} */
  #read = new Map();
  /** @type {Set<FakeSocket>} */
  #members = new Set();
  /** A frame that is overtaken by the next one. @type {{ socket: FakeSocket, frame: Message } | null} */
  #late = null;
  /** What it did, for a test that must not praise a server that behaved. */
  did = { reordered: 0, halves: 0, strayEpochs: 0 };

  /** @param {ReturnType<typeof start>} run @param {() => number} random */
  constructor(run, random) {
    this.run = run;
    this.random = random;
  }

  /** @param {number} share */
  chance(share) {
    return !this.honest && this.random() < share;
  }

  get head() {
    return this.log.at(-1)?.seq ?? 0;
  }

  /** @param {Partial<Message>} fields */
  publish(fields) {
    let seq = this.head + 1;
    if (this.chance(0.05)) {
      this.epoch = `e${Number(this.epoch.slice(1)) + 1}`;
      seq += 1000;
    }
    const prev = this.chance(0.02) ? undefined : this.head;
    const added = message(seq, { ...fields, epoch: this.epoch, prev });
    this.log.push(added);
    const socket = this.run.socket;
    if (!this.#members.has(socket) || this.chance(0.1)) return added;
    if (this.chance(0.08)) this.#half(socket, added);
    if (!this.#late && this.chance(0.06)) {
      this.#late = { socket, frame: added };
      return added;
    }
    socket.deliver(added);
    this.#overtaken();
    if (this.chance(0.08)) this.#strayEpoch(socket);
    if (this.chance(0.1)) socket.deliver(added);
    if (this.chance(0.1)) socket.deliver(this.log[Math.floor(this.random() * this.log.length)]);
    return added;
  }

  /** What was overtaken comes after all, unless its connection is gone. */
  #overtaken() {
    const late = this.#late;
    this.#late = null;
    if (!late || !this.#members.has(late.socket)) return;
    this.did.reordered += 1;
    late.socket.deliver(late.frame);
  }

  /** A frame that ends in its middle, or has lost a field. @param {FakeSocket} socket @param {Message} frame */
  #half(socket, frame) {
    this.did.halves += 1;
    const text = JSON.stringify(frame);
    const halves = [text.slice(0, Math.floor(this.random() * text.length)), JSON.stringify({ ...frame, epoch: undefined })];
    socket.deliver(halves[Math.floor(this.random() * halves.length)]);
  }

  /** Something above the head in an epoch that the client has seen end. @param {FakeSocket} socket */
  #strayEpoch(socket) {
    const told = this.run.events('message').map(({ epoch }) => epoch);
    const ended = [...new Set(told)].slice(-4, -1);
    if (ended.length === 0) return;
    this.did.strayEpochs += 1;
    socket.deliver(message(this.head + 7, { epoch: ended[0], content: 'stray' }));
  }

  hangUp() {
    const { socket, client } = this.run;
    if (client.state !== 'open' && client.state !== 'connecting') return;
    this.#members.delete(socket);
    socket.drop(1006);
  }

  /** Answers a dial: wholly, or up to some point. */
  join() {
    const { socket, client } = this.run;
    if (client.state !== 'connecting') return;
    const since = socket.url.searchParams.get('since');
    const missed = since === null ? [] : this.log.filter(({ seq }) => seq > Number(since));
    const recovered = since === null || (missed.length <= 10 && !this.chance(0.2));
    const { epoch, head: seq } = this;
    const known = { seq, epoch: this.log.at(-1)?.epoch ?? epoch };
    socket.deliver({ type: 'joined', room: 'r', ...known, userCount: 1, recovered });
    if (this.chance(0.1)) return this.hangUp();
    const tail = this.log.slice(-20);
    if (since === null || !recovered) {
      const complete = !this.chance(0.1);
      socket.deliver({ type: 'history', room: 'r', messages: complete ? tail : tail.slice(-5), complete });
    } else {
      for (const frame of missed) {
        if (this.chance(0.05)) return this.hangUp();
        if (this.chance(0.05)) continue;
        socket.deliver(frame);
      }
    }
    this.#members.add(socket);
  }

  /** Reads what the client sent. */
  read() {
    const { socket, clock } = this.run;
    if (!socket || !this.#members.has(socket)) return;
    for (let index = this.#read.get(socket) ?? 0; index < socket.sent.length; index += 1) {
      if (!this.#members.has(socket)) return;
      this.#read.set(socket, index + 1);
      const frame = socket.sent[index];
      if (frame.type === 'history') this.#page(socket, frame);
      if (frame.type === 'ping') socket.deliver({ type: 'pong' });
      if (frame.type !== 'message') continue;
      const { clientId, content } = frame;
      // It refuses all for a while, as a rate limit does.
      if (this.chance(0.1)) this.#refusingUntil = clock.time + 300;
      if (clock.time < this.#refusingUntil && !this.honest) {
        socket.deliver({ type: 'error', code: 'rate_limited', message: '', clientId, retryAfterMs: 300 });
        continue;
      }
      const known = this.log.find((entry) => entry.clientId === clientId);
      const { seq } = known ?? this.publish({ username: 'me', clientId, content });
      if (!this.chance(0.2)) socket.deliver(ack(clientId, seq));
      if (this.chance(0.05)) this.hangUp();
    }
  }

  /** @param {FakeSocket} socket @param {{ before: number, limit: number }} question */
  #page(socket, { before, limit }) {
    const page = this.log.filter(({ seq }) => seq < before).slice(-limit);
    const complete = !this.chance(0.3);
    const told = complete ? page : page.filter(() => this.random() < 0.5);
    socket.deliver({ type: 'history', room: 'r', before, limit, messages: told, complete, retryAfterMs: 50 });
  }
}

/** @param {number} seed */
async function play(seed) {
  const random = randomFrom(seed);
  const run = start({ random });
  const server = new Server(run, random);
  let written = 0;
  const turn = (/** @type {number} */ ms) => {
    run.clock.advance(ms);
    server.join();
    server.read();
  };
  for (let count = Math.floor(random() * 60); count > 0; count -= 1) server.publish({});
  run.client.connect();
  for (let step = 0; step < STEPS; step += 1) {
    const dice = random();
    if (dice < 0.5) server.publish({});
    else if (dice < 0.7) run.client.send(`own ${(written += 1)}`);
    else if (dice < 0.76) server.hangUp();
    else if (dice < 0.82) run.client.loadOlder({ limit: 7 }).catch(() => {});
    turn(random() * 1500);
  }
  server.honest = true;
  for (let count = 0; count < 200 && (run.client.state !== 'open' || run.client.waitingCount > 0); count += 1) turn(500);
  turn(5000);
  server.publish({});

  const settle = async (/** @type {Promise<any>} */ asked) => {
    let done = false;
    asked.finally(() => (done = true)).catch(() => {});
    for (let count = 0; count < 100 && !done; count += 1) {
      turn(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return asked;
  };
  for (let gap of /** @type {Gap[]} */ (run.events('gap'))) {
    for (;;) {
      const { remaining } = await settle(run.client.fillGap(gap, { limit: 7 }));
      if (!remaining) break;
      gap = remaining;
    }
  }
  while (run.client.hasOlder) await settle(run.client.loadOlder({ limit: 7 }));
  return { run, server, written };
}

test('whatever the server does: told once, no silent hole, own messages once and in order', async () => {
  const only = process.env.SEED;
  const seeds = only ? [Number(only)] : Array.from({ length: Number(process.env.SEEDS ?? 300) }, (_, index) => index + 1);
  let [gaps, losses] = [0, 0];
  const did = { reordered: 0, halves: 0, strayEpochs: 0 };
  for (const seed of seeds) {
    const { run, server, written } = await play(seed);
    const again = `replay with SEED=${seed} node --test test/misbehaving_server.test.js`;
    const told = run.seqs();
    assert.equal(new Set(told).size, told.length, `told twice; ${again}`);
    assert.deepEqual(told.sort((a, b) => a - b), server.log.map(({ seq }) => seq), `a silent hole; ${again}`);
    const own = server.log.filter(({ clientId }) => clientId).map(({ content }) => content);
    assert.deepEqual(own, Array.from({ length: written }, (_, index) => `own ${index + 1}`), `own messages; ${again}`);
    assert.deepEqual(run.events('reset'), [], again);
    gaps += run.events('gap').length;
    losses += run.sockets.length - 1;
    for (const what of /** @type {(keyof typeof did)[]} */ (Object.keys(did))) did[what] += server.did[what];
  }
  // The server must really have misbehaved.
  if (only) return;
  assert.ok(gaps > 300 && losses > 1500, `${gaps} gaps, ${losses} losses`);
  for (const [what, times] of Object.entries(did)) assert.ok(times > 100, `${what}: ${times}`);
});
