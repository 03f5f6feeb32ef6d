// What this browser remembers between visits: a name, the rooms, how far each was read, what was not sent yet.
// Not here: what is shown of it (`lobby.js`, `rooms.js`).

/** @typedef {{ room: string, seq?: number, epoch?: string }} Visit a room, and the last number read there */
/** @typedef {{ clientId: string, content: string, at?: number }} Unsent `at`: when it was last on its way */

/** Rooms that are remembered; the one not entered for longest goes. */
const VISITS_MAX = 12;
/** A browser keeps about 5 MB for a site; what is longer than this is not kept over a reload. */
const UNSENT_CHARS_MAX = 1_000_000;

/** A browser may refuse to keep anything, and says so by throwing. @param {() => Storage} storage @param {string} key */
function read(storage, key) {
  try {
    return storage().getItem(`moim.${key}`);
  } catch {
    return null;
  }
}

/** @param {() => Storage} storage @param {string} key @param {string | null} value */
function write(storage, key, value) {
  try {
    if (value === null) storage().removeItem(`moim.${key}`);
    else storage().setItem(`moim.${key}`, value);
  } catch {
    // The page works without a memory.
  }
}

/** @param {string | null} json @param {(entry: any) => boolean} isRight @returns {any[]} what is well-formed in it */
function listOf(json, isRight) {
  try {
    const list = JSON.parse(json ?? '[]');
    return Array.isArray(list) ? list.filter(isRight) : [];
  } catch {
    return [];
  }
}

/** For good. */
const lasting = () => localStorage;
/** As long as this tab is open. */
const tab = () => sessionStorage;

export const memory = {
  get name() {
    return read(lasting, 'name') ?? '';
  },
  set name(name) {
    write(lasting, 'name', name);
  },

  get language() {
    return read(lasting, 'language');
  },
  set language(language) {
    write(lasting, 'language', language);
  },

  /** The room a reload goes back to. */
  get entered() {
    return read(tab, 'entered');
  },
  set entered(room) {
    write(tab, 'entered', room);
  },

  /** Rooms visited before, the last one first. @returns {Visit[]} */
  get visits() {
    return listOf(read(lasting, 'visits'), (visit) => typeof visit?.room === 'string' && visit.room !== '');
  },

  /** @param {string} room */
  visit(room) {
    const known = memory.visits.find((visit) => visit.room === room);
    keep([known ?? { room }, ...memory.visits.filter((visit) => visit.room !== room)]);
  },

  /** @param {string} room */
  forget(room) {
    keep(memory.visits.filter((visit) => visit.room !== room));
  },

  /** @param {string} room @param {{ seq: number, epoch: string }} position everything up to it was seen */
  hasRead(room, { seq, epoch }) {
    keep(memory.visits.map((visit) => (visit.room === room ? { room, seq, epoch } : visit)));
  },

  /** Own messages that this tab has not seen through. @param {string} room @returns {Unsent[]} */
  unsent(room) {
    const isRight = (/** @type {any} */ { clientId, content }) => typeof clientId === 'string' && typeof content === 'string';
    return listOf(read(tab, `unsent.${room}`), (entry) => entry !== null && isRight(entry));
  },

  /** @param {string} room @param {Unsent[]} unsent */
  keepUnsent(room, unsent) {
    const json = unsent.length > 0 ? JSON.stringify(unsent) : null;
    if (json === null || json.length <= UNSENT_CHARS_MAX) write(tab, `unsent.${room}`, json);
  },
};

/** @param {Visit[]} visits */
function keep(visits) {
  write(lasting, 'visits', JSON.stringify(visits.slice(0, VISITS_MAX)));
}
