// npm `ws`, a WebSocket client that is none of ours, in both profiles.
// Not here: our own client module (`client_restart.test.js`).

import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';

import { MoimServer } from './moim_server.js';

/** Longer than anything takes on a busy machine: who waits this long waits for nothing. */
const PATIENCE_MS = 20_000;
const MESSAGE_BYTES_MAX = 1024 * 1024;

/** @type {MoimServer} */
let server;

before(async () => {
  server = await MoimServer.start();
});
after(() => server?.remove());

/** A connection whose frames are read one after another. */
class Client {
  #socket;
  /** @type {any[]} */
  #frames = [];
  #news = () => {};
  /** @type {Promise<number>} */
  closed;

  /** @param {WebSocket} socket */
  constructor(socket) {
    this.#socket = socket;
    this.closed = once(socket, 'close').then(([code]) => code);
    socket.on('error', () => {}); // `close` follows and says more.
    socket.on('message', (data, isBinary) => {
      assert.equal(isBinary, false);
      this.#frames.push(JSON.parse(String(data)));
      this.#news();
    });
  }

  /**
   * @param {string} room
   * @param {string} query
   * @param {string[]} [protocols]
   */
  static async enter(room, query, protocols = []) {
    const socket = new WebSocket(`${server.origin}/chat/${encodeURIComponent(room)}?${query}`, protocols);
    const client = new Client(socket);
    await Promise.race([once(socket, 'open'), client.closed]);
    assert.equal(socket.readyState, WebSocket.OPEN);
    assert.equal(socket.protocol, protocols[0] ?? '');
    return client;
  }

  /** @param {string} room @param {string} name */
  static async plain(room, name) {
    const client = await Client.enter(room, `username=${encodeURIComponent(name)}`);
    // In this profile nothing says that the join is done; but it is before anything sent is answered.
    client.sendText('?');
    const before = [];
    for (let frame = await client.#next(); frame.type !== 'error'; frame = await client.#next()) before.push(frame);
    client.#frames.unshift(...before);
    return client;
  }

  /** @param {string} room @param {string} name @param {string} [more] */
  static v1(room, name, more = '') {
    return Client.enter(room, `username=${encodeURIComponent(name)}${more}`, ['moim.v1']);
  }

  /** @param {object} frame */
  send(frame) {
    this.#socket.send(JSON.stringify(frame));
  }

  /** @param {string} content @param {object} [more] */
  say(content, more = {}) {
    this.send({ type: 'message', content, ...more });
  }

  /** @param {string} text */
  sendText(text) {
    this.#socket.send(text);
  }

  /** The next frame, which must be of that type. @param {string} type */
  async next(type) {
    const frame = await this.#next();
    assert.equal(frame.type, type, JSON.stringify(frame));
    return frame;
  }

  /** The next frames, which must be one of each type, in any order. @param {string[]} types */
  async nextOfEach(types) {
    const frames = [];
    for (const _ of types) frames.push(await this.#next());
    assert.deepEqual(frames.map(({ type }) => type).sort(), [...types].sort());
    return new Map(frames.map((frame) => [frame.type, frame]));
  }

  /** The code with which it ends; 1006 when it does not. */
  async closedByServer() {
    const deadline = this.#deadline();
    const code = await this.closed;
    clearTimeout(deadline);
    return code;
  }

  /** @param {number} [code] */
  async close(code) {
    this.#socket.close(code);
    return this.closedByServer();
  }

  #deadline() {
    return setTimeout(() => this.#socket.terminate(), PATIENCE_MS);
  }

  async #next() {
    const deadline = this.#deadline();
    while (this.#frames.length === 0) {
      const news = new Promise((resolve) => (this.#news = () => resolve(undefined)));
      const code = await Promise.race([news, this.closed]);
      if (code !== undefined && this.#frames.length === 0) throw new Error(`no frame: closed with ${code}`);
    }
    clearTimeout(deadline);
    return this.#frames.shift();
  }
}

test('plain: join, echo, typing, history, leave, with Korean names', async () => {
  const minsu = await Client.plain('수다방', '민수');
  const jane = await Client.plain('수다방', '제인 👋');
  const joined = await minsu.next('system');
  assert.deepEqual([joined.message, joined.userCount], ['제인 👋님이 입장했습니다.', 2]);
  jane.send({ type: 'typing', isTyping: true });
  const typing = await minsu.next('typing');
  assert.deepEqual([typing.username, typing.isTyping], ['제인 👋', true]);
  for (let number = 1; number <= 25; number += 1) jane.say(`${number}번`);
  for (const client of [minsu, jane]) {
    for (let number = 1; number <= 25; number += 1) {
      const { username, content } = await client.next('message');
      assert.deepEqual([username, content], ['제인 👋', `${number}번`]);
    }
  }
  const late = await Client.plain('수다방', '늦은 이');
  const { messages } = await late.next('history');
  assert.deepEqual(messages.map((/** @type {any} */ { content }) => content), Array.from({ length: 20 }, (_, i) => `${i + 6}번`));
  await minsu.next('system');
  assert.equal(await late.close(1000), 1000);
  const left = await minsu.next('system');
  assert.deepEqual([left.message, left.userCount], ['늦은 이님이 퇴장했습니다.', 2]);
  for (const client of [minsu, jane]) assert.equal(await client.close(1000), 1000);
});

test('plain: what is no JSON is answered, and the connection stays', async () => {
  const jane = await Client.plain('오류', '제인');
  jane.sendText('안녕');
  assert.equal((await jane.next('error')).message, '잘못된 메시지 형식입니다.');
  jane.say('아직 여기');
  assert.equal((await jane.next('message')).content, '아직 여기');
  await jane.close(1000);
});

test('v1: join, echo with its number, ack, typing, page, pong, leave', async () => {
  const minsu = await Client.v1('번호 있는 방', '민수');
  const joined = await minsu.next('joined');
  const { epoch } = joined;
  assert.deepEqual([joined.room, joined.seq, joined.userCount, joined.recovered], ['번호 있는 방', 0, 1, true]);
  assert.deepEqual((await minsu.next('history')).messages, []);
  const jane = await Client.v1('번호 있는 방', '제인');
  for (const type of ['joined', 'history']) await jane.next(type);
  const notice = await minsu.next('system');
  assert.deepEqual([notice.event, notice.username, notice.count, notice.userCount], ['join', '제인', 1, 2]);

  jane.send({ type: 'typing', isTyping: true });
  const typing = await minsu.next('typing');
  assert.deepEqual([typing.room, typing.username, typing.isTyping], ['번호 있는 방', '제인', true]);

  jane.say('안녕하세요', { clientId: '가-1', ack: 'stored' });
  const mine = await jane.nextOfEach(['message', 'ack']);
  const ack = { type: 'ack', room: '번호 있는 방', clientId: '가-1', seq: 1, epoch, level: 'stored' };
  assert.deepEqual(mine.get('ack'), ack);
  const message = await minsu.next('message');
  assert.deepEqual(message, mine.get('message'));
  const { room, username, content, seq, prev, clientId } = message;
  assert.deepEqual([room, username, content], ['번호 있는 방', '제인', '안녕하세요']);
  assert.deepEqual([seq, prev, message.epoch, clientId], [1, 0, epoch, '가-1']);

  // The same again is answered again and said once; other content under that name is refused.
  jane.say('안녕하세요', { clientId: '가-1', ack: 'stored' });
  assert.deepEqual(await jane.next('ack'), ack);
  jane.say('다른 말', { clientId: '가-1' });
  const refused = await jane.next('error');
  assert.deepEqual([refused.code, refused.clientId], ['client_id_reused', '가-1']);
  jane.send({ type: 'history', before: 2, limit: 10 });
  const page = await jane.next('history');
  assert.deepEqual([page.before, page.limit, page.complete, page.messages], [2, 10, true, [message]]);
  jane.send({ type: 'ping' });
  assert.deepEqual(await jane.next('pong'), { type: 'pong' });

  assert.equal(await jane.close(1000), 1000);
  const left = await minsu.next('system');
  assert.deepEqual([left.event, left.username, left.userCount], ['leave', '제인', 1]);
  assert.equal(await minsu.close(1000), 1000);
});

test('v1: who names the last number it saw gets what it missed, each once, then what is new', async () => {
  const minsu = await Client.v1('이어 듣기', '민수');
  const { epoch } = await minsu.next('joined');
  await minsu.next('history');
  for (let number = 1; number <= 40; number += 1) minsu.say(`${number}번`);
  for (let number = 1; number <= 40; number += 1) await minsu.next('message');
  const jane = await Client.v1('이어 듣기', '제인', `&since=5&epoch=${epoch}`);
  const joined = await jane.next('joined');
  assert.deepEqual([joined.seq, joined.recovered], [40, true]);
  minsu.say('새로');
  for (let seq = 6; seq <= 41; seq += 1) {
    const message = await jane.next('message');
    assert.deepEqual([message.seq, message.prev, message.content], [seq, seq - 1, seq === 41 ? '새로' : `${seq}번`]);
  }
  for (const client of [minsu, jane]) await client.close(1000);
});

test('both profiles share a room, and plain clients get plain frames only', async () => {
  const plain = await Client.plain('함께', '민수');
  const v1 = await Client.v1('함께', '제인');
  for (const type of ['joined', 'history']) await v1.next(type);
  await plain.next('system');
  v1.say('하나', { clientId: 'c1' });
  await v1.nextOfEach(['message', 'ack']);
  assert.equal((await plain.next('message')).content, '하나');
  plain.say('둘', { clientId: 'c2' });
  const [sent, heard] = [await plain.next('message'), await v1.next('message')];
  assert.deepEqual([sent.content, heard.content, heard.seq], ['둘', '둘', 2]);
  for (const client of [plain, v1]) await client.close(1000);
});

for (const profile of /** @type {const} */ (['plain', 'v1'])) {
  test(`${profile}: 1 MiB passes, one byte more closes with 1009`, async () => {
    const room = `큰 것 ${profile}`;
    const jane = await Client[profile](room, '제인');
    if (profile === 'v1') for (const type of ['joined', 'history']) await jane.next(type);
    const around = JSON.stringify({ type: 'message', content: '' }).length;
    const largest = 'x'.repeat(MESSAGE_BYTES_MAX - around);
    jane.say(largest);
    assert.equal((await jane.next('message')).content, largest);
    jane.say(`${largest}x`);
    assert.equal(await jane.closedByServer(), 1009);
    assert.equal((await server.messages(room)).length, 1);
  });
}
