// What has been seen of a room's log: drops repeats, finds holes, notices a log that began anew.
// Not here: which frames follow a join (`intake.js`), reading what is missing (`pages.js`).

/** @import { Message, Joined, Gap, Position } from './frames.js' */

/** Epochs never come back, and a stray is at most a few old. */
const RETIRED_EPOCHS_MAX = 8;

export class Cursor {
  /** @type {Position | null} the last number seen; none before the first history is in */
  position;
  /** @type {string[]} epochs that have ended */
  #retired = [];

  /** @param {Position | null} position what was seen by an earlier run */
  constructor(position) {
    this.position = position;
  }

  /**
   * Takes a message in.
   * @param {Message} message
   * @returns {{ fresh: boolean, gap: Gap | null }} whether it is new, and what is missing before it
   */
  admit(message) {
    const seen = this.position;
    // A number is never used twice in a room, so one at or below the cursor is known, of whatever epoch.
    if (seen && (message.seq <= seen.seq || this.#retired.includes(message.epoch))) return { fresh: false, gap: null };
    // Without `prev` the number below must do: over a jump that names too much, never too little.
    const before = message.prev ?? message.seq - 1;
    const missing = seen !== null && before > seen.seq;
    this.#moveTo(message.seq, message.epoch);
    return { fresh: true, gap: missing ? { epoch: message.epoch, from: seen.seq + 1, to: before } : null };
  }

  /**
   * Steps over what the server says it dropped. A gap below the cursor (found again after a loss) moves nothing.
   * @param {Gap} gap
   * @returns {Gap} with the numbers between the cursor and it, which nobody will tell of again
   */
  skip({ epoch, from, to }) {
    const seen = this.position;
    if (!seen || to <= seen.seq) return { epoch, from, to };
    this.#moveTo(to, epoch);
    return { epoch, from: Math.min(from, seen.seq + 1), to };
  }

  /**
   * After the history of a join: everything up to its head is seen or told missing.
   * @param {Joined} joined
   * @param {boolean} complete whether that history was
   * @returns {Gap | null}
   */
  settle({ seq, epoch }, complete) {
    const seen = this.position;
    if (seen && (seq <= seen.seq || this.#retired.includes(epoch))) return null;
    this.#moveTo(seq, epoch);
    return seen && !complete ? { epoch, from: seen.seq + 1, to: seq } : null;
  }

  /**
   * Whether a join's answer is about another log than the one seen (a server that kept nothing): within one, numbers
   * only rise.
   * @param {Joined} joined
   */
  isOtherLog({ seq, epoch }) {
    const seen = this.position;
    return seen !== null && epoch !== seen.epoch && seq < seen.seq;
  }

  forget() {
    this.position = null;
  }

  /** @param {number} seq @param {string} epoch */
  #moveTo(seq, epoch) {
    if (this.position && this.position.epoch !== epoch) {
      this.#retired = [...this.#retired, this.position.epoch].slice(-RETIRED_EPOCHS_MAX);
    }
    this.position = { seq, epoch };
  }
}
