// One entry of the list as an element: a message, a notice, a gap. Text goes in as text only, never as markup.
// Not here: where an entry stands among the others (`timeline.js`), what of the list is in the page (`message_list.js`).

import { FOLD_LETTERS, UNFOLD_TIMES, folded, plainName, richText } from './rich_text.js';
import { errorText, locale, texts } from './texts.js';

/** @import { Entry, GapEntry, Notice, Shown } from './timeline.js' */
/** @typedef {{ resend: (shown: Shown) => void, fillGap: (entry: GapEntry) => void, reveal: (shown: Shown) => void }} Acts */

const COLOURS = 6;
/** What one person says within this time reads as one. */
const GOES_ON_MS = 5 * 60_000;

/** @param {string} tag @param {string} name @param {string} [text] */
export function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string} name the test id as well as the class @param {() => void} act */
function button(name, act) {
  const element = /** @type {HTMLButtonElement} */ (part('button', `quiet ${name}`));
  element.type = 'button';
  element.dataset.testid = name;
  element.addEventListener('click', act);
  return element;
}

/** @param {HTMLElement} item @param {string} name @returns {HTMLElement} */
const inside = (item, name) => /** @type {HTMLElement} */ (item.querySelector(`.${name}`));

/** The same person has the same colour everywhere. @param {string} username */
export function colourOf(username) {
  let sum = 7;
  for (const letter of username) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return String(sum % COLOURS);
}

/** A round sign with the first letter of a name. @param {string} username */
export function face(username) {
  const [letter = '?'] = plainName(username).trim() || '?';
  const element = part('span', 'face', letter.toUpperCase());
  element.dataset.colour = colourOf(username);
  element.setAttribute('aria-hidden', 'true');
  return element;
}

/** @param {Entry} entry @param {Acts} acts */
export function itemOf(entry, acts) {
  const item = entry.kind === 'message' ? messageItem(entry, acts) : part('li', entry.kind);
  item.dataset.testid = entry.kind;
  if (entry.kind === 'gap') item.append(part('span', 'why'), button('gap-load', () => acts.fillGap(entry)));
  drawItem(item, entry);
  return item;
}

/** Writes it again, as the entry is now and in the language of now. @param {HTMLElement} item @param {Entry} entry */
export function drawItem(item, entry) {
  if (entry.kind === 'message') drawMessage(item, entry);
  else if (entry.kind === 'gap') drawGap(item, entry);
  else item.textContent = /** @type {Notice} */ (entry).text();
}

/** @param {Shown} shown @param {Acts} acts */
function messageItem(shown, acts) {
  const item = part('li', shown.own ? 'message own' : 'message');
  const author = part('div', 'author');
  const name = part('bdi', 'name', plainName(shown.username));
  author.dataset.colour = colourOf(shown.username);
  author.append(name);
  const line = part('div', 'line');
  const bubble = part('div', 'bubble');
  // Each writes in their own direction, and turns nobody else's.
  bubble.dir = 'auto';
  const said = part('div', 'said');
  said.append(bubble, button('more', () => acts.reveal(shown)));
  const meta = part('div', 'meta');
  meta.append(part('span', 'mark'), part('time', 'time'));
  line.append(said, meta);
  const failure = part('div', 'failure');
  failure.append(part('span', 'why'), button('resend', () => acts.resend(shown)));
  const body = part('div', 'body');
  body.append(author, line, failure);
  const row = part('div', 'row');
  if (!shown.own) row.append(face(shown.username));
  row.append(body);
  item.append(part('div', 'day'), part('div', 'unread'), row);
  return item;
}

/** @param {HTMLElement} item @param {Shown} shown */
function drawMessage(item, shown) {
  const { timestamp, state, seq, clientId, error } = shown;
  item.dataset.state = state;
  if (seq !== undefined) item.dataset.seq = String(seq);
  if (clientId !== undefined) item.dataset.clientId = clientId;
  drawContent(item, shown);
  const when = new Date(timestamp);
  inside(item, 'day').textContent = when.toLocaleDateString(locale(), { dateStyle: 'full' });
  inside(item, 'unread').textContent = texts().unread;
  const time = inside(item, 'time');
  time.setAttribute('datetime', timestamp);
  time.title = when.toLocaleString(locale());
  time.textContent = when.toLocaleTimeString(locale(), { hour: 'numeric', minute: '2-digit' });
  const mark = inside(item, 'mark');
  mark.hidden = state === 'received';
  if (state !== 'received') {
    mark.title = texts()[state];
    mark.setAttribute('role', 'img');
    mark.setAttribute('aria-label', texts()[state]);
  }
  inside(item, 'failure').hidden = state !== 'failed';
  inside(item, 'why').textContent = state === 'failed' ? `${texts().failed} ${error ? errorText(error) : ''}` : '';
  inside(item, 'resend').textContent = texts().resend;
}

/** @param {HTMLElement} item @param {Shown} shown */
function drawContent(item, { content, revealed = FOLD_LETTERS }) {
  const bubble = inside(item, 'bubble');
  const visible = folded(content, revealed);
  // Making the nodes anew would take away a selection.
  if (bubble.dataset.drawn !== String(visible.length)) bubble.replaceChildren(...richText(visible));
  bubble.dataset.drawn = String(visible.length);
  const more = inside(item, 'more');
  more.hidden = visible.length === content.length;
  more.textContent = texts().more(content.length - visible.length);
}

/** Shows more of a long message. @param {Shown} shown */
export function reveal(shown) {
  shown.revealed = (shown.revealed ?? FOLD_LETTERS) * UNFOLD_TIMES;
}

/** @param {HTMLElement} item @param {GapEntry} entry */
function drawGap(item, { gap, isLoading }) {
  item.dataset.from = String(gap.from);
  item.dataset.to = String(gap.to);
  const load = /** @type {HTMLButtonElement} */ (inside(item, 'gap-load'));
  inside(item, 'why').textContent = texts().gap;
  load.textContent = isLoading ? texts().gapLoading : texts().gapLoad;
  load.disabled = isLoading;
}

/**
 * How a message stands to what is before it: a new day, the first unread, the same person going on.
 * @param {HTMLElement} item
 * @param {Shown} shown
 * @param {Shown | undefined} before the message before, across notices and gaps
 * @param {{ isAdjacent: boolean, isFirstUnread: boolean }} place whether nothing stands between the two
 */
export function joinUp(item, shown, before, { isAdjacent, isFirstUnread }) {
  const sameDay = before !== undefined && dayOf(before) === dayOf(shown);
  const goesOn =
    isAdjacent && sameDay && !isFirstUnread && before.username === shown.username && before.state !== 'failed' &&
    Math.abs(Date.parse(shown.timestamp) - Date.parse(before.timestamp)) < GOES_ON_MS;
  inside(item, 'day').hidden = sameDay;
  inside(item, 'unread').hidden = !isFirstUnread;
  item.classList.toggle('goes-on', goesOn);
  return goesOn;
}

/** Its last message shows the time of what one person said in one go. @param {HTMLElement} item @param {boolean} is */
export function continued(item, is) {
  item.classList.toggle('is-continued', is);
}

/** @type {WeakMap<Shown, { timestamp: string, day: string }>} */
const days = new WeakMap();

/** The day where the reader is. @param {Shown} shown */
function dayOf(shown) {
  const known = days.get(shown);
  if (known?.timestamp === shown.timestamp) return known.day;
  const day = new Date(shown.timestamp).toDateString();
  days.set(shown, { timestamp: shown.timestamp, day });
  return day;
}
