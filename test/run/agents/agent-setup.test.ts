import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { setUpAgent } from '../../../src/run/agents/agent-setup.ts';
import { builtInProfile } from '../../../src/run/agents/built-in-profiles.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-agent-setup-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function codex(isFenced: boolean, run = directory) {
  const profile = builtInProfile((name) => name === 'codex');
  if (profile === undefined) {
    throw new Error('there is no profile of Codex');
  }
  const place = { directory: run, hoop: ['/usr/bin/hoop'], briefing: `${run}/briefing.md` };
  return setUpAgent({ profile, env: {}, isFenced }, ['codex', 'exec', 'task'], place);
}

test('Codex is left to ask for trust of the hooks without a fence, and that is told', () => {
  const { command, notes } = codex(false);
  expect(command).not.toContain('--dangerously-bypass-hook-trust');
  expect(notes).toEqual([expect.stringContaining('whether to trust hoop’s hooks')]);
});

test('in a fence there is no such question, and what is asked for is told', () => {
  const { command, notes } = codex(true);
  expect(command).toContain('--dangerously-bypass-hook-trust');
  expect(notes).toEqual([expect.stringContaining('whether to trust a directory')]);
});

// Codex keeps an answer by the hash of the command: with anything of the run in it it asked each time.
test('the hooks of Codex are the same in each run', () => {
  const first = codex(false, join(directory, 'one'));
  const second = codex(false, join(directory, 'two'));
  expect(first.command).toEqual(second.command);
});
