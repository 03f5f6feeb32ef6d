// What a program in TypeScript may write against the published types: this file only has to compile, in strict mode.
// Not here: what any of it does (the tests beside it).

import { MoimError, RoomClient, mayReconnect } from 'moim-client';
import type { Delivery, Gap, HistoryEvent, Message, Page, Position, Receipt, State, StateChange } from 'moim-client';

const position: Position | null = null;
const room = new RoomClient({ url: 'wss://chat.example.org', room: 'general', username: '민수', position });
const stop: () => void = room.onState(({ state, retryInMs }: StateChange) => show(state, retryInMs ?? 0));
room.on('message', ({ username, content, seq }: Message) => show(username, content, seq));
room.on('history', ({ kind, messages }: HistoryEvent) => show(kind, messages.length));
room.on('delivery', ({ clientId, state }: Delivery) => show(clientId, state));
room.on('gap', (gap: Gap) => room.fillGap(gap, { limit: 100 }).then(({ remaining }) => remaining));
room.on('error', (error) => show(error.code, error.retryAfterMs ?? 0));
// @ts-expect-error there is no such event
room.on('massage', () => {});
// @ts-expect-error a room needs a server
new RoomClient({ room: 'general' });
// @ts-expect-error a level that does not exist
void room.send('안녕하세요', { ack: 'maybe' });

room.connect();
room.typing(true);
const receipt: Promise<Receipt> = room.send('안녕하세요', { ack: 'stored' });
const page: Promise<Page> = room.loadOlder({ limit: 100 });
const state: State = room.state;
const kept: Position | null = room.position;
void receipt.catch((error: unknown) => error instanceof MoimError && show(error.code));
void page.then(({ messages, beginning }) => show(messages[0]?.content ?? '', beginning));
show(state, kept?.seq ?? 0, mayReconnect(1012));
room.close();
stop();

function show(...words: (string | number | boolean)[]): void {
  console.log(...words);
}
