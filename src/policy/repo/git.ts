/**
 * System git as a child process, for repositories whose contents nobody has vouched for yet: within
 * bounds of time, memory, disk and output. What it may read and run is in git-settings.ts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';
import { directoryBytes, type SizeLimit, watchSize } from './directory-size.ts';
import { gitEnvironment, SETTINGS } from './git-settings.ts';

/** Bytes of git's standard output and error that are kept; enough for a bundle of a policy. */
const MAX_GIT_OUTPUT = 64 * 1024 * 1024;
const MAX_GIT_ERRORS = 64 * 1024;
/** Memory of each process, in KiB: a few kilobytes of deltas can stand for gigabytes. */
const MAX_MEMORY_KIB = 512 * 1024;
/** Bytes of a file that git writes, where no other limit is given. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
/** Node sets no limits of processes. One that the system does not allow to be set is left as it is. */
const WITHIN_LIMITS =
  '{ ulimit -c 0; ulimit -S -d "$1"; ulimit -S -f "$2"; } 2>/dev/null; shift 2; exec "$@"';
const NO_SUCH_PROGRAM = 127;
/** Milliseconds. A fetch over a bad line; everything else is local and takes a few. */
export const GIT_TIMEOUT_MS = 60_000;
const KEEP_SMALL =
  'A policy repository should contain a few text files; keep everything else out of its history.';
/** To remove its lock files, with which the next git could not write. */
const STOP_WITHIN_MS = 2000;

export interface GitRun {
  readonly status: number;
  readonly stdout: Buffer;
  /** For people. Never decide anything by it. */
  readonly stderr: string;
}

export interface GitOptions {
  /** The bare repository. */
  readonly gitDir: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly input?: Uint8Array;
  /** Settings for this call, `name=value`. */
  readonly settings?: readonly string[];
  /** git is stopped when this directory holds more. */
  readonly limit?: SizeLimit;
  /** `ssh-keygen`, as git would run it, in the place of git. */
  readonly program?: 'ssh-keygen';
  /** File in the place of the user's ~/.gitconfig: child processes of git read it too. */
  readonly globalConfig?: string;
}

/** Runs git and returns its exit status; only a git that cannot run at all is an error. */
export async function runGit(options: GitOptions): Promise<GitRun> {
  const timeout = AbortSignal.timeout(GIT_TIMEOUT_MS);
  const large = new AbortController();
  const signal = AbortSignal.any([options.signal, timeout, large.signal]);
  signal.throwIfAborted();
  const { limit, args, env, globalConfig } = options;
  const [program = '', ...words] = withinLimits(limit, command(options));
  const child = spawn(program, words, {
    cwd: '/',
    env: gitEnvironment(env, globalConfig),
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
  using _ = onAbort(signal, () => killGroup(child));
  using _watch = limit && watchSize(limit, () => large.abort());
  const run = await collect(child, options.input);
  options.signal.throwIfAborted();
  if (timeout.aborted) {
    throw new HoopError('HOOP_POLICY_FETCH', 'git took too long', {
      detail: `\`git ${args[0]}\` was stopped after ${GIT_TIMEOUT_MS / 1000} seconds.`,
    });
  }
  if (limit && (large.signal.aborted || (await directoryBytes(limit.directory)) > limit.bytes)) {
    throw new HoopError('HOOP_POLICY_FETCH', 'the policy repository is larger than hoop takes', {
      detail: `\`git ${args[0]}\` was stopped at ${limit.bytes / 1024 / 1024} MiB.`,
      hint: KEEP_SMALL,
    });
  }
  if (run.status === NO_SUCH_PROGRAM) {
    throw missing(options.program ?? 'git');
  }
  return run;
}

/** Windows has no limits that a shell could set; there the size is watched, and the time. */
function withinLimits(limit: SizeLimit | undefined, words: readonly string[]): readonly string[] {
  if (process.platform === 'win32') {
    return words;
  }
  const blocks = Math.ceil((limit?.bytes ?? MAX_FILE_BYTES) / 512);
  return ['/bin/sh', '-c', WITHIN_LIMITS, 'sh', `${MAX_MEMORY_KIB}`, `${blocks}`, ...words];
}

function command({ program, gitDir, settings = [], args }: GitOptions): string[] {
  if (program !== undefined) {
    return [program, ...args];
  }
  const configuration = [...SETTINGS, ...settings].flatMap((entry) => ['-c', entry]);
  return [
    'git',
    '--no-pager',
    '--no-replace-objects',
    `--git-dir=${gitDir}`,
    ...configuration,
    ...args,
  ];
}

/**
 * Runs git and fails unless it exits with 0.
 * @param run instead of `runGit`
 */
export async function git(options: GitOptions, run = runGit): Promise<Buffer> {
  const { status, stdout, stderr } = await run(options);
  if (status !== 0) {
    throw new HoopError('HOOP_POLICY_FETCH', `git ${options.args[0]} failed`, {
      detail: firstLines(stderr) || `It exited with status ${status}.`,
    });
  }
  return stdout;
}

/** What git complained about, short and on few lines. Remote text: show it through a filter. */
export function firstLines(stderr: string): string {
  return stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, 3)
    .join(' ')
    .slice(0, 500);
}

async function collect(child: ChildProcess, input: Uint8Array | undefined): Promise<GitRun> {
  const { stdin, stdout, stderr } = child;
  if (!stdin || !stdout || !stderr) {
    throw new TypeError('git was started without pipes');
  }
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  let outputLength = 0;
  let errorLength = 0;
  let tooMuch = false;
  stdout.on('data', (chunk: Buffer) => {
    outputLength += chunk.length;
    if (outputLength > MAX_GIT_OUTPUT) {
      tooMuch = true;
      killGroup(child);
    } else {
      output.push(chunk);
    }
  });
  stderr.on('data', (chunk: Buffer) => {
    errorLength += chunk.length;
    if (errorLength <= MAX_GIT_ERRORS) {
      errors.push(chunk);
    } else if (errorLength > MAX_GIT_OUTPUT) {
      tooMuch = true;
      killGroup(child);
    }
  });
  const ended = new Promise<number>((resolve, reject) => {
    // Where there is no shell in between that says it with a status.
    child.once('error', (error) =>
      errorCode(error) === 'ENOENT' ? resolve(NO_SUCH_PROGRAM) : reject(error),
    );
    child.once('close', (code) => resolve(code ?? 128));
  });
  // git may end before it has read all input; its exit status tells what that means.
  stdin.on('error', () => undefined);
  stdin.end(input);
  const status = await ended;
  if (tooMuch) {
    throw new HoopError('HOOP_POLICY_FETCH', 'git returned more than 64 MiB', {
      hint: KEEP_SMALL,
    });
  }
  return {
    status,
    stdout: Buffer.concat(output),
    stderr: Buffer.concat(errors).toString('utf8'),
  };
}

/** ssh and index-pack are children of git: all of the group must go. */
function killGroup(child: ChildProcess): void {
  signalGroup(child, 'SIGTERM');
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), STOP_WITHIN_MS);
  child.once('close', () => clearTimeout(timer));
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) {
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}

function missing(program: string): HoopError {
  return new HoopError('HOOP_MISSING_PROGRAM', `"${program}" is not installed`, {
    detail: 'The policy is a git repository.',
    hint: `On Debian or Ubuntu: sudo apt-get install ${program === 'git' ? 'git' : 'openssh-client'}`,
  });
}
