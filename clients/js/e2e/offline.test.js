// A person whose network goes away: what they missed and what they wrote meanwhile, once each and in order.
// Not here: servers that go away (`restart.test.js`).

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

/** @param {string} room */
async function minsuAndJane(room) {
  wire = await Wire.to(server.port);
  const minsu = await people.arrive(server.origin);
  const jane = await people.arrive(wire.origin);
  jane.mayBeRefused = true;
  await minsu.enter('민수', room);
  await jane.enter('Jane', room);
  return { minsu, jane };
}

test('who was offline has what they missed when they return', async () => {
  const { minsu, jane } = await minsuAndJane('오프라인');
  await minsu.say('가기 전');
  await jane.reads(['가기 전']);
  // Chromium's switch alone leaves open sockets be, so the wire is cut as well.
  await jane.setOffline(true);
  wire.cut();
  await jane.state('waiting');
  await jane.shows('state', '오프라인입니다. 네트워크를 기다리는 중');
  await minsu.notices(['Jane님이 입장했습니다.', 'Jane님이 퇴장했습니다.']);
  // More than the 20 of a history.
  const missed = Array.from({ length: 25 }, (_, index) => `놓친 말 ${index + 1}`);
  for (const content of missed) await minsu.say(content);
  await minsu.allStored();
  await jane.reads(['가기 전']);

  wire.mend();
  await jane.setOffline(false);
  await jane.connected();
  await jane.reads(['가기 전', ...missed]);
  await minsu.say('돌아온 뒤');
  for (const person of [minsu, jane]) await person.reads(['가기 전', ...missed, '돌아온 뒤']);
  // One's own message has its number only with its answer.
  await minsu.allStored();
  const [theirs, ours] = await Promise.all([jane.read(), minsu.read()]);
  assert.deepEqual(theirs.map(({ seq }) => seq), ours.map(({ seq }) => seq));
  assert.equal(await jane.part('gap').count(), 0);
});

test('what was written while away is sent on return, in the order it was written', async () => {
  const { minsu, jane } = await minsuAndJane('나중에');
  await jane.setOffline(true);
  wire.cut();
  await jane.state('waiting');
  const written = Array.from({ length: 30 }, (_, index) => `나중에 ${index + 1}`);
  for (const content of written) await jane.say(content);
  assert.deepEqual([...new Set((await jane.read()).map(({ state }) => state))], ['pending']);
  await minsu.say('먼저');
  await minsu.reads(['먼저']);

  wire.mend();
  await jane.setOffline(false);
  for (const person of [minsu, jane]) await person.reads(['먼저', ...written]);
  await jane.allStored();
  assert.deepEqual((await server.messages('나중에')).map(({ content }) => content), ['먼저', ...written]);
});

test('a message whose answer was lost on the way is not said twice', async () => {
  const { minsu, jane } = await minsuAndJane('답 없이');
  wire.hold('toClient');
  await jane.say('들렸나요');
  await minsu.reads(['들렸나요']);
  assert.deepEqual((await jane.read()).map(({ state }) => state), ['pending']);
  wire.cut();
  await jane.state('waiting');
  wire.mend();
  await jane.allStored();
  await minsu.say('네');
  for (const person of [minsu, jane]) await person.reads(['들렸나요', '네']);
});

test('a message that never arrived is sent again', async () => {
  const { minsu, jane } = await minsuAndJane('닿지 않음');
  wire.hold('toServer');
  await jane.say('여보세요');
  await minsu.say('조용하네');
  await jane.reads(['조용하네', '여보세요']);
  wire.cut();
  wire.mend();
  await jane.allStored();
  for (const person of [minsu, jane]) await person.reads(['조용하네', '여보세요']);
  assert.equal((await server.messages('닿지 않음')).length, 2);
});
