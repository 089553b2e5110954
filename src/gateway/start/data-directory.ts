/** The gateway's directories: index, recordings, policy clone; and keys. */
import { constants, existsSync, type Stats } from 'node:fs';
import { access, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing } from '../../home.ts';
import { seenApproversPath } from '../approvals/seen-approvers.ts';
import type { GatewayConfig } from '../base/config.ts';
import { FileIsLocked, lockFile } from '../base/file-lock.ts';

const LOCK_WAIT_MS = 2000;

export interface DataDirectory {
  readonly path: string;
  readonly keys: string;
  readonly policy: string;
  /** See seen-approvers.ts. */
  readonly seenApprovers: string;
  /** Its keys have no root yet; a start that failed before it had made one does not count. */
  readonly isNew: boolean;
}

export function indexPath(dataDirectory: string): string {
  return join(dataDirectory, 'index.sqlite');
}

/** @throws HOOP_LOCAL_STATE when it cannot be made or others may read it. */
export async function openDataDirectory({
  dataDir: path,
  keysDir: keys,
}: Pick<GatewayConfig, 'dataDir' | 'keysDir'>): Promise<DataDirectory> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await mkdir(keys, { recursive: true, mode: 0o700 });
    requirePrivate(path, await stat(path));
    requirePrivate(keys, await stat(keys));
  } catch (cause) {
    if (cause instanceof HoopError) {
      throw cause;
    }
    throw new HoopError('HOOP_LOCAL_STATE', `cannot create the data directory "${path}"`, {
      cause,
    });
  }
  return {
    path,
    keys,
    policy: join(path, 'policy'),
    seenApprovers: seenApproversPath(path),
    isNew: !existsSync(join(keys, 'root.pub')),
  };
}

/**
 * What `openDataDirectory` would find; nothing is made.
 * @returns what to say of it
 * @throws HOOP_LOCAL_STATE when others may read it
 */
export async function checkDataDirectory(path: string): Promise<string> {
  try {
    requirePrivate(path, await stat(path));
  } catch (error) {
    if (isMissing(error)) {
      return 'will be created at the first start';
    }
    throw error;
  }
  await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  return path;
}

/**
 * One process at a time, whatever store it has. A gateway that is just stopping gives it back in time.
 * @throws HOOP_LOCAL_STATE
 */
export function lockDataDirectory(path: string, waitMs = LOCK_WAIT_MS): Disposable {
  try {
    return lockFile(join(path, 'lock'), waitMs);
  } catch (cause) {
    if (!(cause instanceof FileIsLocked)) throw cause;
    throw new HoopError('HOOP_LOCAL_STATE', `cannot use the data directory "${path}"`, {
      detail: 'Another gateway uses this data directory.',
      hint: 'Stop it first, or use another dataDir for this one.',
      cause,
    });
  }
}

function requirePrivate(path: string, { mode }: Stats): void {
  if ((mode & 0o077) !== 0) {
    throw new HoopError('HOOP_LOCAL_STATE', `other users can reach the directory "${path}"`, {
      hint: `Make it private: chmod 700 ${path}`,
    });
  }
}
