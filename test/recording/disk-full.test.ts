import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { RecordingBench } from './session-pair.ts';

const run = promisify(execFile);

test('a full disk ends the recording, and every byte before is there', async () => {
  await using bench = await RecordingBench.create();
  const script = join(import.meta.dirname, 'disk-full-writer.ts');
  // RLIMIT_FSIZE of 1 MiB, as any user may set it; ignoring SIGXFSZ makes write(2) fail instead.
  const limited = 'trap "" XFSZ; ulimit -f 1024; exec "$0" "$@"';
  const { stdout } = await run('bash', ['-c', limited, process.execPath, script, bench.directory]);
  const { session, written, code, stopped } = JSON.parse(stdout);
  expect({ code, stopped }).toEqual({ code: 'HOOP_RECORDING_WRITE', stopped: 'recording_failed' });
  expect(written).toBeGreaterThan(900_000);
  const ended = await bench.ended(session);
  expect(ended.position().recorded).toContainEqual({ stream: 1, up: 0, down: written });
  expect(ended.endReason).toBe('gateway_crash');
});
