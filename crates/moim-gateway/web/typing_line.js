// Who else is typing.
// Not here: telling the others that we do (the client module).

import { plainName } from './rich_text.js';
import { texts } from './texts.js';

/** A typist tells again every 3 s; one who has gone silent for twice that is forgotten. */
const FORGET_MS = 6_000;

export class TypingLine {
  #line;
  /** @type {Map<string, ReturnType<typeof setTimeout>>} */
  #typists = new Map();

  /** @param {HTMLElement} line */
  constructor(line) {
    this.#line = line;
  }

  /** @param {string} username @param {boolean} isTyping */
  set(username, isTyping) {
    clearTimeout(this.#typists.get(username));
    this.#typists.delete(username);
    if (isTyping) this.#typists.set(username, setTimeout(() => this.set(username, false), FORGET_MS));
    this.redraw();
  }

  clear() {
    for (const timer of this.#typists.values()) clearTimeout(timer);
    this.#typists.clear();
    this.redraw();
  }

  redraw() {
    const names = [...this.#typists.keys()].map(plainName);
    this.#line.textContent = names.length > 0 ? texts().typing(names) : '';
  }
}
