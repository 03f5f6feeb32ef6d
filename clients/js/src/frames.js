// The v1 profile's words: how frames and addresses are written and read.
// Not here: what a frame changes (`intake.js`, `outbox.js`, `connection.js`).

export const SUBPROTOCOL = 'moim.v1';
export const USERNAME_DEFAULT = '익명';
export const ROOM_DEFAULT = 'general';
/** The largest frame the server takes, in bytes; one more and it closes with 1009. */
export const FRAME_BYTES_MAX = 1024 * 1024;

/** @typedef {'wal' | 'stored'} AckLevel */
/**
 * @typedef {object} Message
 * @property {string} room
 * @property {string} username
 * @property {string} content
 * @property {string} timestamp RFC 3339
 * @property {number} seq
 * @property {number} [prev] the seq of the message before; 0: there is none
 * @property {string} id
 * @property {string} epoch
 * @property {string} [clientId]
 */
/** @typedef {{ room: string, epoch: string, seq: number, userCount: number, recovered: boolean }} Joined */
/** @typedef {{ room: string, clientId: string, seq: number, epoch: string, level: AckLevel }} Ack */
/** @typedef {{ seq: number, epoch: string }} Position a place in a room's log: everything up to it was seen */
/** @typedef {{ epoch: string, from: number, to: number }} Gap from and to are both missing */
/**
 * @typedef {object} System
 * @property {string} message in Korean
 * @property {number} userCount
 * @property {string} timestamp
 * @property {'join' | 'leave'} event
 * @property {string} username
 * @property {number} count
 */
/**
 * @typedef {object} Refusal
 * @property {string} code
 * @property {string} message
 * @property {string} [clientId]
 * @property {number} [retryAfterMs]
 */

/** What went wrong, with the server's stable code or one of this client's own. */
export class MoimError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {number} [retryAfterMs]
   */
  constructor(code, message, retryAfterMs) {
    super(message);
    this.name = 'MoimError';
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** `.` and `..`, in any spelling, are steps in an address and never its last part. @param {string} room */
export function isDots(room) {
  return room === '.' || room === '..';
}

/**
 * Where to connect to.
 * @param {string} base such as `wss://chat.example.org`; `http` and `https` are understood
 * @param {{ room: string, username: string }} who
 * @param {Position | null} cursor
 * @throws {MoimError} when no address can name the room
 */
export function chatUrl(base, { room, username }, cursor) {
  const query = new URLSearchParams();
  if (username) query.set('username', username);
  if (cursor) {
    query.set('since', String(cursor.seq));
    query.set('epoch', cursor.epoch);
  }
  if (isDots(room)) throw new MoimError('room_invalid', 'no address can name a room of dots alone');
  const root = base.replace(/^http/, 'ws').replace(/\/+$/, '');
  return `${root}/chat/${encodeURIComponent(room)}?${query}`;
}

const seq = (/** @type {unknown} */ value) => Number.isSafeInteger(value) && Number(value) >= 0;
const text = (/** @type {unknown} */ value) => typeof value === 'string';
/** @type {(frame: any) => boolean} */
const message = (frame) =>
  seq(frame?.seq) &&
  (frame.prev === undefined || seq(frame.prev)) &&
  [frame.epoch, frame.username, frame.content, frame.timestamp].every(text);

/** What a frame must have before anything is done with it. @type {Record<string, (frame: any) => boolean>} */
const CHECKS = {
  message,
  joined: (frame) => seq(frame.seq) && text(frame.epoch),
  history: (frame) => Array.isArray(frame.messages) && frame.messages.every(message),
  gap: (frame) => seq(frame.from) && seq(frame.to) && frame.from <= frame.to && text(frame.epoch),
  ack: (frame) => text(frame.clientId) && seq(frame.seq),
  system: (frame) => text(frame.username) && (frame.event === 'join' || frame.event === 'leave'),
  typing: (frame) => text(frame.username),
  error: (frame) => text(frame.code),
  reconnect: (frame) => Number.isFinite(frame.afterMs),
  pong: () => true,
};

/**
 * Reads one frame. Types of a later server are `null`: to be ignored.
 * @param {unknown} data
 * @returns {any}
 * @throws {MoimError} when it is not a frame
 */
export function parseFrame(data) {
  let frame;
  try {
    frame = JSON.parse(String(data));
  } catch {
    throw new MoimError('bad_server_frame', 'the server sent something that is not JSON');
  }
  if (typeof frame?.type !== 'string') throw new MoimError('bad_server_frame', 'the server sent no frame');
  if (!Object.hasOwn(CHECKS, frame.type)) return null;
  if (!CHECKS[frame.type](frame)) {
    throw new MoimError('bad_server_frame', `the server sent a ${frame.type} frame without its fields`);
  }
  return frame;
}
