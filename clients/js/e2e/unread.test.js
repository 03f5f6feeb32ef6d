// What came while one did not look: the line above it, the button to it, the count in the lobby; and what is read aloud.
// Not here: what came while one was not connected (`offline.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';

/** @import { Person } from './people.js' */

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

/** The message right below the line. @param {Person} person */
async function firstUnread(person) {
  const line = person.page.locator('.unread:visible');
  await line.waitFor();
  return person.page.locator('.message', { has: line }).locator('.bubble').textContent();
}

test('who reads further up has a button to what is new, and a line above it, until they write', async () => {
  const room = '위에서';
  for (let number = 1; number <= 40; number += 1) await server.post(room, '지민', `${number}번째`);
  const minsu = await people.arrive(server.origin, { viewport: { width: 900, height: 500 } });
  await minsu.enter('민수', room);
  await minsu.part('messages').getByText('40번째').waitFor();
  await minsu.page.locator('#scroller').evaluate((scroller) => scroller.scrollTo(0, 200));
  await minsu.part('to-end').waitFor();
  for (const content of ['새 말 하나', '새 말 둘']) await server.post(room, '하늘', content);
  await minsu.shows('new-messages', '새 메시지 2개');
  await minsu.part('new-messages').click();
  assert.equal(await firstUnread(minsu), '새 말 하나');
  await minsu.part('new-messages').waitFor({ state: 'hidden' });

  // At the end, looking: nothing more is unread.
  await server.post(room, '하늘', '보는 앞에서');
  await minsu.part('messages').getByText('보는 앞에서').waitFor();
  assert.equal(await firstUnread(minsu), '새 말 하나');
  await minsu.say('읽었어요');
  await minsu.page.locator('.unread:visible').waitFor({ state: 'hidden' });
});

test('the lobby counts what was said since, and the line stands above it on return', async () => {
  const room = '다시 오면';
  await server.post(room, '지민', '전에 읽은 말');
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', room);
  await minsu.reads(['전에 읽은 말']);
  await minsu.part('leave').click();
  for (const content of ['첫 소식', '둘째 소식', '셋째 소식']) await server.post(room, '지민', content);
  await minsu.page.reload();
  await minsu.page.locator('.unread-count', { hasText: '3' }).first().waitFor();
  await minsu.part('visited').getByTestId('pick').first().click();
  await minsu.connected();
  await minsu.reads(['전에 읽은 말', '첫 소식', '둘째 소식', '셋째 소식']);
  assert.equal(await firstUnread(minsu), '첫 소식');
  await minsu.part('leave').click();
  await minsu.page.reload();
  await minsu.part('pick').first().waitFor();
  assert.equal(await minsu.page.locator('.unread-count').count(), 0);
});

test('a page nobody looks at counts in its title, and the line stands there on return', async () => {
  const room = '딴 창';
  await server.post(room, '지민', '보고 있을 때');
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', room);
  await minsu.reads(['보고 있을 때']);
  const look = (/** @type {boolean} */ isHidden) =>
    minsu.page.evaluate((hidden) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
      document.dispatchEvent(new Event('visibilitychange'));
    }, isHidden);
  await look(true);
  for (const content of ['안 볼 때 하나', '안 볼 때 둘']) await server.post(room, '지민', content);
  await minsu.page.waitForFunction(() => document.title.startsWith('(2) '));
  await look(false);
  await minsu.page.waitForFunction((title) => document.title === title, `${room} · moim`);
  assert.equal(await firstUnread(minsu), '안 볼 때 하나');
});

test('what others say is read aloud once, history and own words are not', async () => {
  const room = '귀로';
  await server.post(room, '지민', '전에');
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', room);
  await minsu.reads(['전에']);
  await minsu.say('내 말');
  await minsu.allStored();
  await server.post(room, '하늘', '들리나요');
  await minsu.shows('heard', '하늘: 들리나요');
});

test('who is here is told by name, and follows who comes and goes', async () => {
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', '이름들');
  await minsu.part('count').click();
  const names = async (/** @type {string[]} */ wanted) => {
    await minsu.page.waitForFunction((json) => {
      const shown = [...document.querySelectorAll('#members-list .name')].map((name) => name.textContent);
      return JSON.stringify(shown) === json;
    }, JSON.stringify(wanted));
  };
  await names(['민수']);
  const jane = await people.arrive(server.origin);
  await jane.enter('Jane', '이름들');
  await names(['Jane', '민수']);
  await jane.part('leave').click();
  await names(['민수']);
  await minsu.part('members-close').click();
  await minsu.part('members').waitFor({ state: 'hidden' });
});
