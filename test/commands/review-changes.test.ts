import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { type ReviewFlags, reviewRun } from '../../src/commands/review-changes.ts';
import { silentIo } from '../cli/silent-io.ts';

const NOT_LOOKED_AT = Array.from({ length: 150_000 }, (_, n) => `/p/${n}`);

async function told(
  flags: ReviewFlags,
): Promise<{ readonly notes: string; readonly json: string }> {
  const output = new PassThrough();
  const notes: string[] = [];
  const io = { ...silentIo(output), note: (text: string) => void notes.push(text) };
  const owed = {
    after: () => ({ changes: [], notLookedAt: NOT_LOOKED_AT }),
    settle: () => undefined,
  };
  const home = { config: '/c', state: '/s', runtime: '/r' };
  await reviewRun(io, owed, { flags, home, run: 'r' });
  return { notes: notes.join('\n'), json: String(output.read() ?? '') };
}

test('of a crowd of directories that were not looked at the first is named, and who has to look', async () => {
  const { notes } = await told({});
  expect(notes).toBe(
    'not looked at for files that run later: 150000 directories, /p/0 the first. Look there yourself: no later run asks about them',
  );
});

test('JSON names a hundred of them, and how many there are', async () => {
  const event = JSON.parse((await told({ json: true })).json);
  expect(event.notLookedAt).toEqual(NOT_LOOKED_AT.slice(0, 100));
  expect(event.notLookedAtCount).toBe(150_000);
});
