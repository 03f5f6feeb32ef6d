// The list of what was said: order by number, no entry twice, the view held still while things come in above.
// Not here: what an entry looks like (`message_item.js`), where messages come from (`page.js`).

import { drawGap, drawMessage, gapItem, joinUp, messageItem, noticeItem } from './message_item.js';

/** @import { Shown } from './message_item.js' */
/** @typedef {{ epoch: string, from: number, to: number }} Gap */

/** Entries in the page; beyond it the oldest go, and come back as older pages. */
const ITEMS_MAX = 1500;
const TRIM_BY = 300;
const END_MARGIN_PX = 48;

export class MessageList {
  /** Messages of others that came while the end was out of view. */
  unseen = 0;
  #scroller;
  #list;
  #actions;
  /** @type {Map<HTMLElement, Shown>} */
  #shown = new Map();
  /** @type {Map<HTMLElement, () => string>} */
  #notices = new Map();
  /** @type {Map<number, HTMLElement>} */
  #bySeq = new Map();
  /** @type {Map<string, HTMLElement>} own messages by their clientId */
  #own = new Map();
  #isAtEnd = true;

  /**
   * @param {HTMLElement} scroller
   * @param {HTMLElement} list
   * @param {{ resend: (shown: Shown) => void, fillGap: (gap: Gap) => Promise<Gap | null>, moved: () => void }} actions
   */
  constructor(scroller, list, actions) {
    this.#scroller = scroller;
    this.#list = list;
    this.#actions = actions;
    scroller.addEventListener('scroll', () => this.#look(), { passive: true });
    new ResizeObserver(() => this.#isAtEnd && this.scrollToEnd()).observe(scroller);
  }

  get isAtEnd() {
    return this.#isAtEnd;
  }

  /** The lowest number in the list. @returns {number | undefined} */
  get oldest() {
    for (const item of this.#items()) {
      if (item.dataset.seq !== undefined) return Number(item.dataset.seq);
    }
    return undefined;
  }

  clear() {
    this.#list.replaceChildren();
    this.#shown.clear();
    this.#notices.clear();
    this.#bySeq.clear();
    this.#own.clear();
    this.unseen = 0;
    this.#isAtEnd = true;
  }

  /** @param {Shown[]} messages @param {{ isNews: boolean }} options whether they have just been said */
  add(messages, { isNews }) {
    this.#hold(() => {
      // Pages come from the newest to the oldest, so that each finds its place at once.
      for (const shown of isNews ? messages : [...messages].reverse()) this.#put(shown);
      if (this.#isAtEnd) this.#trim();
    });
    if (isNews && !this.#isAtEnd) this.unseen += messages.filter(({ own }) => !own).length;
    this.#actions.moved();
  }

  /** An own message: new, or a step further. @param {Shown} shown */
  setOwn(shown) {
    const item = this.#own.get(shown.clientId ?? '');
    // The time of the first try stands, until the room's own comes with the message.
    const { timestamp } = (item && this.#shown.get(item)) ?? shown;
    this.#hold(() => this.#put({ ...shown, timestamp }));
    if (!item) this.scrollToEnd();
  }

  /** @param {string} clientId */
  removeOwn(clientId) {
    const item = this.#own.get(clientId);
    if (item) this.#hold(() => this.#forget(item));
  }

  /** @param {() => string} text asked again when the language changes */
  addNotice(text) {
    const item = noticeItem(text());
    this.#notices.set(item, text);
    this.#hold(() => this.#list.insertBefore(item, this.#firstWaiting()));
  }

  /** @param {Gap} gap */
  addGap(gap) {
    const item = gapItem(() => void this.#fill(item, gap));
    item.dataset.from = String(gap.from);
    item.dataset.to = String(gap.to);
    this.#hold(() => this.#list.insertBefore(item, this.#place(gap.from)));
  }

  /** Writes everything again, in the language of now. */
  redraw() {
    this.#hold(() => {
      for (const [item, shown] of this.#shown) drawMessage(item, shown);
      for (const [item, text] of this.#notices) item.textContent = text();
      for (const item of this.#items()) if (item.classList.contains('gap')) drawGap(item, false);
    });
  }

  scrollToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#isAtEnd = true;
    this.unseen = 0;
    this.#actions.moved();
  }

  /** @param {HTMLElement} item @param {Gap} gap */
  async #fill(item, gap) {
    drawGap(item, true);
    /** @type {Gap | null} */
    let remaining = gap;
    try {
      remaining = await this.#actions.fillGap(gap);
    } finally {
      this.#hold(() => {
        item.remove();
        if (remaining) this.addGap(remaining);
      });
    }
  }

  /** @param {Shown} shown */
  #put(shown) {
    const known = shown.own && shown.clientId !== undefined ? this.#own.get(shown.clientId) : undefined;
    let item = known ?? this.#bySeq.get(shown.seq ?? -1);
    if (item) {
      shown = { ...this.#shown.get(item), ...shown };
      drawMessage(item, shown);
    } else {
      const added = messageItem(shown, () => this.#actions.resend(/** @type {Shown} */ (this.#shown.get(added))));
      item = added;
      if (shown.own && shown.clientId !== undefined) this.#own.set(shown.clientId, item);
    }
    this.#shown.set(item, shown);
    if (shown.seq !== undefined) this.#bySeq.set(shown.seq, item);
    const place = shown.seq === undefined ? null : this.#place(shown.seq, item);
    if (!item.isConnected || place !== item.nextElementSibling) {
      const after = this.#messageAfter(item);
      this.#list.insertBefore(item, place);
      if (after) this.#joinUp(after);
    }
    this.#joinUp(item);
    const after = this.#messageAfter(item);
    if (after) this.#joinUp(after);
  }

  /**
   * Before which entry a number belongs; what has no number yet stays at the end.
   * @param {number} seq
   * @param {HTMLElement} [moving]
   */
  #place(seq, moving) {
    /** @type {Element | null} */
    let place = null;
    for (let item = this.#list.lastElementChild; item; item = item.previousElementSibling) {
      if (item === moving || !(item instanceof HTMLElement)) continue;
      const number = item.dataset.seq ?? item.dataset.from;
      if (number === undefined) {
        if (this.#isWaiting(item)) place = item;
      } else if (Number(number) < seq) break;
      else place = item;
    }
    return place;
  }

  #firstWaiting() {
    return this.#items().find((item) => this.#isWaiting(item)) ?? null;
  }

  /** Own, on its way: the room will give it its place. One that failed stays where it was. @param {HTMLElement} item */
  #isWaiting(item) {
    const shown = this.#shown.get(item);
    return shown !== undefined && shown.seq === undefined && shown.state !== 'failed';
  }

  /** @param {HTMLElement} item */
  #joinUp(item) {
    const shown = this.#shown.get(item);
    /** @type {any} */
    let before = item.previousElementSibling;
    while (before && !this.#shown.has(before)) before = before.previousElementSibling;
    if (shown) joinUp(item, shown, before, this.#shown.get(before));
  }

  /** @param {HTMLElement} item @returns {HTMLElement | null} */
  #messageAfter(item) {
    /** @type {any} */
    let after = item.nextElementSibling;
    while (after && !this.#shown.has(after)) after = after.nextElementSibling;
    return after;
  }

  #items() {
    return /** @type {HTMLElement[]} */ ([...this.#list.children]);
  }

  #trim() {
    if (this.#list.childElementCount <= ITEMS_MAX) return;
    for (const item of this.#items().slice(0, TRIM_BY)) this.#forget(item);
  }

  /** @param {HTMLElement} item */
  #forget(item) {
    this.#own.delete(item.dataset.clientId ?? '');
    this.#bySeq.delete(Number(item.dataset.seq));
    this.#shown.delete(item);
    this.#notices.delete(item);
    item.remove();
  }

  /** Changes the list without moving what is being read. @param {() => void} change */
  #hold(change) {
    const top = this.#scroller.scrollTop;
    // The lower edge is held: what comes in above can take the day and the name from the top of an entry.
    const edge = (/** @type {HTMLElement} */ item) => item.offsetTop + item.offsetHeight;
    const anchor = this.#isAtEnd ? undefined : this.#items().find((item) => edge(item) > top);
    const before = anchor ? edge(anchor) : 0;
    this.#list.setAttribute('aria-busy', 'true');
    change();
    this.#list.setAttribute('aria-busy', 'false');
    if (this.#isAtEnd) this.scrollToEnd();
    else if (anchor?.isConnected) this.#scroller.scrollTop = top + edge(anchor) - before;
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    this.#isAtEnd = scrollHeight - scrollTop - clientHeight < END_MARGIN_PX;
    if (this.#isAtEnd) this.unseen = 0;
    this.#actions.moved();
  }
}
