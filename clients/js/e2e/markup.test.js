// Markup in every place where people put text: it is shown as it was typed, and nothing of it runs.
// Not here: the policy that would stop it if it were markup after all (`http/page.rs`).

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

const ATTACKS = [
  '<img src=x onerror="globalThis.ran = 1">',
  '<script>globalThis.ran = 2</script>',
  '<svg onload=globalThis.ran=3><a href="javascript:globalThis.ran=4">x</a></svg>',
  '</p></li></ol><iframe srcdoc="<script>parent.ran = 5</script>"></iframe>',
  '&lt;b&gt; &amp;amp; <b>굵게</b> <style>*{display:none}</style>',
  '"><input autofocus onfocus=globalThis.ran=6>',
  '[x](javascript:alert(7)) ${globalThis.ran = 7} {{ran}} %3Cb%3E \\u003cb\\u003e',
];

/** What in the page was made of what somebody typed: there is none of it in our own markup. */
const MADE = ':is(.room, .rooms, #members, #room-here) :is(img, script, svg, a, iframe, b, style, i, input)';

/** @param {import('./people.js').Person} person */
async function isUnharmed(person) {
  assert.equal(await person.page.evaluate(() => /** @type {any} */ (globalThis).ran), undefined);
  assert.equal(await person.page.locator(MADE).count(), 0);
}

test('markup in messages is text, for those who see it come, for newcomers and for its sender', async () => {
  const minsu = await people.arrive(server.origin);
  const jane = await people.arrive(server.origin);
  await minsu.enter('민수', '공격');
  await jane.enter('Jane', '공격');
  for (const attack of ATTACKS) await jane.say(attack);
  for (const person of [minsu, jane]) await person.reads(ATTACKS);
  await jane.allStored();
  const late = await people.arrive(server.origin);
  await late.enter('늦은 이', '공격');
  await late.reads(ATTACKS);
  for (const person of [minsu, jane, late]) await isUnharmed(person);
});

test('markup as name and as room is text: at the top, above messages, in notices, in who types', async () => {
  const name = '<img src=x onerror=globalThis.ran=1>';
  const room = '<b onmouseover=globalThis.ran=2>방</b>&#x2F;<i>';
  const minsu = await people.arrive(server.origin);
  await minsu.enter('민수', room);
  await minsu.shows('room-name', room);
  assert.equal(await minsu.page.title(), `${room} · moim`);
  const other = await people.arrive(server.origin);
  await other.enter(name, room);
  await minsu.notices([`${name}님이 입장했습니다.`]);
  await other.type('음');
  await minsu.shows('typing', `${name} 님이 입력 중…`);
  await other.say('안녕');
  await minsu.reads(['안녕']);
  assert.deepEqual((await minsu.read()).map(({ author }) => author), [name]);
  await other.page.reload();
  await other.connected();
  await other.shows('room-name', room);
  for (const person of [minsu, other]) await isUnharmed(person);
});

test('a link whose room is markup opens that room, as text', async () => {
  const room = '"><img src=x onerror=globalThis.ran=1>';
  const jane = await people.arrive(`${server.origin}/#room=${encodeURIComponent(room)}`);
  await jane.part('name').fill('Jane');
  assert.equal(await jane.part('room').inputValue(), room);
  await jane.part('enter').click();
  await jane.connected();
  await jane.shows('room-name', room);
  await isUnharmed(jane);
});

test('a name or room that the server refuses is told at the entrance, and is not tried again and again', async () => {
  const jane = await people.arrive(server.origin, { locale: 'en-GB' });
  // What nobody types, but a paste can hold.
  await jane.part('name').fill('Ja\tne');
  await jane.part('enter').click();
  await jane.shows('join-error', 'The user name is not valid.');
  await jane.part('name').fill('Jane');
  await jane.part('room').fill('a\tb');
  await jane.part('enter').click();
  await jane.shows('join-error', 'The room name is not valid.');
});
