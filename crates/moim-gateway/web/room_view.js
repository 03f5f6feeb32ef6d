// A room as it is shown: what of the client's events appears where, and what the reader's presses ask of the client.
// Not here: the protocol (`/client/`), the list (`message_list.js`), the lobby (`lobby.js`).

import { RoomClient } from '/client/index.js';

import { Composer } from './composer.js';
import { Members } from './members.js';
import { memory } from './memory.js';
import { MessageList } from './message_list.js';
import { OwnMessages } from './own_messages.js';
import { Reading } from './reading.js';
import { plainName } from './rich_text.js';
import { errorText, texts } from './texts.js';
import { TypingLine } from './typing_line.js';

/** @import { Message } from '/client/frames.js' */
/** @import { StateChange } from '/client/connection.js' */
/** @import { Gap, Shown } from './timeline.js' */

/** Older messages are asked for this many screens before the reader is there. */
const NEAR_TOP_SCREENS = 1.5;
const PAGE_LIMIT = 100;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

export class RoomView {
  /** @type {RoomClient | null} the room we are in */
  #client = null;
  /** Its first history is here. */
  #wasOpen = false;
  #older = /** @type {'idle' | 'loading' | 'failed'} */ ('idle');
  /** @type {number | null} */
  #userCount = null;
  /** @type {StateChange | null} */
  #lastChange = null;
  #scroller = element('scroller');
  #refused;
  #list = new MessageList(this.#scroller, element('messages'), {
    resend: (failed) => this.#own.resend(failed),
    fillGap: (gap) => this.#fillGap(gap),
    moved: () => this.#moved(),
  });
  #typing = new TypingLine(element('typing'));
  #members = new Members(element('count'), () => this.#client);
  #reading = new Reading(this.#list, element('heard'), () => this.#client);
  #composer = new Composer(element('composer'), element('text'), {
    send: (content) => this.#send(content),
    typing: (isTyping) => this.#client?.typing(isTyping),
    page: (screens) => this.#scroller.scrollBy(0, screens * this.#scroller.clientHeight * 0.9),
  });
  #own = new OwnMessages(this.#list, {
    changed: () => this.#showQueued(),
    fault: (error, content) => {
      this.#showFault(error);
      if (content !== undefined && this.#composer.isEmpty) this.#composer.put(content);
    },
  });

  /** @param {{ refused: (error: any) => void }} actions a room that could not be entered at all */
  constructor({ refused }) {
    this.#refused = refused;
    element('retry').addEventListener('click', () => this.#retry());
    element('older').addEventListener('click', () => void this.#loadOlder());
    for (const id of ['new-messages', 'to-end']) {
      element(id).addEventListener('click', () => {
        this.#list.scrollToEnd();
        this.#scroller.focus();
      });
    }
    // Who looks again has seen what is in view.
    document.addEventListener('visibilitychange', () => this.#moved());
    for (const event of ['online', 'offline']) addEventListener(event, () => this.#showState());
  }

  /** @returns {string | null} */
  get room() {
    return this.#client?.room ?? null;
  }

  get username() {
    return this.#client?.username ?? '';
  }

  get isOpen() {
    return this.#client?.state === 'open';
  }

  /** @param {string} name @param {string} room @returns {string} its name as the client knows it */
  enter(name, room) {
    this.leave();
    const client = new RoomClient({ url: location.origin, room, username: name });
    this.#client = client;
    this.#listen(client);
    element('room-name').textContent = plainName(client.room);
    element('chat').hidden = false;
    const visit = memory.visits.find((known) => known.room === client.room);
    memory.visit(client.room);
    this.#reading.start(visit?.seq);
    this.#moved();
    client.connect();
    this.#own.start(client);
    this.#composer.focus();
    return client.room;
  }

  leave() {
    const left = this.#client;
    this.#client = null;
    this.#own.stop();
    left?.close();
    this.#members.close();
    this.#list.clear();
    this.#typing.clear();
    this.#composer.put('');
    this.#wasOpen = false;
    this.#older = 'idle';
    this.#lastChange = null;
    this.#userCount = null;
    this.#showFault(null);
    element('chat').hidden = true;
    document.title = 'moim';
  }

  /** Everything again, in the language of now. */
  redraw() {
    this.#list.redraw();
    this.#typing.redraw();
    this.#showState();
    this.#showQueued();
  }

  /** @param {RoomClient} client */
  #listen(client) {
    client.onState((change) => {
      if (this.#client !== client) return;
      this.#lastChange = change;
      if (change.state !== 'open') this.#typing.clear();
      if (change.state === 'closed' && !this.#wasOpen) return this.#refused(change.error ?? texts().closed);
      if (change.state === 'closed' && change.error) this.#showFault(change.error);
      this.#showState();
      this.#moved();
    });
    client.on('message', (message) => {
      this.#typing.set(message.username, false);
      this.#add([message], true);
    });
    client.on('history', ({ kind, messages }) => {
      this.#add(messages, kind === 'join' && this.#wasOpen);
      this.#wasOpen = true;
    });
    client.on('gap', (gap) => {
      this.#list.timeline.addGap(gap);
      this.#list.draw();
    });
    client.on('reset', () => {
      this.#list.clear();
      this.#notice(() => texts().reset);
    });
    client.on('system', ({ event, username, count }) => {
      if (event === 'leave') this.#typing.set(username, false);
      this.#notice(() => texts()[event === 'join' ? 'join' : 'leaveNotice'](plainName(username), (count ?? 1) - 1));
      this.#members.changed();
    });
    client.on('presence', ({ userCount }) => {
      this.#userCount = userCount;
      this.#showCount();
    });
    client.on('typing', ({ username, isTyping }) => this.#typing.set(username, isTyping));
    client.on('error', (error) => {
      if (client.state === 'open') this.#showFault(error);
    });
  }

  /** @param {Message[]} messages @param {boolean} isNews whether they have just been said */
  #add(messages, isNews) {
    const shown = messages.map((message) => this.#shown(message));
    if (isNews) this.#reading.news(shown);
    this.#list.timeline.add(shown);
    this.#list.draw();
  }

  /** @param {Message} message @returns {Shown} */
  #shown({ username, content, timestamp, seq, clientId }) {
    const own = username === this.#client?.username;
    // A message that was sent from here keeps the state that its delivery told.
    const state = (own && clientId !== undefined && this.#own.stateOf(clientId)) || 'received';
    return { kind: 'message', username, content, timestamp, seq, clientId, own, state };
  }

  /** @param {() => string} text */
  #notice(text) {
    this.#list.timeline.addNotice(text);
    this.#list.draw();
  }

  /** @param {string} content */
  #send(content) {
    this.#showFault(null);
    this.#reading.wrote();
    this.#own.send(content);
    this.#list.scrollToEnd();
  }

  /** @param {Gap} gap @returns {Promise<Gap | null>} */
  async #fillGap(gap) {
    try {
      return this.#client ? (await this.#client.fillGap(gap, { limit: PAGE_LIMIT })).remaining : gap;
    } catch {
      return gap; // Its button is there again.
    }
  }

  async #loadOlder() {
    const asked = this.#client;
    if (!asked || this.#older === 'loading' || asked.state !== 'open' || !this.#hasOlder) return;
    this.#older = 'loading';
    this.#showOlder();
    const before = this.#list.timeline.oldest;
    const complete = await asked.loadOlder({ before, limit: PAGE_LIMIT }).then((page) => page.complete, () => false);
    if (this.#client !== asked) return;
    this.#older = complete ? 'idle' : 'failed';
    this.#list.draw();
  }

  /** What was taken out of a long list is older too. */
  get #hasOlder() {
    const client = this.#client;
    return client !== null && (client.hasOlder || (this.#list.timeline.oldest ?? 0) > (client.oldest ?? 0));
  }

  /** After each scroll and each change of the list. */
  #moved() {
    if (!this.#client) return;
    this.#reading.look();
    const { unseen } = this.#reading;
    const [news, toEnd] = [element('new-messages'), element('to-end')];
    news.hidden = unseen === 0 || this.#list.isAtEnd;
    news.textContent = texts().newMessages(unseen);
    toEnd.hidden = this.#list.isAtEnd || !news.hidden;
    const room = plainName(this.#client.room);
    document.title = unseen > 0 && document.hidden ? `(${unseen}) ${room} · moim` : `${room} · moim`;
    this.#showOlder();
    const isNearTop = this.#list.isAtTop && this.#scroller.scrollTop < this.#scroller.clientHeight * NEAR_TOP_SCREENS;
    if (this.#wasOpen && this.#older === 'idle' && isNearTop) void this.#loadOlder();
  }

  #showOlder() {
    const isKnown = this.#wasOpen && this.#client !== null && this.#list.isAtTop;
    const isEmpty = this.#list.timeline.entries.every(({ kind }) => kind === 'notice');
    element('older').hidden = !isKnown || !this.#hasOlder || this.#older === 'loading';
    const { olderLoading, olderFailed, beginning, emptyRoom, loading } = texts();
    const words = { loading: olderLoading, failed: olderFailed, idle: this.#hasOlder || isEmpty ? '' : beginning };
    say(element('older-note'), isKnown ? words[this.#older] : '');
    const isEmptyRoom = isKnown && isEmpty && !this.#hasOlder;
    say(element('nothing'), isEmptyRoom ? emptyRoom : this.#wasOpen || !isEmpty ? '' : loading);
  }

  #showState() {
    if (!this.#client || !this.#lastChange) return;
    const { state, previous } = this.#lastChange;
    const isAgain = state === 'waiting' || (state === 'connecting' && previous === 'waiting');
    const { offline } = texts();
    const again = navigator.onLine === false ? offline : texts()[this.#wasOpen ? 'waiting' : 'unreachable'];
    const status = element('state');
    status.dataset.state = state;
    status.dataset.again = String(isAgain);
    const words = isAgain ? again : texts()[state];
    // A live region speaks at each change: the same words are not said again.
    if (status.textContent !== words) status.textContent = words;
    element('retry').hidden = state !== 'waiting' && state !== 'closed';
    this.#showCount();
    this.#showQueued();
  }

  #showCount() {
    const count = element('count');
    // Without a connection nobody can tell how many are there now.
    count.hidden = this.#userCount === null || !this.isOpen;
    count.textContent = this.#userCount === null ? '' : texts().count(this.#userCount);
  }

  #showQueued() {
    const waiting = this.isOpen ? 0 : (this.#client?.waitingCount ?? 0);
    const words = waiting > 0 ? texts().queued(waiting) : '';
    const line = element('queued');
    line.hidden = words === '';
    if (line.textContent !== words) line.textContent = words;
  }

  #retry() {
    if (this.#client?.state === 'closed') this.#client.connect();
    else this.#client?.retryNow();
    this.#composer.focus();
  }

  /** @param {any} error */
  #showFault(error) {
    say(element('send-error'), error ? errorText(error) : '');
  }
}

/** Shows a line, or takes it away when there is nothing to say. @param {HTMLElement} line @param {string} words */
function say(line, words) {
  if (line.textContent !== words) line.textContent = words;
  line.hidden = words === '';
}
