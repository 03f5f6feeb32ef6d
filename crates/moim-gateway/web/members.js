// Who is in the room now, and the link that invites others.
// Not here: how many (the header, `room_view.js`).

import { copyText } from './connect_lines.js';
import { face, part } from './message_item.js';
import { plainName } from './rich_text.js';
import { roomState } from './rooms.js';
import { texts } from './texts.js';

/** Comings and goings within this time are asked about once. */
const ASK_AFTER_MS = 300;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

export class Members {
  #dialog = /** @type {HTMLDialogElement} */ (element('members'));
  #list = element('members-list');
  #note = element('members-note');
  /** @type {any} */
  #timer = null;
  #who;

  /** @param {HTMLElement} opener @param {() => { room: string, username: string } | null} who we are, and where */
  constructor(opener, who) {
    this.#who = who;
    opener.addEventListener('click', () => this.#open());
    element('members-close').addEventListener('click', () => this.#dialog.close());
    // A press beside it lands on the dialog's own ground.
    this.#dialog.addEventListener('click', ({ target }) => target === this.#dialog && this.#dialog.close());
    element('invite').addEventListener('click', () => void copyText(element('invited'), element('invited'), location.href));
  }

  close() {
    this.#dialog.close();
  }

  /** Somebody came or went. */
  changed() {
    if (!this.#dialog.open) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), ASK_AFTER_MS);
  }

  #open() {
    element('invited').textContent = '';
    this.#list.replaceChildren();
    this.#tell('');
    this.#dialog.showModal();
    void this.#ask();
  }

  async #ask() {
    const who = this.#who();
    if (!who) return;
    const state = await roomState(who.room);
    if (this.#who()?.room !== who.room) return;
    const names = state?.members ?? [];
    this.#list.replaceChildren(...names.map((name) => memberItem(name, name === who.username)));
    const { membersMany, membersFailed } = texts();
    this.#tell(state === null ? membersFailed : state.members ? '' : membersMany(state.userCount));
  }

  /** @param {string} words */
  #tell(words) {
    this.#note.textContent = words;
    this.#note.hidden = words === '';
  }
}

/** @param {string} name @param {boolean} isOwn */
function memberItem(name, isOwn) {
  const item = part('li', 'member');
  item.dataset.testid = 'member';
  item.append(face(name), part('bdi', 'name', plainName(name)));
  if (isOwn) item.append(part('span', 'you', texts().you));
  return item;
}
