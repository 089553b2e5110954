/** What a gateway has recorded, and how far each recording is. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  CLOSED_FILE,
  MANIFEST_FILE,
  type RecordingStore,
  recordedSessions,
  recordingDirectory,
} from '../write/recording-store.ts';

type RecordingState = 'unfinished' | 'ended' | 'complete';

/** At the start of a gateway, when no session is live: `unfinished` ones died with the last one. */
export async function listRecordings(
  store: RecordingStore,
): Promise<
  { readonly session: string; readonly directory: string; readonly state: RecordingState }[]
> {
  const found = [];
  for (const session of await recordedSessions(store)) {
    const directory = recordingDirectory(store, session);
    found.push({ session, directory, state: stateOf(directory) });
  }
  return found;
}

function stateOf(directory: string): RecordingState {
  if (existsSync(join(directory, MANIFEST_FILE))) {
    return 'complete';
  }
  return existsSync(join(directory, CLOSED_FILE)) ? 'ended' : 'unfinished';
}
