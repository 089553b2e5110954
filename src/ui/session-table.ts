/** Sessions as the gateway lists them. */

import type { SessionSummary } from '../api/sessions.ts';
import { actorName } from '../policy/actor-name.ts';
import type { LineOptions } from './replay/statement-lines.ts';
import type { Style } from './text/style.ts';
import { type Fact, factLines, type ListColumn, listTable } from './text/table.ts';
import { byteCount, count, duration, localTime, plural, shortLocalTime } from './text/times.ts';

/** Characters of an id that name its millisecond: enough for one person's sessions. */
const SHORT_ID = 13;

/** Columns of a terminal below which the less important facts are left to `show`. */
const WIDE = 110;
const MEDIUM = 90;

const LOST = ', lost ';
const LOST_TEXT =
  'the gateway’s disk lost this; the client sent it back, and only the client vouches for it';

export function sessionTable(sessions: readonly SessionSummary[], options: LineOptions): string[] {
  const { style, width } = options;
  const idLength = width === undefined ? 36 : uniqueLength(sessions.map(({ id }) => id));
  const time = width === undefined || width >= WIDE ? localTime : shortLocalTime;
  const alarm = (tone: 'red' | 'yellow') => (text: string, cell: string) =>
    cell === '0' ? text : style[tone](text);
  const all: readonly ListColumn<SessionSummary>[] = [
    { title: 'ID', whole: true, cell: ({ id }) => id.slice(0, idLength) },
    { title: 'STARTED', whole: true, cell: ({ startedAt }) => time(Date.parse(startedAt)) },
    { title: 'LASTED', align: 'right', whole: true, from: MEDIUM, cell: lasted },
    { title: 'TARGET', cell: ({ target }) => target },
    { title: 'WHO', cell: whoOf },
    { title: 'STMTS', align: 'right', whole: true, cell: ({ statements }) => count(statements) },
    {
      title: 'DENIED',
      align: 'right',
      whole: true,
      paint: alarm('red'),
      cell: ({ denied }) => count(denied),
    },
    {
      title: 'MASKED',
      align: 'right',
      whole: true,
      from: MEDIUM,
      paint: alarm('yellow'),
      cell: ({ maskedValues }) => count(maskedValues),
    },
    {
      title: 'STATE',
      whole: true,
      paint: (text, cell) => paintState(text, cell, style),
      cell: ({ state, lostBytes, recording }) =>
        lostBytes === undefined
          ? (recording ?? state)
          : `${recording ?? state}${LOST}${byteCount(lostBytes)}`,
    },
    ...(sessions.some(({ keptBy }) => keptBy !== undefined) ? [NODE] : []),
    { title: 'REASON', from: WIDE, cell: ({ reason }) => reason ?? '' },
  ];
  return listTable(sessions, all, options);
}

/** Shown where a session of the list is kept by another node. */
const NODE: ListColumn<SessionSummary> = {
  title: 'NODE',
  from: MEDIUM,
  cell: ({ keptBy }) => keptBy?.url ?? keptBy?.node ?? '',
};

/** Says in `show` where the recording is, unless this gateway has it. */
function recordingText({ recording, keptBy }: SessionSummary): string | undefined {
  if (keptBy !== undefined) {
    return `kept by node ${keptBy.node}${keptBy.url === undefined ? '' : ` (${keptBy.url})`}`;
  }
  switch (recording) {
    case 'lost':
      return 'lost: the gateway no longer has its files';
    case 'erased':
      return 'erased: the keys to read it were destroyed';
    default:
      return undefined;
  }
}

/** E.g. `12 values of public.people.email, public.people.card`. */
function maskedText({ maskedValues, columnsMasked = [] }: SessionSummary): string {
  const of = columnsMasked.length === 0 ? '' : ` of ${columnsMasked.join(', ')}`;
  return `${plural(maskedValues, 'value')}${of}`;
}

/** One session, a fact a line. */
export function sessionDetails(session: SessionSummary, style: Style): string[] {
  const ended = session.endedAt
    ? `${localTime(Date.parse(session.endedAt))} (${session.endMessage ?? session.endReason ?? 'no reason known'})`
    : '-';
  const isOfStatements = session.acts === undefined;
  const { run, lookups, lostBytes, policySince: since, policySigner = '?' } = session;
  const facts: readonly Fact[] = [
    ['session', session.id],
    ['state', session.state],
    ['recording', recordingText(session)],
    ['who', whoOf(session)],
    ['run', run && runText({ id: run, program: session.program, parent: session.parentRun })],
    ['target', session.target],
    ['reason', session.reason ?? '-'],
    ['grants', session.grants?.join(', ')],
    ['started', localTime(Date.parse(session.startedAt))],
    ['ended', ended],
    ['lasted', lasted(session)],
    isOfStatements
      ? ['statements', `${count(session.statements)}, ${count(session.denied)} denied`]
      : ['did', actsText(session)],
    ['masked', isOfStatements || session.maskedValues > 0 ? maskedText(session) : undefined],
    [
      'looked up',
      lookups === undefined ? undefined : `${plural(lookups, 'value')} of masked columns`,
    ],
    ['volume', `${byteCount(session.upBytes)} sent, ${byteCount(session.downBytes)} received`],
    ['lost', lostBytes === undefined ? undefined : `${byteCount(lostBytes)}: ${LOST_TEXT}`],
    ['terminal', session.terminal && terminalText(session)],
    ['policy', session.policyCommit],
    ['', since && `signed by ${policySigner}, in force since ${localTime(Date.parse(since))}`],
  ];
  return factLines(facts, 11, style);
}

/** `program`: its name, a claim of the client. */
export function runText(run: {
  readonly id: string;
  readonly program?: string | undefined;
  readonly parent?: string | undefined;
}): string {
  const { id, program, parent } = run;
  const named = program === undefined ? id : `${id} (${program})`;
  return parent === undefined ? named : `${named}, in run ${parent}`;
}

/** A live session cannot be played yet. */
function terminalText({ id, state }: SessionSummary): string {
  const play = `hoop sessions replay ${id} --terminal`;
  return state === 'live' ? `being recorded; when it has ended: ${play}` : `recorded; ${play}`;
}

const ACT_WORDS: Readonly<Record<string, string>> = {
  shell: 'shell',
  exec: 'command',
  sftp: 'file transfer',
  forward: 'forward',
  'remote-forward': 'remote forward',
  agent: 'agent forward',
  x11: 'X11 forward',
};

/** E.g. `2 shells, 14 commands, 3 requests of files, 1 denied`. */
function actsText({ acts = {}, statements, denied }: SessionSummary): string {
  const files = Object.entries(acts).filter(([verb]) => verb.startsWith('sftp '));
  const fileCount = files.reduce((sum, [, times]) => sum + times, 0);
  const known = Object.entries(ACT_WORDS).flatMap(([verb, word]) =>
    acts[verb] === undefined ? [] : [plural(acts[verb], word)],
  );
  const knownCount = Object.keys(ACT_WORDS).reduce((sum, verb) => sum + (acts[verb] ?? 0), 0);
  const rest = statements - knownCount - fileCount;
  return [
    ...known,
    ...(fileCount > 0 ? [`${plural(fileCount, 'request')} about files`] : []),
    ...(rest > 0 ? [`${count(rest)} other`] : []),
    ...(statements === 0 ? ['nothing'] : []),
    `${count(denied)} denied`,
  ].join(', ');
}

function whoOf({ principal, agent, isAgent, requester }: SessionSummary): string {
  return actorName({ name: principal, agent, isAgent, requester });
}

function lasted({ startedAt, endedAt }: SessionSummary): string {
  return endedAt ? duration(Date.parse(endedAt) - Date.parse(startedAt)) : '-';
}

function paintState(text: string, cell: string, style: Style): string {
  switch (cell.split(LOST, 1)[0]) {
    case 'disputed':
    case 'lost':
      return style.red(text);
    case 'live':
      return style.green(text);
    case 'ended':
    case 'erased':
      return style.yellow(text);
    default:
      return cell.includes(LOST) ? style.yellow(text) : text;
  }
}

/** The shortest start that tells these ids apart. */
export function uniqueLength(ids: readonly string[]): number {
  for (let length = SHORT_ID; length < 36; length++) {
    if (new Set(ids.map((id) => id.slice(0, length))).size === new Set(ids).size) {
      return length;
    }
  }
  return 36;
}
