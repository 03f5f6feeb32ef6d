// Korean, Japanese and Chinese as input methods type them: Enter ends what is being composed, and only then a message.
// Not here: the rest of the page.

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';

/** @import { CDPSession } from 'playwright-core' */

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

/** The code of every key that the input method has taken for itself. */
const TAKEN = 229;

/** A key as an input method passes it on. @param {CDPSession} devtools @param {string} key @param {number} keyCode */
async function key(devtools, key, keyCode) {
  const event = { key, code: 'Enter', windowsVirtualKeyCode: keyCode, nativeVirtualKeyCode: keyCode };
  await devtools.send('Input.dispatchKeyEvent', { ...event, type: 'rawKeyDown' });
  if (keyCode === 13) await devtools.send('Input.dispatchKeyEvent', { ...event, type: 'char', text: '\r' });
  await devtools.send('Input.dispatchKeyEvent', { ...event, type: 'keyUp' });
}

/** @param {CDPSession} devtools @param {string[]} steps how the syllable grows */
async function compose(devtools, steps) {
  for (const text of steps) {
    await devtools.send('Input.imeSetComposition', { text, selectionStart: text.length, selectionEnd: text.length });
  }
}

/** As each is typed: the steps of every part, and what it becomes. @type {Record<string, [string[], string][]>} */
const TYPED = {
  한글: [[['ㅎ', '하', '한'], '한'], [['ㄱ', '그', '글'], '글']],
  日本語: [[['n', 'に', 'にほ', 'にほん', '日本'], '日本'], [['ご', '語'], '語']],
  中文: [[['z', 'zh', 'zhong', '中'], '中'], [['w', 'wen', '文'], '文']],
};

for (const [text, parts] of Object.entries(TYPED)) {
  test(`${text}: Enter inside a composition sends nothing, the next one sends it once`, async () => {
    const minsu = await people.arrive(server.origin);
    const jane = await people.arrive(server.origin);
    await minsu.enter('민수', text);
    await jane.enter('Jane', text);
    await minsu.part('text').focus();
    const devtools = await minsu.devtools();

    let written = '';
    for (const [steps, result] of parts) {
      await compose(devtools, steps);
      await key(devtools, 'Enter', TAKEN);
      assert.equal(await minsu.part('text').inputValue(), written + steps.at(-1));
      await devtools.send('Input.insertText', { text: result });
      written += result;
    }
    // Safari passes the key on when the composition is over, and says what it was by the code alone.
    await key(devtools, 'Enter', TAKEN);
    assert.equal(await minsu.part('text').inputValue(), text);
    await key(devtools, 'Enter', 13);

    await minsu.allStored();
    await minsu.say('끝');
    for (const person of [minsu, jane]) await person.reads([text, '끝']);
    assert.deepEqual((await server.messages(text)).map(({ content }) => content), [text, '끝']);
  });
}

test('Shift and Enter begin a new line, and lines stay lines', async () => {
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', '여러 줄');
  await minsu.type('첫 줄');
  await minsu.part('text').press('Shift+Enter');
  await minsu.page.keyboard.insertText('둘째 줄');
  await minsu.part('text').press('Enter');
  await minsu.reads(['첫 줄\n둘째 줄']);
  await minsu.allStored();
});
