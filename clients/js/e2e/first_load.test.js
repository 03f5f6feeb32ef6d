// The first visit: how little is fetched, from where, and that nobody waits for history to begin.
// Not here: which bytes the server keeps compressed (`http/page.rs`).

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

const FIRST_LOAD_BYTES_MAX = 60 * 1024;

test('the first visit fetches less than 60 KB, compressed, from this server alone', async (t) => {
  /** @type {Map<string, { url: string, encoding?: string, bytes: number }>} */
  const fetched = new Map();
  const minsu = await people.arrive(server.origin, {}, async (page) => {
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Network.enable');
    devtools.on('Network.responseReceived', ({ requestId, response }) => {
      const encoding = response.headers['content-encoding'] ?? response.headers['Content-Encoding'];
      fetched.set(requestId, { url: response.url, encoding, bytes: 0 });
    });
    devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      const known = fetched.get(requestId);
      if (known) known.bytes = encodedDataLength;
    });
  });
  await minsu.enter('민수', '처음');
  await minsu.say('안녕');
  await minsu.allStored();
  const all = [...fetched.values()].filter(({ url }) => !url.startsWith('data:'));
  const files = all.filter(({ url }) => !url.includes('/api/'));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  t.diagnostic(`${bytes} bytes with their headers in ${files.length} files`);
  assert.ok(files.length > 10 && files.every((file) => file.bytes > 0), JSON.stringify(files));
  assert.ok(bytes < FIRST_LOAD_BYTES_MAX, `${bytes} bytes`);
  for (const { url, encoding } of files) assert.ok(encoding === 'br' || encoding === 'gzip', `${url}: ${encoding}`);
  for (const { url } of all) assert.equal(new URL(url).origin, server.origin);
});

test('the page may talk to this server and to no other', async () => {
  const minsu = await people.arrive(server.origin);
  const refused = await minsu.page.evaluate(async () => {
    const { host } = location;
    const other = host.replace('127.0.0.1', '127.0.0.2');
    const refusals = /** @type {string[]} */ ([]);
    addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => refusals.push(`${violatedDirective} ${blockedURI}`));
    const own = await new Promise((resolve) => (new WebSocket(`ws://${host}/chat/x`).onopen = () => resolve('open')));
    await fetch(`http://${other}/`).catch(() => {});
    try {
      new WebSocket(`ws://${other}/chat/x`);
    } catch {
      // Some browsers throw as well.
    }
    await new Promise((resolve) => setTimeout(resolve));
    return { own, refusals: refusals.map((refusal) => refusal.replace(other, 'other')) };
  });
  assert.deepEqual(refused, { own: 'open', refusals: ['connect-src http://other/', 'connect-src ws://other/chat/x'] });
  assert.ok((await minsu.faults()).every((fault) => fault.includes('connect-src') || fault.includes('Content Security Policy')));
});

test('one can write before any history is there, and is heard once', async () => {
  await server.post('느린 방', '지민', '전에 한 말');
  wire = await Wire.to(server.port);
  const minsu = await people.arrive(wire.origin);
  await minsu.part('name').fill('민수');
  await minsu.part('room').fill('느린 방');
  await minsu.part('room-here').filter({ hasText: '아무도' }).waitFor();
  wire.hold('toClient');
  await minsu.part('enter').click();
  await minsu.shows('nothing', '대화를 불러오는 중…');
  await minsu.page.keyboard.insertText('먼저 씁니다');
  await minsu.page.keyboard.press('Enter');
  await minsu.reads(['먼저 씁니다']);
  assert.deepEqual((await minsu.read()).map(({ state }) => state), ['pending']);
  await minsu.part('language').last().click();
  await minsu.shows('leave', 'Leave');
  wire.release();
  await minsu.reads(['전에 한 말', '먼저 씁니다']);
  await minsu.allStored();
  assert.equal((await server.messages('느린 방')).length, 2);
});

test('what was not sent when the page was reloaded is sent after it, once', async () => {
  wire = await Wire.to(server.port);
  const minsu = await people.arrive(wire.origin);
  minsu.mayBeRefused = true;
  await minsu.enter('민수', '새로 고침');
  // Heard, with its answer lost; then the page goes.
  wire.hold('toClient');
  await minsu.say('답을 못 들은 말');
  for (;;) if ((await server.messages('새로 고침')).length === 1) break;
  wire.cut();
  await minsu.state('waiting');
  await minsu.say('못 보낸 말');
  wire.mend();
  await minsu.page.reload();
  await minsu.connected();
  await minsu.reads(['답을 못 들은 말', '못 보낸 말']);
  await minsu.allStored();
  assert.deepEqual((await server.messages('새로 고침')).map(({ content }) => content), ['답을 못 들은 말', '못 보낸 말']);
});
