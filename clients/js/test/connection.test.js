// Coming back: when, how soon, and when never.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RECONNECT_CAP_MS, jitteredDelayMs } from '../src/backoff.js';
import { joined, message, randomFrom, start } from './harness.js';

test('jitter spreads over the whole span, which doubles up to the cap', () => {
  const random = randomFrom(1);
  for (const [attempt, spanMs] of [[0, 500], [1, 1000], [5, 16_000], [6, 30_000], [60, 30_000], [5000, 30_000]]) {
    const delays = Array.from({ length: 4000 }, () => jitteredDelayMs(attempt, random));
    assert.ok(Math.max(...delays) < spanMs && Math.max(...delays) <= RECONNECT_CAP_MS);
    // Each tenth of the span gets its share: nobody comes back together.
    for (let tenth = 0; tenth < 10; tenth += 1) {
      const share = delays.filter((delay) => Math.floor((delay / spanMs) * 10) === tenth).length / 4000;
      assert.ok(share > 0.07 && share < 0.13, `attempt ${attempt}, tenth ${tenth}: ${share}`);
    }
  }
});

test('a thousand clients that lose their server at once come back evenly spread', () => {
  const random = randomFrom(7);
  const pauses = Array.from({ length: 1000 }, () => {
    const run = start({ random }).enter(1);
    run.socket.drop(1006);
    return run.events('state').at(-1).retryInMs;
  });
  for (let tenth = 0; tenth < 10; tenth += 1) {
    const share = pauses.filter((pause) => Math.floor(pause / 50) === tenth).length;
    assert.ok(share > 65 && share < 135, `${share} of 1000 in tenth ${tenth}`);
  }
});

test('the states of a connection that is lost, comes back and is closed', () => {
  const run = start();
  assert.equal(run.client.state, 'idle');
  run.enter(1);
  run.reconnect();
  run.socket.deliver(joined(1));
  run.client.close();
  run.client.close();
  assert.deepEqual(run.events('state').map(({ previous, state }) => `${previous}>${state}`),
    ['idle>connecting', 'connecting>open', 'open>waiting', 'waiting>connecting', 'connecting>open', 'open>closed']);
  assert.equal(run.socket.closedByClient, true);
  run.client.connect();
  assert.equal(run.socket.url.searchParams.get('since'), '1');
});

for (const code of [1000, 1002, 1007, 1008, 1009, 4001]) {
  test(`close code ${code} is final`, () => {
    const run = start().enter(1);
    run.socket.drop(code, 'why');
    run.clock.advance(600_000);
    run.wake();
    assert.equal(run.sockets.length, 1);
    const { state, reason } = run.events('state').at(-1);
    assert.deepEqual([state, reason], ['closed', 'why']);
  });
}

for (const code of [1001, 1005, 1006, 1011, 1012, 1013, 1014, 4002]) {
  test(`after close code ${code} it comes back`, () => {
    const run = start().enter(1);
    run.reconnect(code);
    assert.equal(run.sockets.length, 2);
  });
}

test('a refused join says why', () => {
  const run = start();
  run.client.connect();
  run.socket.deliver({ type: 'error', code: 'room_invalid', message: 'no', room: 'r' });
  run.socket.drop(4001, 'join refused');
  assert.equal(run.events('state').at(-1).error.code, 'room_invalid');
});

test('pauses grow while nothing works, and a connection that dies at once is no success', () => {
  const run = start();
  run.client.connect();
  for (let attempt = 0; attempt < 8; attempt += 1) {
    if (attempt % 2) run.socket.deliver(joined(1));
    run.reconnect();
  }
  const pauses = () => run.events('state').flatMap(({ retryInMs }) => retryInMs ?? []);
  assert.deepEqual(pauses(), [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
  run.socket.deliver(joined(1));
  run.clock.advance(5000);
  run.reconnect();
  assert.equal(pauses().at(-1), 250);
});

test('the server says when to come back, and neither our jitter nor a look at the page changes it', () => {
  const run = start().enter(1);
  run.socket.deliver({ type: 'reconnect', afterMs: 9000, reason: 'drain' });
  run.clock.advance(1000);
  run.socket.drop(1012);
  run.wake();
  run.clock.advance(7999);
  assert.equal(run.sockets.length, 1);
  run.clock.advance(1);
  assert.equal(run.sockets.length, 2);
  // It was for that once.
  run.socket.drop(1006);
  assert.ok(run.events('state').at(-1).retryInMs <= 1000);
});

test('a full server is left alone as long as it asks', () => {
  const run = start();
  run.client.connect();
  run.socket.deliver({ type: 'error', code: 'server_full', message: 'full', retryAfterMs: 7000 });
  run.socket.drop(1013);
  assert.equal(run.events('state').at(-1).retryInMs, 7250);
});

test('nothing is put on a socket that is closing; it goes on the next one', () => {
  const run = start().enter(1);
  const closing = run.socket;
  closing.readyState = 2;
  void run.client.send('too late for this one');
  run.client.typing(true);
  assert.deepEqual(closing.sent, []);
  run.reconnect(1012);
  run.socket.deliver(joined(1));
  assert.deepEqual(run.socket.contents, ['too late for this one']);
});

test('network back or page looked at: a pause of our own ends at once', () => {
  const run = start();
  run.client.connect();
  run.socket.drop();
  run.wake();
  assert.equal(run.sockets.length, 2);
});

test('the user may always end a pause', () => {
  const run = start().enter(1);
  run.socket.deliver({ type: 'reconnect', afterMs: 60_000, reason: 'drain' });
  run.socket.drop(1012);
  run.client.retryNow();
  assert.equal(run.sockets.length, 2);
});

test('silence is asked about after 25 s, and given up on 10 s later', () => {
  const run = start().enter(1);
  run.clock.advance(24_999);
  assert.equal(run.socket.sentOf('ping').length, 0);
  run.clock.advance(1);
  assert.equal(run.socket.sentOf('ping').length, 1);
  run.clock.advance(9_999);
  assert.equal(run.client.state, 'open');
  run.clock.advance(1);
  assert.equal(run.client.state, 'waiting');
  assert.equal(run.sockets[0].closedByClient, true);
});

test('any frame is a sign of life', () => {
  const run = start().enter(1);
  for (let seq = 2; seq < 12; seq += 1) {
    run.clock.advance(20_000);
    run.socket.deliver(message(seq));
  }
  assert.equal(run.socket.sentOf('ping').length, 0);
  run.clock.advance(25_000);
  run.socket.deliver({ type: 'pong' });
  run.clock.advance(24_000);
  assert.deepEqual([run.client.state, run.socket.sentOf('ping').length], ['open', 1]);
});

test('a page that is looked at again asks at once', () => {
  const run = start().enter(1);
  run.wake();
  run.clock.advance(5_000);
  run.wake();
  assert.equal(run.socket.sentOf('ping').length, 1);
  run.clock.advance(5_000);
  assert.equal(run.client.state, 'waiting');
});

test('a socket that opens and never answers the join is given up', () => {
  const run = start();
  run.client.connect();
  run.clock.advance(15_000);
  assert.deepEqual([run.client.state, run.sockets[0].closedByClient], ['waiting', true]);
});

test('what a socket says after it was given up is not heard', () => {
  const run = start().enter(1);
  const old = run.socket;
  run.clock.advance(36_000);
  run.told.length = 0;
  old.deliver(joined(2));
  old.deliver(message(2));
  old.drop(1000);
  assert.deepEqual(run.told, []);
  assert.notEqual(run.client.state, 'closed');
});

test('an address that cannot be dialled ends it', () => {
  const run = start();
  assert.equal(run.client.state, 'idle');
  // Half a character cannot be percent-encoded.
  Object.defineProperty(run.client, 'room', { get: () => '\ud800' });
  run.client.connect();
  assert.equal(run.events('state').at(-1).error.code, 'cannot_connect');
});
