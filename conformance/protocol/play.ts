/** Plays a script against one address and keeps what came. */
import { copyFail, encode, query, sync } from './messages.ts';
import type { Script, Step } from './script.ts';
import { type Received, type WireAddress, WireClient, WireTimeout } from './wire-client.ts';

export interface Transcript {
  readonly received: readonly Received[];
  /** Messages that had come at the end of each step. */
  readonly marks: readonly number[];
  /** An answer that had to come did not, at this step. */
  readonly stuckAt: number | undefined;
  readonly closed: boolean;
}

/** Long enough for a server on the same machine; a slower answer makes the check weaker, not wrong. */
const QUIET_MS = 8;
/** No statement: it is answered with an error that names it, also in a failed transaction. */
const SENTINEL = 'differential_sentinel';

/**
 * @param expected how many messages must have come at the end of each step, as another play of the
 *   same script had them; undefined: this is that play.
 */
export async function play(
  address: WireAddress,
  script: Script,
  expected?: readonly number[],
): Promise<Transcript> {
  await using client = await WireClient.open(address);
  const marks: number[] = [];
  let stuckAt: number | undefined;
  for (const [index, step] of script.steps.entries()) {
    try {
      await playStep(client, step, expected?.[index]);
    } catch (error) {
      if (!(error instanceof WireTimeout)) throw error;
      stuckAt = index;
      break;
    }
    marks.push(client.received.length);
  }
  const closed = client.isOver;
  if (!closed) await leave(client);
  return { received: [...client.received], marks, stuckAt, closed };
}

async function playStep(client: WireClient, step: Step, expected: number | undefined) {
  if (client.isOver) return;
  const bytes = Buffer.concat(step.send.map(encode));
  const pieces = step.pieces ?? bytes.length;
  for (let at = 0; at < bytes.length; at += pieces) {
    client.write(bytes.subarray(at, at + pieces));
    if (step.pieces !== undefined) await new Promise((resolve) => setImmediate(resolve));
  }
  if (step.after === 'settle') await settle(client);
  if (step.after !== 'pause') return;
  if (expected === undefined) await client.quiet(QUIET_MS);
  else await client.until(() => client.received.length >= expected);
}

/** CopyFail counts in copy mode only, Sync ends everything else, and the answer to the query is last. */
async function settle(client: WireClient): Promise<void> {
  const from = client.received.length;
  client.write(Buffer.concat([copyFail(), sync, query(SENTINEL)].map(encode)));
  await client.until(() => {
    const rest = client.received.slice(from);
    const at = rest.findIndex(({ type, body }) => type === 'E' && body.includes(SENTINEL));
    return at !== -1 && rest.slice(at).some(({ type }) => type === 'Z');
  });
}

/** So that the server has let go of locks before the next play. */
async function leave(client: WireClient): Promise<void> {
  client.write(encode({ kind: 'terminate' }));
  client.socket.end();
  await client.over(5000).catch(() => undefined);
}
