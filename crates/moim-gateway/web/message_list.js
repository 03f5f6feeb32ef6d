// The part of a conversation that is in the page: a window that follows the reader, and never moves what is being read.
// Not here: the conversation (`timeline.js`), what an entry looks like (`message_item.js`).

import { continued, drawItem, itemOf, joinUp, reveal } from './message_item.js';
import { Timeline } from './timeline.js';

/** @import { Entry, Gap, GapEntry, Shown } from './timeline.js' */

/** Entries in the page at once: several screens in each direction, few enough for any phone. */
const WINDOW = 300;
const STEP = 100;
const END_MARGIN_PX = 48;
/** A page nobody looks at is drawn by a timer: its frames do not come. */
const UNSEEN_DRAW_MS = 250;

/**
 * @typedef {object} ListActions
 * @property {(shown: Shown) => void} resend
 * @property {(gap: Gap) => Promise<Gap | null>} fillGap answers what remains of it
 * @property {() => void} moved after each scroll and each change
 */

export class MessageList {
  timeline = new Timeline();
  #scroller;
  #list;
  #actions;
  /** @type {Map<Entry, HTMLElement>} what is in the page */
  #items = new Map();
  /** @type {Entry | null} the window begins with it, whatever comes in above */
  #first = null;
  #start = 0;
  /** Entries there were when the window was last drawn. */
  #drawnLength = 0;
  #isAtEnd = true;
  #cancelDraw = () => {};
  #isDrawDue = false;

  /** @param {HTMLElement} scroller @param {HTMLElement} list @param {ListActions} actions */
  constructor(scroller, list, actions) {
    this.#scroller = scroller;
    this.#list = list;
    this.#actions = actions;
    scroller.addEventListener('scroll', () => this.#look(), { passive: true });
    new ResizeObserver(() => this.#isAtEnd && this.scrollToEnd()).observe(scroller);
    document.addEventListener('visibilitychange', () => this.#drawNow());
  }

  /** The newest is in view. */
  get isAtEnd() {
    return this.#isAtEnd;
  }

  /** Nothing that is known stands above the window. */
  get isAtTop() {
    return this.#start === 0;
  }

  clear() {
    this.timeline.clear();
    this.#first = null;
    this.#isAtEnd = true;
    this.draw();
    this.#drawNow();
  }

  /** Draws soon: what comes in one frame is drawn once. */
  draw() {
    if (this.#isDrawDue) return;
    this.#isDrawDue = true;
    const run = () => this.#drawNow();
    if (document.hidden) {
      const timer = setTimeout(run, UNSEEN_DRAW_MS);
      this.#cancelDraw = () => clearTimeout(timer);
    } else {
      const frame = requestAnimationFrame(run);
      this.#cancelDraw = () => cancelAnimationFrame(frame);
    }
  }

  /** Writes everything again, in the language of now. */
  redraw() {
    for (const entry of this.#items.keys()) this.timeline.changed.add(entry);
    this.draw();
  }

  scrollToEnd() {
    this.#isAtEnd = true;
    this.draw();
    this.#drawNow();
  }

  #drawNow() {
    if (!this.#isDrawDue) return;
    this.#isDrawDue = false;
    this.#cancelDraw();
    if (this.#isAtEnd) this.timeline.trim();
    const { entries } = this.timeline;
    const first = this.#first === null ? 0 : entries.indexOf(this.#first);
    const start = this.#isAtEnd ? entries.length - WINDOW : first < 0 ? this.#start : first;
    // In one go with what came in: two steps could meet the upper edge between them, and lose the place.
    this.#show(this.#stretched(Math.max(0, start)));
    this.#actions.moved();
  }

  /** Where the window begins when the reader comes near one of its edges. @param {number} start */
  #stretched(start) {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const near = clientHeight * 1.5;
    const last = Math.max(0, this.timeline.entries.length - WINDOW);
    if (this.#isAtEnd) return start;
    if (scrollTop < near) return Math.max(0, start - STEP);
    if (scrollHeight - scrollTop - clientHeight < near) return Math.min(start + STEP, last);
    return start;
  }

  /** Puts the window's entries into the page, from `start` on. @param {number} start */
  #show(start) {
    const entries = this.timeline.entries.slice(start, start + WINDOW);
    this.#hold(() => {
      const wanted = new Set(entries);
      for (const [entry, item] of this.#items) {
        if (wanted.has(entry)) continue;
        item.remove();
        this.#items.delete(entry);
      }
      let next = this.#list.firstElementChild;
      for (const entry of entries) {
        const item = this.#itemOf(entry);
        if (item === next) next = next.nextElementSibling;
        else this.#list.insertBefore(item, next);
      }
      this.#joinAll(start, entries);
    });
    this.#start = start;
    this.#first = entries[0] ?? null;
    this.#drawnLength = this.timeline.entries.length;
    this.timeline.changed.clear();
  }

  /** @param {Entry} entry */
  #itemOf(entry) {
    let item = this.#items.get(entry);
    if (item && this.timeline.changed.has(entry)) drawItem(item, entry);
    item ??= itemOf(entry, {
      resend: this.#actions.resend,
      fillGap: (gap) => void this.#fill(gap),
      reveal: (shown) => {
        reveal(shown);
        this.timeline.changed.add(shown);
        this.draw();
      },
    });
    this.#items.set(entry, item);
    return item;
  }

  /** @param {number} start @param {Entry[]} entries */
  #joinAll(start, entries) {
    const firstUnread = this.timeline.firstUnread();
    /** @type {Entry | undefined} */
    let previous = this.timeline.entries[start - 1];
    let before = this.#messageBefore(start);
    for (const entry of entries) {
      const item = this.#items.get(entry);
      if (item && entry.kind === 'message') {
        const isAdjacent = previous === before;
        const goesOn = joinUp(item, entry, before, { isAdjacent, isFirstUnread: entry === firstUnread });
        const itemBefore = before && this.#items.get(before);
        if (itemBefore) continued(itemBefore, goesOn && entry.state !== 'failed');
        continued(item, false);
        before = entry;
      }
      previous = entry;
    }
  }

  /** @param {number} index @returns {Shown | undefined} */
  #messageBefore(index) {
    for (let at = index - 1; at >= 0; at -= 1) {
      const entry = this.timeline.entries[at];
      if (entry.kind === 'message') return entry;
    }
    return undefined;
  }

  /** @param {GapEntry} entry */
  async #fill(entry) {
    const draw = () => {
      this.timeline.changed.add(entry);
      this.draw();
    };
    entry.isLoading = true;
    draw();
    const { gap } = entry;
    const remaining = await this.#actions.fillGap(gap);
    entry.isLoading = false;
    if (remaining === gap) return draw();
    this.timeline.remove(entry);
    if (remaining) this.timeline.addGap(remaining);
    this.draw();
  }

  /** Changes the list without moving what is being read. @param {() => void} change */
  #hold(change) {
    // The lower edge is held: what comes in above can take the day and the name from the top of an entry.
    const edge = (/** @type {HTMLElement} */ item) => item.offsetTop + item.offsetHeight;
    const top = this.#scroller.scrollTop;
    const kept = this.#isAtEnd ? [] : this.#itemsBelow(top).map((item) => ({ item, edge: edge(item) }));
    change();
    const anchor = kept.find(({ item }) => item.isConnected);
    if (this.#isAtEnd) this.#scroller.scrollTop = this.#scroller.scrollHeight;
    else if (anchor) this.#scroller.scrollTop = top + edge(anchor.item) - anchor.edge;
  }

  /** Some that are in view, the first one first: an entry itself may go. @param {number} top */
  #itemsBelow(top) {
    const items = /** @type {HTMLElement[]} */ ([...this.#list.children]);
    const from = items.findIndex((item) => item.offsetTop + item.offsetHeight > top);
    return from < 0 ? [] : items.slice(from, from + 4);
  }

  #look() {
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    const hasAll = this.#start + WINDOW >= this.#drawnLength;
    this.#isAtEnd = hasAll && scrollHeight - scrollTop - clientHeight < END_MARGIN_PX;
    const start = this.#stretched(this.#start);
    if (start !== this.#start) this.#show(start);
    this.#actions.moved();
  }
}
