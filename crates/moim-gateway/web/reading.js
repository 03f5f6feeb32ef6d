// What the reader has seen: the line above the unread, how many they are, and telling those who hear instead of see.
// Not here: where the reader has scrolled to (`message_list.js`).

import { memory } from './memory.js';
import { plainName } from './rich_text.js';
import { texts } from './texts.js';

/** @import { MessageList } from './message_list.js' */
/** @import { Shown } from './timeline.js' */

/** Messages that come within this time are spoken in one go. */
const SPEAK_AFTER_MS = 500;
/** Read out one by one; of more only their number is told. */
const SPOKEN_MAX = 3;
const SPOKEN_LETTERS_MAX = 300;

export class Reading {
  /** Messages of others that came while the end was out of view, or nobody looked. */
  unseen = 0;
  #list;
  #voice;
  /** @type {(() => { room: string, position: { seq: number, epoch: string } | null } | null)} */
  #where;
  /** The reader has been at the end since the line was drawn: the next unread message draws a new one. */
  #isCaughtUp = true;
  #savedSeq = -1;
  /** @type {Shown[]} */
  #toSpeak = [];
  /** @type {any} */
  #timer = null;

  /**
   * @param {MessageList} list
   * @param {HTMLElement} voice a live region
   * @param {() => { room: string, position: { seq: number, epoch: string } | null } | null} where
   */
  constructor(list, voice, where) {
    this.#list = list;
    this.#voice = voice;
    this.#where = where;
  }

  /** A room is entered. @param {number | undefined} readUpTo the last number read there before */
  start(readUpTo) {
    this.unseen = 0;
    this.#savedSeq = -1;
    this.#isCaughtUp = readUpTo === undefined;
    this.#list.timeline.readUpTo = readUpTo ?? null;
    this.#toSpeak = [];
    clearTimeout(this.#timer);
    this.#voice.textContent = '';
  }

  get #isLooking() {
    return !document.hidden && this.#list.isAtEnd;
  }

  /** Before new messages go into the list. @param {Shown[]} messages */
  news(messages) {
    const others = messages.filter(({ own }) => !own);
    if (others.length === 0) return;
    if (!this.#isLooking) {
      this.unseen += others.length;
      const { timeline } = this.#list;
      if (this.#isCaughtUp) timeline.readUpTo = timeline.newest ?? null;
      this.#isCaughtUp = false;
    }
    this.#toSpeak.push(...others);
    this.#timer ??= setTimeout(() => this.#speak(), SPEAK_AFTER_MS);
  }

  /** Who writes has read. */
  wrote() {
    this.#list.timeline.readUpTo = null;
    this.#isCaughtUp = true;
  }

  /** After each scroll and change: what is in view now is read. */
  look() {
    if (!this.#isLooking) return;
    this.unseen = 0;
    this.#isCaughtUp = true;
    const where = this.#where();
    if (!where?.position || where.position.seq === this.#savedSeq) return;
    this.#savedSeq = where.position.seq;
    memory.hasRead(where.room, where.position);
  }

  #speak() {
    this.#timer = null;
    const messages = this.#toSpeak.splice(0);
    const { heard, newMessages } = texts();
    const short = (/** @type {string} */ content) => content.slice(0, SPOKEN_LETTERS_MAX);
    this.#voice.textContent =
      messages.length > SPOKEN_MAX
        ? newMessages(messages.length)
        : messages.map(({ username, content }) => heard(plainName(username), short(content))).join('\n');
  }
}
