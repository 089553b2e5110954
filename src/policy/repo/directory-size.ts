/** How much of the disk a directory takes, while others write to it. */
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../error-code.ts';

export interface SizeLimit {
  readonly directory: string;
  readonly bytes: number;
}

const LOOK_EVERY_MS = 200;
/** What a small file, or none, takes in any case. */
const BLOCK_BYTES = 4096;

/** Calls back, until disposed, when the directory has outgrown the limit. */
export function watchSize({ directory, bytes }: SizeLimit, onTooLarge: () => void): Disposable {
  let timer = setTimeout(look, LOOK_EVERY_MS);
  let over = false;
  async function look(): Promise<void> {
    const size = await directoryBytes(directory).catch(() => Number.POSITIVE_INFINITY);
    if (over) return;
    if (size > bytes) onTooLarge();
    else timer = setTimeout(look, LOOK_EVERY_MS);
  }
  return {
    [Symbol.dispose]() {
      over = true;
      clearTimeout(timer);
    },
  };
}

/** Links are not followed; what goes while it is read counts as nothing. */
export async function directoryBytes(directory: string): Promise<number> {
  let sum = 0;
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name);
    sum += entry.isDirectory() ? await directoryBytes(path) : await fileBytes(path);
  }
  return sum;
}

async function fileBytes(path: string): Promise<number> {
  try {
    return Math.max((await lstat(path)).size, BLOCK_BYTES);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
