/** Sessions as the gateway lists them. */
import type { SessionSummary } from '../tunnel/api.ts';
import { plain } from './printable.ts';
import type { LineOptions } from './statement-lines.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';
import { byteCount, count, duration, localTime } from './times.ts';

/** Characters of an id that name its millisecond: enough for one person's sessions. */
const SHORT_ID = 13;

export function sessionTable(
  sessions: readonly SessionSummary[],
  { style, width }: LineOptions,
): string[] {
  const idLength = width === undefined ? 36 : uniqueLength(sessions.map(({ id }) => id));
  return renderTable({
    columns: [
      { title: 'ID' },
      { title: 'STARTED' },
      { title: 'LASTED', align: 'right' },
      { title: 'TARGET' },
      { title: 'WHO' },
      { title: 'STMTS', align: 'right' },
      {
        title: 'DENIED',
        align: 'right',
        paint: (text, cell) => (cell === '0' ? text : style.red(text)),
      },
      {
        title: 'MASKED',
        align: 'right',
        paint: (text, cell) => (cell === '0' ? text : style.yellow(text)),
      },
      { title: 'STATE', paint: (text, cell) => paintState(text, cell, style) },
      { title: 'REASON' },
    ],
    rows: sessions.map((session) => [
      session.id.slice(0, idLength),
      localTime(Date.parse(session.startedAt)),
      lasted(session),
      session.target,
      session.principal,
      count(session.statements),
      count(session.denied),
      count(session.maskedValues),
      session.state,
      session.reason ?? '',
    ]),
    width,
    style,
    look: 'list',
  });
}

/** One session, a fact a line. */
export function sessionDetails(session: SessionSummary, style: Style): string[] {
  const ended = session.endedAt
    ? `${localTime(Date.parse(session.endedAt))} (${session.endReason ?? 'no reason known'})`
    : '-';
  const facts: readonly (readonly [string, string])[] = [
    ['session', session.id],
    ['state', session.state],
    ['who', session.principal],
    ['target', session.target],
    ['reason', session.reason ?? '-'],
    ['started', localTime(Date.parse(session.startedAt))],
    ['ended', ended],
    ['lasted', lasted(session)],
    ['statements', `${count(session.statements)}, ${count(session.denied)} denied`],
    ['masked', `${count(session.maskedValues)} values`],
    ['volume', `${byteCount(session.upBytes)} sent, ${byteCount(session.downBytes)} received`],
    ['policy', session.policyCommit],
  ];
  return facts.map(([name, value]) => `${style.bold(name.padEnd(11))}${plain(value)}`);
}

function lasted({ startedAt, endedAt }: SessionSummary): string {
  return endedAt ? duration(Date.parse(endedAt) - Date.parse(startedAt)) : '-';
}

function paintState(text: string, cell: string, style: Style): string {
  switch (cell) {
    case 'disputed':
      return style.red(text);
    case 'live':
      return style.green(text);
    case 'ended':
      return style.yellow(text);
    default:
      return text;
  }
}

/** The shortest start that tells these ids apart. */
function uniqueLength(ids: readonly string[]): number {
  for (let length = SHORT_ID; length < 36; length++) {
    if (new Set(ids.map((id) => id.slice(0, length))).size === new Set(ids).size) {
      return length;
    }
  }
  return 36;
}
