// The page as a person uses it: what they do there, and what they then read.
// Not here: who they are and which browser they have (`people.js`).

import { strict as assert } from 'node:assert';

/** @import { Page } from 'playwright-core' */

/** What a person reads in the list, in one go. */
const READ = () =>
  [...document.querySelectorAll('[data-testid="message"]')].map((item) => {
    const text = (/** @type {string} */ name) => item.querySelector(`.${name}`)?.textContent ?? '';
    const { seq, state } = /** @type {HTMLElement} */ (item).dataset;
    return { author: text('author'), content: text('bubble'), seq: Number(seq), state, own: item.classList.contains('own') };
  });

export class RoomPage {
  page;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** @param {string} testId */
  part(testId) {
    return this.page.getByTestId(testId);
  }

  /** @param {string} name @param {string} room */
  async enter(name, room) {
    await this.part('name').fill(name);
    await this.part('room').fill(room);
    await this.part('enter').click();
    await this.connected();
  }

  /** @param {string} content */
  async type(content) {
    await this.part('text').fill(content);
  }

  /** @param {string} content */
  async say(content) {
    await this.type(content);
    await this.part('text').press('Enter');
  }

  async connected() {
    await this.state('open');
  }

  /** @param {'connecting' | 'open' | 'waiting' | 'closed'} state */
  async state(state) {
    await this.page.locator(`#state[data-state="${state}"]`).waitFor();
  }

  read() {
    return this.page.evaluate(READ);
  }

  /** Waits until the list reads so, from the first entry to the last. @param {string[]} contents */
  async reads(contents) {
    await this.#until('#messages .bubble', contents);
  }

  /** Waits until every own message has the two marks. */
  async allStored() {
    await this.page.waitForFunction(() => {
      const own = [...document.querySelectorAll('.message.own')];
      return own.length > 0 && own.every((item) => /** @type {HTMLElement} */ (item).dataset.state === 'stored');
    });
  }

  /** Waits until the notices read so. @param {string[]} texts */
  async notices(texts) {
    await this.#until('[data-testid="notice"]', texts);
  }

  /** Waits until a part reads so. @param {string} testId @param {string} text */
  async shows(testId, text) {
    await this.#until(`[data-testid="${testId}"]`, [text]);
  }

  /** @param {string} selector @param {string[]} wanted */
  async #until(selector, wanted) {
    const read = (/** @type {string} */ css) => [...document.querySelectorAll(css)].map((found) => found.textContent);
    const same = (/** @type {{ css: string, json: string }} */ { css, json }) =>
      JSON.stringify([...document.querySelectorAll(css)].map((found) => found.textContent)) === json;
    try {
      await this.page.waitForFunction(same, { css: selector, json: JSON.stringify(wanted) });
    } catch (error) {
      // What is there instead tells more than that the time is up.
      assert.deepEqual(await this.page.evaluate(read, selector), wanted);
      throw error;
    }
  }
}
