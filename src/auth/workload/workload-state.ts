/**
 * The key and the login of a workload, for all processes of the job. One file for each scope, so
 * that a job on a machine that stays finds nothing of the one before; 0600 in a 0700 directory.
 */
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { HoopError } from '../../errors.ts';
import { type Home, isMissing, writeFileAtomic } from '../../home.ts';

const WorkloadLogin = z.object({
  accessToken: z.string(),
  /** By the clock of this machine, both. */
  expiresAtMs: z.number(),
  loginEndsAtMs: z.number(),
  refreshToken: z.string(),
});
export type WorkloadLogin = z.infer<typeof WorkloadLogin>;

const WorkloadState = z.object({
  v: z.literal(1),
  /** From `exportDpopKey`. Written before it is used: a token is bound to it for good. */
  key: z.string(),
  login: WorkloadLogin.optional(),
});
export type WorkloadState = z.infer<typeof WorkloadState>;

/** No token is good for longer, so no key is of use for longer. */
const KEPT_MS = 25 * 60 * 60 * 1000;

/** Whether any workload has logged in from here. */
export function hasWorkloadState(home: Home): boolean {
  return existsSync(directoryOf(home));
}

function directoryOf(home: Home): string {
  return join(home.state, 'workloads');
}

export class WorkloadStateFile {
  readonly description: string;
  readonly lockPath: string;
  readonly #directory: string;
  readonly #path: string;

  /** @param scope everything that tells this workload at this gateway from others; may be secret */
  constructor(home: Home, scope: readonly string[]) {
    const name = createHash('sha256').update(JSON.stringify(scope)).digest('base64url');
    this.#directory = directoryOf(home);
    this.#path = join(this.#directory, `${name}.json`);
    this.lockPath = join(home.state, 'workloads.lock');
    this.description = `file ${this.#path}`;
  }

  /** @throws HoopError HOOP_LOCAL_STATE when others could have read or written it */
  read(): WorkloadState | undefined {
    let text: string;
    try {
      for (const path of [this.#path, this.#directory]) {
        checkPrivate(path);
      }
      text = readFileSync(this.#path, 'utf8');
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
    const parsed = WorkloadState.safeParse(parseJson(text));
    if (!parsed.success) {
      throw new HoopError('HOOP_LOCAL_STATE', `"${this.#path}" is damaged`, {
        hint: 'Remove it; the next command logs in again.',
      });
    }
    return parsed.data;
  }

  /** Also removes what no job can use any more. */
  write(state: WorkloadState): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    writeFileAtomic(this.#path, `${JSON.stringify(state)}\n`);
    const oldest = Date.now() - KEPT_MS;
    for (const name of readdirSync(this.#directory)) {
      const path = join(this.#directory, name);
      if (lstatSync(path).mtimeMs < oldest) {
        rmSync(path, { force: true });
      }
    }
  }
}

function checkPrivate(path: string): void {
  const { mode, uid } = lstatSync(path);
  if (process.platform !== 'win32' && ((mode & 0o077) !== 0 || uid !== process.getuid?.())) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is accessible to others`, {
      detail: 'It holds the key of this workload’s login, which only its user may read.',
      hint: 'Remove it; the next command creates a new one.',
    });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema refuses it, and says so.
    return undefined;
  }
}
