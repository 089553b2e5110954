/**
 * A script is what a client sends, cut into steps. Played against two addresses it must bring the
 * same messages with the same bytes in the same order.
 */
import type { Message } from './messages.ts';

export interface Step {
  readonly send: readonly Message[];
  /**
   * `go on`: the next step follows at once, in the same pipeline. `pause`: everything that the
   * server shows of its own accord by now must have come before more is sent (that is what Flush is
   * for). `settle`: whatever state the connection is in, it is brought to an end and answered.
   */
  readonly after: 'go on' | 'pause' | 'settle';
  /** Sent in pieces of this many bytes. */
  readonly pieces?: number;
}

export interface Script {
  readonly title: string;
  readonly steps: readonly Step[];
}

export function step(...send: readonly (Message | readonly Message[])[]): Step {
  return { send: send.flat(), after: 'pause' };
}
