// What the page shows when something went wrong at the server, and that one press mends it. The server is played.
// Not here: real servers and networks that fail (`restart.test.js`, `offline.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { PlayedRoom, joined, said } from './played_room.js';

/** @type {MoimServer} */
let server;
/** @type {People} */
let people;

before(async () => {
  server = await MoimServer.start();
  people = await People.open();
});
afterEach(() => people.leave());
after(async () => {
  await people?.close();
  await server?.remove();
});

/** Somebody in a room in which `messages` were said. @param {any[]} messages */
async function enter(messages) {
  const head = messages.at(-1)?.seq ?? 0;
  const room = new PlayedRoom([joined(head), { type: 'history', room: 'r', messages, complete: true }]);
  const minsu = await people.arrive(server.origin, {}, (page) => room.take(page));
  await minsu.enter('민수', 'r');
  await minsu.reads(messages.map(({ content }) => content));
  return { room, minsu };
}

const range = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: to - from + 1 }, (_, index) => said(from + index));

test('a gap is shown where it is, and is loaded page by page from its newest end', async () => {
  const { room, minsu } = await enter(range(1, 2));
  room.say({ type: 'gap', room: 'r', epoch: 'e1', from: 3, to: 150 });
  room.say(said(151));
  await minsu.reads([1, 2, 151].map((seq) => `${seq}번째 말`));
  const between = await minsu.page.locator('#messages > li').evaluateAll((items) => items.map((item) => item.className.split(' ')[0]));
  assert.deepEqual(between, ['message', 'message', 'gap', 'message']);
  room.answer = (frame) => {
    if (frame.type !== 'history') return;
    const { before, limit } = frame;
    room.say({ type: 'history', room: 'r', before, limit, messages: range(Math.max(1, before - limit), before - 1), complete: true });
  };
  await minsu.part('gap-load').click();
  await minsu.page.locator('.gap[data-to="50"]').waitFor();
  await minsu.reads([1, 2, ...range(51, 151).map(({ seq }) => seq)].map((seq) => `${seq}번째 말`));
  await minsu.part('gap-load').click();
  await minsu.part('gap').waitFor({ state: 'detached' });
  await minsu.reads(range(1, 151).map(({ content }) => content));
});

test('a message that was refused says why, and goes again under the same name', async () => {
  const { room, minsu } = await enter([]);
  /** @type {string[]} */
  const names = [];
  room.answer = ({ type, clientId, content }) => {
    if (type !== 'message') return;
    names.push(clientId);
    if (names.length === 1) return room.say({ type: 'error', room: 'r', code: 'bad_frame', message: '지금은 안 됩니다', clientId });
    room.say({ ...said(1), username: '민수', content, clientId });
    room.say({ type: 'ack', room: 'r', clientId, seq: 1, epoch: 'e1', level: 'stored' });
  };
  await minsu.say('한 번만');
  await minsu.part('messages').getByText('지금은 안 됩니다').waitFor();
  assert.deepEqual((await minsu.read()).map(({ state }) => state), ['failed']);
  await minsu.page.locator('.resend:visible').click();
  await minsu.allStored();
  await minsu.reads(['한 번만']);
  assert.equal(names.length, 2);
  assert.equal(names[0], names[1]);
});

test('each step of an own message is told in words', async () => {
  const { room, minsu } = await enter([]);
  await minsu.say('어디까지 갔나');
  const mark = minsu.page.locator('.own .mark');
  const reads = (/** @type {string} */ words) => minsu.page.locator(`.own .mark[aria-label="${words}"]`).waitFor();
  await reads('보내는 중');
  const { clientId, content } = room.heard.find(({ type }) => type === 'message');
  room.say({ ...said(1), username: '민수', content, clientId });
  await reads('전송됨');
  room.say({ type: 'ack', room: 'r', clientId, seq: 1, epoch: 'e1', level: 'stored' });
  await reads('저장됨');
  assert.equal(await mark.count(), 1);
});

test('a server that came back without its log says so, and the new talk is shown', async () => {
  const { room, minsu } = await enter(range(1, 3));
  const messages = [said(1, { epoch: 'e2', content: '새 기록' })];
  room.greeting = [joined(1, { epoch: 'e2', recovered: false }), { type: 'history', room: 'r', messages, complete: true }];
  await room.hangUp(1012);
  await minsu.reads(['새 기록']);
  await minsu.notices(['서버가 기록 없이 다시 시작되어, 대화가 새로 시작됩니다.']);
  await minsu.connected();
});

test('a final close says so, and the way back is one press', async () => {
  const { room, minsu } = await enter(range(1, 2));
  await room.hangUp(1008);
  await minsu.state('closed');
  await minsu.shows('state', '연결이 끝났습니다');
  room.greeting = [joined(2)];
  await minsu.part('retry').click();
  await minsu.connected();
  room.say(said(3));
  await minsu.reads(range(1, 3).map(({ content }) => content));
});
