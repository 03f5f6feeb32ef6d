// Own messages: bound, order, retries, and what confirms them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { OUTBOX_MAX } from '../src/index.js';
import { IN_FLIGHT_MAX } from '../src/outbox.js';
import { ack, joined, message, start } from './harness.js';

const states = (/** @type {ReturnType<typeof start>} */ run) => run.events('delivery').map(({ state }) => state);
const refusal = (/** @type {string} */ clientId, /** @type {string} */ code, retryAfterMs = 1000) =>
  ({ type: 'error', code, message: code, room: 'r', clientId, retryAfterMs });

test('pending, in the log, in the store', async () => {
  const run = start().enter(0);
  const receipt = run.client.send('hi');
  run.socket.deliver(message(1, { username: 'me', clientId: 'c1' }));
  run.socket.deliver(ack('c1', 1));
  assert.deepEqual(states(run), ['pending', 'sent', 'stored']);
  assert.deepEqual(await receipt, { clientId: 'c1', seq: 1, epoch: 'e1', level: 'wal' });
  assert.equal(run.client.waitingCount, 0);
});

test('who asked for stored waits for it', async () => {
  const run = start().enter(0);
  let done = false;
  const receipt = run.client.send('hi', { ack: 'stored' }).then((value) => ((done = true), value));
  run.socket.deliver(message(1, { username: 'me', clientId: 'c1' }));
  await Promise.resolve();
  assert.equal(done, false);
  run.socket.deliver(ack('c1', 1));
  assert.equal((await receipt).level, 'stored');
});

test('the same clientId of another person confirms nothing', () => {
  const run = start().enter(0);
  run.client.send('hi');
  run.socket.deliver(message(1, { username: 'other', clientId: 'c1' }));
  assert.deepEqual(states(run), ['pending']);
});

test('what is written without a connection is bounded, and the full outbox says so', async () => {
  const run = start();
  for (let count = 0; count < OUTBOX_MAX; count += 1) run.client.send(`m${count}`);
  await assert.rejects(run.client.send('one more'), { code: 'outbox_full' });
  assert.equal(run.client.waitingCount, OUTBOX_MAX);
  assert.equal(run.events('delivery').length, OUTBOX_MAX);
});

test('it all goes out in order, a few at a time, once the room is entered', () => {
  const run = start();
  for (let count = 0; count < 40; count += 1) run.client.send(`m${count}`);
  run.enter(0);
  assert.equal(run.socket.contents.length, IN_FLIGHT_MAX);
  for (let seq = 1; seq <= 40; seq += 1) run.socket.deliver(ack(`c${seq}`, seq));
  assert.deepEqual(run.socket.contents, Array.from({ length: 40 }, (_, count) => `m${count}`));
  assert.equal(run.client.waitingCount, 0);
});

test('after a loss, what was not answered is sent again in order, with the same names', () => {
  const run = start().enter(0);
  for (const content of ['a', 'b', 'c']) run.client.send(content);
  run.socket.deliver(ack('c1', 1));
  run.socket.drop();
  run.client.send('d');
  run.clock.advance(500);
  run.socket.deliver(joined(0));
  assert.deepEqual(run.socket.sent.map(({ content, clientId }) => [content, clientId]),
    [['b', 'c2'], ['c', 'c3'], ['d', 'c4']]);
});

test('nothing is sent again before the replay has shown what was taken', () => {
  const run = start().enter(0);
  run.client.send('a');
  run.client.send('b');
  const socket = run.reconnect();
  socket.deliver(joined(2));
  assert.deepEqual(socket.contents, []);
  socket.deliver(message(1));
  socket.deliver(message(2, { username: 'me', clientId: 'c1' }));
  // `a` was taken; only its ack is asked for again.
  assert.deepEqual(socket.sent.map(({ clientId }) => clientId), ['c1', 'c2']);
  assert.equal(run.events('delivery').at(-1).seq, 2);
});

test('a replay whose last number never comes does not hold the outbox for ever', () => {
  const run = start().enter(0);
  run.client.send('a');
  const socket = run.reconnect();
  socket.deliver(joined(4294967296));
  run.clock.advance(2000);
  assert.deepEqual(socket.contents, ['a']);
});

for (const code of ['rate_limited', 'overloaded', 'unavailable']) {
  test(`${code}: sent again after the pause, and nobody overtakes it`, () => {
    const run = start().enter(0);
    run.client.send('a');
    run.client.send('b');
    run.socket.deliver(refusal('c1', code));
    run.socket.deliver(refusal('c2', code));
    run.client.send('c');
    run.clock.advance(999);
    assert.deepEqual(run.socket.contents, ['a', 'b']);
    run.clock.advance(1);
    // One at a time until those that were refused are through: a second refusal cannot turn the order round.
    assert.deepEqual(run.socket.contents, ['a', 'b', 'a']);
    run.socket.deliver(ack('c1', 1));
    assert.deepEqual(run.socket.contents.slice(2), ['a', 'b']);
    run.socket.deliver(message(2, { username: 'me', clientId: 'c2' }));
    assert.deepEqual(run.socket.contents.slice(2), ['a', 'b', 'c']);
  });
}

test('store_unavailable: in the log already, asked again until it is stored, others go on', () => {
  const run = start().enter(0);
  const receipt = run.client.send('a', { ack: 'stored' });
  run.socket.deliver(refusal('c1', 'store_unavailable'));
  run.client.send('b');
  assert.deepEqual(run.socket.contents, ['a', 'b']);
  assert.deepEqual(states(run), ['pending', 'sent', 'pending']);
  run.clock.advance(1000);
  assert.deepEqual(run.socket.contents, ['a', 'b', 'a']);
  run.socket.deliver(ack('c1', 1));
  return receipt.then(({ level }) => assert.equal(level, 'stored'));
});

test('any other refusal fails that message and no other', async () => {
  const run = start().enter(0);
  const receipt = run.client.send('a');
  run.client.send('b');
  run.socket.deliver(refusal('c1', 'client_id_reused'));
  await assert.rejects(receipt, { code: 'client_id_reused' });
  run.socket.deliver(ack('c2', 1));
  assert.deepEqual(states(run), ['pending', 'pending', 'failed', 'stored']);
  assert.deepEqual(run.events('error'), []);
});

test('silence is not an answer: asked again, in the end given up', async () => {
  const run = start().enter(0);
  const receipt = run.client.send('a');
  const gone = assert.rejects(receipt, { code: 'no_answer' });
  for (let second = 0; second < 80; second += 1) {
    run.clock.advance(1000);
    run.socket.deliver({ type: 'pong' });
  }
  assert.deepEqual(run.socket.contents, ['a', 'a', 'a', 'a', 'a']);
  await gone;
});

test('what was tried too long ago is not risked twice, unless it is certain that it was not taken', async () => {
  for (const recovered of [true, false]) {
    const run = start().enter(0);
    const receipt = run.client.send('old');
    receipt.catch(() => {});
    run.socket.drop();
    run.client.send('new');
    // Each dial fails; the room is away for more than the server remembers.
    run.clock.advance(500);
    while (run.clock.time < 1_700_000) run.reconnect();
    run.socket.deliver(joined(0, { recovered }));
    run.socket.deliver({ type: 'history', room: 'r', messages: [], complete: true });
    assert.deepEqual(run.socket.contents, recovered ? ['old', 'new'] : ['new']);
    if (!recovered) await assert.rejects(receipt, { code: 'outcome_unknown' });
  }
});

test('a message that no server takes is refused here, before it closes the connection', async () => {
  const run = start().enter(0);
  await assert.rejects(run.client.send('가'.repeat(349_600)), { code: 'message_too_large' });
  assert.deepEqual(run.socket.sent, []);
  run.client.send('x'.repeat(1024 * 1024 - 60));
  assert.equal(run.socket.sent.length, 1);
});

test('typing is told seldom, and ended once', () => {
  const run = start().enter(0);
  const told = () => run.socket.sentOf('typing').map(({ isTyping }) => isTyping);
  for (let keys = 0; keys < 40; keys += 1) {
    run.client.typing(true);
    run.clock.advance(100);
  }
  assert.deepEqual(told(), [true, true]);
  run.clock.advance(5000);
  assert.deepEqual(told(), [true, true, false]);
  run.client.typing(false);
  assert.equal(told().length, 3);
});
