// Every state of the page under axe, in both languages, light and dark: names, roles, contrast. And reduced motion.
// Not here: using it by keys alone (`keyboard.test.js`).

import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { PlayedRoom, joined, said } from './played_room.js';

/** @import { Person } from './people.js' */

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

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

/** What axe finds, in words. @param {Person} person @returns {Promise<string[]>} */
async function faults(person) {
  await person.page.evaluate(axe);
  return person.page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { resultTypes: ['violations'] });
    return violations.flatMap((/** @type {any} */ { id, help, nodes }) =>
      nodes.map((/** @type {any} */ node) => `${id}: ${help}: ${node.target} ${node.failureSummary}`),
    );
  });
}

/** @param {Person} person @param {string} state */
async function isSound(person, state) {
  assert.deepEqual(await faults(person), [], state);
}

const PHONE = { viewport: { width: 360, height: 720 }, isMobile: true, hasTouch: true };
/** @type {{ name: string, options: import('playwright-core').BrowserContextOptions }[]} */
const READERS = [
  { name: 'ko, desk, light', options: { locale: 'ko-KR', colorScheme: 'light', viewport: { width: 1280, height: 800 } } },
  { name: 'en, desk, dark', options: { locale: 'en-GB', colorScheme: 'dark', viewport: { width: 1280, height: 800 } } },
  { name: 'en, phone, light', options: { locale: 'en-GB', colorScheme: 'light', ...PHONE } },
  { name: 'ko, phone, dark', options: { locale: 'ko-KR', colorScheme: 'dark', ...PHONE } },
];

for (const { name, options } of READERS) {
  test(`${name}: the lobby, empty, known, refusing`, async () => {
    const minsu = await people.arrive(server.origin, options);
    await isSound(minsu, 'first visit');
    await minsu.part('name').fill('민수');
    await minsu.part('room').fill('a\tb');
    await minsu.part('enter').click();
    await minsu.part('join-error').waitFor();
    await isSound(minsu, 'refused');
    await minsu.enter('민수', `로비 ${name}`);
    await minsu.part('leave').click();
    await server.post(`로비 ${name}`, '지민', '새 말');
    await minsu.page.reload();
    await minsu.page.locator('.unread-count').first().waitFor();
    await isSound(minsu, 'a room visited before, with something new in it');
  });

  test(`${name}: the room, from loading to lost`, async () => {
    const history = Array.from({ length: 20 }, (_, index) => said(index + 1));
    history[7].content = 'https://example.org/a 그리고 ' + '긴 말 '.repeat(2000);
    const room = new PlayedRoom([joined(20)]);
    const minsu = await people.arrive(server.origin, options, (page) => room.take(page));
    await minsu.enter('민수', 'r');
    await isSound(minsu, 'no history yet');
    room.say({ type: 'history', room: 'r', messages: [], complete: true });
    await minsu.page.locator('#nothing').waitFor();
    await isSound(minsu, 'nothing was said');
    for (const frame of history) room.say({ ...frame, seq: frame.seq + 20, prev: frame.seq + 19 });
    room.say({ type: 'gap', room: 'r', epoch: 'e1', from: 41, to: 50 });
    room.say(said(51, { prev: 50 }));
    room.say({ type: 'system', room: 'r', event: 'join', username: '하늘', count: 1, userCount: 3, message: '', timestamp: '' });
    room.say({ type: 'typing', room: 'r', username: '하늘', isTyping: true });
    await minsu.part('gap').waitFor();
    await minsu.page.locator('#scroller').evaluate((scroller) => scroller.scrollTo(0, 0));
    await minsu.part('to-end').waitFor();
    await minsu.page.locator('.more:visible').waitFor();
    await isSound(minsu, 'read back, with a link, a long message, a gap');
    room.say(said(52));
    await minsu.part('new-messages').waitFor();
    await isSound(minsu, 'something new below');
    await minsu.part('new-messages').click();
    await minsu.page.locator('.unread:visible').waitFor();
    await isSound(minsu, 'the line above the unread');
    room.answer = ({ clientId, content }) => {
      if (content === '거절') room.say({ type: 'error', room: 'r', code: 'bad_frame', message: '안 됩니다', clientId });
    };
    await minsu.say('거절');
    await minsu.page.locator('.resend:visible').waitFor();
    await isSound(minsu, 'a message that failed');
    room.greeting = [];
    await room.hangUp(1012);
    await minsu.state('waiting');
    await minsu.say('나중에');
    await minsu.part('queued').waitFor();
    await isSound(minsu, 'lost, with a message that waits');
  });

  test(`${name}: who is here`, async () => {
    const minsu = await people.arrive(server.origin, options);
    await minsu.enter('민수', `사람 ${name}`);
    await minsu.part('count').click();
    await minsu.part('member').waitFor();
    await isSound(minsu, 'the dialog');
  });
}

test('axe does see faults on this page', async () => {
  const minsu = await people.arrive(server.origin);
  await minsu.page.evaluate(() => {
    const image = document.createElement('img');
    image.src = '/assets/icon.svg';
    document.querySelector('#lobby')?.append(image);
    document.querySelector('.lead')?.setAttribute('class', 'way');
    /** @type {HTMLElement} */ (document.querySelector('h1')).style.color = '#ccc';
  });
  const found = await faults(minsu);
  for (const rule of ['image-alt', 'color-contrast']) assert.ok(found.some((fault) => fault.startsWith(rule)), `${rule} in ${found}`);
});

test('who wants no motion sees none', async () => {
  for (const reducedMotion of /** @type {const} */ (['reduce', 'no-preference'])) {
    const minsu = await people.arrive(server.origin, { reducedMotion });
    await minsu.enter(`민수 ${reducedMotion}`, '움직임');
    await minsu.say('가만히');
    await minsu.allStored();
    const moving = await minsu.page.evaluate(() => {
      const time = (/** @type {string} */ list) => list.split(',').some((one) => parseFloat(one) > 0);
      return [...document.querySelectorAll('*')].filter((element) => {
        const style = getComputedStyle(element);
        return time(style.transitionDuration) || style.animationName !== 'none' || style.scrollBehavior === 'smooth';
      }).length;
    });
    assert.equal(moving > 0, reducedMotion === 'no-preference', `${moving} elements move with ${reducedMotion}`);
  }
});
