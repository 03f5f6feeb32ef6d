// A conversation as a list: messages by their number, no message twice, notices and gaps where they happened.
// Not here: what of it is in the page (`message_list.js`), how an entry looks (`message_item.js`).

/**
 * @typedef {object} Shown a message as it is shown
 * @property {'message'} kind
 * @property {string} username
 * @property {string} content
 * @property {string} timestamp
 * @property {boolean} own
 * @property {'received' | 'pending' | 'sent' | 'stored' | 'failed'} state
 * @property {number} [seq]
 * @property {string} [clientId]
 * @property {any} [error]
 * @property {number} [revealed] how many letters of a long message are shown
 */
/** @typedef {{ epoch: string, from: number, to: number }} Gap */
/** @typedef {{ kind: 'gap', gap: Gap, isLoading: boolean }} GapEntry */
/** @typedef {{ kind: 'notice', text: () => string }} Notice its text is asked again when the language changes */
/** @typedef {Shown | GapEntry | Notice} Entry */

/** Entries kept; beyond it the oldest go, and come back as older pages. */
export const ENTRIES_MAX = 20_000;
const TRIM_BY = 2_000;

export class Timeline {
  /** @type {Entry[]} in the order they are shown */
  entries = [];
  /** @type {Set<Entry>} entries that differ from what was last drawn */
  changed = new Set();
  /** @type {number | null} the last number that was read before those that count as unread */
  readUpTo = null;
  /** @type {Map<number, Shown>} */
  #bySeq = new Map();
  /** @type {Map<string, Shown>} own messages by their clientId */
  #own = new Map();

  /** The lowest number here. @returns {number | undefined} */
  get oldest() {
    const first = this.entries.find((entry) => entry.kind === 'message' && entry.seq !== undefined);
    return first?.kind === 'message' ? first.seq : undefined;
  }

  /** The highest number here. @returns {number | undefined} */
  get newest() {
    for (let index = this.entries.length - 1; index >= 0; index -= 1) {
      const entry = this.entries[index];
      if (entry.kind === 'message' && entry.seq !== undefined) return entry.seq;
    }
    return undefined;
  }

  clear() {
    this.entries = [];
    this.changed.clear();
    this.readUpTo = null;
    this.#bySeq.clear();
    this.#own.clear();
  }

  /** Takes messages in, oldest first. @param {Shown[]} messages */
  add(messages) {
    const [first, last] = [this.#firstNumber(), messages.at(-1)?.seq];
    // An older page is the common case for many at once: it goes in as a whole.
    if (first !== undefined && last !== undefined && last < first && messages.every((shown) => !this.#known(shown))) {
      for (const shown of messages) this.#index(shown);
      this.entries.unshift(...messages);
      return;
    }
    for (const shown of messages) this.put(shown);
  }

  /** A message that is new, or one that is known and a step further. @param {Shown} shown @returns {boolean} whether new */
  put(shown) {
    const known = this.#known(shown);
    if (!known) {
      this.#index(shown);
      this.#insert(shown);
      return true;
    }
    const before = known.seq;
    Object.assign(known, shown);
    this.#index(known);
    this.changed.add(known);
    if (known.seq !== before) {
      this.entries.splice(this.entries.lastIndexOf(known), 1);
      this.#insert(known);
    }
    return false;
  }

  /** The own message of that name. @param {string} clientId */
  own(clientId) {
    return this.#own.get(clientId);
  }

  /** @param {string} clientId */
  removeOwn(clientId) {
    const shown = this.#own.get(clientId);
    if (shown) this.remove(shown);
  }

  /** @param {() => string} text */
  addNotice(text) {
    const waiting = this.entries.findIndex(isWaiting);
    this.entries.splice(waiting < 0 ? this.entries.length : waiting, 0, { kind: 'notice', text });
  }

  /** @param {Gap} gap */
  addGap(gap) {
    this.#insert({ kind: 'gap', gap, isLoading: false });
  }

  /** @param {Entry} entry */
  remove(entry) {
    const at = this.entries.lastIndexOf(entry);
    if (at >= 0) this.entries.splice(at, 1);
    this.#forget(entry);
  }

  /** Lets go of the oldest when there are too many. */
  trim() {
    if (this.entries.length <= ENTRIES_MAX) return;
    for (const entry of this.entries.splice(0, TRIM_BY)) this.#forget(entry);
  }

  /** The message before which the unread begin: none if what was read before it is not here. @returns {Shown | null} */
  firstUnread() {
    if (this.readUpTo === null) return null;
    /** @type {Shown | null} */
    let first = null;
    for (let index = this.entries.length - 1; index >= 0; index -= 1) {
      const entry = this.entries[index];
      if (entry.kind !== 'message' || entry.seq === undefined) continue;
      if (entry.seq <= this.readUpTo) return first;
      if (!entry.own) first = entry;
    }
    return null;
  }

  /** @param {Shown} shown */
  #known({ own, clientId, seq }) {
    const mine = own && clientId !== undefined ? this.#own.get(clientId) : undefined;
    return mine ?? (seq === undefined ? undefined : this.#bySeq.get(seq));
  }

  /** @param {Shown} shown */
  #index(shown) {
    if (shown.seq !== undefined) this.#bySeq.set(shown.seq, shown);
    if (shown.own && shown.clientId !== undefined) this.#own.set(shown.clientId, shown);
  }

  /** @param {Entry} entry */
  #forget(entry) {
    this.changed.delete(entry);
    if (entry.kind !== 'message') return;
    if (entry.seq !== undefined) this.#bySeq.delete(entry.seq);
    if (entry.clientId !== undefined) this.#own.delete(entry.clientId);
  }

  /** By its number; what has none yet goes to the end. @param {Entry} entry */
  #insert(entry) {
    const number = numberOf(entry);
    let place = this.entries.length;
    if (number !== undefined) {
      for (let index = place - 1; index >= 0; index -= 1) {
        const other = numberOf(this.entries[index]);
        if (other !== undefined && other < number) break;
        if (other !== undefined || isWaiting(this.entries[index])) place = index;
      }
    }
    this.entries.splice(place, 0, entry);
  }

  #firstNumber() {
    for (const entry of this.entries) {
      const number = numberOf(entry);
      if (number !== undefined) return number;
    }
    return undefined;
  }
}

/** @param {Entry} entry */
function numberOf(entry) {
  if (entry.kind === 'message') return entry.seq;
  return entry.kind === 'gap' ? entry.gap.from : undefined;
}

/** Own, on its way: the room will give it its place. One that failed stays where it was. @param {Entry} entry */
function isWaiting(entry) {
  return entry.kind === 'message' && entry.seq === undefined && entry.state !== 'failed';
}
