// A long room: reading back to its first message, and what holds still meanwhile.
// Not here: history at the entrance (`chat.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';

const ROOM = '긴 이야기';
const WRITTEN = Array.from({ length: 150 }, (_, index) => `${index + 1}번째 말`);

/** @type {MoimServer} */
let server;
/** @type {People} */
let people;

before(async () => {
  server = await MoimServer.start();
  people = await People.open();
  for (const content of WRITTEN) await server.post(ROOM, content.length % 2 ? '민수' : 'Jane', content);
});
afterEach(() => people.leave());
after(async () => {
  await people?.close();
  await server?.remove();
});

test('scrolling back comes to the first of 150 messages over several pages, without a repeat', async () => {
  const minsu = await people.arrive(server.origin);
  await minsu.enter('지민', ROOM);
  await minsu.page.waitForFunction(() => document.querySelectorAll('.message').length >= 20);
  const list = minsu.page.getByTestId('messages');
  let pages = 0;
  for (let known = await list.locator('.message').count(); known < WRITTEN.length; pages += 1) {
    await minsu.page.locator('#scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
    await minsu.page.waitForFunction((count) => document.querySelectorAll('.message').length > count, known);
    known = await list.locator('.message').count();
  }
  assert.ok(pages >= 2, `${pages} pages`);
  await minsu.reads(WRITTEN);
  await minsu.shows('older-note', '대화의 시작입니다.');
  const seqs = (await minsu.read()).map(({ seq }) => seq);
  assert.deepEqual(seqs, [...new Set(seqs)].sort((a, b) => a - b));
  assert.equal(await minsu.part('gap').count(), 0);
});

test('what is being read holds still while older and newer messages come in', async () => {
  const jane = await people.arrive(server.origin, { viewport: { width: 900, height: 500 } });
  await jane.enter('하나', ROOM);
  await jane.page.waitForFunction(() => document.querySelectorAll('.message').length >= 20);
  const before = await jane.page.evaluate(() => {
    const scroller = /** @type {HTMLElement} */ (document.querySelector('#scroller'));
    // The entry whose place is watched stands well inside the view.
    const item = /** @type {HTMLElement} */ (document.querySelectorAll('.message')[3]);
    scroller.scrollTop = 40;
    return { seq: item.dataset.seq, top: item.getBoundingClientRect().top, count: document.querySelectorAll('.message').length };
  });
  await jane.page.waitForFunction((count) => document.querySelectorAll('.message').length >= count + 50, before.count);
  await server.post(ROOM, '민수', '아래에 새 말');
  await jane.shows('new-messages', '새 메시지 1개');
  const top = await jane.page.evaluate(
    (seq) => document.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect().top,
    before.seq,
  );
  assert.ok(Math.abs(Number(top) - before.top) <= 1, `it moved from ${before.top} to ${top}`);
  await jane.part('new-messages').click();
  await jane.page.getByText('아래에 새 말').waitFor();
  await jane.part('new-messages').waitFor({ state: 'hidden' });
});
