import type { Io } from '../io.ts';

/** After SIGTERM, for what a program saves at its end. */
const KILL_AFTER_MS = 5000;

export interface EndableChild {
  /** For whatever runs the child: the signals that it passes on can be sent from here, too. */
  readonly io: Io;
  /** As if SIGTERM had come to us, and SIGKILL when that was not enough. Idempotent. */
  end(): void;
}

export function endableChild(io: Io): EndableChild {
  let listener: ((signal: NodeJS.Signals) => void) | undefined;
  let killing: NodeJS.Timeout | undefined;
  let isOver = false;
  return {
    io: Object.assign(Object.create(io) as Io, {
      onSignal: (next: (signal: NodeJS.Signals) => void) => {
        // A signal that came before there was a listener was to us, and the child is not started.
        io.signal.throwIfAborted();
        listener = next;
        if (isOver) {
          end();
        }
        const release = io.onSignal(next);
        return () => {
          listener = undefined;
          clearTimeout(killing);
          release();
        };
      },
    }),
    end,
  };

  /** What has no child yet is ended as soon as it has one. */
  function end(): void {
    isOver = true;
    if (killing === undefined && listener !== undefined) {
      listener('SIGTERM');
      killing = setTimeout(() => listener?.('SIGKILL'), KILL_AFTER_MS);
    }
  }
}
