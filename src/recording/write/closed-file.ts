/**
 * The file `closed` says that a recording was closed, so that a start need not scan every recording,
 * and for how many frames that vouches: they were on disk before anybody was answered. A power cut
 * takes or damages none of them, only what was being appended when it came.
 */
import { readFileSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../../home.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { CLOSED_FILE } from './recording-store.ts';

/**
 * @returns 0: nobody has closed it; undefined: it is closed, and does not say for how many (an older
 * hoop wrote it, or somebody has changed it)
 */
export function vouchedFrames(directory: string): number | undefined {
  try {
    const text = readFileSync(join(directory, CLOSED_FILE), 'utf8');
    return /^[1-9]\d{0,14}\n$/.test(text) ? Number(text) : undefined;
  } catch (error) {
    if (isMissing(error)) {
      return 0;
    }
    throw error;
  }
}

/** @param frames that are on disk; on disk itself when this returns */
export function vouchFor(directory: string, frames: number): void {
  writePrivateFile(join(directory, CLOSED_FILE), `${frames}\n`);
}

/** What a process wrote that died before it could sync is still only in the system's memory. */
export async function syncSegments(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name.endsWith('.hrs')) {
      await using file = await open(join(directory, name), 'r');
      await file.sync();
    }
  }
}
