import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { fatalResponse } from '../../src/connectors/postgres/client/local-error-response.ts';
import { HoopError } from '../../src/errors.ts';
import { RecordingBench } from './session-pair.ts';

const run = promisify(execFile);

/** RLIMIT_FSIZE of 1 MiB, as any user may set it; ignoring SIGXFSZ makes write(2) fail instead. */
async function writeUntilFull(bench: RecordingBench, piece: number) {
  const script = join(import.meta.dirname, 'disk-full-writer.ts');
  const limited = 'trap "" XFSZ; ulimit -f 1024; exec "$0" "$@"';
  const program = [process.execPath, script, bench.directory, String(piece)];
  const { stdout } = await run('bash', ['-c', limited, ...program]);
  return JSON.parse(stdout);
}

test('a full disk ends the recording, and every byte before is there', async () => {
  await using bench = await RecordingBench.create();
  const { session, written, code, stopped } = await writeUntilFull(bench, 50_000);
  expect({ code, stopped }).toEqual({ code: 'HOOP_RECORDING_WRITE', stopped: 'recording_failed' });
  expect(written).toBeGreaterThan(900_000);
  const ended = await bench.ended(session);
  expect(ended.position().recorded).toContainEqual({ stream: 1, up: 0, down: written });
  expect(ended.endReason).toBe('gateway_crash');
});

test('of what waited together for a write that failed nothing goes on, not at the end either', async () => {
  await using bench = await RecordingBench.create();
  const { session, forwarded, code } = await writeUntilFull(bench, 3000);
  expect(code).toBe('HOOP_RECORDING_WRITE');
  expect(forwarded).toBeGreaterThan(900_000);
  const ended = await bench.ended(session);
  expect(ended.position().recorded).toContainEqual({ stream: 1, up: 0, down: forwarded });
});

test('what cannot be written for want of room says that, and 53100', async () => {
  await using bench = await RecordingBench.create();
  const script = join(import.meta.dirname, 'disk-full-writer.ts');
  // A disk of 2 MiB, which is really full.
  const small = ['--dev-bind', '/', '/', '--size', String(2 << 20), '--tmpfs', bench.directory];
  const { stdout } = await run('bwrap', [
    ...small,
    process.execPath,
    script,
    bench.directory,
    '50000',
  ]);
  const { code, stopped } = JSON.parse(stdout);
  expect({ code, stopped }).toEqual({ code: 'HOOP_DISK_FULL', stopped: 'disk_full' });
  const told = Buffer.from(fatalResponse(new HoopError(code, 'full'))).toString('latin1');
  expect(told).toContain('C53100');
});
