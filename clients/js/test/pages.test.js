// Older pages and the filling of gaps: asked until answered, never a hole that does not show.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { message, messages, start } from './harness.js';

/** @param {number} before @param {any[]} page @param {object} [more] */
const answer = (before, page, more = {}) =>
  ({ type: 'history', room: 'r', before, limit: 10, messages: page, complete: true, ...more });

test('pages go back to the beginning of the room', async () => {
  const run = start().enter(32);
  const first = run.client.loadOlder({ limit: 10 });
  assert.equal(run.client.loadOlder({ limit: 10 }), first, 'two calls are one question');
  run.socket.deliver(answer(13, messages(3, 12)));
  assert.equal((await first).beginning, false);
  const second = run.client.loadOlder({ limit: 10 });
  run.socket.deliver(answer(3, messages(1, 2)));
  assert.equal((await second).beginning, true);
  assert.equal(run.client.hasOlder, false);
  assert.deepEqual(run.events('history').map(({ kind }) => kind), ['join', 'older', 'older']);
  assert.deepEqual(run.seqs().sort((a, b) => a - b), messages(1, 32).map(({ seq }) => seq));
});

test('a page of exactly the rest knows the beginning by its prev', async () => {
  const run = start().enter(30);
  const page = run.client.loadOlder({ limit: 10 });
  run.socket.deliver(answer(11, messages(1, 10)));
  assert.equal((await page).beginning, true);
});

test('an incomplete page is asked again after the pause', async () => {
  const run = start().enter(32);
  const page = run.client.loadOlder({ limit: 10 });
  run.socket.deliver(answer(13, [], { complete: false, retryAfterMs: 700 }));
  run.clock.advance(699);
  assert.equal(run.socket.sentOf('history').length, 1);
  run.clock.advance(1);
  run.socket.deliver(answer(13, messages(3, 12)));
  assert.equal((await page).messages.length, 10);
});

test('a store that stays away: the page is handed on with what joins up, and asked for again later', async () => {
  const run = start().enter(32);
  const page = run.client.loadOlder({ limit: 10 });
  for (let tries = 0; tries < 5; tries += 1) {
    run.socket.deliver(answer(13, [...messages(3, 5), ...messages(9, 12)], { complete: false, retryAfterMs: 100 }));
    run.clock.advance(100);
  }
  const { messages: usable, complete, beginning } = await page;
  assert.deepEqual([usable.map(({ seq }) => seq), complete, beginning], [[9, 10, 11, 12], false, false]);
  run.client.loadOlder({ limit: 10 }).catch(() => {});
  assert.equal(run.socket.sentOf('history').at(-1).before, 9);
});

test('a question outlives the connection', async () => {
  const run = start().enter(32);
  const page = run.client.loadOlder({ limit: 10 });
  const socket = run.reconnect();
  socket.deliver({ type: 'joined', room: 'r', epoch: 'e1', seq: 32, userCount: 1, recovered: true });
  assert.deepEqual(socket.sentOf('history'), [{ type: 'history', room: 'r', before: 13, limit: 10 }]);
  socket.deliver(answer(13, messages(3, 12)));
  assert.equal((await page).messages.length, 10);
});

test('questions end with the connection for good, with silence, and with a refusal', async () => {
  const closed = start().enter(32);
  const first = closed.client.loadOlder();
  closed.client.close();
  await assert.rejects(first, { code: 'closed' });

  const silent = start().enter(32);
  const second = silent.client.loadOlder();
  for (let times = 0; times < 6; times += 1) {
    silent.clock.advance(10_000);
    silent.socket.deliver({ type: 'pong' });
  }
  await assert.rejects(second, { code: 'no_answer' });

  const refused = start().enter(32);
  const third = refused.client.loadOlder();
  refused.socket.deliver({ type: 'error', code: 'limit_invalid', message: 'no', room: 'r' });
  await assert.rejects(third, { code: 'limit_invalid' });
});

test('a gap is filled from its newest end, page by page, and nothing beside it is told twice', async () => {
  const run = start().enter(3);
  run.socket.deliver(message(20));
  const [gap] = run.events('gap');
  const first = run.client.fillGap(gap, { limit: 10 });
  run.socket.deliver(answer(20, messages(10, 19)));
  const { remaining } = await first;
  assert.deepEqual(remaining, { epoch: 'e1', from: 4, to: 9 });
  const second = run.client.fillGap(remaining ?? gap, { limit: 10 });
  run.socket.deliver(answer(10, messages(1, 9)));
  assert.equal((await second).remaining, null);
  assert.deepEqual(run.seqs().sort((a, b) => a - b), messages(1, 20).map(({ seq }) => seq));
});

test('a page for another question is not an answer', async () => {
  const run = start().enter(32);
  const page = run.client.loadOlder({ limit: 10 });
  run.socket.deliver(answer(9, messages(1, 8)));
  run.socket.deliver(answer(13, messages(3, 12)));
  assert.equal((await page).messages.length, 10);
});

test('what is left of a gap ends where the page says, and nothing is left before the beginning', async () => {
  const run = start().enter(3);
  run.socket.deliver(message(1002, { epoch: 'e2', prev: 1001 }));
  const gap = { epoch: 'e2', from: 4, to: 1001 };
  const first = run.client.fillGap(gap, { limit: 1 });
  run.socket.deliver(answer(1002, [message(1001, { epoch: 'e2', prev: 9 })], { limit: 1 }));
  const { remaining } = await first;
  assert.deepEqual(remaining, { ...gap, to: 9 });
  const second = run.client.fillGap(remaining ?? gap, { limit: 10 });
  run.socket.deliver(answer(10, [message(7, { prev: 5 })]));
  assert.equal((await second).remaining, null);
});

test('a gap over a jump is closed by prev', async () => {
  const run = start().enter(3);
  run.socket.deliver(message(1002, { epoch: 'e2', prev: 1001 }));
  const filled = run.client.fillGap(run.events('gap')[0], { limit: 10 });
  run.socket.deliver(answer(1002, [...messages(1, 4), message(1001, { epoch: 'e2', prev: 4 })]));
  const { messages: found, remaining } = await filled;
  assert.deepEqual([found.map(({ seq }) => seq), remaining], [[4, 1001], null]);
});
