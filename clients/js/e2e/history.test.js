// A room of ten thousand messages: reading back to its first one, and what holds still meanwhile.
// Not here: history at the entrance (`chat.test.js`), the line above the unread (`unread.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';

const ROOM = '긴 이야기';
const WRITTEN = 10_000;
/** Said at once by the one who fills the room. */
const AT_ONCE = 64;
/** Entries that may be in the page at once: the rest of a long room costs the browser nothing. */
const IN_PAGE_MAX = 300;
/** To read back all of it, on a machine that does other things as well. */
const PATIENCE_MS = 240_000;

/** @type {MoimServer} */
let server;
/** @type {People} */
let people;

before(async () => {
  server = await MoimServer.start({ env: { MOIM__LIMITS__MESSAGES_PER_SECOND: '1000000' } });
  people = await People.open();
  let said = 0;
  const talk = async (/** @type {string} */ name) => {
    // Some are long, so that entries are of different heights.
    for (let number; (number = said += 1) <= WRITTEN; ) {
      await server.post(ROOM, name, number % 7 ? `말 ${number}` : `${number}: ${'여러 줄이 되는 긴 말 '.repeat(number % 29)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => talk(index % 3 ? '지민' : '하늘')));
});
afterEach(() => people.leave());
after(async () => {
  await people?.close();
  await server?.remove();
});

/** Reads back to the first message; what was seen on the way. */
async function readBack() {
  const scroller = /** @type {HTMLElement} */ (document.querySelector('#scroller'));
  const items = () => /** @type {HTMLElement[]} */ ([...document.querySelectorAll('#messages > .message')]);
  const numbers = () => items().map((item) => Number(item.dataset.seq));
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const seen = new Set();
  let [most, shift, unordered] = [0, 0, 0];
  for (;;) {
    const now = numbers();
    for (const seq of now) seen.add(seq);
    most = Math.max(most, now.length);
    if (now.some((seq, index) => index > 0 && seq !== now[index - 1] + 1)) unordered += 1;
    if (now[0] === 1) return { seen: seen.size, most, shift, unordered };
    scroller.scrollTop = 30;
    // A whole entry in view: what comes in above may take its day and its name from the first one.
    const watched = items()[2];
    const top = watched.getBoundingClientRect().top;
    while (numbers()[0] === now[0]) {
      await frame();
      shift = Math.max(shift, Math.abs(watched.getBoundingClientRect().top - top));
    }
  }
}

test('reading back ten thousand messages comes to the first, without a repeat, a hole or a jump', { timeout: PATIENCE_MS }, async () => {
  const minsu = await people.arrive(server.origin, { viewport: { width: 900, height: 700 } });
  await minsu.enter('민수', ROOM);
  await minsu.page.waitForFunction(() => document.querySelectorAll('.message').length >= 20);
  const { seen, most, shift, unordered } = await minsu.page.evaluate(readBack);
  assert.equal(seen, WRITTEN);
  assert.equal(unordered, 0, 'a repeat or a hole');
  assert.ok(most <= IN_PAGE_MAX, `${most} in the page`);
  assert.ok(shift <= 1, `what was being read moved by ${shift} pixels`);
  await minsu.shows('older-note', '대화의 시작입니다.');
  assert.equal(await minsu.part('gap').count(), 0);

  // All of it is still there, and the way back is one press.
  await minsu.part('to-end').click();
  await minsu.page.locator(`.message[data-seq="${WRITTEN}"]`).waitFor();
  await minsu.say('다 읽었어요');
  await minsu.allStored();
  const last = (await minsu.read()).slice(-2).map(({ seq }) => seq);
  assert.deepEqual(last, [WRITTEN, WRITTEN + 1]);
});

test('reading down again from the middle meets every message once', async () => {
  const minsu = await people.arrive(server.origin, { viewport: { width: 900, height: 700 } });
  await minsu.enter('민수', ROOM);
  await minsu.page.waitForFunction(() => document.querySelectorAll('.message').length >= 20);
  const unordered = await minsu.page.evaluate(async () => {
    const scroller = /** @type {HTMLElement} */ (document.querySelector('#scroller'));
    const numbers = () =>
      [...document.querySelectorAll('#messages > .message')].map((item) => Number(/** @type {HTMLElement} */ (item).dataset.seq));
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    let faults = 0;
    const look = () => numbers().forEach((seq, index, all) => (faults += Number(index > 0 && seq !== all[index - 1] + 1)));
    const last = /** @type {number} */ (numbers().at(-1));
    while (numbers()[0] > last - 1500) {
      scroller.scrollTop = 0;
      await frame();
      look();
    }
    while (numbers().at(-1) !== last) {
      scroller.scrollTop = scroller.scrollHeight;
      await frame();
      look();
    }
    return faults;
  });
  assert.equal(unordered, 0);
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
  await server.post(ROOM, '지민', '아래에 새 말');
  await jane.shows('new-messages', '새 메시지 1개');
  const top = await jane.page.evaluate(
    (seq) => document.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect().top,
    before.seq,
  );
  assert.ok(Math.abs(Number(top) - before.top) <= 1, `it moved from ${before.top} to ${top}`);
  await jane.part('new-messages').click();
  await jane.part('messages').getByText('아래에 새 말').waitFor();
  await jane.part('new-messages').waitFor({ state: 'hidden' });
});
