import { expect, test } from 'vitest';
import { sshTrack } from '../../../src/connectors/ssh/replay/connector.ts';
import { HoopError } from '../../../src/errors.ts';
import type { TrackPiece } from '../../../src/replay/track.ts';
import { playTrack } from '../../../src/ui/player/player-view.ts';
import { TERMINAL_RESET } from '../../../src/ui/text/terminal-filter.ts';
import { RecordedSsh } from '../../connectors/ssh/replay/recorded-ssh.ts';
import { Keyboard, Screen } from '../ink-terminal.ts';

function play(signal: AbortSignal, speed = 1000) {
  const ssh = new RecordedSsh().hello().open(0).pty(0, 120, 40).request(0, { kind: 'shell' }, {});
  ssh.output(0, '\x1b]52;c;QQ==\x07first\r\n').wait(1_000_000).output(0, 'second\r\n').close(0, 0);
  const pieces = ssh.items.flatMap((item): TrackPiece[] =>
    item.type === 'data' ? [item.piece] : [],
  );
  const stdout = new Screen();
  const stdin = new Keyboard();
  const closed = playTrack(
    sshTrack(() => pieces, 0),
    {
      title: { text: '#1 (shell)  web-1  eve', verdict: 'verified', verified: 'yes' },
      speed,
      maxIdleMs: 600_000,
      stdout,
      stdin,
      signal,
      color: false,
    },
  );
  return { stdout, stdin, closed };
}

test('plays in time, seeks back and forth, and q leaves the terminal as it was', async () => {
  const { stdout, stdin, closed } = play(new AbortController().signal);
  await stdout.until('second');
  expect(stdout.all).toContain('first');
  expect(stdout.all).toContain('✓ verified');
  expect(stdout.all).toContain('recorded on 120×40: larger than this window');
  stdin.write('g');
  await stdout.until('0:00.000');
  stdin.write('G');
  await stdout.until('second');
  stdin.write('?');
  await stdout.until('play, pause');
  stdin.write('x');
  await stdout.until('second');
  stdin.write('q');
  await closed;
  expect(stdin.isRaw).toBe(false);
  expect(stdout.all.endsWith(TERMINAL_RESET)).toBe(true);
});

test('nothing that was recorded acts on the terminal', async () => {
  const { stdout, stdin, closed } = play(new AbortController().signal);
  await stdout.until('first');
  stdin.write('q');
  await closed;
  expect(stdout.all).not.toMatch(
    /\x1b[\]P_^X]|\x1b\[[?>][0-9;]*[cnu$]|\x1b\[\?(?!25|1049|7)[0-9]+[hl]/,
  );
});

test('a signal ends it, puts the terminal right, and is the reason', async () => {
  const controller = new AbortController();
  const { stdout, stdin, closed } = play(controller.signal);
  await stdout.until('first');
  controller.abort(new HoopError('HOOP_INTERRUPTED', 'interrupted by SIGTERM'));
  await expect(closed).rejects.toMatchObject({ code: 'HOOP_INTERRUPTED' });
  expect(stdin.isRaw).toBe(false);
  expect(stdout.all.endsWith(TERMINAL_RESET)).toBe(true);
});
