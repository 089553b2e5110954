/** One screen of the player as lines: state in, text out. */

import type { ScreenSize } from '../screen.ts';
import { plain } from '../text/printable.ts';
import type { Style } from '../text/style.ts';
import { padTo, textWidth, truncate } from '../text/text-width.ts';
import { elapsed } from '../text/times.ts';
import type { TrackLength } from './playback.ts';
import type { PlayerState } from './player-state.ts';
import type { TerminalScreen } from './terminal-screen.ts';

export interface PlayerTitle {
  /** What is played, and whose it is. */
  readonly text: string;
  readonly verdict: string;
  readonly verified: 'yes' | 'no' | 'unknown';
}

/** Lines that are not the recording's: title, rule, progress, keys. */
const OWN_LINES = 4;

const HELP: readonly string[] = [
  '  space      play, pause            + -     faster, slower',
  '  ← →  h l   5 s back, forward      Home g  to the beginning',
  '  ↑ ↓  k j   a minute forward, back End  G  to the end',
  '  q Esc      quit                   ?       these keys',
  '',
  '  Long pauses are shortened, so playback is faster than the original (--max-idle).',
  '  Typed input is not shown, only what a program echoed. Nothing that was',
  '  recorded controls your terminal: this is a picture of the original one.',
];

export function playerFrame(
  {
    title,
    length,
    state,
    screen,
  }: {
    readonly title: PlayerTitle;
    readonly length: TrackLength;
    readonly state: PlayerState;
    readonly screen: TerminalScreen;
  },
  { columns, rows }: ScreenSize,
  style: Style,
): string[] {
  const room = Math.max(1, rows - OWN_LINES);
  const shown = state.help ? HELP.slice(0, room) : screen.lines(columns, room);
  const picture = [...shown, ...Array.from({ length: room - shown.length }, () => '')];
  return [
    titleLine(title, columns, style),
    style.dim(truncate(`── ${sizeNote(screen, columns, room)} ${'─'.repeat(columns)}`, columns)),
    ...picture,
    progressLine(length, state, columns, style),
    style.dim(truncate('space play  ←→ seek  +- speed  ? help  q quit', columns)),
  ].slice(0, rows);
}

function titleLine(
  { text, verdict, verified }: PlayerTitle,
  columns: number,
  style: Style,
): string {
  const sign = { yes: '✓', no: '✗', unknown: '?' }[verified];
  const tone = ({ yes: 'green', no: 'red', unknown: 'yellow' } as const)[verified];
  const right = `${sign} ${plain(verdict)}`;
  const room = columns - textWidth(right) - 2;
  return room < 10
    ? style.bold(truncate(plain(text), columns))
    : `${style.bold(padTo(truncate(plain(text), room), room, 'left'))}  ${style[tone](right)}`;
}

function sizeNote(screen: TerminalScreen, columns: number, rows: number): string {
  const size = `${screen.columns}×${screen.rows}`;
  return screen.columns > columns || screen.rows > rows
    ? `recorded on ${size}: larger than this window, the part with the cursor is shown`
    : `recorded on ${size}`;
}

function progressLine(
  { durationMs }: TrackLength,
  state: PlayerState,
  columns: number,
  style: Style,
): string {
  const left = `${padTo(state.playing ? '▶' : '❚❚', 2, 'left')} ${elapsed(state.timeMs)} `;
  const right = ` ${elapsed(durationMs)}  ×${state.speed}`;
  const room = Math.max(4, columns - textWidth(left) - textWidth(right) - 1);
  const part = durationMs > 0 ? Math.min(1, state.timeMs / durationMs) : 1;
  const done = Math.round(part * (room - 1));
  return `${left}${style.cyan('━'.repeat(done))}●${style.dim('─'.repeat(room - 1 - done))}${right}`;
}
