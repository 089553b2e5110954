/** From what a user types (an id, the start of one, `last`, a file) to a recording. */
import { createWriteStream, type Stats, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { SessionSummary } from '../../api/sessions.ts';
import { openGateway } from '../../auth/open-gateway.ts';
import type { GatewayClient } from '../../client/gateway-client.ts';
import { HoopError } from '../../errors.ts';
import type { BundleSource } from '../../recording/bundle/bundle-source.ts';
import { looksLikeRecording } from '../../recording/bundle/looks-like-recording.ts';
import { openBundleFile } from '../../recording/bundle/open-bundle-file.ts';
import type { Io } from '../io.ts';

/** How many sessions are looked through for the start of an id; the most that a gateway lists. */
const SEARCHED_SESSIONS = '1000';
export const FULL_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Shorter starts match by accident: the first eight digits change once a minute. */
const ID_START = /^[0-9a-f][0-9a-f-]{3,35}$/;
const CANDIDATES_SHOWN = 5;
const ID_HINT =
  'Give an ID from `hoop sessions list`, its first characters (4 or more), or `last`.';

/** What of the gateway's API finds a session. */
export type SessionLookup = Pick<GatewayClient, 'session' | 'sessions'>;

/** @throws HoopError HOOP_SESSION_UNKNOWN, HOOP_USAGE when more than one session fits */
export async function findSession(
  client: SessionLookup,
  typed: string,
  signal: AbortSignal,
  among: { readonly live?: '1' } = {},
): Promise<SessionSummary> {
  const wanted = typed.toLowerCase();
  if (FULL_ID.test(wanted)) {
    return client.session(wanted, signal);
  }
  if (!isSessionWord(wanted)) {
    throw new HoopError('HOOP_USAGE', `"${typed}" is not the ID of a session`, { hint: ID_HINT });
  }
  if (wanted === 'last') {
    const { sessions } = await client.sessions({ ...among, limit: '1' }, signal);
    const [newest] = sessions;
    if (!newest) {
      throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no session yet');
    }
    return newest;
  }
  const { sessions } = await client.sessions({ ...among, limit: SEARCHED_SESSIONS }, signal);
  const found = sessions.filter(({ id }) => id.startsWith(wanted));
  const [only] = found;
  if (!only) {
    throw new HoopError(
      'HOOP_SESSION_UNKNOWN',
      `no ${among.live ? 'live ' : ''}session begins with "${typed}"`,
      {
        detail: `hoop checked the newest ${SEARCHED_SESSIONS} sessions that you may see.`,
        hint: `See \`hoop sessions list${among.live ? ' --live' : ''}\`, or give the whole ID.`,
      },
    );
  }
  if (found.length > 1) {
    const shown = found.slice(0, CANDIDATES_SHOWN).map(({ id }) => id);
    throw new HoopError('HOOP_USAGE', `${found.length} sessions begin with "${typed}"`, {
      detail: `Among them: ${shown.join(', ')}.`,
      hint: 'Give more characters.',
    });
  }
  return only;
}

function isSessionWord(wanted: string): boolean {
  return wanted === 'last' || ID_START.test(wanted);
}

/** @throws HoopError HOOP_VERIFY_INCOMPLETE while there is nothing that could be downloaded */
export async function downloadTo(
  client: GatewayClient,
  session: SessionSummary,
  /** Asked for when the recording comes; its errors are then ours to report. */
  openFile: () => NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<void> {
  requireEnded(session);
  await pipeline(await client.bundle(session.id, signal), openFile(), { signal });
}

/** @throws HoopError HOOP_VERIFY_INCOMPLETE */
export function requireEnded(session: SessionSummary): void {
  if (session.state === 'live') {
    throw new HoopError('HOOP_VERIFY_INCOMPLETE', `session "${session.id}" is still running`, {
      detail:
        'A recording is complete once its session has ended and the client has delivered its part.',
      hint: 'Try again after that.',
    });
  }
}

export interface OpenedRecording extends AsyncDisposable {
  readonly source: BundleSource;
  /** What to call it: the file, or the session. */
  readonly name: string;
}

/** A file is opened where it is, without the network; a session is downloaded and removed again. */
export async function openRecording(io: Io, typed: string): Promise<OpenedRecording> {
  const path = resolve(io.cwd, typed);
  if (statOf(path)?.isFile()) {
    const source = openBundleFile(path);
    if (!looksLikeRecording(source)) {
      source[Symbol.dispose]();
      throw new HoopError('HOOP_NOT_A_RECORDING', `file "${typed}" is not a recording`, {
        detail: 'It contains no part of one, so there is nothing to check.',
        hint: 'Recordings come from `hoop sessions download ID`.',
      });
    }
    return {
      source,
      name: typed,
      [Symbol.asyncDispose]: async () => source[Symbol.dispose](),
    };
  }
  if (statOf(path)?.isDirectory() && !isSessionWord(typed.toLowerCase())) {
    throw new HoopError('HOOP_USAGE', `"${typed}" is a directory, not a recording`, {
      hint: 'Give the file from `hoop sessions download ID --out FILE`.',
    });
  }
  if (/[/\\.]/.test(typed)) {
    throw new HoopError('HOOP_USAGE', `there is no file "${typed}"`);
  }
  if (!isSessionWord(typed.toLowerCase())) {
    throw new HoopError('HOOP_USAGE', `there is no file "${typed}", and it is not a session ID`, {
      hint: ID_HINT,
    });
  }
  await using gateway = await openGateway(io);
  const session = await findSession(gateway.client, typed, io.signal);
  const directory = await mkdtemp(join(tmpdir(), 'hoop-recording-'));
  try {
    const file = join(directory, 'recording.tar');
    io.note(`downloading session ${session.id}`);
    const open = () => createWriteStream(file, { mode: 0o600, flags: 'wx' });
    await downloadTo(gateway.client, session, open, io.signal);
    const source = openBundleFile(file);
    // It holds the keys to read it: the open file is enough, nothing need stay on the disk, not
    // even after a kill. (Windows cannot remove what is open; there it goes at the end.)
    if (process.platform !== 'win32') {
      await rm(directory, { recursive: true, force: true });
    }
    return {
      source,
      name: session.id,
      [Symbol.asyncDispose]: async () => {
        source[Symbol.dispose]();
        await rm(directory, { recursive: true, force: true });
      },
    };
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
