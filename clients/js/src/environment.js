// What the client needs from outside: sockets, timers, a clock, chance; each replaceable for tests.
// Not here: what is done with them.

/**
 * The part of a browser's WebSocket that is used.
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {(text: string) => void} send
 * @property {(code?: number, reason?: string) => void} close
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 */

/**
 * @typedef {object} Environment
 * @property {new (url: string, protocols: string[]) => Socket} WebSocket
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now milliseconds, only compared with itself
 * @property {() => number} random from 0 to below 1
 * @property {() => string} newId
 * @property {(wake: () => void) => (() => void)} onWake tells when trying at once makes sense; answers how to stop
 */

/**
 * This browser's or this Node's own.
 * @returns {Environment}
 */
export function platform() {
  return {
    WebSocket: globalThis.WebSocket,
    setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    newId,
    onWake,
  };
}

/** `randomUUID` exists only where the page came over TLS or from this machine. */
function newId() {
  const crypto = globalThis.crypto;
  if (crypto?.randomUUID) return crypto.randomUUID();
  const bytes = new Uint8Array(16);
  if (crypto?.getRandomValues) crypto.getRandomValues(bytes);
  else bytes.forEach((_, index) => (bytes[index] = Math.random() * 256));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * The network is back, or somebody looks at the page again.
 * @param {() => void} wake
 */
function onWake(wake) {
  if (typeof globalThis.addEventListener !== 'function') return () => {};
  const seen = () => {
    if (globalThis.document?.visibilityState !== 'hidden') wake();
  };
  globalThis.addEventListener('online', wake);
  globalThis.document?.addEventListener('visibilitychange', seen);
  return () => {
    globalThis.removeEventListener('online', wake);
    globalThis.document?.removeEventListener('visibilitychange', seen);
  };
}
