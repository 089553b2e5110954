import { expect, test } from 'vitest';
import { sshTrack } from '../../../src/connectors/ssh/replay/connector.ts';
import { garbageCollector } from '../../../src/garbage-collector.ts';
import type { TerminalTrack, TrackPiece } from '../../../src/replay/track.ts';
import { measureTrack, Playback } from '../../../src/ui/player/playback.ts';
import { playerFrame } from '../../../src/ui/player/player-frame.ts';
import {
  firstPlayerState,
  pressPlayerKey,
  tickPlayer,
} from '../../../src/ui/player/player-state.ts';
import { asciicastLines, trackLines } from '../../../src/ui/player/track-lines.ts';
import { styleFor } from '../../../src/ui/text/style.ts';
import { bytes, exec, RecordedSsh } from '../../connectors/ssh/replay/recorded-ssh.ts';

const HOSTILE = '\x1b]52;c;cm0gLXJmIH4=\x07\x1b]0;title\x07\x1bP$q"p\x1b\\';

function track(ssh: RecordedSsh, channel = 0): TerminalTrack {
  const pieces = ssh.items.flatMap((item): TrackPiece[] =>
    item.type === 'data' ? [item.piece] : [],
  );
  return sshTrack(() => pieces, channel);
}

/** A shell: prompt, a long pause, a command that is typed, its output. */
function shell(): RecordedSsh {
  const ssh = new RecordedSsh().hello().open(0).pty(0, 40, 10).request(0, { kind: 'shell' }, {});
  ssh.output(0, '$ ').wait(60_000).input(0, 's3cret\r').output(0, 'ls\r\n');
  ssh.wait(1000).resize(0, 60, 20).output(0, `${HOSTILE}file\r\n$ `).wait(500);
  return ssh.close(0, 0);
}

const text = (playback: Playback): string[] =>
  playback.screen.lines(80, 30).map((line) => line.replaceAll(/\x1b\[[0-9;]*m/g, '').trimEnd());

test('pauses are cut, and the size is the largest there was', () => {
  expect(measureTrack(track(shell()), 2000)).toMatchObject({
    durationMs: 3000,
    columns: 60,
    rows: 20,
  });
  expect(measureTrack(track(shell()), 1_000_000).durationMs).toBe(61_000);
});

test('at each time it shows what was there, forwards and back again', () => {
  const playback = new Playback(track(shell()), 2000);
  playback.seek(0);
  expect(text(playback)[0]).toBe('$');
  playback.seek(2000);
  expect(text(playback).slice(0, 2)).toEqual(['$ ls', '']);
  expect(playback.screen.columns).toBe(40);
  playback.seek(3000);
  expect(text(playback).slice(0, 3)).toEqual(['$ ls', 'file', '$']);
  expect(playback.screen.columns).toBe(60);
  expect(playback.isOver).toBe(true);
  playback.seek(1000);
  expect(text(playback).slice(0, 2)).toEqual(['$', '']);
  expect(playback.screen.columns).toBe(40);
});

test('what is typed is not shown, and nothing that acts on a terminal is in a picture', () => {
  const playback = new Playback(track(shell()), 2000);
  playback.seek(5000);
  const length = measureTrack(track(shell()), 2000);
  const lines = playerFrame(
    {
      title: { text: 'shell\x1b]0;x\x07', verdict: 'verified', verified: 'yes' },
      length,
      state: firstPlayerState(undefined),
      screen: playback.screen,
    },
    { columns: 50, rows: 12 },
    styleFor(false),
  );
  expect(lines).toHaveLength(12);
  expect(lines[1]).toContain('recorded on 60×20: larger than this window');
  expect(lines.join('\n')).not.toContain('s3cret');
  expect(lines.join('\n').replaceAll(/\x1b\[[0-9;]*m/g, '')).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
});

test('without a terminal each line begins at the left, as the local one makes it', () => {
  const ssh = new RecordedSsh().hello().open(0).request(0, exec('printf'), {});
  ssh.output(0, 'a\nb\n').output(0, 'c\n', 'stderr').close(0, 0);
  const playback = new Playback(track(ssh), 2000);
  playback.seek(0);
  expect(text(playback).slice(0, 3)).toEqual(['a', 'b', 'c']);
});

test('100 MB go by in bounded memory, and the end is what the screen showed then', () => {
  // What is in use, also in the middle: what V8 has not collected yet is a matter of chance.
  const collect = garbageCollector({ type: 'major', flavor: 'last-resort' });
  const held = (): number => {
    collect();
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  };
  let most = 0;
  const block = Buffer.alloc(256 * 1024, `${'x'.repeat(79)}\n`);
  function* pieces(): Generator<TrackPiece> {
    const begin = new RecordedSsh().hello().open(0).request(0, exec('cat'), {});
    for (const item of begin.items) {
      if (item.type === 'data') yield item.piece;
    }
    const data = new RecordedSsh()
      .output(0, block)
      .items.flatMap((item) => (item.type === 'data' ? [item.piece] : []));
    for (let count = 0; count < 400; count++) {
      if (count % 100 === 99) most = Math.max(most, held());
      for (const piece of data) {
        yield { ...piece, timeMs: begin.startMs + count };
      }
    }
    for (const item of new RecordedSsh().output(0, '\nthe end\n').items) {
      if (item.type === 'data') yield { ...item.piece, timeMs: begin.startMs + 400 };
    }
  }
  const big = sshTrack(pieces, 0);
  const before = held();
  const { durationMs } = measureTrack(big, 2000);
  expect(durationMs).toBe(400);
  const playback = new Playback(big, 2000);
  playback.seek(durationMs);
  expect(text(playback)).toContain('the end');
  expect(Math.max(most, held()) - before).toBeLessThan(20 * 1024 * 1024);
});

test('keys and the clock: play, pause, seek within it, stop at its end', () => {
  const length = { durationMs: 10_000 };
  let state = tickPlayer(length, firstPlayerState(2), 1000);
  expect(state).toMatchObject({ timeMs: 2000, playing: true });
  state = pressPlayerKey(length, state, 'play');
  expect(tickPlayer(length, state, 1000)).toBe(state);
  expect(pressPlayerKey(length, state, 'back').timeMs).toBe(0);
  state = pressPlayerKey(length, pressPlayerKey(length, state, 'forward'), 'forward');
  expect(state.timeMs).toBe(10_000);
  expect(pressPlayerKey(length, state, 'play')).toMatchObject({ timeMs: 0, playing: true });
  expect(tickPlayer(length, { ...state, playing: true }, 100).playing).toBe(false);
});

test('as text: each line with its time, typed ones only when they are asked for', () => {
  const ssh = shell();
  const lines = (input: boolean) =>
    [...trackLines(track(ssh), { startMs: ssh.startMs, input })].map((line) => line.text);
  expect(lines(false)).toEqual([
    '  0:00.000  terminal of 40×10',
    '  1:00.000  │ $ ls',
    '  1:01.000  terminal of 60×20',
    '  1:01.000  │ file',
    '  1:01.000  │ $',
  ]);
  expect(lines(true)).toContain('  1:01.000  > s3cret');
});

test('as an asciicast: a header, output that went through the filter, sizes; typed only on request', () => {
  const cast = (input: boolean) => [...asciicastLines(track(shell()), { title: 't', input })];
  expect(cast(false)).toEqual([
    { version: 2, width: 40, height: 10, timestamp: Date.UTC(2026, 0, 1) / 1000, title: 't' },
    [0, 'r', '40x10'],
    [0, 'o', '$ '],
    [60, 'o', 'ls\r\n'],
    [61, 'r', '60x20'],
    [61, 'o', 'file\r\n$ '],
  ]);
  expect(cast(true)).toContainEqual([60, 'i', 's3cret\r']);
});

test('bytes that are no frames end the track', () => {
  const ssh = shell();
  const good = ssh.items.flatMap((item): TrackPiece[] =>
    item.type === 'data' ? [item.piece] : [],
  );
  const broken = [
    ...good.slice(0, 8),
    { timeMs: 0, direction: 1 as const, bytes: bytes('nonsense and more') },
    ...good.slice(8),
  ];
  expect([...sshTrack(() => broken, 0).items()].length).toBeGreaterThan(0);
});
