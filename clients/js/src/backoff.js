// How long to wait before trying again: full jitter, so that a thousand clients do not come back at once.
// Not here: when to try again at all (`close_codes.js`, `outbox.js`), timers.

export const RECONNECT_BASE_MS = 500;
export const RECONNECT_CAP_MS = 30_000;

/**
 * Anything from zero to the doubled base, never more than the cap.
 * @param {number} attempt how many tries have failed already
 * @param {() => number} random
 */
export function jitteredDelayMs(attempt, random) {
  return Math.floor(random() * Math.min(RECONNECT_CAP_MS, RECONNECT_BASE_MS * 2 ** attempt));
}
