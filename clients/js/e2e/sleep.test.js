// A laptop that sleeps for an hour: the page's time jumps, its connection is dead without knowing it.
// Not here: networks that say that they are gone (`offline.test.js`).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { Wire } from './wire.js';

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

const HOUR_MS = 3_600_000;
/** Longer than the page waits for a sign of life once it asks for one, and for its first try after that. */
const NO_ANSWER_MS = 12_000;

test('after an hour of sleep everything is there once: what others said, and what was written before and after', async () => {
  wire = await Wire.to(server.port);
  const minsu = await people.arrive(server.origin);
  const jane = await people.arrive(wire.origin, {}, (page) => page.clock.install());
  jane.mayBeRefused = true;
  await minsu.enter('민수', '낮잠');
  await jane.enter('Jane', '낮잠');
  await jane.say('들은 말');
  await jane.allStored();
  await minsu.reads(['들은 말']);

  // One is heard and its answer is lost, one is never heard.
  wire.hold('toClient');
  await jane.say('답을 못 들은 말');
  await minsu.reads(['들은 말', '답을 못 들은 말']);
  wire.freeze();
  wire.release();
  await jane.say('닿지 못한 말');
  const missed = Array.from({ length: 30 }, (_, index) => `자는 동안 ${index + 1}`);
  for (const content of missed) await minsu.say(content);
  await minsu.allStored();
  assert.equal((await jane.read()).length, 3);

  await jane.page.clock.fastForward(HOUR_MS);
  await jane.page.clock.fastForward(NO_ANSWER_MS);
  await jane.page.clock.resume();
  const all = ['들은 말', '답을 못 들은 말', ...missed, '닿지 못한 말'];
  await jane.reads(all);
  await jane.allStored();
  await jane.say('잘 잤다');
  for (const person of [minsu, jane]) await person.reads([...all, '잘 잤다']);
  assert.deepEqual((await server.messages('낮잠')).map(({ content }) => content), [...all, '잘 잤다']);
  assert.equal(await jane.part('gap').count(), 0);
});
