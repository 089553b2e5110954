/** Hears at once that the login of a run was ended, also while nothing of the run is open. */
import { setTimeout as delay } from 'node:timers/promises';
import { RUN_ENDED_BY } from '../api/runs.ts';
import type { GatewayClient } from '../client/gateway-client.ts';
import { HoopError } from '../errors.ts';

const WAIT_SECONDS = 25;
/** Most commands are over sooner, and ask nothing. */
const BEGIN_AFTER_MS = 500;
/** Behind a failure, or an answer that came too soon: an older gateway does not wait. */
const PAUSE_MS = 5000;

/** Whether the gateway says that whoever asks is out, and not that this one thing cannot be had. */
export function isLoginOver(error: unknown): error is HoopError {
  return endOfLogin(error) !== undefined;
}

/** Who has ended the run and why, in a line; of a login that has ended otherwise, what the gateway says. */
export function endOfRunWords(error: HoopError): string {
  const { message, detail = '' } = endOfLogin(error) ?? error;
  const [first = '', rest] = [detail[0]?.toLowerCase(), detail.slice(1)];
  const why = `${first}${rest}`;
  return why.startsWith(RUN_ENDED_BY)
    ? why
    : `the run was ended: ${message}${detail === '' ? '' : `. ${detail}`}`;
}

/** Resolves with what the gateway says; never, when `signal` aborts first. */
export async function watchLogin(
  client: Pick<GatewayClient, 'untilLoginEnds'>,
  signal: AbortSignal,
): Promise<HoopError> {
  let pauseMs = BEGIN_AFTER_MS;
  while (true) {
    await pause(pauseMs, signal);
    const startedAt = performance.now();
    try {
      await client.untilLoginEnds(WAIT_SECONDS, signal);
      const waited = performance.now() - startedAt >= (WAIT_SECONDS * 1000) / 2;
      pauseMs = waited ? 0 : PAUSE_MS;
    } catch (error) {
      const end = endOfLogin(error);
      if (end !== undefined && !signal.aborted) {
        return end;
      }
      // The gateway cannot be reached, or is another one: what is opened next says so.
      pauseMs = PAUSE_MS;
    }
  }
}

/** Tokens that could not be renewed say it as the cause. */
function endOfLogin(error: unknown): HoopError | undefined {
  if (!(error instanceof HoopError)) {
    return undefined;
  }
  const { code, cause } = error;
  const isEnd = code === 'HOOP_TOKEN_REVOKED' || code === 'HOOP_ACCESS_BLOCKED';
  return isEnd ? error : code === 'HOOP_NOT_LOGGED_IN' ? endOfLogin(cause) : undefined;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal, ref: false });
  } catch {
    await new Promise(() => undefined);
  }
}
