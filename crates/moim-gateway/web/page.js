// The page: entering and leaving a room, and what of the client's events is shown where.
// Not here: the protocol (`/client/`), the list (`message_list.js`), the words (`texts.js`).

import { RoomClient } from '/client/index.js';

import { Composer } from './composer.js';
import { MessageList } from './message_list.js';
import { currentLanguage, errorText, showLanguage, texts } from './texts.js';
import { TypingLine } from './typing_line.js';

/** @import { Message } from '/client/frames.js' */
/** @import { StateChange } from '/client/connection.js' */
/** @import { Delivery } from '/client/outbox.js' */
/** @import { Shown } from './message_item.js' */

const NEAR_TOP_PX = 240;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);
const [entrance, chat, joinForm] = [element('entrance'), element('chat'), element('join')];
const [nameInput, roomInput, scroller] = [element('name'), element('room'), element('scroller')];

/** @type {RoomClient | null} the room we are in */
let client = null;
let wasOpen = false;
let olderState = /** @type {'idle' | 'loading' | 'failed'} */ ('idle');
/** @type {number | null} */
let userCount = null;

const list = new MessageList(scroller, element('messages'), { resend, fillGap, moved });
const typingLine = new TypingLine(element('typing'));
const composer = new Composer(element('composer'), element('text'), {
  send,
  typing: (isTyping) => client?.typing(isTyping),
});

/** @param {string} name @param {string} room */
function enter(name, room) {
  leave();
  const entered = new RoomClient({ url: location.origin, room, username: name });
  client = entered;
  wasOpen = false;
  localStorage.setItem('moim.name', name);
  localStorage.setItem('moim.room', entered.room);
  sessionStorage.setItem('moim.entered', entered.room);
  history.replaceState(null, '', `#room=${encodeURIComponent(entered.room)}`);
  document.title = `${entered.room} · moim`;
  element('room-name').textContent = entered.room;
  entered.onState(showState);
  entered.on('message', (message) => {
    typingLine.set(message.username, false);
    list.add([shown(message)], { isNews: true });
  });
  entered.on('history', ({ kind, messages }) => {
    list.add(messages.map(shown), { isNews: kind === 'join' && wasOpen });
    wasOpen = true;
    moved();
  });
  entered.on('gap', (gap) => list.addGap(gap));
  entered.on('reset', () => {
    list.clear();
    list.addNotice(() => texts().reset);
  });
  entered.on('system', ({ event, username, count }) => {
    if (event === 'leave') typingLine.set(username, false);
    list.addNotice(() => texts()[event === 'join' ? 'join' : 'leaveNotice'](username, (count ?? 1) - 1));
  });
  entered.on('presence', (presence) => {
    userCount = presence.userCount;
    showCount();
  });
  entered.on('typing', ({ username, isTyping }) => typingLine.set(username, isTyping));
  entered.on('delivery', showDelivery);
  entered.on('error', (error) => {
    if (entered.state === 'open') showFault('send-error', error);
  });
  [entrance.hidden, chat.hidden] = [true, false];
  entered.connect();
  composer.focus();
}

function leave() {
  const left = client;
  client = null;
  left?.close();
  sessionStorage.removeItem('moim.entered');
  list.clear();
  typingLine.clear();
  composer.put('');
  olderState = 'idle';
  userCount = null;
  showCount();
  showFault('send-error', null);
  showFault('join-error', null);
  [entrance.hidden, chat.hidden] = [false, true];
  document.title = 'moim';
}

/** @param {Message} message @returns {Shown} */
function shown({ username, content, timestamp, seq, clientId }) {
  const own = username === client?.username;
  // A message that was sent from here keeps the state that its delivery told.
  const state = (own && clientId !== undefined && deliveries.get(clientId)) || 'received';
  return { username, content, timestamp, seq, clientId, own, state };
}

/** @type {Map<string, Delivery['state']>} own messages that were sent from here, newest last */
const deliveries = new Map();
const DELIVERIES_MAX = 1000;

/** @param {Delivery} delivery */
function showDelivery({ clientId, content, state, seq, error }) {
  if (!client) return;
  const timestamp = new Date().toISOString();
  deliveries.set(clientId, state);
  if (deliveries.size > DELIVERIES_MAX) deliveries.delete(deliveries.keys().next().value ?? '');
  const { username } = client;
  list.setOwn({ clientId, content, state, error, username, own: true, timestamp, ...(seq !== undefined && { seq }) });
}

/** @param {string} content */
function send(content) {
  showFault('send-error', null);
  client?.send(content).catch((error) => {
    if (error.code !== 'outbox_full' && error.code !== 'message_too_large') return; // The message itself shows it.
    showFault('send-error', error);
    if (composer.isEmpty) composer.put(content);
  });
}

/** @param {Shown} failed */
function resend({ content, clientId, error }) {
  // Under its old name it cannot become a second message; only a name that was refused needs a new one.
  const isNameRefused = error?.code === 'client_id_reused' || error?.code === 'client_id_invalid';
  if (isNameRefused) {
    list.removeOwn(clientId ?? '');
    send(content);
    return;
  }
  client?.send(content, { clientId }).catch((again) => {
    if (again.code === 'outbox_full') showFault('send-error', again);
  });
}

/** @param {{ epoch: string, from: number, to: number }} gap */
async function fillGap(gap) {
  try {
    return client ? (await client.fillGap(gap)).remaining : gap;
  } catch {
    return gap; // Its button is there again.
  }
}

async function loadOlder() {
  if (!client || olderState === 'loading' || client.state !== 'open' || !hasOlder()) return;
  const asked = client;
  olderState = 'loading';
  showOlder();
  const complete = await asked.loadOlder({ before: list.oldest }).then((page) => page.complete, () => false);
  if (client !== asked) return;
  olderState = complete ? 'idle' : 'failed';
  moved();
}

/** What was taken out of a long list is older too. */
function hasOlder() {
  return client !== null && (client.hasOlder || (list.oldest ?? 0) > (client.oldest ?? 0));
}

/** After each scroll and each change of the list. */
function moved() {
  const button = element('new-messages');
  button.hidden = list.unseen === 0;
  button.textContent = texts().newMessages(list.unseen);
  showOlder();
  if (wasOpen && olderState === 'idle' && scroller.scrollTop < NEAR_TOP_PX) void loadOlder();
}

function showOlder() {
  const isKnown = wasOpen && client !== null;
  element('older').hidden = !isKnown || !hasOlder() || olderState === 'loading';
  const note = element('older-note');
  const { olderLoading, olderFailed, beginning } = texts();
  const words = { loading: olderLoading, failed: olderFailed, idle: hasOlder() ? '' : beginning };
  note.textContent = isKnown ? words[olderState] : '';
  note.hidden = note.textContent === '';
}

/** @type {StateChange | null} */
let lastChange = null;

/** @param {StateChange} change */
function showState(change) {
  if (!client) return;
  lastChange = change;
  const { state, previous, error } = change;
  if (state !== 'open') typingLine.clear();
  if (state === 'closed' && !wasOpen) {
    leave();
    showFault('join-error', error ?? texts().closed);
    return;
  }
  const isAgain = state === 'waiting' || (state === 'connecting' && previous === 'waiting');
  const words = texts()[isAgain ? (wasOpen ? 'waiting' : 'unreachable') : state];
  const status = element('state');
  status.dataset.state = state;
  // A live region speaks at each change: the same words are not said again.
  if (status.textContent !== words) status.textContent = words;
  element('retry').hidden = state !== 'waiting' && state !== 'closed';
  if (state === 'closed' && error) showFault('send-error', error);
  moved();
}

function showCount() {
  element('count').textContent = userCount === null ? '' : texts().count(userCount);
}

/** @param {string} id @param {any} error */
function showFault(id, error) {
  element(id).textContent = error ? errorText(error) : '';
  element(id).hidden = !error;
}

function roomInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get('room') ?? '';
}

joinForm.addEventListener('submit', (/** @type {Event} */ event) => {
  event.preventDefault();
  if (nameInput.value.trim() !== '') enter(nameInput.value.trim(), roomInput.value.trim());
});
element('leave').addEventListener('click', () => {
  leave();
  nameInput.focus();
});
element('retry').addEventListener('click', () => (client?.state === 'closed' ? client.connect() : client?.retryNow()));
element('older').addEventListener('click', () => void loadOlder());
element('new-messages').addEventListener('click', () => list.scrollToEnd());
for (const button of document.querySelectorAll('[data-action="language"]')) {
  button.addEventListener('click', () => {
    const chosen = currentLanguage() === 'ko' ? 'en' : 'ko';
    localStorage.setItem('moim.language', chosen);
    showLanguage(chosen);
    list.redraw();
    typingLine.redraw();
    showCount();
    if (lastChange) showState(lastChange);
  });
}
addEventListener('hashchange', () => {
  const room = roomInAddress();
  roomInput.value = room;
  if (client && room && room !== client.room) enter(client.username, room);
});

const stored = localStorage.getItem('moim.language');
showLanguage(stored === 'ko' || stored === 'en' ? stored : currentLanguage());
nameInput.value = localStorage.getItem('moim.name') ?? '';
roomInput.value = roomInAddress() || localStorage.getItem('moim.room') || '';
// A reload stays in its room.
const wasIn = sessionStorage.getItem('moim.entered');
if (nameInput.value && wasIn === roomInput.value) enter(nameInput.value, roomInput.value);
else (nameInput.value ? roomInput : nameInput).focus();
