// The order of a conversation under everything that can come in any order: pages, news, own messages, gaps.
// Not here: what of it is in the page (`history.test.js`).

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

/** Plays one run in the page; answers what was wrong with it. @param {number} seed */
async function play(seed) {
  const path = '/assets/timeline.js';
  const { Timeline } = await import(path);
  let state = seed;
  const random = (/** @type {number} */ below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const timeline = new Timeline();
  const message = (/** @type {number} */ seq) => ({ kind: 'message', seq, username: 'a', content: `${seq}`, own: false, state: 'received' });
  const mine = (/** @type {number} */ id, /** @type {object} */ more) => ({ kind: 'message', clientId: `c${id}`, username: 'me', content: `c${id}`, own: true, ...more });
  const put = new Set();
  /** @type {Map<number, number | null>} own messages, and their number once they have one */
  const own = new Map();
  let [low, high] = [500, 500];
  const read = 500 + random(40);
  timeline.readUpTo = read;
  for (let step = 0; step < 80; step += 1) {
    const dice = random(7);
    if (dice === 0) {
      const page = Array.from({ length: random(9) + 1 }, (_, index) => message(low - 9 + index)).filter(({ seq }) => seq < low);
      timeline.add(page);
      page.forEach(({ seq }) => put.add(seq));
      low = Math.min(low, ...page.map(({ seq }) => seq));
    } else if (dice <= 2) {
      // Out of order, and again.
      const seq = low + random(high - low + 5);
      if ([...own.values()].includes(seq)) continue;
      timeline.put(message(seq));
      put.add(seq);
      high = Math.max(high, seq);
    } else if (dice === 3) {
      own.set(own.size, null);
      timeline.put(mine(own.size - 1, { state: 'pending' }));
    } else if (dice === 4) {
      const [id] = [...own].find(([, seq]) => seq === null) ?? [];
      if (id === undefined) continue;
      own.set(id, (high += 1));
      put.add(high);
      timeline.put(mine(id, { state: 'stored', seq: high }));
    } else if (dice === 5) timeline.addNotice(() => 'somebody came');
    else if (put.size > 3) timeline.addGap({ epoch: 'e', from: high + 1, to: (high += 3) });
  }
  const faults = [];
  const numbers = timeline.entries.flatMap((/** @type {any} */ entry) => (entry.kind === 'gap' ? [entry.gap.from] : (entry.seq ?? [])));
  if (numbers.some((/** @type {number} */ number, /** @type {number} */ index) => index > 0 && number < numbers[index - 1])) faults.push('order');
  const seqs = timeline.entries.flatMap((/** @type {any} */ entry) => (entry.kind === 'message' && entry.seq !== undefined ? [entry.seq] : []));
  if (seqs.length !== put.size) faults.push(`${seqs.length} messages of ${put.size}`);
  const waiting = timeline.entries.map((/** @type {any} */ { kind, seq }) => kind === 'message' && seq === undefined);
  const count = [...own.values()].filter((seq) => seq === null).length;
  if (waiting.filter(Boolean).length !== count || waiting.slice(waiting.length - count).includes(false)) faults.push('waiting at the end');
  const others = timeline.entries.filter((/** @type {any} */ entry) => entry.kind === 'message' && !entry.own && entry.seq > read);
  const expected = seqs.some((/** @type {number} */ seq) => seq <= read) ? (others[0] ?? null) : null;
  if (timeline.firstUnread() !== expected) faults.push('first unread');
  return faults;
}

test('whatever comes in whatever order: by number, none twice, own ones that wait last, the line where it belongs', async () => {
  const minsu = await people.arrive(server.origin);
  for (let seed = 1; seed <= 300; seed += 1) {
    assert.deepEqual(await minsu.page.evaluate(play, seed), [], `seed ${seed}`);
  }
});
