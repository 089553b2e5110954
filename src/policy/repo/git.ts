/**
 * System git as a child process, for repositories whose contents nobody has vouched for yet.
 *
 * Nothing that a repository, a URL or the user's own configuration says may run a program, ask
 * on the terminal, or reach a transport other than https, ssh and local files.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';

/** Bytes of git's standard output and error that are kept; enough for a bundle of a policy. */
const MAX_GIT_OUTPUT = 64 * 1024 * 1024;
const MAX_GIT_ERRORS = 64 * 1024;
/** Milliseconds. A fetch over a bad line; everything else is local and takes a few. */
export const GIT_TIMEOUT_MS = 60_000;
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
  /** File in the place of the user's ~/.gitconfig: child processes of git read it too. */
  readonly globalConfig?: string;
}

const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.askPass=',
  'core.alternateRefsCommand=false',
  'core.gitProxy=',
  'core.sshCommand=false',
  'core.attributesFile=/dev/null',
  'credential.helper=',
  'credential.interactive=false',
  'protocol.allow=never',
  'protocol.https.allow=always',
  'protocol.ssh.allow=always',
  'protocol.file.allow=always',
  'http.followRedirects=false',
  'transfer.fsckObjects=true',
  'fetch.fsckObjects=true',
  'fetch.recurseSubmodules=no',
  'submodule.recurse=false',
  // Said at each start because of GIT_GRAFT_FILE, and in front of what went wrong.
  'advice.graftFileDeprecated=false',
  'gc.auto=0',
  'fetch.writeCommitGraph=false',
  'uploadpack.packObjectsHook=',
  // Several `hoop connect` may start at once in one home.
  'core.filesRefLockTimeout=5000',
  'maintenance.auto=false',
  // Signatures of other kinds would be checked against whatever keys this user happens to have.
  'gpg.format=ssh',
  'gpg.program=/bin/false',
  'gpg.openpgp.program=/bin/false',
  'gpg.x509.program=/bin/false',
  'gpg.ssh.program=ssh-keygen',
];

/** Variables of the caller that ssh and https need; all other GIT_… are dropped. */
const PASSED_ON =
  /^(PATH|HOME|USER|LOGNAME|TMPDIR|SSH_AUTH_SOCK|SSL_CERT_FILE|SSL_CERT_DIR|https_proxy|HTTPS_PROXY|all_proxy|ALL_PROXY|no_proxy|NO_PROXY)$/;

/** Runs git and returns its exit status; only a git that cannot run at all is an error. */
export async function runGit(options: GitOptions): Promise<GitRun> {
  const timeout = AbortSignal.timeout(GIT_TIMEOUT_MS);
  const signal = AbortSignal.any([options.signal, timeout]);
  signal.throwIfAborted();
  const settings = [...SETTINGS, ...(options.settings ?? [])].flatMap((entry) => ['-c', entry]);
  const child = spawn(
    'git',
    [
      '--no-pager',
      '--no-replace-objects',
      `--git-dir=${options.gitDir}`,
      ...settings,
      ...options.args,
    ],
    { cwd: '/', env: gitEnvironment(options), stdio: ['pipe', 'pipe', 'pipe'], detached: true },
  );
  using _ = onAbort(signal, () => killGroup(child));
  const run = await collect(child, options.input).catch((cause: unknown) => {
    throw asHoopError(cause);
  });
  options.signal.throwIfAborted();
  if (timeout.aborted) {
    throw new HoopError('HOOP_POLICY_FETCH', 'git took too long', {
      detail: `\`git ${options.args[0]}\` was stopped after ${GIT_TIMEOUT_MS / 1000} seconds.`,
    });
  }
  return run;
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

function gitEnvironment({ env, globalConfig }: GitOptions): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => PASSED_ON.test(name));
  return {
    ...Object.fromEntries(kept),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: globalConfig ?? '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_SSH_COMMAND: 'ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ForwardAgent=no',
    GIT_ALLOW_PROTOCOL: 'https:ssh:file',
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_GRAFT_FILE: '/dev/null',
    GIT_NO_LAZY_FETCH: '1',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_CEILING_DIRECTORIES: '/',
  };
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
    }
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 128));
  });
  // git may end before it has read all input; its exit status tells what that means.
  stdin.on('error', () => undefined);
  stdin.end(input);
  const status = await ended;
  if (tooMuch) {
    throw new HoopError('HOOP_POLICY_FETCH', 'git returned more than 64 MiB', {
      hint: 'A policy repository holds a few text files; keep everything else out of its history.',
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

function asHoopError(cause: unknown): unknown {
  if (errorCode(cause) === 'ENOENT') {
    return new HoopError('HOOP_MISSING_PROGRAM', '"git" is not installed', {
      detail: 'The policy is a git repository.',
      hint: 'On Debian or Ubuntu: sudo apt-get install git',
      cause,
    });
  }
  return cause;
}
