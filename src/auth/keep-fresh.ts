/**
 * Has a login confirmed at its provider while a command runs, also one that sends the gateway
 * nothing for hours: else its sessions would end in the middle of the work.
 */
import { HoopError } from '../errors.ts';

/** Looks at the clock and no more, so a laptop that has slept is not late for longer than this. */
const LOOK_EVERY_MS = 5000;

export interface KeptFresh {
  /** Whether the provider should be asked now. */
  readonly isDue: () => boolean;
  readonly renew: (signal: AbortSignal) => Promise<void>;
}

/** @param note is told why it fails, once for each reason */
export function keepFresh(login: KeptFresh, note: (text: string) => void): Disposable {
  const stopped = new AbortController();
  let told: string | undefined;
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy || !login.isDue()) {
      return;
    }
    isBusy = true;
    login
      .renew(stopped.signal)
      .then(() => {
        told = undefined;
      })
      .catch((error: unknown) => {
        const why = error instanceof HoopError ? describe(error) : 'an unexpected error';
        if (!stopped.signal.aborted && why !== told) {
          told = why;
          note(`the login was not renewed: ${why}`);
        }
      })
      .finally(() => {
        isBusy = false;
      });
  }, LOOK_EVERY_MS);
  // What the command does keeps it alive, not this.
  timer.unref();
  return {
    [Symbol.dispose]: () => {
      clearInterval(timer);
      stopped.abort(new HoopError('HOOP_INTERRUPTED', 'the command is over'));
    },
  };
}

function describe({ message, detail }: HoopError): string {
  return detail === undefined ? message : `${message}. ${detail}`;
}
