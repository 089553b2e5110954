import { describe, expect, test } from 'vitest';
import type { Frame } from '../../src/ui/frame.ts';
import { replayFrame } from '../../src/ui/replay/replay-frame.ts';
import { collectReplay, type ReplayModel } from '../../src/ui/replay/replay-model.ts';
import {
  firstState,
  pressKey,
  type ReplayKey,
  type ReplayState,
  tick,
} from '../../src/ui/replay/replay-state.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import {
  columns,
  complete,
  error,
  query,
  RecordedStream,
  ready,
  row,
} from '../replay/recorded-stream.ts';
import { buildTimeline } from '../replay/timeline.ts';

const HEADER = {
  session: '0199c2f4-7c3a-7d1e-9a55-0123456789ab',
  target: 'prod-db',
  principal: 'eve@example.com',
  reason: 'TICKET-1',
  verdict: 'verified (two-sided, not logged)',
  verified: 'yes',
} as const;
const PLAIN = styleFor(false);

function model(): ReplayModel {
  const stream = new RecordedStream().start();
  const first = stream.upOffset;
  stream
    .wait(1000)
    .up(query('select id, email from users'))
    .decision(first, { columnsMasked: ['public.users.email'], outputsMasked: [1] })
    .down(columns(['id', 23], ['email', 25]))
    .down(...Array.from({ length: 70 }, (_, n) => row(String(n), 'a***\x1b[2J\u202e日本')))
    .wait(20)
    .down(complete('SELECT 70'), ready())
    .result(first, { rows: 70, maskedValues: 70 });
  const second = stream.wait(60_000).upOffset;
  stream
    .up(query('drop table users'))
    .decision(second, { effect: 'refuse', code: 'HOOP_NOT_ALLOWED', message: 'not allowed' })
    .down(error('42501', 'not allowed', { hint: 'Ask.' }), ready());
  for (let index = 0; index < 20; index++) {
    stream
      .wait(10)
      .up(query(`select ${index}`))
      .down(complete('SELECT 1'), ready());
  }
  stream.event({ type: 'session.close', reason: 'closed', message: undefined });
  return collectReplay(HEADER, buildTimeline(stream.items));
}

const replay = model();

function press(state: ReplayState, ...keys: ReplayKey[]): ReplayState {
  return keys.reduce((current, key) => pressKey(replay, current, key, frame(current).page), state);
}

function frame(state: ReplayState, size = { columns: 80, rows: 24 }): Frame {
  return replayFrame(replay, state, size, PLAIN);
}

const START = firstState(replay, undefined);

describe('the frame', () => {
  test('fills 80 x 24 exactly, whatever is selected', () => {
    let state = START;
    for (let step = 0; step < replay.entries.length; step++) {
      const { lines } = frame(state);
      expect(lines.length).toBe(24);
      for (const line of lines) {
        expect(textWidth(line)).toBeLessThanOrEqual(80);
      }
      state = press(state, 'down');
    }
  });

  test('fits other sizes, and says so when a size is too small', () => {
    for (const size of [
      { columns: 40, rows: 12 },
      { columns: 61, rows: 17 },
      { columns: 200, rows: 60 },
    ]) {
      const { lines } = frame(press(START, 'down'), size);
      expect(lines.length).toBe(size.rows);
      expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(size.columns);
    }
    expect(frame(START, { columns: 20, rows: 5 }).lines).toEqual(['This needs 40x12;', 'q quits.']);
  });

  test('has the verdict, the marks, the masked cells and no control character', () => {
    const text = frame(press(START, 'down')).lines.join('\n');
    expect(text).toContain('✓ verified (two-sided, not logged)  reason: TICKET-1');
    expect(text).toContain('▶   0:01.000  ✓ masked     select id, email from users');
    expect(text).toContain('✗ denied     drop table users');
    expect(text).toContain('email [masked]');
    expect(text).toContain('a***⟪U+001B⟫[2J⟪U+202E⟫日本');
    // biome-ignore format: one class
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('colour changes no word', () => {
    const colored = replayFrame(
      replay,
      press(START, 'down'),
      { columns: 80, rows: 24 },
      styleFor(true),
    );
    const bare = colored.lines.map((line) => line.replace(/\x1b\[\d+m/g, ''));
    expect(bare).toEqual(frame(press(START, 'down')).lines);
  });

  test('an altered recording is marked as such', () => {
    const bad = { ...replay, header: { ...HEADER, verdict: 'tampered', verified: 'no' as const } };
    expect(replayFrame(bad, START, { columns: 80, rows: 24 }, PLAIN).lines[1]).toMatch(
      /^✗ tampered/,
    );
  });

  test('a session in which nothing happened can be shown', () => {
    const empty = collectReplay(HEADER, []);
    const state = firstState(empty, 2);
    const { lines, page } = replayFrame(empty, state, { columns: 80, rows: 24 }, PLAIN);
    expect(lines.join('\n')).toContain('nothing happened in this session');
    expect(pressKey(empty, tick(empty, state, 100), 'nextDenied', page).selected).toBe(0);
    expect(pressKey(empty, state, 'down', page).selected).toBe(0);
  });
});

describe('the keys', () => {
  test('up and down select within the list and set the clock', () => {
    expect(press(START, 'up').selected).toBe(0);
    expect(press(START, 'down')).toMatchObject({ selected: 1, timeMs: 1000, playing: false });
    expect(press(START, 'last').selected).toBe(replay.entries.length - 1);
    expect(press(START, 'last', 'down').selected).toBe(replay.entries.length - 1);
    expect(press(START, 'last', 'first')).toMatchObject({ selected: 0, timeMs: 0 });
    expect(press(START, 'pageDown').selected).toBe(frame(START).page.list);
  });

  test('left and right move the clock, and the selection follows it', () => {
    const later = press(START, 'forward');
    expect(later).toMatchObject({ timeMs: 5000, selected: 1 });
    expect(press(later, 'back', 'back')).toMatchObject({ timeMs: 0, selected: 0 });
  });

  test('n goes to the next denied statement', () => {
    const found = replay.entries[press(START, 'nextDenied').selected];
    expect(found).toMatchObject({ type: 'statement', outcome: 'denied' });
  });

  test('the detail scrolls to its end and not further', () => {
    const state = press(START, 'down');
    const { maxScroll } = frame(state).page;
    expect(maxScroll).toBeGreaterThan(30);
    const scrolled = Array<ReplayKey>(20).fill('scrollDown');
    expect(press(state, ...scrolled).scroll).toBe(maxScroll);
    expect(frame(press(state, ...scrolled)).lines.join('\n')).toContain('(70 rows, 70 masked)');
    expect(frame(press(state, ...scrolled)).lines.join('\n')).toContain('… 20 more rows');
    expect(press(state, 'scrollDown', 'scrollUp').scroll).toBe(0);
    expect(press(state, 'scrollDown', 'down').scroll).toBe(0);
  });

  test('help is closed by any key and changes nothing else', () => {
    const help = press(START, 'help');
    expect(frame(help).lines.join('\n')).toContain('next denied');
    expect(press(help, 'down')).toEqual(START);
  });
});

describe('playing', () => {
  test('the clock runs at the speed asked for, and pauses are cut', () => {
    let state = press(START, 'play', 'faster');
    expect(state).toMatchObject({ playing: true, speed: 2 });
    state = tick(replay, state, 400);
    expect(state).toMatchObject({ timeMs: 800, selected: 0 });
    state = tick(replay, state, 150);
    expect(state.selected).toBe(1);
    // A minute lies ahead in which nothing happens.
    state = tick(replay, state, 100);
    expect(state.timeMs).toBeGreaterThan(54_000);
    expect(state.selected).toBe(1);
  });

  test('it stops at the end, and begins again from the start', () => {
    let state = press(START, 'play');
    for (let step = 0; step < 200 && state.playing; step++) {
      state = tick(replay, state, 100);
    }
    expect(state).toMatchObject({
      playing: false,
      timeMs: replay.durationMs,
      selected: replay.entries.length - 1,
    });
    expect(press(state, 'play')).toMatchObject({ playing: true, timeMs: 0, selected: 0 });
  });

  test('a speed on the command line plays at once', () => {
    expect(firstState(replay, 4)).toMatchObject({ playing: true, speed: 4 });
  });

  test('selecting a statement stops the clock', () => {
    expect(press(START, 'play', 'down').playing).toBe(false);
  });
});
