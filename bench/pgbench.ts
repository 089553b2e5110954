/** pgbench as the client of one lane: throughput and latency of one-row selects. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface PgbenchResult {
  readonly tps: number;
  /** Of the run that counts; earlier ones, in which nothing was done, add nothing. */
  readonly statements: number;
  readonly latencyMs: number;
}

export interface PgbenchRun {
  readonly url: string;
  readonly mode: 'simple' | 'prepared';
  readonly clients: number;
  readonly seconds: number;
}

const MAX_REPEATS = 3;

/** Debian keeps it beside the server, off PATH. @returns undefined when it is not installed. */
export function findPgbench(): string | undefined {
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((entry) => join(entry, 'pgbench'));
  const debian = globSync('/usr/lib/postgresql/*/bin/pgbench').sort().reverse();
  return [...onPath, ...debian].find((file) => existsSync(file));
}

/**
 * Its clock starts before it connects: where many logins take longer than the run, nothing is left
 * of it, and it is repeated with more time. The logins do not count in its tps.
 */
export async function runPgbench(program: string, run: PgbenchRun): Promise<PgbenchResult> {
  for (let attempt = 0; ; attempt += 1) {
    const output = await outputOf(program, { ...run, seconds: run.seconds * 2 ** attempt });
    const tps = /tps = ([\d.]+)/.exec(output)?.[1];
    const statements = /actually processed: (\d+)/.exec(output)?.[1];
    const latency = /latency average = ([\d.]+) ms/.exec(output)?.[1];
    if (tps !== undefined && latency !== undefined) {
      return {
        tps: Number(tps),
        statements: Number(statements),
        latencyMs: Number(latency),
      };
    }
    if (attempt === MAX_REPEATS || !/actually processed: 0$/m.test(output)) {
      throw new Error(`pgbench gave no result: ${output.slice(-500)}`);
    }
  }
}

async function outputOf(program: string, run: PgbenchRun): Promise<string> {
  const url = new URL(run.url);
  const child = spawn(
    program,
    [
      '-n',
      '-S',
      '-M',
      run.mode,
      '-c',
      String(run.clients),
      '-j',
      '1',
      '-T',
      String(run.seconds),
      url.pathname.slice(1),
    ],
    {
      env: {
        ...process.env,
        PGHOST: url.hostname,
        PGPORT: url.port,
        PGUSER: decodeURIComponent(url.username),
        PGPASSWORD: decodeURIComponent(url.password),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  await once(child, 'close');
  return output;
}
