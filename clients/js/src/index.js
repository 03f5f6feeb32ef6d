// What the module offers.
// Not here: any of it.

export { RoomClient } from './room_client.js';
export { MoimError, isDots } from './frames.js';
export { OUTBOX_MAX } from './outbox.js';
export { mayReconnect } from './close_codes.js';
