/** The gateway's directory: index, keys, recordings, policy clone. One process at a time. */
import { randomBytes } from 'node:crypto';
import { constants, existsSync, type Stats } from 'node:fs';
import { access, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing } from '../../home.ts';
import { Secret } from '../../secret.ts';
import { seenApproversPath } from '../approvals/seen-approvers-file.ts';

export interface DataDirectory {
  readonly path: string;
  readonly keys: string;
  readonly index: string;
  readonly policy: string;
  /** See seen-approvers-file.ts. */
  readonly seenApprovers: string;
  /** It has no root key yet; a start that failed before it had made one does not count. */
  readonly isNew: boolean;
}

const MASK_KEY_BYTES = 32;

/** @throws HOOP_LOCAL_STATE when it cannot be made or others may read it. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const keys = join(path, 'keys');
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await mkdir(keys, { recursive: true, mode: 0o700 });
    requirePrivate(path, await stat(path));
  } catch (cause) {
    if (cause instanceof HoopError) {
      throw cause;
    }
    throw new HoopError('HOOP_LOCAL_STATE', `cannot make the data directory "${path}"`, { cause });
  }
  return {
    path,
    keys,
    index: join(path, 'index.sqlite'),
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
      return 'is made at the first start';
    }
    throw error;
  }
  await access(path, constants.R_OK | constants.W_OK | constants.X_OK);
  return path;
}

function requirePrivate(path: string, { mode }: Stats): void {
  if ((mode & 0o077) !== 0) {
    throw new HoopError('HOOP_LOCAL_STATE', `other users can reach the data directory "${path}"`, {
      hint: `Make it private: chmod 700 ${path}`,
    });
  }
}

/**
 * Key of `mask: hash`: the same for as long as the gateway lives, so that equal values stay equal
 * across sessions, and unknown outside, so that a hash cannot be guessed.
 */
export async function openMaskKey(directory: DataDirectory): Promise<Secret<Uint8Array>> {
  const path = join(directory.keys, 'mask.key');
  try {
    const key = await readFile(path);
    if (key.length !== MASK_KEY_BYTES) {
      throw new HoopError('HOOP_LOCAL_STATE', `"${path}" does not hold a key`, {
        detail: `It has ${key.length} bytes, not ${MASK_KEY_BYTES}.`,
      });
    }
    return new Secret(key);
  } catch (error) {
    if (!isMissing(error)) {
      throw error;
    }
  }
  const key = randomBytes(MASK_KEY_BYTES);
  // wx: two gateways in one directory must not each make their own.
  await writeFile(path, key, { mode: 0o600, flag: 'wx', flush: true });
  return new Secret(key);
}
