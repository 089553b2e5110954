/**
 * A process to be killed: records both sides of one session as fast as it can and says on stdout
 * what has been written. argv: directory of the bench, which side to talk about.
 */
import { writeSync } from 'node:fs';
import { RecordingBench, SessionPair, seededRandom } from './session-pair.ts';
import { contentAt } from './test-content.ts';

const [, , directory, seed] = process.argv;
if (directory === undefined) {
  throw new TypeError('usage: crash-writer DIRECTORY SEED');
}
const random = seededRandom(Number(seed));
const bench = await RecordingBench.openIn(directory);
const pair = await SessionPair.open(bench);
writeSync(1, `session ${pair.session}\n`);
for (const stream of [1, 2]) {
  pair.openStream(stream);
}
const offsets = new Map<string, number>();
for (;;) {
  const stream = 1 + Math.floor(random() * 2);
  const direction = random() < 0.2 ? 0 : 1;
  const key = `${stream}/${direction}`;
  const offset = offsets.get(key) ?? 0;
  const bytes = contentAt(stream, direction, offset, 1 + Math.floor(random() * 40_000));
  if (direction === 0) {
    pair.up(stream, bytes);
  } else {
    pair.down(stream, bytes);
  }
  offsets.set(key, offset + bytes.length);
  // What a forwarded byte is in production: after this line it must never be lost.
  say(`${key} ${offset + bytes.length}\n`);
  await (pair.gateway.backpressure() ?? new Promise(setImmediate));
}

/** The pipe does not block, and whoever reads it may be slow. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, line);
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) {
        throw error;
      }
    }
  }
}
