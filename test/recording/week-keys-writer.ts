/**
 * node week-keys-writer.ts DIRECTORY WEEKS: says `ready`, waits for a byte on stdin, and stores the
 * keys of one session of each week; says the sessions.
 */
import { once } from 'node:events';
import { newRecordingKeys, storeRecordingKeys } from '../../src/recording/keys/recording-keys.ts';
import { newSessionId } from '../../src/session-id.ts';

const [directory = '', weeks = '0'] = process.argv.slice(2);
const WEEK_MS = 7 * 86_400_000;

process.stdout.write('ready\n');
await once(process.stdin, 'data');
for (let week = 0; week < Number(weeks); week += 1) {
  const nowMs = Date.UTC(2026, 0, 1) + week * WEEK_MS;
  const random = new Uint8Array(16);
  new DataView(random.buffer).setUint32(8, process.pid);
  const session = newSessionId(nowMs, random);
  storeRecordingKeys(directory, session, newRecordingKeys(), nowMs);
  process.stdout.write(`${session}\n`);
}
process.stdin.destroy();
