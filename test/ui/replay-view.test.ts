import { expect, test } from 'vitest';
import { HoopError } from '../../src/errors.ts';
import { collectReplay } from '../../src/ui/replay/replay-model.ts';
import { showReplay } from '../../src/ui/replay/replay-view.ts';
import { TERMINAL_RESET } from '../../src/ui/text/terminal-filter.ts';
import { complete, query, RecordedStream, ready } from '../replay/recorded-stream.ts';
import { buildTimeline } from '../replay/timeline.ts';
import { Keyboard, Screen } from './ink-terminal.ts';

function replay() {
  const stream = new RecordedStream()
    .start()
    .up(query('select 1'))
    .down(complete('SELECT 0'), ready())
    .up(query("select '\x1b]52;c;QQ==\x07'"))
    .down(complete('SELECT 0'), ready());
  const header = {
    session: 'id',
    target: 'prod-db',
    principal: 'eve',
    reason: undefined,
    verdict: 'verified',
    verified: 'yes',
  } as const;
  return collectReplay(header, buildTimeline(stream.items));
}

function open(signal: AbortSignal) {
  const stdout = new Screen();
  const stdin = new Keyboard();
  const closed = showReplay(replay(), { stdout, stdin, signal, color: false, speed: undefined });
  return { stdout, stdin, closed };
}

test('keys move through the statements, and q leaves the terminal as it was', async () => {
  const { stdout, stdin, closed } = open(new AbortController().signal);
  await stdout.until('✓ verified');
  expect(stdin.isRaw).toBe(true);
  stdin.write('\x1b[B');
  await stdout.until('2 of 3');
  stdin.write('\x1b[B');
  await stdout.until('3 of 3');
  stdin.write('?');
  await stdout.until('next denied');
  stdin.write('x');
  await stdout.until('3 of 3');
  stdin.write('q');
  await closed;
  expect(stdin.isRaw).toBe(false);
  expect(stdout.text.endsWith(TERMINAL_RESET)).toBe(true);
});

test('only what the filter lets through is written', async () => {
  const { stdout, stdin, closed } = open(new AbortController().signal);
  await stdout.until('⟪U+001B⟫]52;c;QQ==⟪U+0007⟫');
  stdin.write('q');
  await closed;
  // ink asks terminals for what they can and switches modes; none of it arrives here.
  expect(stdout.text).not.toMatch(
    /\x1b[\]P_^X]|\x1b\[[?>][0-9;]*[cnu$]|\x1b\[\?(?!25|1049|7)[0-9]+[hl]/,
  );
});

test('a signal ends the view, puts the terminal right, and is the reason', async () => {
  const controller = new AbortController();
  const { stdout, stdin, closed } = open(controller.signal);
  await stdout.until('✓ verified');
  controller.abort(new HoopError('HOOP_INTERRUPTED', 'interrupted by SIGTERM'));
  await expect(closed).rejects.toMatchObject({ code: 'HOOP_INTERRUPTED' });
  expect(stdin.isRaw).toBe(false);
  expect(stdout.text.endsWith(TERMINAL_RESET)).toBe(true);
});
