import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SearchJob, searchRecording } from '../../../src/gateway/search/search-recording.ts';
import { loadRecordingKeys } from '../../../src/recording/keys/recording-keys.ts';
import { LeafHasher } from '../../../src/recording/write/leaf-hasher.ts';
import { recordingDirectory } from '../../../src/recording/write/recording-store.ts';
import { type MadeRecording, makeRecording } from '../../cli/made-recording.ts';
import { exec, RecordedSsh } from '../../connectors/ssh/replay/recorded-ssh.ts';
import { complete, query, RecordedStream, ready } from '../../replay/recorded-stream.ts';
import { REPLAYS } from '../../replay/timeline.ts';

const STATEMENTS = 40;
const never = new AbortController().signal;

let made: MadeRecording;
beforeAll(async () => {
  const sql = new RecordedStream(1).start();
  for (let number = 0; number < STATEMENTS; number++) {
    const at = sql.upOffset;
    sql.up(query(`select ${number} from plums`)).decision(at, { statement: number + 1 });
    sql.down(complete('SELECT 0'), ready());
  }
  const ssh = new RecordedSsh(2).hello().open(0);
  ssh.request(0, exec('cat /srv/plums'), { relations: ['cat'] }).output(0, 'plums in output');
  made = await makeRecording([...sql.items, ...ssh.close(0, 0).items]);
});
afterAll(async () => {
  await made[Symbol.asyncDispose]();
});

function job(changes: Partial<SearchJob> = {}): SearchJob {
  const dataDir = join(made.directory, 'gateway');
  const keysDir = join(dataDir, 'keys');
  const hasher = new LeafHasher();
  const store = { dataDir, keysDir, hasher, [Symbol.asyncDispose]: async () => undefined };
  return {
    directory: recordingDirectory(store, made.session),
    session: made.session,
    dataKey: loadRecordingKeys(keysDir, made.session).dataKey,
    isLive: false,
    maxBytes: 1024 * 1024 * 1024,
    maxMs: 60_000,
    text: 'plums',
    touches: undefined,
    sinceMs: undefined,
    untilMs: undefined,
    denied: false,
    before: undefined,
    keep: 100,
    ...changes,
  };
}

test('statements and commands are found, the newest first; what was shown is not', async () => {
  const { found, more, isCut } = await searchRecording(job(), REPLAYS, never);
  expect(found.map(({ number }) => number)).toEqual(
    Array.from({ length: STATEMENTS + 1 }, (_, index) => STATEMENTS + 1 - index),
  );
  expect(found[0]).toMatchObject({
    id: '2.1',
    touches: ['cat'],
    excerpt: { before: 'cat /srv/', match: 'plums', after: '' },
  });
  expect({ more, isCut }).toEqual({ more: false, isCut: false });
  expect((await searchRecording(job({ text: 'in output' }), REPLAYS, never)).found).toEqual([]);
});

test('of many the newest are kept, and those before them come when they are asked for', async () => {
  const first = await searchRecording(job({ keep: 3 }), REPLAYS, never);
  expect(first.found.map(({ number }) => number)).toEqual([41, 40, 39]);
  expect(first.more).toBe(true);
  const last = await searchRecording(job({ keep: 3, before: 3 }), REPLAYS, never);
  expect(last.found.map(({ number }) => number)).toEqual([2, 1]);
  expect(last.more).toBe(false);
});

test('what is behind the limit is not read, and that is said', async () => {
  for (const limit of [{ maxBytes: 100 }, { maxMs: -1 }]) {
    const nothing = { found: [], more: false, isCut: true, isLost: false };
    expect(await searchRecording(job(limit), REPLAYS, never)).toEqual(nothing);
  }
});

test('another key opens nothing, nor does that of another session', async () => {
  const wrong = job({ dataKey: new Uint8Array(32) });
  await expect(searchRecording(wrong, REPLAYS, never)).rejects.toThrow(/was altered/);
  const other = job({ session: '01890a5d-ac96-774b-bcce-b302099a8057' });
  await expect(searchRecording(other, REPLAYS, never)).rejects.toThrow(/another recording/);
});

test('nobody is waiting for it any more: it stops', async () => {
  const stopped = AbortSignal.abort(new Error('enough'));
  await expect(searchRecording(job(), REPLAYS, stopped)).rejects.toThrow('enough');
});
