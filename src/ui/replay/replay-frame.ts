/** One screen of the replay view as lines: state in, text out. */
import type { TimelineEntry } from '../../replay/timeline.ts';
import { type Frame, firstShown, layFrame } from '../frame.ts';
import type { ScreenSize } from '../screen.ts';
import { plain } from '../text/printable.ts';
import type { Style } from '../text/style.ts';
import { padTo, textWidth, truncate } from '../text/text-width.ts';
import { elapsed } from '../text/times.ts';
import type { ReplayModel } from './replay-model.ts';
import type { ReplayState } from './replay-state.ts';
import {
  answerLines,
  isMasked,
  markOf,
  oneLine,
  statementLines,
  summary,
} from './statement-lines.ts';
import { timeOf, transcriptLines } from './transcript.ts';

/** Of the room beside header and footer, at most. */
const LIST_SHARE = 0.4;

export function replayFrame(
  model: ReplayModel,
  state: ReplayState,
  size: ScreenSize,
  style: Style,
): Frame {
  const { columns } = size;
  return layFrame(size, style, () => ({
    header: headerLines(model, columns, style),
    list: {
      length: model.entries.length,
      share: LIST_SHARE,
      lines: (count) => listLines(model, state, { count, columns, style }),
    },
    title: state.help ? 'keys' : titleOf(model, state),
    detail: state.help ? HELP : detailLines(model, state, columns, style),
    scroll: state.scroll,
    footer: [progressLine(model, state, columns, style), keysLine(columns, style)],
  }));
}

const HELP: readonly string[] = [
  '  ↑ ↓  k j       previous, next statement    space    play, pause',
  '  ← →  h l       5 s back, forward           + -      faster, slower',
  '  PgUp PgDn      a page of statements        n        next denied',
  '  [ ]            scroll the statement        q Esc    quit',
  '  Home End  g G  first, last                 ?        these keys',
  '  Enter          play the output of a shell or a command',
  '',
  '  ✓ allowed  ✗ denied  ! failed  - skipped after a failure',
  '  · prepared, not run  ? no answer recorded  [masked] values replaced',
  '  Playback shortens pauses to 3 s. The clock on the left is the session’s.',
];

function headerLines(model: ReplayModel, columns: number, style: Style): string[] {
  const { header, truncated } = model;
  const left = `${header.session}  ${header.target}  ${header.principal}`;
  const sign = { yes: '✓', no: '✗', unknown: '?' }[header.verified];
  const tone = ({ yes: 'green', no: 'red', unknown: 'yellow' } as const)[header.verified];
  const verdict = truncate(`${sign} ${plain(header.verdict)}`, columns - 1);
  const notes = [
    ...(header.reason ? [`reason: ${plain(header.reason)}`] : []),
    ...(truncated ? ['long session: only its beginning is shown'] : []),
  ].join('  ');
  const room = columns - textWidth(verdict) - 3;
  return [
    style.bold(truncate(plain(left), columns)),
    style[tone](verdict) + (room > 8 && notes ? `  ${style.dim(truncate(notes, room))}` : ''),
  ];
}

function listLines(
  model: ReplayModel,
  state: ReplayState,
  { count, columns, style }: { count: number; columns: number; style: Style },
): string[] {
  const { entries } = model;
  if (entries.length === 0) {
    return ['  nothing happened in this session'];
  }
  const first = firstShown(entries.length, count, state.selected);
  return entries.slice(first, first + count).map((entry, index) => {
    const selected = first + index === state.selected;
    return listLine(entry, { model, state, selected, columns, style });
  });
}

interface ListLine {
  readonly model: ReplayModel;
  readonly state: ReplayState;
  readonly selected: boolean;
  readonly columns: number;
  readonly style: Style;
}

function listLine(entry: TimelineEntry, { model, state, selected, columns, style }: ListLine) {
  const offset = timeOf(entry) - model.startMs;
  const mark = listMark(entry);
  const right = entry.type === 'statement' ? summary(entry) : '';
  const rightWidth = columns >= 70 ? Math.min(textWidth(right), Math.floor(columns / 3)) : 0;
  const start = `${selected ? '▶' : ' '} ${elapsed(offset).padStart(10)}  `;
  const room = columns - textWidth(start) - MARK_WIDTH - 1 - (rightWidth > 0 ? rightWidth + 2 : 0);
  const text = padTo(truncate(textOf(entry, model), room), room, 'left');
  const end = rightWidth > 0 ? `  ${style.dim(truncate(right, rightWidth))}` : '';
  const marked = style[mark.tone](padTo(mark.text, MARK_WIDTH, 'left'));
  // What lies ahead of the clock is dim, so that playing is seen in the list as well.
  const painted = selected ? style.bold(text) : offset > state.timeMs ? style.dim(text) : text;
  return `${selected ? style.bold(start) : start}${marked} ${painted}${end}`;
}

const MARK_WIDTH = 12;

function listMark(entry: TimelineEntry): { text: string; tone: keyof Style } {
  if (entry.type !== 'statement') {
    return { text: '', tone: entry.type === 'unreadable' || entry.type === 'lost' ? 'red' : 'dim' };
  }
  const { sign, word, tone } = markOf(entry);
  return entry.outcome === 'ok' && isMasked(entry)
    ? { text: `${sign} masked`, tone: 'yellow' }
    : { text: `${sign} ${word}`, tone };
}

/** One line for any entry; those that are no statements read like the transcript. */
function textOf(entry: TimelineEntry, model: ReplayModel): string {
  if (entry.type === 'statement') {
    return oneLine(entry);
  }
  const [line = ''] = transcriptLines(entry, {
    style: NO_STYLE,
    width: undefined,
    startMs: model.startMs,
  });
  return line.trimStart().replace(/^\S+ +/, '');
}

const same = (text: string) => text;
const NO_STYLE: Style = {
  bold: same,
  dim: same,
  red: same,
  green: same,
  yellow: same,
  cyan: same,
};

function titleOf(model: ReplayModel, state: ReplayState): string {
  const entry = model.entries[state.selected];
  const place = `${state.selected + 1} of ${model.entries.length}`;
  if (entry?.type !== 'statement') {
    return place;
  }
  const name = entry.name ? ` "${plain(entry.name)}"` : '';
  return `${place} · statement ${entry.number}${name} · connection ${entry.stream} · ${entry.protocol}`;
}

function detailLines(
  model: ReplayModel,
  state: ReplayState,
  columns: number,
  style: Style,
): readonly string[] {
  const entry = model.entries[state.selected];
  if (!entry) {
    return [];
  }
  const width = columns - 1;
  if (entry.type !== 'statement') {
    return transcriptLines(entry, { style, width, startMs: model.startMs });
  }
  return [
    ...statementLines(entry, { style, width }).map((line) => style.bold(line)),
    '',
    ...answerLines(entry, { style, width }),
  ];
}

function progressLine(model: ReplayModel, state: ReplayState, columns: number, style: Style) {
  const sign = state.playing ? '▶' : '❚❚';
  const left = `${padTo(sign, 2, 'left')} ${elapsed(state.timeMs)} `;
  const right = ` ${elapsed(model.durationMs)}  ×${state.speed}`;
  const room = Math.max(4, columns - textWidth(left) - textWidth(right) - 1);
  const part = model.durationMs > 0 ? state.timeMs / model.durationMs : 1;
  const done = Math.round(part * (room - 1));
  const bar = `${style.cyan('━'.repeat(done))}●${style.dim('─'.repeat(room - 1 - done))}`;
  return `${left}${bar}${right}`;
}

function keysLine(columns: number, style: Style): string {
  const keys = '↑↓ statement  space play  ←→ seek  [ ] scroll  n next denied  ? help  q quit';
  const short = '↑↓ select  space play  ? help  q quit';
  return style.dim(truncate(textWidth(keys) < columns ? keys : short, columns));
}
