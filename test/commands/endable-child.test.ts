import { expect, test } from 'vitest';
import { endableChild } from '../../src/commands/child/endable-child.ts';
import type { Io } from '../../src/commands/io.ts';
import { runChild } from '../../src/commands/runs/run-child.ts';
import { silentIo } from '../cli/silent-io.ts';

const SIGTERM = 128 + 15;

function listening(): { io: Io; send: (signal: NodeJS.Signals) => void; died: NodeJS.Signals[] } {
  let listener: (signal: NodeJS.Signals) => void = () => undefined;
  const died: NodeJS.Signals[] = [];
  const io: Io = {
    ...silentIo(),
    onSignal: (next) => {
      listener = next;
      return () => undefined;
    },
    endBySignal: (signal) => died.push(signal),
  };
  return { io, send: (signal) => listener(signal), died };
}

test('a run that ends before its program is there ends it with SIGTERM, and not by force', async () => {
  const { io, died } = listening();
  const child = endableChild(io);
  child.end();
  expect(await runChild(child.io, ['sleep', '3600'], process.env)).toBe(SIGTERM);
  expect(died).toEqual(['SIGTERM']);
});

test('a signal that comes while a program is being started reaches it', async () => {
  const { io, send, died } = listening();
  const ended = runChild(io, ['sleep', '3600'], process.env);
  send('SIGTERM');
  expect(await ended).toBe(SIGTERM);
  expect(died).toEqual(['SIGTERM']);
});
