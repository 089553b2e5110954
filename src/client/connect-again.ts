/** A gateway that starts anew, or a machine that is busy, is there again a moment later. */
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../error-code.ts';

/** ms before each further attempt. A wrong address is told about a second later by these. */
const PAUSES_MS = [200, 800];

/**
 * Nothing of the request has been sent in these cases, so that it may be sent whatever it does.
 * The time until a connection stands includes its TLS handshake.
 */
const NOT_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'UND_ERR_CONNECT_TIMEOUT']);

/** @throws what `attempt` throws, at last */
export async function connectAgain<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted || !isNotSent(error)) {
        throw error;
      }
      await sleep(pause, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  return attempt();
}

function isNotSent(error: unknown): boolean {
  return NOT_SENT.has(errorCode(error) ?? '');
}
