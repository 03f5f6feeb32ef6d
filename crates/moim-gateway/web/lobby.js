// The lobby: who one is, which room, who is there already, and how a program would connect.
// Not here: the rooms visited before (`rooms.js`), the room itself (`room_view.js`).

import { ConnectLines } from './connect_lines.js';
import { memory } from './memory.js';
import { roomState } from './rooms.js';
import { errorText, texts } from './texts.js';

/** Between the last key and the question who is in that room. */
const ASK_AFTER_MS = 300;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

export class Lobby {
  #name = /** @type {HTMLInputElement} */ (element('name'));
  #room = /** @type {HTMLInputElement} */ (element('room'));
  #here = element('room-here');
  #lines = new ConnectLines(element('ways'), element('line'), element('copy'), element('copied'));
  /** @type {any} */
  #timer = null;
  /** @type {{ room: string, userCount: number } | null} */
  #known = null;

  /** @param {(name: string, room: string) => void} enter */
  constructor(enter) {
    element('join').addEventListener('submit', (/** @type {Event} */ event) => {
      event.preventDefault();
      if (this.#name.value.trim() !== '') enter(this.#name.value.trim(), this.#room.value.trim());
    });
    this.#room.addEventListener('input', () => this.#roomChanged());
  }

  get name() {
    return this.#name.value.trim();
  }

  get isShown() {
    return !element('lobby').hidden;
  }

  /** @param {string} room chosen already, by an address or a visit before */
  show(room) {
    element('lobby').hidden = false;
    this.#name.value ||= memory.name;
    this.#room.value = room;
    this.#roomChanged();
  }

  hide() {
    element('lobby').hidden = true;
    clearTimeout(this.#timer);
    this.fault(null);
  }

  /** To what must be filled in first. */
  focus() {
    (this.#name.value ? this.#room : this.#name).focus();
  }

  askName() {
    this.#name.reportValidity();
    this.#name.focus();
  }

  /** @param {any} error */
  fault(error) {
    const line = element('join-error');
    line.textContent = error ? errorText(error) : '';
    line.hidden = !error;
  }

  redraw() {
    this.#drawCount();
    // Of other lines, or in other words.
    element('copied').textContent = '';
  }

  #drawCount() {
    this.#here.textContent = this.#known ? texts().hereNow(this.#known.userCount) : '';
  }

  #roomChanged() {
    const room = this.#room.value.trim() || 'general';
    this.#lines.show(room);
    if (this.#known?.room !== room) this.#known = null;
    this.redraw();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#askWhoIsThere(room), ASK_AFTER_MS);
  }

  /** @param {string} room */
  async #askWhoIsThere(room) {
    const state = await roomState(room);
    if (!this.isShown || room !== (this.#room.value.trim() || 'general')) return;
    this.#known = state && { room, userCount: state.userCount };
    this.#drawCount();
  }
}
