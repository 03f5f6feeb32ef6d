// The page in Korean and English, on a desk and on a phone: every state says so in the reader's language, and fits.
// With SCREENSHOTS=folder each state is also kept as an image. Not here: what the states mean (the other tests).

import { strict as assert } from 'node:assert';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { Wire } from './wire.js';

/** @import { Person } from './people.js' */

/** @type {MoimServer} */
let server;
/** @type {People} */
let people;
/** @type {Wire} */
let wire;

before(async () => {
  server = await MoimServer.start();
  people = await People.open();
});
afterEach(async () => {
  await people.leave();
  await wire?.close();
});
after(async () => {
  await people?.close();
  await server?.remove();
});

const LONG = '아주 긴 이야기를 한 번에 쓰면 말풍선이 여러 줄이 되지만, 낱말 가운데에서 끊기지는 않습니다. '.repeat(3).trim();
const ADDRESS = `https://example.org/${'a'.repeat(120)}?q=${'%EA%B0%80'.repeat(20)}`;

const LANGUAGES = [
  {
    locale: 'ko-KR',
    words: {
      enter: '들어가기', leave: '나가기', send: '보내기', count: '2명', open: '연결됨',
      typing: '하늘 님이 입력 중…', joined: '하늘님이 입장했습니다.', waiting: '다시 연결하는 중', retry: '다시 연결', news: '새 메시지 2개',
    },
  },
  {
    locale: 'en-GB',
    words: {
      enter: 'Enter', leave: 'Leave', send: 'Send', count: '2 here', open: 'Connected',
      typing: '하늘 is typing…', joined: '하늘 joined.', waiting: 'Reconnecting', retry: 'Reconnect', news: '2 new messages',
    },
  },
];
/** @type {{ device: string, options: import('playwright-core').BrowserContextOptions }[]} */
const DEVICES = [
  { device: 'desk-light', options: { viewport: { width: 1280, height: 800 }, colorScheme: 'light' } },
  {
    device: 'phone-dark',
    options: { viewport: { width: 360, height: 720 }, colorScheme: 'dark', isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  },
];

/** Nothing stands outside the screen, nothing is cut off at its side, no text is missing. @param {Person} person @param {string} name */
async function fits(person, name) {
  const folder = process.env.SCREENSHOTS;
  if (folder) {
    await mkdir(folder, { recursive: true });
    await person.page.screenshot({ path: join(folder, `${name}.png`) });
  }
  const faults = await person.page.evaluate(() => {
    const name = (/** @type {Element} */ element) => `${element.tagName}#${element.id}.${element.className}`;
    const shown = [...document.querySelectorAll('body *')].filter((element) => element.checkVisibility());
    const outside = shown.filter((element) => {
      const { left, right } = element.getBoundingClientRect();
      return left < -1 || right > innerWidth + 1;
    });
    const scrolling = [document.documentElement, ...shown].filter(
      (element) => element.scrollWidth > element.clientWidth + 1 && /auto|scroll|visible/.test(getComputedStyle(element).overflowX) && element.clientWidth > 0,
    );
    const silent = shown.filter((element) => element instanceof HTMLButtonElement && !element.textContent?.trim());
    return { outside: outside.map(name), scrolling: scrolling.map(name), silent: silent.map(name) };
  });
  assert.deepEqual(faults, { outside: [], scrolling: [], silent: [] }, name);
}

for (const { locale, words } of LANGUAGES) {
  for (const { device, options } of DEVICES) {
    const name = (/** @type {string} */ state) => `${device}-${locale.slice(0, 2)}-${state}`;

    test(`${locale}, ${device}: entrance, talk, reading back, lost connection`, async () => {
      const room = `산책 모임 ${device} ${locale}`;
      wire = await Wire.to(server.port);
      const minsu = await people.arrive(wire.origin, { locale, ...options });
      minsu.mayBeRefused = true;
      assert.equal(await minsu.page.locator('html').getAttribute('lang'), locale.slice(0, 2));
      await minsu.shows('enter', words.enter);
      await fits(minsu, name('entrance'));

      for (let number = 1; number <= 12; number += 1) {
        await server.post(room, number % 3 ? '지민' : 'Mina', number === 4 ? LONG : `${number}번째 안부, how are you?`);
      }
      await minsu.enter('민수', room);
      const other = await people.arrive(server.origin);
      await other.enter('하늘', room);
      await minsu.notices([words.joined]);
      await minsu.shows('count', words.count);
      await minsu.shows('state', words.open);
      for (const part of /** @type {const} */ (['leave', 'send'])) await minsu.shows(part, words[part]);
      await minsu.say('내일 아침 일곱 시에 공원 앞에서 만나요.');
      await minsu.say('See you 👋');
      await other.say(ADDRESS);
      await minsu.allStored();
      await other.type('음');
      await minsu.shows('typing', words.typing);
      await minsu.part('messages').getByText(ADDRESS).waitFor();
      await fits(minsu, name('talk'));
      const header = minsu.page.locator('.room > header');
      const height = (await header.boundingBox())?.height;

      await minsu.page.locator('#scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
      // The list has noticed that its end is out of view once it is told of the scroll.
      await minsu.page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
      for (const content of ['하나 더', '둘 더']) await other.say(content);
      await minsu.shows('new-messages', words.news);
      await fits(minsu, name('reading-back'));
      await minsu.part('new-messages').click();

      wire.cut();
      await minsu.state('waiting');
      await minsu.say('이 말은 다시 연결되면 갑니다.');
      await minsu.shows('state', words.waiting);
      await minsu.shows('retry', words.retry);
      await fits(minsu, name('lost'));
      assert.equal((await header.boundingBox())?.height, height, 'the header grew, and the talk was pushed down');
      wire.mend();
      await minsu.allStored();
    });
  }
}

test('the other language is one press away, and everything that stands there follows', async () => {
  const minsu = await people.arrive(server.origin, { locale: 'ko-KR' });
  await minsu.enter('민수', '두 말');
  const jane = await people.arrive(server.origin);
  await jane.enter('Jane', '두 말');
  await jane.type('음');
  await minsu.shows('typing', 'Jane 님이 입력 중…');
  await minsu.part('language').last().click();
  await minsu.shows('typing', 'Jane is typing…');
  await minsu.notices(['Jane joined.']);
  await minsu.shows('count', '2 here');
  await minsu.shows('state', 'Connected');
  await minsu.part('leave').click();
  await minsu.shows('enter', 'Enter');
});
