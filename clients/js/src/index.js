// What the module offers, and the types of what it tells.
// Not here: any of it.

/** @typedef {import('./connection.js').State} State */
/** @typedef {import('./connection.js').StateChange} StateChange */
/** @typedef {import('./environment.js').Environment} Environment */
/** @typedef {import('./frames.js').AckLevel} AckLevel */
/** @typedef {import('./frames.js').Gap} Gap */
/** @typedef {import('./frames.js').Message} Message */
/** @typedef {import('./frames.js').Position} Position */
/** @typedef {import('./frames.js').System} System */
/** @typedef {import('./intake.js').HistoryEvent} HistoryEvent */
/** @typedef {import('./outbox.js').Delivery} Delivery */
/** @typedef {import('./outbox.js').Receipt} Receipt */
/** @typedef {import('./pages.js').Page} Page */
/** @typedef {import('./room_client.js').Events} Events */
/** @typedef {import('./room_client.js').RoomOptions} RoomOptions */

export { RoomClient } from './room_client.js';
export { MoimError, isDots } from './frames.js';
export { OUTBOX_MAX } from './outbox.js';
export { mayReconnect } from './close_codes.js';
