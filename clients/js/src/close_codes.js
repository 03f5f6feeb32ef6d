// Which ends of a connection are final: the server's close table, as far as a client acts on it.
// Not here: when to come back after the others (`connection.js`).

/** The codes after which coming back by itself would only repeat the fault. */
const FINAL = new Map([
  [1000, 'normal'],
  [1002, 'protocol error'],
  [1007, 'text is not UTF-8'],
  [1008, 'too many frames'],
  [1009, 'message too big'],
  [4001, 'join refused'],
]);

/** @param {number} code */
export function mayReconnect(code) {
  return !FINAL.has(code);
}
