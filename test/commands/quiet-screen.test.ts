import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import type { Io } from '../../src/commands/io.ts';
import { QuietScreen } from '../../src/commands/quiet-screen.ts';
import { readAll } from '../read-all.ts';

test.each([
  ['still waits', false],
  ['is decided', true],
])('the title is put back once when a program ends whose statement %s', (_, isDecided) => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  const io = {
    stdin: terminal,
    stdout: terminal,
    stderr: terminal,
    env: {},
    note: () => undefined,
  };
  const screen = new QuietScreen(io as unknown as Io, (text) => void terminal.write(text));
  screen.hold();
  screen.waits('prod-db: a statement waits');
  if (isDecided) {
    screen.decided();
  }
  screen.release();
  screen.release();
  const shown = String(readAll(terminal));
  expect(shown.split('\x1b[22;2t')).toHaveLength(2);
  expect(shown.split('\x1b[23;2t')).toHaveLength(2);
});
