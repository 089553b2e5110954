/**
 * Everything that a workload provider may touch outside of its environment variables. Handed to
 * it, so that a test can give it another file system or another metadata address.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../error-code.ts';
import { HoopError } from '../../errors.ts';
import { proxyFor } from '../../proxy.ts';
import { connectorThrough } from '../../proxy-connection.ts';
import { onAbort } from '../../until.ts';

/**
 * A metadata service is on the same host: whoever has not answered by now is not there. Only asked
 * where the platform has said that it is one, so the time is for a host whose CPUs are all taken.
 */
export const PROBE_TIMEOUT_MS = 2000;
/** For a token once the platform is known to be there. */
const TOKEN_TIMEOUT_MS = 10_000;
/** A token has some KiB, a metadata reply less. */
const MAX_TEXT_BYTES = 64 * 1024;

export interface HttpRequest {
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
  /** Past every proxy: a metadata service is on this host, and a proxy would see its answer. */
  readonly direct?: boolean;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface ProgramRun {
  readonly status: number;
  readonly stdout: string;
}

export interface Probes {
  /** @returns undefined when there is no such file, or it may not be read. @throws HoopError HOOP_TOO_LARGE */
  readText(path: string): Promise<string | undefined>;
  /** Whether there is such a file; it may still be unreadable. */
  exists(path: string): Promise<boolean>;
  /**
   * As `readText`, for a file whose content we act as: only from root or from ourselves.
   * @throws HoopError HOOP_LOCAL_STATE when somebody else could have put it there
   */
  readToken(path: string): Promise<string | undefined>;
  /** A field of /sys/class/dmi/id, trimmed: `product_name`, `sys_vendor`, `board_vendor`. */
  dmi(field: string): Promise<string | undefined>;
  /**
   * No redirects, bounded reply; any status is an answer.
   * @throws HoopError HOOP_UNREACHABLE, HOOP_TOO_LARGE
   */
  http(url: string, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
  /** As `http`. @returns undefined when nothing answers in time, or nothing that makes sense */
  tryHttp(url: string, request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer | undefined>;
  /**
   * Runs a program of the platform with our environment; stderr is thrown away.
   * @returns undefined when there is no such program
   */
  run(
    program: string,
    args: readonly string[],
    signal: AbortSignal,
  ): Promise<ProgramRun | undefined>;
  /** Milliseconds since 1970. */
  now(): number;
}

export interface ProbesOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where absolute paths begin; for tests. */
  readonly root?: string;
}

export function createProbes({ env, root = '/' }: ProbesOptions): Probes {
  const readText = (path: string): Promise<string | undefined> => readBounded(join(root, path));
  return {
    readText,
    exists: (path) => exists(join(root, path)),
    readToken: (path) => readBounded(join(root, path), { onlyOurs: true }),
    dmi: async (field) => (await readText(`/sys/class/dmi/id/${field}`))?.trim(),
    http: sendBounded,
    tryHttp,
    run: (program, args, signal) => runProgram(program, args, env, signal),
    now: Date.now,
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}

async function readBounded(path: string, { onlyOurs = false } = {}): Promise<string | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    if (onlyOurs) {
      checkOwner(path, await lstat(path));
    }
    // Else opening a pipe would wait for whoever writes to it.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, ['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ENXIO'])) {
      return undefined;
    }
    throw error;
  }
  try {
    if (onlyOurs) {
      // What is open now: the name may have been pointed elsewhere since.
      checkOwner(path, await handle.stat());
    }
    // Not `readFile`: a pipe or a device would never end.
    const buffer = Buffer.alloc(MAX_TEXT_BYTES + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_TEXT_BYTES) {
      throw new HoopError('HOOP_TOO_LARGE', `"${path}" is larger than a token can be`);
    }
    return buffer.toString('utf8', 0, bytesRead);
  } catch (error) {
    if (isErrno(error, ['EISDIR', 'ESPIPE', 'EACCES', 'EPERM', 'EIO', 'EINVAL'])) {
      return undefined;
    }
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * A link may be followed, as Kubernetes needs it, when root or we have made it.
 * @throws HoopError HOOP_LOCAL_STATE
 */
function checkOwner(path: string, { mode, uid }: { mode: number; uid: number }): void {
  const ours = process.getuid?.();
  if (ours === undefined) {
    // Windows, where neither means anything.
    return;
  }
  const isLink = (mode & constants.S_IFMT) === constants.S_IFLNK;
  const isOpen = !isLink && (mode & 0o002) !== 0;
  if ((uid !== 0 && uid !== ours) || isOpen) {
    throw new HoopError('HOOP_LOCAL_STATE', `the token file "${path}" cannot be trusted`, {
      detail: isOpen ? 'Everybody can write to it.' : 'It belongs to another user.',
      hint: 'Whoever can change it decides which identity this process uses; make root or this user its owner.',
    });
  }
}

async function tryHttp(
  url: string,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer | undefined> {
  try {
    return await sendBounded(url, request, signal);
  } catch (error) {
    if (error instanceof HoopError && !signal.aborted) {
      return undefined;
    }
    throw error;
  }
}

async function sendBounded(
  url: string,
  request: HttpRequest,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  // All of it, which most commands need not wait for; nor does the time for the answer count it.
  const { default: undici } = await import('undici');
  const timeout = AbortSignal.timeout(request.timeoutMs ?? TOKEN_TIMEOUT_MS);
  const proxy = request.direct === true ? undefined : proxyFor(url, process.env);
  const agent =
    proxy !== undefined
      ? new undici.Agent({ connect: connectorThrough(proxy, {}) })
      : request.direct === true
        ? new undici.Agent()
        : undefined;
  try {
    const response = await undici.fetch(url, {
      method: request.method ?? 'GET',
      headers: { ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
      // A token or a secret of the platform goes where it was meant to go and nowhere else.
      redirect: 'error',
      signal: AbortSignal.any([signal, timeout]),
      ...(agent === undefined ? {} : { dispatcher: agent }),
    });
    return {
      status: response.status,
      headers: response.headers,
      text: await readBody(response),
    };
  } catch (cause) {
    if (signal.aborted) {
      throw signal.reason;
    }
    if (cause instanceof HoopError) {
      throw cause;
    }
    throw new HoopError('HOOP_UNREACHABLE', `no answer from "${URL.parse(url)?.host ?? 'there'}"`, {
      detail: timeout.aborted
        ? `It has not answered within ${request.timeoutMs ?? TOKEN_TIMEOUT_MS} ms.`
        : undefined,
      cause,
    });
  } finally {
    await agent?.destroy();
  }
}

async function readBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_TEXT_BYTES) {
      throw new HoopError('HOOP_TOO_LARGE', 'the answer is larger than a token can be');
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function runProgram(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ProgramRun | undefined> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    // Not execFile's own: that sends SIGTERM, and waits for children that still hold its output.
    const end = (): void => {
      child.stdout?.destroy();
      child.stderr?.destroy();
      child.kill('SIGKILL');
    };
    const child = execFile(
      program,
      [...args],
      // SIGKILL: a program that does not listen would keep us waiting.
      {
        env: { ...env },
        timeout: TOKEN_TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_TEXT_BYTES,
      },
      (error, stdout) => {
        watch[Symbol.dispose]();
        if (signal.aborted) {
          reject(signal.reason);
        } else if (isErrno(error, ['ENOENT', 'EACCES', 'ENOTDIR'])) {
          resolve(undefined);
        } else {
          // A program that was killed for its time or its output has no status of its own.
          resolve({ status: error === null ? 0 : (child.exitCode ?? 1), stdout });
        }
      },
    );
    const watch = onAbort(signal, end);
    child.stdin?.end();
  });
}

function isErrno(error: unknown, codes: readonly string[]): boolean {
  return codes.includes(errorCode(error) ?? '');
}
