/** Where a gateway keeps recordings: `<dataDir>/rec/<date>/<session>/`, keys in a directory of their own. */
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isMissing } from '../../home.ts';
import { isSessionId, sessionIdBytes } from '../../session-id.ts';
import { LeafHasher } from './leaf-hasher.ts';
import { syncDirectory } from './segment-writer.ts';

/** Beside the segments. */
export const CERTIFICATE_FILE = 'cert.dsse';
export const MANIFEST_FILE = 'manifest.dsse';
/** Of all chunks that the manifest covers, 32 bytes each, in leaf order. */
export const LEAVES_FILE = 'leaves';
/** See closed-file.ts. */
export const CLOSED_FILE = 'closed';

export interface RecordingStore extends AsyncDisposable {
  readonly dataDir: string;
  /** Keys of recordings, and those that sign. */
  readonly keysDir: string;
  readonly hasher: LeafHasher;
}

export async function openRecordingStore(
  dataDir: string,
  keysDir: string = join(dataDir, 'keys'),
): Promise<RecordingStore> {
  await mkdir(join(dataDir, 'rec'), { recursive: true, mode: 0o700 });
  const hasher = new LeafHasher();
  return { dataDir, keysDir, hasher, [Symbol.asyncDispose]: () => hasher[Symbol.asyncDispose]() };
}

/** The date is in the id: a UUIDv7 begins with its time. @throws FormatError */
export function recordingDirectory(store: RecordingStore, session: string): string {
  const ms = Buffer.from(sessionIdBytes(session)).readUIntBE(0, 6);
  const date = new Date(ms).toISOString().slice(0, 10);
  return join(store.dataDir, 'rec', date, session);
}

/** On disk, names included, when this resolves. @throws when it exists */
export async function createRecordingDirectory(directory: string): Promise<void> {
  const day = dirname(directory);
  await mkdir(day, { recursive: true, mode: 0o700 });
  await mkdir(directory, { mode: 0o700 });
  await syncDirectory(dirname(day));
  await syncDirectory(day);
}

/** Session ids of all recordings, oldest day first. */
export async function recordedSessions(store: RecordingStore): Promise<string[]> {
  const sessions: string[] = [];
  for (const day of await names(join(store.dataDir, 'rec'))) {
    sessions.push(...(await names(join(store.dataDir, 'rec', day))).filter(isSessionId));
  }
  return sessions;
}

async function names(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isMissing(error)) {
      return [];
    }
    throw error;
  }
}
