// The page: which of lobby and room is shown, what the address and the browser's memory say, and the language.
// Not here: the lobby (`lobby.js`), the room (`room_view.js`), the words (`texts.js`).

import { Lobby } from './lobby.js';
import { memory } from './memory.js';
import { RoomView } from './room_view.js';
import { RoomList } from './rooms.js';
import { currentLanguage, showLanguage } from './texts.js';

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);

const stored = memory.language;
showLanguage(stored === 'ko' || stored === 'en' ? stored : currentLanguage());

const view = new RoomView({
  refused: (error) => {
    if (error?.code === 'room_invalid') memory.forget(view.room ?? '');
    showLobby(view.room ?? '');
    lobby.fault(error);
  },
});
const lobby = new Lobby((name, room) => enter(name, room));
const rooms = new RoomList([element('visited'), element('side-rooms')], {
  pick,
  current: () => view.room,
  mayAsk: () => lobby.isShown || view.isOpen,
  drawn: (count) => (element('visited-none').hidden = count > 0),
});

/** @param {string} name @param {string} room */
function enter(name, room) {
  memory.name = name;
  const entered = view.enter(name, room);
  memory.entered = entered;
  lobby.hide();
  const address = `#room=${encodeURIComponent(entered)}`;
  // The way back leads to the lobby, not out of the page.
  if (location.hash !== address) history.pushState(null, '', address);
  rooms.draw();
  void rooms.ask();
}

/** @param {string} room */
function showLobby(room) {
  view.leave();
  memory.entered = null;
  lobby.show(room);
  lobby.focus();
  rooms.draw();
  void rooms.ask();
}

/** One of the rooms visited before. @param {string} room */
function pick(room) {
  const name = view.username || lobby.name;
  if (name !== '') return enter(name, room);
  lobby.show(room);
  lobby.askName();
}

function roomInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get('room') ?? '';
}

/** Somebody went back, or changed the address by hand. */
function addressChanged() {
  const room = roomInAddress();
  if (room === (view.room ?? '')) return;
  if (room !== '' && view.room !== null) enter(view.username, room);
  else showLobby(room);
}

function leaveRoom() {
  history.replaceState(null, '', location.pathname);
  showLobby(memory.visits[0]?.room ?? '');
}

element('leave').addEventListener('click', leaveRoom);
element('room-new').addEventListener('click', leaveRoom);
for (const button of document.querySelectorAll('[data-action="language"]')) {
  button.addEventListener('click', () => {
    const chosen = currentLanguage() === 'ko' ? 'en' : 'ko';
    memory.language = chosen;
    showLanguage(chosen);
    lobby.redraw();
    rooms.draw();
    view.redraw();
  });
}
addEventListener('popstate', addressChanged);
addEventListener('hashchange', addressChanged);

const asked = roomInAddress();
// A reload stays in its room.
if (memory.name !== '' && memory.entered !== null && memory.entered === asked) enter(memory.name, asked);
else showLobby(asked || (memory.visits[0]?.room ?? ''));
