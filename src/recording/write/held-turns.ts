/** What goes to a target: when it is recorded, and only while this process is known to be the owner of the recording. */
import { HoopError } from '../../errors.ts';
import type { RecordingLease } from './gateway-recording.ts';
import type { Durable } from './written-turns.ts';

export interface Forwarding extends Durable {
  /**
   * undefined: forward now. Else the process has stood still for longer than its lease: what resolves
   * when that is renewed, and rejects when the session is over. Whoever cannot wait calls `write`,
   * which throws then; `whenWritten` waits by itself.
   */
  whenHeld(): Promise<void> | undefined;
}

export class HeldTurns implements Forwarding {
  readonly #turns: Durable;
  readonly #lease: Omit<RecordingLease, 'require'>;
  readonly #ended: AbortSignal;

  /** @param ended nothing is waited for any more */
  constructor(turns: Durable, lease: Omit<RecordingLease, 'require'>, ended: AbortSignal) {
    this.#turns = turns;
    this.#lease = lease;
    this.#ended = ended;
  }

  whenHeld(): Promise<void> | undefined {
    return this.#lease.isHeld ? undefined : this.#lease.whenHeld(this.#ended);
  }

  write(): void {
    if (!this.#lease.isHeld) {
      throw new HoopError(
        'HOOP_NODE_LOST',
        'the gateway stood still, and may have been taken over',
      );
    }
    this.#turns.write();
  }

  whenWritten(forward: () => void): void {
    this.#turns.whenWritten(() => {
      const held = this.whenHeld();
      if (held === undefined) {
        forward();
        return;
      }
      // Through the turns once more: they take what it throws. When the session is over, whoever opened it is told.
      held.then(
        () => this.whenWritten(forward),
        () => undefined,
      );
    });
  }
}
