/**
 * How fast the commands of one connection are read. To find out what a command starts costs the
 * gateway up to 2 µs for each of its characters, and everybody else waits meanwhile. Whoever sends
 * text faster than people and their tools do waits, and is not refused.
 */

/** At once: five hundred commands of Ansible, without one wait. */
const BURST_BYTES = 256 * 1024;
/** From then on: at most a fifteenth of a processor for one connection. */
const BYTES_PER_SECOND = 32 * 1024;
/** What a command costs that says nothing. */
const COMMAND_BYTES = 256;

export class CommandPace {
  #left = BURST_BYTES;
  #sinceMs: number;

  /** @param nowMs of a clock that only goes on */
  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /** @returns how long to wait before anything else of this connection is read; mostly 0 */
  read(bytes: number, nowMs: number): number {
    const earned = ((nowMs - this.#sinceMs) * BYTES_PER_SECOND) / 1000;
    this.#sinceMs = nowMs;
    this.#left = Math.min(BURST_BYTES, this.#left + earned) - bytes - COMMAND_BYTES;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left * 1000) / BYTES_PER_SECOND);
  }
}
