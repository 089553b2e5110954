import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import {
  type ReviewFlags,
  requireDecided,
  reviewRun,
} from '../../src/commands/runs/review-changes.ts';
import type { AfterRun } from '../../src/run/later/later-changes.ts';
import { silentIo } from '../cli/silent-io.ts';
import { readAll } from '../read-all.ts';

const NOT_LOOKED_AT = Array.from({ length: 150_000 }, (_, n) => `/p/${n}`);

async function told(
  flags: ReviewFlags,
): Promise<{ readonly notes: string; readonly json: string; readonly open: AfterRun | undefined }> {
  const output = new PassThrough();
  const notes: string[] = [];
  const io = { ...silentIo(output), note: (text: string) => void notes.push(text) };
  let open: AfterRun | undefined;
  const owed = {
    after: () => ({ changes: [], notLookedAt: NOT_LOOKED_AT }),
    settle: (left: AfterRun) => {
      open = left;
    },
  };
  const home = { config: '/c', state: '/s', runtime: '/r' };
  await reviewRun(io, owed, { flags, home, run: 'r' });
  return { notes: notes.join('\n'), json: String(readAll(output)), open };
}

test('of a crowd of directories that were not looked at the first is named, and who has to look', async () => {
  const { notes } = await told({});
  expect(notes).toBe(
    'not checked for files that run later: 150000 places, first /p/0. Check there yourself: each `hoop run` here repeats this until you pass --keep-changes',
  );
});

test('JSON names a hundred of them, and how many there are', async () => {
  const event = JSON.parse((await told({ json: true })).json);
  expect(event.notLookedAt).toEqual(NOT_LOOKED_AT.slice(0, 100));
  expect(event.notLookedAtCount).toBe(150_000);
});

test('they are owed until somebody says --keep-changes', async () => {
  expect((await told({})).open?.notLookedAt).toHaveLength(150_000);
  expect((await told({ restoreChanges: true })).open?.notLookedAt).toHaveLength(150_000);
  const { open, notes } = await told({ keepChanges: true });
  expect(open).toEqual({ changes: [], notLookedAt: [] });
  expect(notes).toBe('');
});

test('what is owed keeps a run without a fence from starting', () => {
  expect(() => requireDecided({ changes: [], notLookedAt: [] })).not.toThrow();
  expect(() => requireDecided({ changes: [], notLookedAt: ['/p/a\u001b', '/p/b'] })).toThrow(
    expect.objectContaining({
      code: 'HOOP_CHANGES_OWED',
      detail: expect.stringMatching(/: \/p\/a[^\u001b]* and 1 more\.$/),
      hint: expect.stringContaining('--keep-changes'),
    }),
  );
});
