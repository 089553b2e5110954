/** Runs a program of a suite. What it prints is the result; a failing exit status is too. */
import { spawn } from 'node:child_process';
import type { Lane } from './suite.ts';

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default: ten minutes. */
  readonly timeoutMs?: number;
  readonly stdin?: string;
}

export interface ProgramResult {
  /** null: ended by a signal, mostly because it took too long. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const DEFAULT_TIMEOUT_MS = 600_000;
/** Of each stream; what comes after it is dropped, the same on every lane. */
const MAX_OUTPUT_CHARACTERS = 64_000_000;

/** The lane for libpq and everything that reads its variables; no other PG* gets through. */
export function laneEnvironment(lane: Lane): Record<string, string> {
  const inherited = Object.entries(process.env).flatMap(([name, value]): [string, string][] =>
    value === undefined || /^(PG|HOOP_|DATABASE_URL|LC_|LANG)/.test(name) ? [] : [[name, value]],
  );
  return {
    ...Object.fromEntries(inherited),
    LANG: 'C.UTF-8',
    PGHOST: lane.host,
    PGPORT: String(lane.port),
    PGUSER: lane.user,
    PGPASSWORD: lane.password,
    PGDATABASE: lane.database,
    // The default asks for TLS first, and the two lanes may answer differently.
    PGSSLMODE: 'disable',
    DATABASE_URL: lane.url,
  };
}

export async function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions & { readonly lane: Lane; readonly signal: AbortSignal },
): Promise<ProgramResult> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const child = spawn(file, args, {
    env: { ...laneEnvironment(options.lane), ...options.env },
    cwd: options.cwd,
    stdio: [options.stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // A group of its own, so that what it has started ends with it.
    detached: true,
  });
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  const over = AbortSignal.any([timeout, options.signal]);
  over.addEventListener('abort', stop, { once: true });
  try {
    child.stdin?.on('error', () => undefined).end(options.stdin);
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      collect(child.stdout),
      collect(child.stderr),
      ended,
    ]);
    options.signal.throwIfAborted();
    return { exitCode, stdout, stderr };
  } finally {
    over.removeEventListener('abort', stop);
  }
}

async function collect(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = '';
  for await (const part of stream?.setEncoding('utf8') ?? []) {
    if (text.length < MAX_OUTPUT_CHARACTERS) text += part;
  }
  return text;
}
