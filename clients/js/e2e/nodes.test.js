// Two nodes that share their rooms over Redis: a person whose node goes away goes on at the other one.
// Not here: one node that comes back (`restart.test.js`), Redis itself failing (the tests of the bus).

import { strict as assert } from 'node:assert';
import { after, afterEach, before, test } from 'node:test';

import { MoimServer } from './moim_server.js';
import { People } from './people.js';
import { RedisServer } from './redis_server.js';
import { Wire } from './wire.js';

/** @type {RedisServer} */
let redis;
/** @type {MoimServer[]} */
let nodes = [];
/** @type {People} */
let people;
/** @type {Wire} */
let wire;

before(async () => {
  redis = await RedisServer.start();
  people = await People.open();
});
afterEach(async () => {
  await wire?.close();
  await people.leave();
  await Promise.all(nodes.splice(0).map((node) => node.remove()));
});
after(async () => {
  await people?.close();
  await redis?.remove();
});

/** @type {Record<string, (node: MoimServer) => Promise<unknown>>} */
const WAYS = { 'kill -9': (node) => node.kill(), SIGTERM: (node) => node.terminate() };

for (const [way, stop] of Object.entries(WAYS)) {
  test(`${way} of the node one talks through: the talk goes on at the other, each message once`, async () => {
    const env = { MOIM__BUS__KIND: 'redis', MOIM__REDIS__URLS: redis.url, MOIM__STORE__KIND: 'none', MOIM__DRAIN__SPREAD_SECONDS: '1' };
    for (const _ of ['first', 'second']) nodes.push(await MoimServer.start({ env }));
    const [first, second] = nodes;
    const room = `두 마디 ${way}`;
    wire = await Wire.to(first.port);
    const jane = await people.arrive(wire.origin);
    const minsu = await people.arrive(second.origin);
    jane.mayBeRefused = true;
    await jane.enter('Jane', room);
    await minsu.enter('민수', room);
    await jane.shows('count', '2명');

    /** @type {Promise<unknown> | undefined} */
    let stopped;
    for (let round = 1; round <= 12; round += 1) {
      await Promise.all([minsu.say(`민수 ${round}`), jane.say(`Jane ${round}`)]);
      if (round !== 4) continue;
      // As a load balancer does: new connections go to the node that is left.
      wire.leadTo(second.port);
      stopped = stop(first);
    }
    await stopped;
    await Promise.all([jane.connected(), minsu.connected()]);
    for (const person of [jane, minsu]) await person.page.waitForFunction(() => !document.querySelector('[data-state="pending"]'));
    const log = (await second.newest(room)).map(({ content }) => content);
    for (const name of ['민수', 'Jane']) {
      const own = log.filter((content) => content.startsWith(name));
      assert.deepEqual(own, Array.from({ length: 12 }, (_, index) => `${name} ${index + 1}`));
    }
    for (const person of [jane, minsu]) {
      await person.reads(log);
      assert.equal(await person.part('gap').count(), 0);
    }
    assert.deepEqual((await jane.read()).map(({ seq }) => seq), (await minsu.read()).map(({ seq }) => seq));
  });
}
