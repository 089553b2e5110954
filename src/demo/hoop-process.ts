/**
 * Starts hoop itself as a child process: the demo shows the real program, not its modules.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { HoopError } from '../errors.ts';
import { onAbort, untilAborted } from '../until.ts';
import type { Watchdog } from './watchdog.ts';

/** `bin/hoop.js` of this package. */
export const LAUNCHER = fileURLToPath(new URL('../../bin/hoop.js', import.meta.url));
const STOP_TIMEOUT_MS = 15_000;
/** Enough for any screen of the tour; more is cut off with a note. */
const MAX_OUTPUT_CHARACTERS = 4_000_000;

export interface HoopRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both, in the order in which they came: what a terminal would show. */
  readonly output: string;
}

export interface HoopEnvironment {
  readonly home: string;
  readonly variables?: Readonly<Record<string, string>>;
}

/**
 * Variables of the person who runs the demo that would point its children elsewhere, or have them
 * write where the person's own job reports.
 */
const FOREIGN =
  /^(HOOP_(?!CARRIER$|COLUMNS$)\w+|PG[A-Z]+|DATABASE_URL|FORCE_COLOR|GITHUB_STEP_SUMMARY|(?:https?|all)_proxy|(?:HTTPS?|ALL)_PROXY)$/;

export function childEnvironment(options: HoopEnvironment): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name));
  return { ...Object.fromEntries(inherited), HOOP_HOME: options.home, ...options.variables };
}

/** Runs one hoop command to its end. Never throws for a failing command: the caller looks. */
export async function runHoop(
  args: readonly string[],
  options: HoopEnvironment & {
    readonly signal?: AbortSignal;
    readonly onStderr?: (line: string) => void;
    /** Both, as they come. */
    readonly onOutput?: (text: string) => void;
  },
): Promise<HoopRun> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: childEnvironment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  using _ = options.signal && onAbort(options.signal, () => child.kill('SIGTERM'));
  let output = '';
  const append = (text: string): void => {
    options.onOutput?.(text);
    if (output.length < MAX_OUTPUT_CHARACTERS) {
      output += text;
    }
  };
  const stdout = collect(child.stdout, append);
  const stderr = collect(child.stderr, append, options.onStderr);
  const exitCode = await exited(child);
  return { exitCode, stdout: await stdout, stderr: await stderr, output };
}

export interface HoopService extends AsyncDisposable {
  readonly processId: number;
  /** The NDJSON line that said it is ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Resolves when the process has ended, however it did. */
  readonly exited: Promise<number | null>;
  /** The last lines of its stderr. */
  log(): string;
  kill(signal: NodeJS.Signals): void;
}

/** Starts a hoop command that stays up, and waits for the NDJSON line with this `event`. */
export async function startHoop(
  args: readonly string[],
  event: string,
  options: HoopEnvironment & {
    readonly signal?: AbortSignal;
    readonly onLine?: (line: Readonly<Record<string, unknown>>) => void;
    /** Its stderr is appended here as well. */
    readonly logFile?: string;
    /** Stops it when this process is killed. */
    readonly watchdog?: Watchdog;
  },
): Promise<HoopService> {
  const child = spawn(process.execPath, [LAUNCHER, ...args], {
    env: childEnvironment(options),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Ctrl-C in the terminal must not reach it before those who use it are done.
    detached: true,
  });
  options.watchdog?.watch(child, 'SIGTERM');
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-65_536);
    if (options.logFile) {
      appendFileSync(options.logFile, text);
    }
  });
  const ended = exited(child);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
    }
  };
  const ready = new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (text) => {
      const line = parseLine(text);
      if (line?.['event'] === event) {
        resolve(line);
      }
      if (line) {
        options.onLine?.(line);
      }
    });
    void ended.then((code) =>
      reject(
        new HoopError(
          'HOOP_UNREACHABLE',
          `"hoop ${args.slice(0, 2).join(' ')}" ended before it was ready`,
          {
            detail: `Exit status ${code}. ${log.trim().slice(-1500)}`,
          },
        ),
      ),
    );
  });
  try {
    const line = await (options.signal ? untilAborted(ready, options.signal) : ready);
    return {
      processId: child.pid ?? 0,
      ready: line,
      exited: ended,
      log: () => log,
      kill: (signal) => child.kill(signal),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function parseLine(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value))
      : undefined;
  } catch {
    // Not an NDJSON line: some other output, which is not for us.
    return undefined;
  }
}

function exited(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
}

async function collect(
  stream: NodeJS.ReadableStream,
  onText: (text: string) => void,
  onLine?: (line: string) => void,
): Promise<string> {
  let text = '';
  if (onLine) {
    createInterface({ input: stream }).on('line', onLine);
  }
  stream.setEncoding('utf8');
  for await (const part of stream) {
    onText(String(part));
    if (text.length < MAX_OUTPUT_CHARACTERS) {
      text += part;
    }
  }
  return text;
}
