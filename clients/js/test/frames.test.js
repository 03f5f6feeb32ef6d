// Golden frames in, the fitting events out; addresses and what the client writes.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { chatUrl, parseFrame } from '../src/frames.js';
import { goldenFrames, joined, start } from './harness.js';

const golden = goldenFrames();

/** Plays one golden frame to a client in the room `general` that waits for an ack of `c1` and a page before 22. */
function play(/** @type {string} */ name) {
  const run = start();
  run.client.room = 'general';
  run.client.connect();
  run.socket.deliver(joined(41, { room: 'general', epoch: '5f3a9c1e' }));
  run.socket.deliver({ type: 'history', room: 'general', messages: [], complete: true });
  run.client.send('hello');
  const page = run.client.loadOlder({ before: 22 });
  page.catch(() => {});
  run.told.length = 0;
  run.socket.deliver(golden.get(name));
  return { run, page };
}

/** @type {Record<string, (played: ReturnType<typeof play>) => unknown>} what each file must bring about */
const EXPECTED = {
  message: ({ run }) => assert.equal(run.events('message')[0].content, '안녕하세요 👋'),
  message_without_prev: ({ run }) => {
    assert.deepEqual(run.events('gap'), [{ epoch: '71b20d44', from: 42, to: 4294967338 }]);
    assert.equal(run.events('message')[0].seq, 4294967339);
  },
  system_join: ({ run }) => {
    assert.deepEqual(run.events('presence'), [{ userCount: 3 }]);
    assert.equal(run.events('system')[0].event, 'join');
  },
  system_leave_merged: ({ run }) => assert.equal(run.events('system')[0].count, 25),
  history_on_join: () => {
    const run = start();
    run.client.room = 'general';
    run.client.connect();
    run.socket.deliver({ ...golden.get('joined'), seq: 2 });
    run.socket.deliver(golden.get('history_on_join'));
    assert.deepEqual(run.seqs(), [1, 2]);
    assert.equal(run.client.hasOlder, false);
  },
  history_page: async ({ page }) => {
    const { messages, beginning } = await page;
    assert.deepEqual([messages[0].seq, beginning], [21, true]);
  },
  history_incomplete: ({ run }) => {
    assert.equal(run.socket.sentOf('history').length, 1);
    run.clock.advance(2000);
    assert.equal(run.socket.sentOf('history').length, 2);
  },
  typing: ({ run }) => assert.deepEqual(run.events('typing'), [{ username: '민수', isTyping: true }]),
  error_bad_frame: ({ run }) => assert.equal(run.events('error')[0].code, 'bad_frame'),
  error_rate_limited: ({ run }) => {
    assert.equal(run.events('error').length, 0);
    assert.equal(run.events('delivery')[0].error.code, 'rate_limited');
    run.clock.advance(500);
    assert.deepEqual(run.socket.contents, ['hello', 'hello']);
  },
  joined: ({ run }) => assert.deepEqual(run.events('presence'), [{ userCount: 3 }]),
  ack_stored: ({ run }) => {
    const { state, seq } = run.events('delivery')[0];
    assert.deepEqual([state, seq], ['stored', 42]);
  },
  ack_wal: ({ run }) => assert.equal(run.events('delivery')[0].state, 'sent'),
  gap: ({ run }) => assert.deepEqual(run.events('gap'), [{ epoch: '5f3a9c1e', from: 42, to: 51 }]),
  reconnect: ({ run }) => {
    run.socket.drop(1012, 'service restart');
    assert.equal(run.events('state')[0].retryInMs, 1234);
  },
  pong: ({ run }) => assert.deepEqual(run.told, []),
};

test('every golden frame has an expectation, and every expectation a frame', () => {
  assert.deepEqual(Object.keys(EXPECTED).sort(), [...golden.keys()].sort());
});

for (const [name, expectation] of Object.entries(EXPECTED)) {
  test(`golden frame ${name}`, async () => {
    await expectation(play(name));
  });
}

test('a frame without one of its fields is told as an error and changes nothing', () => {
  const run = start().enter(3);
  run.told.length = 0;
  const bad = ['{', 'null', '[]', '{"type":5}', '{"type":"message","content":"x"}', '{"type":"joined","room":"r"}',
    '{"type":"gap","epoch":"e1","from":9,"to":4}', '{"type":"history","messages":[{}]}', '{"type":"reconnect"}'];
  for (const text of bad) run.socket.deliver(text);
  assert.deepEqual(run.told.map(({ name, event }) => [name, event.code]), bad.map(() => ['error', 'bad_server_frame']));
});

test('frames of a later server and of other rooms are ignored', () => {
  const run = start().enter(3);
  run.told.length = 0;
  assert.equal(parseFrame('{"type":"constructor"}'), null);
  run.socket.deliver({ type: 'edited', room: 'r', seq: 2 });
  run.socket.deliver({ type: 'typing', room: 'elsewhere', username: 'x', isTyping: true });
  assert.deepEqual(run.told, []);
});

test('the address carries room, name and cursor, percent-encoded', () => {
  const who = { room: '방 1/2', username: '김 철수&co' };
  const url = new URL(chatUrl('https://chat.test/', who, { seq: 41, epoch: 'a+b' }));
  assert.equal(url.protocol, 'wss:');
  assert.equal(url.pathname, `/chat/${encodeURIComponent('방 1/2')}`);
  assert.equal(url.searchParams.get('username'), '김 철수&co');
  assert.equal(url.searchParams.get('since'), '41');
  assert.equal(url.searchParams.get('epoch'), 'a+b');
  assert.equal(new URL(chatUrl('ws://h:8765', who, null)).searchParams.has('since'), false);
});

test('what the client writes is what the contract names', async () => {
  const run = start().enter(30);
  assert.deepEqual(run.socket.protocols, ['moim.v1']);
  run.client.send('half \ud83d a pair', { ack: 'stored' });
  run.client.typing(true);
  const page = run.client.loadOlder({ limit: 10 });
  page.catch(() => {});
  assert.deepEqual(run.socket.sent, [
    { type: 'message', room: 'r', content: 'half \ufffd a pair', clientId: 'c1', ack: 'stored' },
    { type: 'typing', room: 'r', isTyping: true },
    { type: 'history', room: 'r', before: 11, limit: 10 },
  ]);
});
