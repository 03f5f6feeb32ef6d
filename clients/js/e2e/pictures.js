// Pictures of the page in every state, language, light and size, and the one of README.md: `npm run screenshots [folder]`.
// Not here: whether what they show is right (the tests).

import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { PlayedRoom, joined, said } from './played_room.js';
import { Wire } from './wire.js';

/** @import { BrowserContextOptions } from 'playwright-core' */
/** @import { Person } from './people.js' */

const FOLDER = resolve(process.argv[2] ?? 'screenshots');
const README_PICTURE = fileURLToPath(new URL('../../../docs/page.png', import.meta.url));

/** @type {Record<string, BrowserContextOptions>} */
const SIZES = {
  desk: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
};
const LIGHTS = /** @type {const} */ (['light', 'dark']);
const LANGUAGES = {
  ko: {
    locale: 'ko-KR', name: '민수', walks: ['아침 산책', '저녁 산책', '주말 산책', '산책 모임'], other: '하늘', rooms: ['general', '독서 모임'],
    talk: [
      ['지민', '내일 비 온다던데 산책 하나요?'],
      ['지민', '우산 쓰고 걸어도 좋긴 해요'],
      ['서연', '저는 보온병에 차를 담아 갈게요'],
      ['하늘', '공원 지도는 여기 있어요: https://example.org/park (북문 쪽)'],
      ['하늘', '일곱 시 어때요?'],
      ['서연', '조금 이르지만… 좋아요. 대신 끝나고 빵집에 들러요. 지난번에 먹은 소금빵이 아직도 생각나요.'],
    ],
    own: ['일곱 시에 북문에서 만나요.', '비가 많이 오면 다시 정해요.'], later: '연결되면 이 말이 갑니다.', draft: '내일',
  },
  en: {
    locale: 'en-GB', name: 'Minsu', walks: ['morning walk', 'evening walk', 'weekend walk', 'walking club'], other: 'Haneul', rooms: ['general', 'book club'],
    talk: [
      ['Jimin', 'They say it will rain tomorrow. Are we still walking?'],
      ['Jimin', 'I do like a walk under an umbrella'],
      ['Seoyeon', 'I will bring a thermos of tea'],
      ['Haneul', 'Here is the map of the park: https://example.org/park (north gate)'],
      ['Haneul', 'How about seven?'],
      ['Seoyeon', 'A little early, but fine. Only if we stop at the bakery afterwards: I still think of that salt bread.'],
    ],
    own: ['Seven at the north gate it is.', 'If it pours, we find another day.'], later: 'This goes out once we are back.', draft: 'see',
  },
};

/** @typedef {typeof LANGUAGES.ko} Words */

const server = await MoimServer.start();
const people = await People.open();
await mkdir(FOLDER, { recursive: true });
try {
  for (const [language, words] of Object.entries(LANGUAGES)) {
    for (const room of words.rooms) await server.post(room, words.talk[0][0], words.talk[0][1]);
    // The same words for every picture: each has a room of its own.
    const walks = words.walks.values();
    for (const [size, options] of Object.entries(SIZES)) {
      for (const colorScheme of LIGHTS) {
        await pictures(`${size}-${colorScheme}-${language}`, String(walks.next().value), words, { ...options, colorScheme, locale: words.locale });
      }
    }
  }
  await readmePicture();
} finally {
  await people.close();
  await server.remove();
}

/** @param {Person} person @param {string} name */
async function picture(person, name) {
  await person.page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: name.includes('lobby') });
}

/** @param {string} name @param {string} room @param {Words} words @param {BrowserContextOptions} options */
async function pictures(name, room, words, options) {
  const wire = await Wire.to(server.port);
  const person = await people.arrive(wire.origin, options);
  person.mayBeRefused = true;
  await picture(person, `${name}-1-lobby-first`);
  for (const room of words.rooms) {
    await person.enter(words.name, room);
    await person.part('leave').click();
  }
  await server.post(words.rooms[0], words.other, words.talk[4][1]);
  await person.page.reload();
  await person.page.locator('.unread-count').first().waitFor();
  await person.page.locator('#room-here:not(:empty)').waitFor();
  await picture(person, `${name}-2-lobby`);
  await person.enter(words.name, `${words.rooms[1]} 2`);
  await picture(person, `${name}-3-empty`);
  for (const [username, content] of words.talk) await server.post(room, username, content);
  await person.part('leave').click();
  await person.enter(words.name, room);
  const other = await people.arrive(server.origin);
  await other.enter(words.other, room);
  for (const content of words.own) await person.say(content);
  await person.allStored();
  await other.type(words.draft);
  await person.page.locator('#typing:not(:empty)').waitFor();
  await picture(person, `${name}-4-busy`);
  await person.part('count').click();
  await person.part('member').nth(1).waitFor();
  await picture(person, `${name}-5-members`);
  await person.part('members-close').click();
  wire.cut();
  await person.state('waiting');
  await person.say(words.later);
  await person.part('queued').waitFor();
  await picture(person, `${name}-6-lost`);
  await people.leave();
  await wire.close();
  await faults(name, words, options);
}

/** States that a real server shows only under faults. @param {string} name @param {Words} words @param {BrowserContextOptions} options */
async function faults(name, words, options) {
  const messages = words.talk.map(([username, content], index) => said(index + 1, { username, content }));
  const room = new PlayedRoom([joined(4), { type: 'history', room: 'r', messages: messages.slice(0, 4), complete: true }]);
  room.answer = ({ clientId }) => {
    if (clientId) room.say({ type: 'error', room: 'r', code: 'store_full', message: words.own[1], clientId });
  };
  const person = await people.arrive(server.origin, options, (page) => room.take(page));
  await person.enter(words.name, 'r');
  room.say({ type: 'gap', room: 'r', epoch: 'e1', from: 5, to: 40 });
  room.say({ ...messages[4], seq: 41, prev: 40 });
  await person.say(words.own[0]);
  await person.page.locator('.resend:visible').waitFor();
  await picture(person, `${name}-7-faults`);
  await people.leave();
}

/** A desk and a phone beside each other. */
async function readmePicture() {
  const source = async (/** @type {string} */ name) =>
    `data:image/png;base64,${(await readFile(join(FOLDER, `${name}.png`))).toString('base64')}`;
  const page = await people.blank({ viewport: { width: 1200, height: 600 } });
  await page.setContent(`<style>
    body { margin: 0; background: #e9e7df; position: relative; height: 600px; overflow: hidden; }
    img { position: absolute; border-radius: 12px; box-shadow: 0 2px 6px #0002, 0 18px 50px #0003; }
    .desk { width: 856px; left: 32px; top: 32px; }
    .phone { width: 262px; right: 32px; top: 50px; border-radius: 22px; }
  </style><img class="desk" src="${await source('desk-light-en-4-busy')}"><img class="phone" src="${await source('phone-dark-ko-4-busy')}">`);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete && image.naturalWidth > 0));
  const path = join(FOLDER, 'page.png');
  await page.screenshot({ path });
  await copyFile(path, README_PICTURE);
}
