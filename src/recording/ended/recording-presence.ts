/** Looks up whether a recording can be read at all, without reading it. */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { isMissing } from '../../home.ts';
import { hasRecordingKeys } from '../keys/recording-keys.ts';
import {
  CERTIFICATE_FILE,
  type RecordingStore,
  recordingDirectory,
} from '../write/recording-store.ts';
import { segmentName } from '../write/segment-writer.ts';

/**
 * `lost`: files of it are gone. `erased`: its files are there, and the keys to read them are gone.
 * `kept`: neither, so far as a look at the names of its first files tells.
 */
export type RecordingPresence = 'kept' | 'lost' | 'erased';

export async function recordingPresence(
  store: RecordingStore,
  session: string,
): Promise<RecordingPresence> {
  const directory = recordingDirectory(store, session);
  const isThere = (name: string): Promise<boolean> => exists(join(directory, name));
  if (!(await isThere(CERTIFICATE_FILE))) return 'lost';
  // Where later segments are left, reading says which one is missing.
  if (!(await isThere(segmentName(1))) && !(await hasSegments(directory))) return 'lost';
  return keysOf(store, session);
}

function keysOf(store: RecordingStore, session: string): RecordingPresence {
  try {
    return hasRecordingKeys(store.keysDir, session) ? 'kept' : 'erased';
  } catch (error) {
    // Damaged keys are there: reading says so.
    if (error instanceof HoopError) return 'kept';
    throw error;
  }
}

async function hasSegments(directory: string): Promise<boolean> {
  return (await readdir(directory)).some((name) => name.endsWith('.hrs'));
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
