/**
 * The first program inside the fence. It makes the listeners that the child will connect to, in the
 * child's own network, and hands them to hoop outside, which accepts on them from there: nothing of
 * hoop remains inside. Then it becomes the command.
 *
 * It reads nothing but what hoop sends over the channel it was started with, and uses node: modules
 * only, so that one file is all that has to be visible.
 */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type { Failure, FromInside, ToInside } from './fence-messages.ts';

const LOOPBACK = '127.0.0.1';
/** Connections that wait in the kernel until hoop accepts them. */
const BACKLOG = 511;
const SKIP_BYTES = 65_536;
/** Linux's BINPRM_BUF_SIZE: what is read of a script's first line. */
const FIRST_LINE_BYTES = 256;

process.on('message', (message: ToInside) => {
  if (message.type === 'listen') {
    listen(message.port);
  } else {
    become(message);
  }
});
tell({ type: 'ready' });

function tell(message: FromInside): void {
  process.send?.(message);
}

function listen(port: number): void {
  const server = createServer({ pauseOnConnect: true });
  server.once('error', (error: NodeJS.ErrnoException) => {
    tell({ type: 'failed', code: error.code ?? error.message });
  });
  server.listen({ host: LOOPBACK, port, backlog: BACKLOG }, () => {
    // Closed here once it is there: who accepts is outside.
    process.send?.({ type: 'listening' } satisfies FromInside, server, {}, () => server.close());
  });
}

function become({ command, env, cwd, skip }: Extract<ToInside, { type: 'become' }>): void {
  const [program = '', ...args] = command;
  const file = findProgram(program, env['PATH'] ?? '', cwd);
  if (typeof file !== 'string') {
    tell({ type: 'failed', program, ...file });
    return;
  }
  // Node ignores these two, and what is ignored stays so in another program; what has a listener
  // is the system's default there.
  for (const signal of ['SIGPIPE', 'SIGXFSZ'] as const) {
    process.on(signal, () => undefined);
  }
  closeInherited();
  skipInput(skip);
  process.disconnect();
  const isScript = lacksInterpreter(file);
  // As execvp(3) does: a text without a first line that names its interpreter is the shell's.
  process.execve?.(
    isScript ? '/bin/sh' : file,
    isScript ? ['sh', file, ...args] : [program, ...args],
    env,
  );
}

/** What was read of standard input before hoop started: the file is opened anew. */
function skipInput(length: number): void {
  const bytes = Buffer.alloc(SKIP_BYTES);
  for (let left = length; left > 0; ) {
    const read = readSync(0, bytes, 0, Math.min(left, SKIP_BYTES), null);
    left = read === 0 ? 0 : left - read;
  }
}

/** As execvp(3) looks. */
function findProgram(program: string, path: string, cwd: string): string | Failure {
  const candidates = program.includes('/')
    ? [resolve(cwd, program)]
    : path
        .split(delimiter)
        .map((directory) =>
          join(isAbsolute(directory) ? directory : resolve(cwd, directory), program),
        );
  let failure: Failure = { code: 'ENOENT' };
  for (const candidate of candidates) {
    try {
      if (statSync(candidate).isFile()) {
        failure = { code: 'EACCES' };
        accessSync(candidate, constants.X_OK);
        const interpreter = interpreterOf(candidate);
        if (interpreter === undefined) {
          return candidate;
        }
        failure = { code: 'ENOENT', interpreter };
        if (statSync(interpreter).isFile()) {
          return candidate;
        }
      }
    } catch {
      // Not this one; the next may be.
    }
  }
  return failure;
}

/** Execve(2) with a missing interpreter would fail where there is no way back. */
function interpreterOf(file: string): string | undefined {
  const line = /^#![ \t]*([^ \t\n]+)/.exec(firstBytes(file).toString('latin1'));
  return line?.[1];
}

function lacksInterpreter(file: string): boolean {
  const bytes = firstBytes(file);
  const isKnown =
    bytes.toString('latin1', 0, 4) === '\x7fELF' || bytes.toString('latin1', 0, 2) === '#!';
  // Other formats are the kernel's (binfmt_misc), which a NUL byte tells from a text.
  return !isKnown && !bytes.includes(0);
}

function firstBytes(file: string): Buffer {
  const bytes = Buffer.alloc(FIRST_LINE_BYTES);
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch {
    // Executable and not readable: then it is no script.
    return Buffer.from('\x7fELF', 'latin1');
  }
  try {
    return bytes.subarray(0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * What hoop's own parent left open would go on to the command: a directory among it would be a way
 * out, a socket somebody's agent. Node marks its own to be closed (O_CLOEXEC), so the rest is theirs.
 */
function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const descriptor = Number(name);
    if (descriptor > 2 && !isClosedOnExec(descriptor)) {
      closeSync(descriptor);
    }
  }
}

const O_CLOEXEC = 0o2000000;

function isClosedOnExec(descriptor: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(
      readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'),
    );
    return flags === null || (Number.parseInt(flags[1] ?? '', 8) & O_CLOEXEC) !== 0;
  } catch {
    // The one that the directory was read with: closed already.
    return true;
  }
}
