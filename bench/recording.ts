/**
 * How fast a gateway records and a client witnesses, alone on a machine: `node bench/recording.ts`. Encryption, checksums
 * and the head chain are on; there is no other way to record.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesSource } from '../src/recording/bundle/bundle-source.ts';
import { uploadSession } from '../src/recording/client/upload-session.ts';
import { verifyBundle } from '../src/recording/verify/verify.ts';
import { RecordingBench, readBundle, SessionPair } from '../test/recording/session-pair.ts';

const TOTAL_BYTES = 256 << 20;
/** A client in whose memory more piles up ends the session. */
const UNCUT_BYTES = 100 << 20;

const directory = await mkdtemp(join(tmpdir(), 'hoop-bench-'));
try {
  await using bench = await RecordingBench.openIn(directory);
  for (const size of [64, 1024, 8192, 65_536]) {
    await append(bench, 'gateway', size);
    await append(bench, 'client', size);
  }
  await agreed(bench);
} finally {
  await rm(directory, { recursive: true, force: true });
}

/** The synchronous part: what one data() costs, with group commit running and no cuts. */
async function append(
  bench: RecordingBench,
  side: 'gateway' | 'client',
  size: number,
): Promise<void> {
  const pair = await SessionPair.open(bench);
  pair.connected = false;
  pair.openStream(1);
  const bytes = randomBytes(size);
  const count = Math.min(100_000, UNCUT_BYTES / size);
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let index = 0; index < count; index += 1) {
    pair[side].data(1, 1, [bytes]);
    pair[side].turns.flush();
  }
  const ms = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  report(
    `${side}: append ${size} B`,
    count * size,
    ms,
    `${((user + system) / count).toFixed(1)} us CPU each`,
  );
  await pair.gateway.close({ reason: 'closed' });
  await pair.client.close();
}

/** Both sides in one process with cuts, then open, upload, bundle and verify. */
async function agreed(bench: RecordingBench): Promise<void> {
  const pair = await SessionPair.open(bench);
  pair.openStream(1);
  const bytes = randomBytes(65_536);
  await timed('record on both sides, with cuts', async () => {
    for (let done = 0; done < TOTAL_BYTES; done += bytes.length) {
      pair.down(1, bytes);
      if (done % (1 << 20) === 0) {
        await (pair.gateway.backpressure() ?? new Promise((resolve) => setImmediate(resolve)));
      }
    }
    pair.client.closeStream(1);
    pair.gateway.closeStream(1, 'closed');
    await pair.end();
  });
  process.stdout.write(`  ${pair.cuts.length} cuts\n`);
  const transport = await timed('open the ended recording', () => pair.transport());
  await timed('settle (open the spool, manifest)', () =>
    uploadSession({
      directory: bench.spools,
      session: pair.session,
      gateway: transport,
      signal: AbortSignal.timeout(60_000),
    }),
  );
  const bundle = await timed('build the bundle', () => readBundle(transport.ended));
  const result = await timed('verify the bundle', () =>
    Promise.resolve(verifyBundle(bytesSource(bundle), bench.trust)),
  );
  process.stdout.write(`  ${result.verdict}\n`);
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  report(name, TOTAL_BYTES, performance.now() - start, '');
  return result;
}

function report(name: string, bytes: number, ms: number, more: string): void {
  const rate = (bytes / 1000 / ms).toFixed(0).padStart(5);
  process.stdout.write(`${name.padEnd(36)} ${rate} MB/s  ${more}\n`);
}
