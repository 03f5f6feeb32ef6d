// Two people in real Chromium: what one does is what the other sees.
// Not here: networks and servers that fail (`offline.test.js`, `restart.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';

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

test('two people see each other come, type, talk and go', async () => {
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', '수다방');
  await minsu.shows('room-name', '수다방');
  await minsu.shows('count', '1명');
  const jane = await people.arrive(server.origin, { locale: 'en-GB' });
  await jane.enter('Jane', '수다방');

  await minsu.notices(['Jane님이 입장했습니다.']);
  await minsu.shows('count', '2명');
  await jane.shows('count', '2 here');

  await minsu.type('안녕');
  await jane.shows('typing', '민수 is typing…');
  await minsu.say('안녕하세요 👋');
  await jane.reads(['안녕하세요 👋']);
  await jane.shows('typing', '');
  await jane.type('Hi');
  await minsu.shows('typing', 'Jane 님이 입력 중…');
  await jane.say('Hi there');
  for (const person of [minsu, jane]) await person.reads(['안녕하세요 👋', 'Hi there']);
  for (const person of [minsu, jane]) await person.allStored();

  const [first, second] = await jane.read();
  assert.deepEqual([first.author, first.own, first.state], ['민수', false, 'received']);
  assert.deepEqual([second.author, second.own, second.seq], ['Jane', true, first.seq + 1]);

  await jane.part('leave').click();
  await jane.part('join').waitFor();
  await minsu.notices(['Jane님이 입장했습니다.', 'Jane님이 퇴장했습니다.']);
  await minsu.shows('count', '1명');
});

test('a newcomer reads what was said before, and others do not hear a room', async () => {
  for (const content of ['하나', '둘']) await server.post('기록', '민수', content);
  await server.post('다른 방', '민수', '여기는 아님');
  const jane = await people.arrive(server.origin);
  await jane.enter('Jane', '기록');
  await jane.reads(['하나', '둘']);
  await jane.shows('older-note', '대화의 시작입니다.');
});

test('a reload keeps name, room and language, and repeats nothing', async () => {
  const minsu = await people.arrive(server.origin, { locale: 'en-GB' });
  await minsu.part('language').first().click();
  await minsu.enter('민수', '다시/열기?');
  await minsu.say('그대로');
  await minsu.allStored();
  await minsu.page.reload();
  await minsu.connected();
  await minsu.shows('room-name', '다시/열기?');
  await minsu.shows('state', '연결됨');
  await minsu.reads(['그대로']);
  assert.deepEqual((await minsu.read()).map(({ author, own }) => [author, own]), [['민수', true]]);
});

test('the watch over a page does see scripts that run, are refused, and ask elsewhere', async () => {
  const minsu = await people.arrive(server.origin);
  const told = minsu.page.waitForEvent('console', (message) => message.text() === 'broken');
  await minsu.page.evaluate(async () => {
    const refused = (/** @type {string} */ directive) =>
      new Promise((resolve) => {
        addEventListener('securitypolicyviolation', ({ violatedDirective }) => violatedDirective === directive && resolve(true));
      });
    const both = Promise.all([refused('script-src-attr'), refused('img-src')]);
    const image = document.createElement('img');
    image.setAttribute('onerror', 'globalThis.ran = true');
    image.src = 'http://127.0.0.2:9/x.png';
    document.body.append(image);
    await both;
    console.error('broken');
  });
  await told;
  const faults = await minsu.faults();
  for (const sign of ['violation of script-src-attr', 'violation of img-src', 'console error: broken', 'asked http://127.0.0.2']) {
    assert.ok(faults.some((fault) => fault.startsWith(sign)), `${sign} in ${faults}`);
  }
});
