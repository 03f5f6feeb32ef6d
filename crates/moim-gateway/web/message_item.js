// One entry of the list: a message, a notice, a gap. Text goes in as text only, never as markup.
// Not here: where an entry stands among the others (`message_list.js`).

import { errorText, locale, texts } from './texts.js';

/**
 * @typedef {object} Shown a message as it is shown
 * @property {string} username
 * @property {string} content
 * @property {string} timestamp
 * @property {boolean} own
 * @property {'received' | 'pending' | 'sent' | 'stored' | 'failed'} state
 * @property {number} [seq]
 * @property {string} [clientId]
 * @property {any} [error]
 */

const AUTHOR_COLOURS = 6;
const MARKS = { received: '', pending: '…', sent: '✓', stored: '✓✓', failed: '!' };

/** @param {string} tag @param {string} name @param {string} [text] */
function part(tag, name, text) {
  const element = document.createElement(tag);
  element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** @param {string} name the test id as well as the class @param {() => void} act */
function button(name, act) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = `quiet ${name}`;
  element.dataset.testid = name;
  element.addEventListener('click', act);
  return element;
}

/** @param {HTMLElement} item @param {string} name @returns {HTMLElement} */
const inside = (item, name) => /** @type {HTMLElement} */ (item.querySelector(`.${name}`));

/** The same person has the same colour everywhere. @param {string} username */
function colourOf(username) {
  let sum = 7;
  for (const letter of username) sum = (sum * 31 + letter.charCodeAt(0)) % 65_521;
  return sum % AUTHOR_COLOURS;
}

/** @param {Shown} shown @param {() => void} resend */
export function messageItem(shown, resend) {
  const item = part('li', shown.own ? 'message own' : 'message');
  item.dataset.testid = 'message';
  const author = part('div', 'author', shown.username);
  author.dataset.colour = String(colourOf(shown.username));
  const line = part('div', 'line');
  const meta = part('div', 'meta');
  meta.append(part('span', 'mark'), part('time', 'time'));
  line.append(part('p', 'bubble'), meta);
  const failure = part('div', 'failure');
  failure.append(part('span', 'why'), button('resend', resend));
  item.append(part('div', 'day'), author, line, failure);
  drawMessage(item, shown);
  return item;
}

/** @param {HTMLElement} item @param {Shown} shown */
export function drawMessage(item, shown) {
  const { content, timestamp, state, seq, clientId, error } = shown;
  item.dataset.state = state;
  if (seq !== undefined) item.dataset.seq = String(seq);
  if (clientId !== undefined) item.dataset.clientId = clientId;
  const when = new Date(timestamp);
  inside(item, 'bubble').textContent = content;
  inside(item, 'day').textContent = when.toLocaleDateString(locale(), { dateStyle: 'full' });
  const time = inside(item, 'time');
  time.setAttribute('datetime', timestamp);
  time.title = when.toLocaleString(locale());
  time.textContent = when.toLocaleTimeString(locale(), { hour: 'numeric', minute: '2-digit' });
  const mark = inside(item, 'mark');
  mark.textContent = MARKS[state];
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

/**
 * How it stands to the message before: a new day, or the same person going on.
 * @param {HTMLElement} item
 * @param {Shown} shown
 * @param {HTMLElement | null} before
 * @param {Shown | undefined} shownBefore
 */
export function joinUp(item, shown, before, shownBefore) {
  const minute = (/** @type {Shown} */ { timestamp }) => new Date(timestamp).setSeconds(0, 0);
  const day = (/** @type {Shown} */ { timestamp }) => new Date(timestamp).toDateString();
  const sameDay = shownBefore !== undefined && day(shownBefore) === day(shown);
  const adjacent = before !== null && before === item.previousElementSibling;
  const goesOn = adjacent && shownBefore?.username === shown.username && minute(shownBefore) === minute(shown);
  inside(item, 'day').hidden = sameDay;
  item.classList.toggle('goes-on', goesOn);
  before?.classList.toggle('is-continued', goesOn && shownBefore?.state !== 'failed');
}

/** @param {string} text */
export function noticeItem(text) {
  const item = part('li', 'notice', text);
  item.dataset.testid = 'notice';
  return item;
}

/** @param {() => void} load */
export function gapItem(load) {
  const item = part('li', 'gap');
  item.dataset.testid = 'gap';
  item.append(part('span', 'why'), button('gap-load', load));
  drawGap(item, false);
  return item;
}

/** @param {HTMLElement} item @param {boolean} isLoading */
export function drawGap(item, isLoading) {
  const load = /** @type {HTMLButtonElement} */ (inside(item, 'gap-load'));
  inside(item, 'why').textContent = texts().gap;
  load.textContent = isLoading ? texts().gapLoading : texts().gapLoad;
  load.disabled = isLoading;
}
