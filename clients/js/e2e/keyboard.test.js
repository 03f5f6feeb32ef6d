// The whole page by keys alone: nothing needs a pointer, and focus is never lost.
// Not here: input methods (`input_methods.test.js`), names and roles (`accessibility.test.js`).

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

/** More stops than the page has. */
const STOPS_MAX = 60;

/** What has the focus, by its test id or id. @param {Person} person */
function focused(person) {
  return person.page.evaluate(() => {
    const element = /** @type {HTMLElement} */ (document.activeElement);
    return element.dataset.testid ?? element.id ?? element.tagName;
  });
}

/** Goes there with Tab. @param {Person} person @param {string} where */
async function tabTo(person, where) {
  const passed = [];
  for (let stop = 0; stop < STOPS_MAX; stop += 1) {
    await person.page.keyboard.press('Tab');
    const here = await focused(person);
    if (here === where) return;
    passed.push(here);
  }
  assert.fail(`no ${where} among ${passed}`);
}

/** Waits until the list has stopped moving: Chromium scrolls by keys in steps. @param {Person} person */
async function still(person) {
  await person.page.evaluate(async () => {
    const scroller = /** @type {HTMLElement} */ (document.querySelector('#scroller'));
    for (let [frames, top] = [0, -1]; frames < 10; ) {
      await new Promise((resolve) => requestAnimationFrame(resolve));
      frames = scroller.scrollTop === top ? frames + 1 : 0;
      top = scroller.scrollTop;
    }
  });
}

test('enter, talk, see who is here, read back, change the language, leave, come back', async () => {
  for (let number = 1; number <= 60; number += 1) await server.post('글쇠', '지민', `${number}번째 말`);
  const minsu = await people.arrive(server.origin, { viewport: { width: 1000, height: 500 } });
  const { keyboard } = minsu.page;
  assert.equal(await focused(minsu), 'name');
  await keyboard.insertText('민수');
  await tabTo(minsu, 'room');
  await keyboard.insertText('글쇠');
  await keyboard.press('Enter');
  await minsu.connected();
  assert.equal(await focused(minsu), 'text');
  await keyboard.insertText('손 없이');
  await keyboard.press('Enter');
  await minsu.allStored();

  await tabTo(minsu, 'count');
  await keyboard.press('Enter');
  await minsu.part('member').waitFor();
  await keyboard.press('Escape');
  await minsu.part('members').waitFor({ state: 'hidden' });
  assert.equal(await focused(minsu), 'count');

  await tabTo(minsu, 'scroller');
  await keyboard.press('PageUp');
  await minsu.part('to-end').waitFor();
  await still(minsu);
  await tabTo(minsu, 'to-end');
  await keyboard.press('Enter');
  await minsu.part('to-end').waitFor({ state: 'hidden' });
  assert.equal(await focused(minsu), 'scroller');
  await tabTo(minsu, 'text');
  await keyboard.press('PageUp');
  await minsu.part('to-end').waitFor();
  assert.equal(await focused(minsu), 'text');

  await tabTo(minsu, 'language');
  await keyboard.press('Enter');
  await minsu.shows('leave', 'Leave');
  await tabTo(minsu, 'leave');
  await keyboard.press('Enter');
  await minsu.part('join').waitFor();
  assert.equal(await focused(minsu), 'room');
  await tabTo(minsu, 'pick');
  await keyboard.press('Enter');
  await minsu.connected();
  assert.equal(await focused(minsu), 'text');
});

test('the lines to copy are tabs: one stop, arrows between them', async () => {
  const minsu = await people.arrive(server.origin);
  const { keyboard } = minsu.page;
  await tabTo(minsu, 'way-0');
  const lines = [];
  for (let tab = 0; tab < 3; tab += 1) {
    lines.push(await minsu.part('line').textContent());
    await keyboard.press('ArrowRight');
  }
  assert.equal(new Set(lines).size, 3);
  assert.equal(await focused(minsu), 'way-0');
  await keyboard.press('ArrowLeft');
  assert.equal(await focused(minsu), 'way-2');
  await tabTo(minsu, 'line');
  await tabTo(minsu, 'copy');
});

test('a room is taken off the list by keys, and the focus stays in the list', async () => {
  const minsu = await people.arrive(server.origin);
  for (const room of ['하나', '둘']) {
    await minsu.enter('민수', room);
    await minsu.part('leave').click();
  }
  await tabTo(minsu, 'forget');
  await minsu.page.keyboard.press('Enter');
  const rooms = minsu.part('visited').getByTestId('pick');
  assert.deepEqual(await rooms.allTextContents(), ['하나']);
  assert.equal(await focused(minsu), 'pick');
});
