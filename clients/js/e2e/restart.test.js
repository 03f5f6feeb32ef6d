// The server goes away and comes back while people talk: killed, or stopped as an operator would.
// Not here: networks that fail (`offline.test.js`), the client without a browser (`client_restart.test.js`).

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
  server = await MoimServer.start({ env: { MOIM__DRAIN__SPREAD_SECONDS: '1' } });
  people = await People.open();
});
afterEach(async () => {
  await wire?.close();
  // The next test needs it, whatever happened in this one.
  if (!server.isRunning) await server.start();
  await people.leave();
});
after(async () => {
  await people?.close();
  await server?.remove();
});

/** Both over a wire, so that a test decides what the server still hears and is heard to say. @param {string} room */
async function minsuAndJane(room) {
  wire = await Wire.to(server.port);
  const minsu = await people.arrive(server.origin);
  const jane = await people.arrive(wire.origin);
  for (const person of [minsu, jane]) person.mayBeRefused = true;
  await minsu.enter('민수', room);
  await jane.enter('Jane', room);
  return { minsu, jane };
}

/** @type {Record<string, () => Promise<void>>} */
const WAYS = {
  'kill -9': () => server.kill(),
  SIGTERM: async () => assert.equal(await server.terminate(), 0),
};

for (const [way, stop] of Object.entries(WAYS)) {
  test(`${way} while both are talking: every message is there once on both pages`, async () => {
    const room = `대화 ${way}`;
    const { minsu, jane } = await minsuAndJane(room);
    /** @type {Promise<void> | undefined} */
    let stopped;
    for (let round = 1; round <= 12; round += 1) {
      await Promise.all([minsu.say(`민수 ${round}`), jane.say(`Jane ${round}`)]);
      // Nobody waits for it: the talk goes on into the dying server and past it.
      if (round === 4) stopped = stop();
    }
    await stopped;
    await Promise.all([minsu.say('민수 없을 때'), jane.say('Jane 없을 때')]);
    await server.start();

    await Promise.all([minsu.connected(), jane.connected()]);
    await Promise.all([minsu.allStored(), jane.allStored()]);
    const log = (await server.messages(room)).map(({ content }) => content);
    for (const name of ['민수', 'Jane']) {
      const rounds = Array.from({ length: 12 }, (_, index) => `${name} ${index + 1}`);
      assert.deepEqual(log.filter((content) => content.startsWith(name)), [...rounds, `${name} 없을 때`]);
    }
    for (const person of [minsu, jane]) await person.reads(log);
    assert.deepEqual((await minsu.read()).map(({ seq }) => seq), (await jane.read()).map(({ seq }) => seq));
    for (const person of [minsu, jane]) {
      await person.shows('count', '2명');
      assert.equal(await person.part('gap').count(), 0);
    }
  });

  test(`${way} after a message was stored and before its sender knows: it is said once`, async () => {
    const room = `답 없이 ${way}`;
    const { minsu, jane } = await minsuAndJane(room);
    wire.hold('toClient');
    await jane.say('들렸나요');
    await minsu.reads(['들렸나요']);
    const [known] = await server.messages(room);
    assert.deepEqual((await jane.read()).map(({ state }) => state), ['pending']);
    const stopped = stop();
    wire.cut();
    await stopped;
    await server.start();
    wire.mend();
    await jane.allStored();
    await minsu.say('네');
    for (const person of [minsu, jane]) await person.reads(['들렸나요', '네']);
    assert.equal((await jane.read())[0].seq, known.seq);
  });

  test(`${way} before the server heard a message: it is said after`, async () => {
    const room = `듣기 전 ${way}`;
    const { minsu, jane } = await minsuAndJane(room);
    wire.hold('toServer');
    await jane.say('여보세요');
    assert.deepEqual(await server.messages(room), []);
    const stopped = stop();
    wire.cut();
    await stopped;
    await server.start();
    wire.mend();
    await jane.allStored();
    for (const person of [minsu, jane]) await person.reads(['여보세요']);
  });
}

test('who enters while the server is away is told so, and is let in when it is back', async () => {
  const minsu = await people.arrive(server.origin, { locale: 'en-GB' });
  minsu.mayBeRefused = true;
  await server.kill();
  await minsu.part('name').fill('Minsu');
  await minsu.part('enter').click();
  await minsu.shows('state', 'Server out of reach, trying again');
  await minsu.say('Is anybody there?');
  await server.start();
  await minsu.allStored();
  await minsu.reads(['Is anybody there?']);
});
