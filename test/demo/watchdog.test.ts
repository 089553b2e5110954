import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { expect, test } from 'vitest';
import type * as z from 'zod';
import { startEmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';
import type { WatchdogLine } from '../../src/demo/watchdog.ts';
import { isRunning } from '../../src/is-running.ts';

const WATCHDOG = fileURLToPath(new URL('../../src/demo/watchdog-process.ts', import.meta.url));

test('when the demo is killed, a backend that hears no signal ends with its server', async () => {
  await using server = await startEmbeddedPostgres();
  const client = new pg.Client({ connectionString: server.url() });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<{ id: number }>('SELECT pg_backend_pid() AS id');
  const backend = rows[0]?.id ?? Number.NaN;
  // As a backend that is busy planning: it takes no signal but SIGKILL.
  process.kill(backend, 'SIGSTOP');
  const lines: z.input<typeof WatchdogLine>[] = [
    { type: 'process', id: server.processId, signal: 'SIGINT' },
    { type: 'directory', path: server.dataDirectory },
  ];
  const watchdog = spawn(process.execPath, [WATCHDOG], { stdio: ['pipe', 'ignore', 'inherit'] });
  watchdog.stdin.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));

  await expect.poll(() => isRunning(server.processId)).toBe(false);
  await expect.poll(() => isRunning(backend)).toBe(false);
  await expect.poll(() => existsSync(server.dataDirectory)).toBe(false);
});
