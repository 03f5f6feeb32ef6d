// What people may send to annoy: a megabyte, letters that turn the direction of writing, addresses that lie.
// Not here: markup (`markup.test.js`).

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

/** Below the limit of a frame, with what is around it. */
const HUGE = 1024 * 1024 - 200;

test('a message of a megabyte is folded, can be unfolded, and delays nobody', async () => {
  const minsu = await people.arrive(server.origin, { viewport: { width: 900, height: 600 } });
  await minsu.enter('민수', '큰 말');
  await server.post('큰 말', '지민', `${'a'.repeat(HUGE / 2)}${'b '.repeat(HUGE / 4)}`);
  await server.post('큰 말', '지민', '\n'.repeat(5000) + '아래');
  await minsu.page.locator('.more:visible').nth(1).waitFor();
  const letters = () => minsu.page.locator('.bubble').first().evaluate((bubble) => bubble.textContent?.length ?? 0);
  const heights = await minsu.page.locator('.bubble').evaluateAll((bubbles) => bubbles.map((bubble) => bubble.clientHeight));
  assert.ok(heights.every((height) => height < 3000), `${heights}`);
  assert.ok((await letters()) <= 3000);
  await minsu.say('나도 말할 수 있어요');
  await minsu.allStored();
  for (let known = await letters(); known < HUGE - 10; known = await letters()) {
    await minsu.part('more').first().click();
    await minsu.page.waitForFunction(
      (count) => (document.querySelector('.bubble')?.textContent?.length ?? 0) > count,
      known,
    );
  }
  await minsu.part('more').first().waitFor({ state: 'hidden' });
  await minsu.say('아직도');
  await minsu.allStored();
});

test('a pasted text beyond the limit of a frame is refused before it is sent, and stays in the box', async () => {
  const minsu = await people.arrive(server.origin, { permissions: ['clipboard-read', 'clipboard-write'] });
  await minsu.enter('민수', '너무 큰 말');
  // Many lines: what a browser takes minutes for when it is left to paste them by itself.
  const length = await minsu.page.evaluate(async () => {
    const text = 'abcdefg\n'.repeat(140_000);
    await navigator.clipboard.writeText(text);
    return text.length;
  });
  await minsu.part('text').press('ControlOrMeta+v');
  const written = () => minsu.part('text').evaluate((text) => /** @type {HTMLTextAreaElement} */ (text).value.length);
  assert.equal(await written(), length);
  await minsu.part('text').press('Enter');
  await minsu.shows('send-error', '메시지가 너무 깁니다. 나누어 보내 주세요.');
  // Without the line end that no message ends with.
  assert.equal(await written(), length - 1);
  await minsu.part('text').evaluate((text) => (/** @type {HTMLTextAreaElement} */ (text).value = ''));
  await minsu.say('짧게');
  await minsu.reads(['짧게']);
  assert.equal(await minsu.part('send-error').isVisible(), false);
});

test('web addresses are links that tell nothing of this page; nothing else is a link', async () => {
  const text = [
    'https://example.org/a?b=1&c=가#d, (http://example.com/x_(y)). HTTPS://EXAMPLE.NET!',
    'javascript:alert(1) data:text/html,x ftp://example.org file:///etc/passwd //example.org https:// http://',
    'https://example.org/\u202Egpj.exe https://"onmouseover="x http://<b>',
  ].join('\n');
  await server.post('주소', '지민', text);
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', '주소');
  await minsu.reads([text]);
  const links = await minsu.page.locator('.bubble a').evaluateAll((anchors) =>
    anchors.map((anchor) => ({ text: anchor.textContent, href: anchor.getAttribute('href') })),
  );
  assert.deepEqual(links, [
    { text: 'https://example.org/a?b=1&c=가#d', href: 'https://example.org/a?b=1&c=%EA%B0%80#d' },
    { text: 'http://example.com/x_(y)', href: 'http://example.com/x_(y)' },
    { text: 'HTTPS://EXAMPLE.NET', href: 'https://example.net/' },
    { text: 'https://example.org/', href: 'https://example.org/' },
  ]);
  const rels = await minsu.page.locator('.bubble a').evaluateAll((anchors) =>
    anchors.map((anchor) => [anchor.getAttribute('rel'), anchor.getAttribute('target')]),
  );
  for (const [rel, target] of rels) assert.deepEqual([rel, target], ['noopener noreferrer nofollow ugc', '_blank']);
});

test('letters that turn the direction of writing turn nothing but their own text', async () => {
  const [plain, turned] = ['기준', '\u202E뒤집기'];
  const places = async (/** @type {string} */ room, /** @type {string} */ name, /** @type {string} */ content) => {
    await server.post(room, name, content);
    const minsu = await people.arrive(server.origin, { viewport: { width: 900, height: 600 } });
    await minsu.enter('민수', room);
    const other = await people.arrive(server.origin);
    await other.enter(name, room);
    await minsu.page.getByTestId('notice').waitFor();
    await minsu.reads([content]);
    await minsu.part('count').click();
    await minsu.page.locator('.member').nth(1).waitFor();
    return minsu.page.evaluate(() => {
      const left = (/** @type {string} */ css) => document.querySelector(css)?.getBoundingClientRect().left ?? -1;
      // A direction that leaks turns the words after it: where their first letter stands shows it.
      const letter = (/** @type {Element | null} */ element, /** @type {string} */ text) => {
        const walker = document.createTreeWalker(/** @type {Element} */ (element), NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
          const at = node.textContent?.indexOf(text) ?? -1;
          if (at < 0) continue;
          const range = document.createRange();
          range.setStart(node, at);
          range.setEnd(node, at + text.length);
          const first = document.createRange();
          first.setStart(node, at);
          first.setEnd(node, at + 1);
          return first.getBoundingClientRect().left - range.getBoundingClientRect().left;
        }
        return -1;
      };
      return {
        bubbleBeforeTime: left('.message .bubble') < left('.message .time'),
        nameBeforeMark: [...document.querySelectorAll('.member')].every((member) => {
          const [face, name] = [...member.children].map((child) => child.getBoundingClientRect().left);
          return face < name;
        }),
        notice: letter(document.querySelector('.notice'), '님이 입장했습니다.'),
      };
    });
  };
  const usual = await places('보통', plain, plain);
  assert.deepEqual(usual, { bubbleBeforeTime: true, nameBeforeMark: true, notice: 0 });
  assert.deepEqual(await places('돌린 글', turned, turned), usual);
});
