// How a program connects to this server: lines to copy, with this server's address and the chosen room in them.
// Not here: the rest of the lobby (`lobby.js`).

import { part } from './message_item.js';
import { texts } from './texts.js';

/** Letters that stay special in an address inside double quotes of a shell. @param {string} room */
function segment(room) {
  const hex = (/** @type {string} */ letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(room).replace(/[!'()*]/g, hex);
}

/** @type {{ name: string, lines: (origin: string, room: string) => string }[]} */
const WAYS = [
  {
    name: 'JavaScript',
    lines: (origin, room) =>
      [
        'const chat = new WebSocket(',
        `  "${origin.replace(/^http/, 'ws')}/chat/${segment(room)}?username=Mina");`,
        'chat.onmessage = (event) => console.log(event.data);',
        'chat.onopen = () =>',
        '  chat.send(JSON.stringify({ content: "안녕하세요" }));',
      ].join('\n'),
  },
  {
    name: 'curl',
    lines: (origin, room) =>
      [
        `curl "${origin}/api/v1/rooms/${segment(room)}/messages" \\`,
        `  -d '{"username":"curl","content":"hello"}'`,
        `curl "${origin}/api/v1/rooms/${segment(room)}/messages?after=0&wait=30"`,
      ].join('\n'),
  },
  {
    name: 'websocat',
    lines: (origin, room) =>
      [
        `echo '{"content":"hello"}' |`,
        `  websocat -n "${origin.replace(/^http/, 'ws')}/chat/${segment(room)}?username=websocat"`,
      ].join('\n'),
  },
];

export class ConnectLines {
  #tabs;
  #panel;
  #chosen = 0;
  #room = 'general';

  /** @param {HTMLElement} tabs @param {HTMLElement} panel @param {HTMLElement} copy @param {HTMLElement} told */
  constructor(tabs, panel, copy, told) {
    this.#panel = panel;
    this.#tabs = WAYS.map(({ name }, index) => {
      const tab = part('button', 'way', name);
      Object.assign(tab, { type: 'button', id: `way-${index}`, lang: 'en' });
      tab.setAttribute('role', 'tab');
      tab.setAttribute('aria-controls', panel.id);
      tab.addEventListener('click', () => this.#choose(index));
      return tab;
    });
    tabs.append(...this.#tabs);
    tabs.addEventListener('keydown', (event) => this.#step(event));
    copy.addEventListener('click', () => void copyText(panel, told));
    this.#choose(0);
  }

  /** @param {string} room */
  show(room) {
    this.#room = room || 'general';
    /** @type {HTMLElement} */ (this.#panel.firstElementChild).textContent = WAYS[this.#chosen].lines(location.origin, this.#room);
  }

  /** @param {number} chosen */
  #choose(chosen) {
    this.#chosen = chosen;
    this.#panel.setAttribute('aria-labelledby', `way-${chosen}`);
    this.#tabs.forEach((tab, index) => {
      tab.setAttribute('aria-selected', String(index === chosen));
      // One stop for the tab key; the arrows go on from there.
      tab.tabIndex = index === chosen ? 0 : -1;
    });
    this.show(this.#room);
  }

  /** @param {KeyboardEvent} event */
  #step(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    this.#choose((this.#chosen + step + WAYS.length) % WAYS.length);
    this.#tabs[this.#chosen].focus();
  }
}

/**
 * Copies what an element reads, or a text of its own; where a page may not (without TLS), selects it.
 * @param {HTMLElement} from @param {HTMLElement} told where it is said @param {string} [text]
 */
export async function copyText(from, told, text = from.textContent ?? '') {
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = texts().copied;
  } catch {
    if (from.textContent !== text) from.textContent = text;
    getSelection()?.selectAllChildren(from);
    if (told !== from) told.textContent = texts().copyByHand;
  }
}
