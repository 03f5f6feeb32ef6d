// What is told of a room over losses: each message once, every hole named.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EPOCH, joined, message, messages, start } from './harness.js';

const history = (/** @type {number} */ from, /** @type {number} */ to, more = {}) => ({
  type: 'history', room: 'r', messages: messages(from, to), complete: true, ...more,
});

test('a resume carries number and epoch, and what follows is told once', () => {
  const run = start().enter(3);
  run.socket.deliver(message(4));
  const socket = run.reconnect();
  assert.equal(socket.url.searchParams.get('since'), '4');
  assert.equal(socket.url.searchParams.get('epoch'), 'e1');
  socket.deliver(joined(6));
  for (const seq of [3, 4, 5, 5, 6, 6, 7]) socket.deliver(message(seq));
  assert.deepEqual(run.seqs(), [1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(run.events('gap'), []);
});

test('a member of an empty room resumes too', () => {
  const run = start().enter(0);
  const socket = run.reconnect();
  assert.equal(socket.url.searchParams.get('since'), '0');
  socket.deliver(joined(1));
  socket.deliver(message(1));
  assert.deepEqual([run.seqs(), run.events('gap')], [[1], []]);
});

test('a connection lost between joined and history has seen nothing', () => {
  const run = start();
  run.client.connect();
  run.socket.deliver(joined(41));
  const socket = run.reconnect();
  assert.equal(socket.url.searchParams.has('since'), false);
  socket.deliver(joined(41));
  socket.deliver(history(22, 41));
  assert.equal(run.seqs().length, 20);
});

test('lost between joined and history of a failed resume: the old cursor stays', () => {
  const run = start().enter(3);
  run.reconnect().deliver(joined(90, { recovered: false }));
  assert.equal(run.reconnect().url.searchParams.get('since'), '3');
});

test('not recovered: a gap between what was seen and the history, no repeats', () => {
  const run = start().enter(10);
  const socket = run.reconnect();
  socket.deliver(joined(60, { recovered: false }));
  socket.deliver(history(41, 60));
  socket.deliver(message(61));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 11, to: 40 }]);
  assert.deepEqual(run.seqs(), [...messages(1, 10), ...messages(41, 61)].map(({ seq }) => seq));
  const names = run.told.map(({ name }) => name);
  assert.ok(names.lastIndexOf('gap') < names.lastIndexOf('history'), 'the gap is told first');
});

test('not recovered, but the history reaches back far enough: no gap, no repeats', () => {
  const run = start().enter(10);
  const socket = run.reconnect();
  socket.deliver(joined(15, { recovered: false }));
  socket.deliver(history(1, 15));
  assert.deepEqual(run.events('gap'), []);
  assert.deepEqual(run.seqs(), messages(1, 15).map(({ seq }) => seq));
});

test('not recovered and the store away: everything up to the head is missing', () => {
  const run = start().enter(10);
  const socket = run.reconnect();
  socket.deliver(joined(15, { recovered: false }));
  socket.deliver(history(14, 13, { messages: [], complete: false }));
  socket.deliver(message(16));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 11, to: 15 }]);
});

test('a history that comes late still counts', () => {
  const run = start().enter(10);
  const socket = run.reconnect();
  socket.deliver(joined(12, { recovered: false }));
  run.clock.advance(12_000);
  socket.deliver(history(11, 12));
  assert.deepEqual(run.seqs().slice(10), [11, 12]);
});

test('a hole shows through prev, over a jump too', () => {
  const run = start().enter(3);
  run.socket.deliver(message(6));
  run.socket.deliver(message(1000, { epoch: 'e2', prev: 8 }));
  run.socket.deliver(message(1001, { epoch: 'e2' }));
  run.socket.deliver(message(2000, { epoch: 'e3', prev: 1001 }));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 4, to: 5 }, { epoch: 'e2', from: 7, to: 8 }]);
});

test('an unknown prev is told as a hole only where numbers are missing', () => {
  const run = start().enter(3);
  run.socket.deliver(message(4, { prev: undefined }));
  assert.deepEqual(run.events('gap'), []);
  run.socket.deliver(message(9, { prev: undefined }));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 5, to: 8 }]);
});

test('a gap of the server is told once, with what it left unsaid', () => {
  const run = start().enter(3);
  run.socket.deliver({ type: 'gap', room: 'r', epoch: 'e1', from: 6, to: 9 });
  run.socket.deliver(message(8));
  run.socket.deliver(message(10));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 4, to: 9 }]);
  assert.equal(run.reconnect().url.searchParams.get('since'), '10');
});

test('messages found again after a loss are told as a gap below, and the cursor stays', () => {
  const run = start().enter(3);
  run.socket.deliver(message(1000, { epoch: 'e2', prev: 3 }));
  run.socket.deliver({ type: 'gap', room: 'r', epoch: 'e1', from: 4, to: 5 });
  run.socket.deliver(message(1001, { epoch: 'e2' }));
  assert.deepEqual(run.events('gap'), [{ epoch: 'e1', from: 4, to: 5 }]);
  assert.equal(run.reconnect().url.searchParams.get('since'), '1001');
});

test('a gap below everything shown is left to the older pages', () => {
  const run = start().enter(50);
  run.socket.deliver({ type: 'gap', room: 'r', epoch: 'e1', from: 4, to: 5 });
  assert.deepEqual(run.events('gap'), []);
});

test('a stray of an epoch that has ended is dropped', () => {
  const run = start().enter(3);
  run.socket.deliver(message(1000, { epoch: 'e2', prev: 3 }));
  run.socket.deliver(message(2));
  run.socket.deliver(message(2000));
  run.socket.deliver(message(1001, { epoch: 'e2' }));
  assert.deepEqual(run.seqs(), [1, 2, 3, 1000, 1001]);
  assert.deepEqual(run.events('reset'), []);
});

test('an epoch that changed while away is recovered across the jump', () => {
  const run = start().enter(3);
  const socket = run.reconnect();
  socket.deliver(joined(1001, { epoch: 'e2' }));
  socket.deliver(message(4));
  socket.deliver(message(1001, { epoch: 'e2', prev: 4 }));
  assert.deepEqual([run.seqs(), run.events('gap')], [[1, 2, 3, 4, 1001], []]);
});

test('an unasked joined that announces an epoch moves nothing', () => {
  const run = start().enter(3);
  run.socket.deliver(joined(1000, { epoch: 'e2' }));
  assert.equal(run.client.position?.seq, 3);
  run.client.send('at once');
  assert.deepEqual(run.socket.contents, ['at once']);
  run.socket.deliver(message(1001, { epoch: 'e2', prev: 3 }));
  assert.deepEqual([run.seqs(), run.events('gap')], [[1, 2, 3, 1001], []]);
});

test('a server that kept nothing: the log began anew, and its low numbers are told', () => {
  const run = start().enter(30);
  const socket = run.reconnect();
  socket.deliver(joined(2, { epoch: 'n', recovered: false }));
  socket.deliver(history(1, 2, { messages: [message(1, { epoch: 'n' }), message(2, { epoch: 'n' })] }));
  socket.deliver(message(3, { epoch: 'n' }));
  assert.equal(run.events('reset').length, 1);
  assert.deepEqual(run.events('gap'), []);
  assert.deepEqual(run.seqs().slice(-3), [1, 2, 3]);
  assert.equal(run.client.hasOlder, false);
});

test('nothing counts before the answer to the join', () => {
  const run = start();
  run.client.connect();
  run.socket.deliver(message(7));
  run.socket.deliver(history(1, 3));
  assert.deepEqual(run.seqs(), []);
});

test('who kept its position goes on from there in a new client: what was missed once, and older pages below', async () => {
  const { client, ...first } = start().enter(30);
  const kept = client.position;
  assert.deepEqual(kept, { seq: 30, epoch: EPOCH });
  client.close();
  assert.equal(first.seqs().length, 20);

  const run = start({ position: { seq: 30, epoch: EPOCH } });
  run.client.connect();
  assert.equal(run.socket.url.searchParams.get('since'), '30');
  assert.equal(run.socket.url.searchParams.get('epoch'), EPOCH);
  run.socket.deliver(joined(32));
  for (const frame of messages(31, 32)) run.socket.deliver(frame);
  assert.deepEqual(run.seqs(), [31, 32]);
  assert.deepEqual(run.events('gap'), []);
  const page = run.client.loadOlder({ limit: 5 });
  const { before, limit } = run.socket.sentOf('history')[0];
  assert.deepEqual([before, limit], [31, 5]);
  run.socket.deliver({ type: 'history', room: 'r', before, limit, messages: messages(26, 30), complete: true });
  assert.deepEqual((await page).messages.map(({ seq }) => seq), [26, 27, 28, 29, 30]);
});

test('a kept position of which the server no longer has everything: the rest is told as a gap', () => {
  const run = start({ position: { seq: 30, epoch: EPOCH } });
  run.client.connect();
  run.socket.deliver(joined(90, { recovered: false }));
  run.socket.deliver({ type: 'history', room: 'r', messages: messages(71, 90), complete: true });
  assert.deepEqual(run.events('gap'), [{ epoch: EPOCH, from: 31, to: 70 }]);
  assert.deepEqual(run.seqs(), messages(71, 90).map(({ seq }) => seq));
});
