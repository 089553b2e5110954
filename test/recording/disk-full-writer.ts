/**
 * Runs under a file size limit: the write that does not fit must end the recording with a typed
 * error, and what was written before must be readable. Prints one JSON line.
 */
import { randomBytes } from 'node:crypto';
import { HoopError } from '../../src/errors.ts';
import { RecordingBench, SessionPair } from './session-pair.ts';

const [, , directory = '', piece = ''] = process.argv;
const bench = await RecordingBench.openIn(directory);
const pair = await SessionPair.open(bench);
pair.gateway.openStream(1, 'postgres');
let written = 0;
let forwarded = 0;
let code: string | undefined;
while (code === undefined && written < 10_000_000) {
  const bytes = randomBytes(Number(piece));
  try {
    pair.gateway.data(1, 1, [bytes]);
    pair.gateway.turns.whenWritten(() => {
      forwarded += bytes.length;
    });
    written += bytes.length;
  } catch (error) {
    code = error instanceof HoopError ? error.code : 'not a HoopError';
  }
}
const { reason } = pair.gateway.stopped;
await pair.gateway.close({ reason: 'recording_failed' });
await pair.client.close();
const { session } = pair;
const stopped = reason?.endReason;
process.stdout.write(`${JSON.stringify({ session, written, forwarded, code, stopped })}\n`);
await bench.store[Symbol.asyncDispose]();
