// The programs in `examples` and the lines that the lobby offers to copy: each is run as it stands.
// Not here: the protocol they speak (`interop_ws.test.js`).

import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { MoimServer, needed } from './moim_server.js';
import { People } from './people.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/', import.meta.url));
const STAND_IN = fileURLToPath(new URL('websocat_stand_in.js', import.meta.url));
/** Longer than any of it takes on a busy machine. */
const PATIENCE_MS = 30_000;

/** @type {MoimServer} */
let server;
/** @type {People} */
let people;
/** @type {string} a folder with a program of the name `websocat` in it */
let programs;

before(async () => {
  server = await MoimServer.start();
  people = await People.open();
  programs = await mkdtemp(join(tmpdir(), 'moim-programs-'));
  await symlink(STAND_IN, join(programs, 'websocat'));
});
afterEach(() => people.leave());
after(async () => {
  await people?.close();
  await server?.remove();
  if (programs) await rm(programs, { recursive: true, force: true });
});

/** A program, what it prints, and its end. */
class Program {
  printed = '';

  /** @param {import('node:test').TestContext} t @param {string} command @param {string[]} words @param {Record<string, string>} [env] */
  constructor(t, command, words, env = {}) {
    const PATH = `${programs}${delimiter}${process.env.PATH}`;
    this.process = spawn(command, words, { env: { ...process.env, PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    for (const stream of [this.process.stdout, this.process.stderr]) stream?.on('data', (text) => (this.printed += text));
    this.ended = once(this.process, 'exit').then(([code]) => code);
    // With what it has started: a shell waits for its own.
    t.after(() => {
      if (this.process.exitCode === null && this.process.pid) process.kill(-this.process.pid, 'SIGKILL');
    });
  }

  /** @param {string} text */
  async prints(text) {
    const stop = AbortSignal.timeout(PATIENCE_MS);
    while (!this.printed.includes(text)) {
      if (stop.aborted) assert.fail(`no ${text} in ${this.printed}`);
      await Promise.race([once(this.process.stdout, 'data', { signal: stop }), once(stop, 'abort')]).catch(() => {});
    }
  }
}

/** Waits for what was said. @param {string} room @param {string[]} contents */
async function said(room, contents) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const now = (await server.messages(room)).map(({ content }) => content);
    if (JSON.stringify(now) === JSON.stringify(contents)) return;
    if (Date.now() > end) assert.deepEqual(now, contents);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const sockets = () => server.origin.replace('http', 'ws');

test('examples/page.html: history, what others say, and saying something', async (t) => {
  await server.post('예제 쪽', '지민', '<b>전에</b>');
  const page = await people.blank({});
  const query = new URLSearchParams({ server: sockets(), room: '예제 쪽', name: '민수' });
  const files = createServer((_request, response) => {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    createReadStream(join(EXAMPLES, 'page.html')).pipe(response);
  }).listen(0, '127.0.0.1');
  t.after(() => files.close());
  await once(files, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (files.address());
  await page.goto(`http://127.0.0.1:${port}/page.html?${query}`);
  await page.getByText('지민: <b>전에</b>').waitFor();
  await page.locator('#text').fill('안녕하세요');
  await page.locator('button').click();
  await page.getByText('민수: 안녕하세요').waitFor();
  await server.kill();
  await page.getByText('disconnected').waitFor();
  await server.start();
  await page.context().close();
});

test('examples/bot.py answers, and answers again after the server was killed', async (t) => {
  const bot = new Program(t, needed('PYTHON'), [join(EXAMPLES, 'bot.py'), sockets(), '예제 봇']);
  await bot.prints('connected');
  await server.post('예제 봇', '민수', '!echo 안녕');
  await said('예제 봇', ['!echo 안녕', '민수: 안녕']);
  await server.kill();
  bot.printed = '';
  await server.start();
  await bot.prints('connected');
  await server.post('예제 봇', '민수', '!echo 또');
  await said('예제 봇', ['!echo 안녕', '민수: 안녕', '!echo 또', '민수: 또']);
});

test('examples/curl.sh says it once however often it is run', async (t) => {
  for (let run = 1; run <= 2; run += 1) {
    const curl = new Program(t, 'sh', [join(EXAMPLES, 'curl.sh'), server.origin, '%EC%98%88%EC%A0%9C'], { WAIT: '1' });
    assert.equal(await curl.ended, 0, curl.printed);
    assert.match(curl.printed, /"seq":1.*\n.*"content":"hello".*\n.*"messages":\[\]/);
  }
  await said('예제', ['hello']);
});

test('examples/websocat.sh says it and prints what comes', async (t) => {
  const shell = new Program(t, 'sh', [join(EXAMPLES, 'websocat.sh'), sockets(), 'websocat']);
  await said('websocat', ['hello']);
  await shell.prints('"content":"hello"');
});

test('the lines of the lobby work as they are copied, whatever the room is called', async (t) => {
  const room = `a b/c?d#e'f!g$h"i\`j\\k%l 가`;
  const minsu = await people.arrive(server.origin);
  await minsu.part('room').fill(room);
  const lines = async (/** @type {string} */ name) => {
    await minsu.page.getByRole('tab', { name }).click();
    return String(await minsu.part('line').textContent());
  };
  await minsu.page.evaluate(`(async () => {
    ${await lines('JavaScript')}
    await new Promise((resolve) => (chat.onmessage = ({ data }) => data.includes('"message"') && resolve()));
    chat.close();
  })()`);
  await said(room, ['안녕하세요']);
  const curl = new Program(t, 'bash', ['-c', await lines('curl')]);
  assert.equal(await curl.ended, 0, curl.printed);
  assert.match(curl.printed, /"content":"hello"/);
  await said(room, ['안녕하세요', 'hello']);
  new Program(t, 'bash', ['-c', await lines('websocat')]);
  await said(room, ['안녕하세요', 'hello', 'hello']);
});

test('a line is copied with one press, and that it was stays told', async () => {
  let counted = () => {};
  const held = new Promise((release) => {
    counted = () => release(null);
  });
  const options = { permissions: ['clipboard-read', 'clipboard-write'] };
  const minsu = await people.arrive(server.origin, options, (page) =>
    page.route('**/api/v1/rooms/general', async (route) => {
      await held;
      await route.continue();
    }),
  );
  await minsu.part('copy').click();
  await minsu.shows('copied', '복사했습니다');
  const copied = await minsu.page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await minsu.part('line').textContent());
  // Who is here comes when the server answers.
  counted();
  await minsu.part('room-here').filter({ hasText: '지금' }).waitFor();
  await minsu.shows('copied', '복사했습니다');
});
