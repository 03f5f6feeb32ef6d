// Chromium with people in it: each has a browser profile of their own, and a watch over what must never happen there.
// Not here: what they do on the page (`room_page.js`).

import { strict as assert } from 'node:assert';
import { chromium } from 'playwright-core';

import { needed } from './moim_server.js';
import { RoomPage } from './room_page.js';

/** @import { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core' */

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Longer than anything takes on a busy machine: who waits this long waits for nothing. */
const PATIENCE_MS = 20_000;
/**
 * How Chromium tells of a server that is not there; the only fault a test may allow. It asks for the tab's icon again
 * by itself, whenever the address changes; the page asks now and then how many are in each room.
 */
const REFUSED_DIAL =
  /^WebSocket connection to 'ws:.*' failed: |^Failed to load resource: .*(?:icon\.svg|\/api\/v1\/rooms\/[^/]*)\)$/;

export class People {
  #browser;
  /** @type {Person[]} */
  #everyone = [];

  /** @param {Browser} browser */
  constructor(browser) {
    this.#browser = browser;
  }

  /** Chromium with a new folder for its profiles. */
  static async open() {
    return new People(await chromium.launch({ executablePath: needed('CHROMIUM'), args: FLAGS, chromiumSandbox: false }));
  }

  /**
   * Somebody with a browser of their own, in the lobby of the server at `origin`.
   * @param {string} origin
   * @param {BrowserContextOptions} [options]
   * @param {(page: Page) => Promise<unknown>} [prepare] before the page is there
   */
  async arrive(origin, options = {}, prepare = async () => {}) {
    const context = await this.#browser.newContext({ locale: 'ko-KR', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(context, await context.newPage(), origin);
    this.#everyone.push(person);
    await prepare(person.page);
    await person.look();
    return person;
  }

  /** A page with nothing in it, for putting pictures together. @param {BrowserContextOptions} options */
  async blank(options) {
    return (await this.#browser.newContext(options)).newPage();
  }

  /** Everybody leaves; whatever should not have been on their pages fails the test. */
  async leave() {
    const everyone = this.#everyone.splice(0);
    const faults = await Promise.all(everyone.map((person) => person.leave()));
    assert.deepEqual(faults.flat(), []);
  }

  async close() {
    await this.#browser.close();
  }
}

export class Person extends RoomPage {
  /** Dials may be refused: the test takes the server away. */
  mayBeRefused = false;
  #context;
  #origin;
  /** @type {string[]} */
  #faults = [];

  /** @param {BrowserContext} context @param {Page} page @param {string} origin */
  constructor(context, page, origin) {
    super(page);
    this.#context = context;
    this.#origin = origin;
    const host = new URL(origin).host;
    const asked = (/** @type {string} */ url) => {
      if (new URL(url).protocol !== 'data:' && new URL(url).host !== host) this.#faults.push(`asked ${url}`);
    };
    context.on('request', (request) => asked(request.url()));
    page.on('websocket', (socket) => asked(socket.url()));
    page.on('pageerror', (error) => this.#faults.push(`threw ${error}`));
    page.on('dialog', (dialog) => {
      this.#faults.push(`dialog ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('console', (message) => {
      const type = message.type();
      if (type !== 'error' && type !== 'warning') return;
      const told = `${message.text()} (${message.location().url})`;
      if (!(this.mayBeRefused && REFUSED_DIAL.test(told))) this.#faults.push(`console ${type}: ${told}`);
    });
  }

  async look() {
    await this.#context.exposeBinding('reportViolation', (_source, what) => this.#faults.push(`violation of ${what}`));
    await this.#context.addInitScript(() => {
      addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
        /** @type {any} */ (globalThis).reportViolation(`${violatedDirective} by ${blockedURI}`);
      });
    });
    await this.page.goto(this.#origin);
  }

  /** The browser's own offline switch. @param {boolean} offline */
  async setOffline(offline) {
    await this.#context.setOffline(offline);
  }

  /** What Chromium's own protocol can do beyond playwright. */
  devtools() {
    return this.#context.newCDPSession(this.page);
  }

  /** What went wrong so far, told once. */
  async faults() {
    // What the page has already reported comes in before the answer to this.
    await this.page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
    return this.#faults.splice(0);
  }

  /** Closes the browser profile. @returns {Promise<string[]>} what went wrong */
  async leave() {
    const faults = await this.faults();
    await this.#context.close();
    return faults;
  }
}
