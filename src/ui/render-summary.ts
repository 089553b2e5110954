/**
 * What a job did through hoop, as Markdown: for the summary page of a CI system, or a file. Names and
 * messages in it come from elsewhere, so nothing of them may be Markdown or HTML.
 */
import { plain } from './text/printable.ts';
import { duration, plural } from './text/times.ts';

export interface SummarisedSession {
  readonly id: string;
  readonly target: string;
  readonly commit: string;
  /** Absent: the gateway could not be asked. */
  readonly principal?: string;
  readonly statements?: number;
  readonly maskedValues?: number;
  /** In which columns these were. */
  readonly columnsMasked?: readonly string[] | undefined;
  /** Values of masked columns; absent: none. */
  readonly lookups?: number | undefined;
  readonly denied: number;
  /** The first of them. */
  readonly denials: readonly {
    readonly code: string;
    readonly message: string;
    readonly rule: string | undefined;
  }[];
  readonly held: number;
  /** Outcome → how many of the held: `released`, `expired`, … */
  readonly decided: ReadonlyMap<string, number>;
  readonly durationMs: number;
  readonly recording:
    | { readonly state: 'complete' | 'tail'; readonly cuts: number }
    | { readonly state: 'kept'; readonly because: string };
  readonly link?: string | undefined;
}

export interface JobSummary {
  readonly gateway: string;
  /** Of the command, where there was one. */
  readonly exitStatus: number | undefined;
  readonly sessions: readonly SummarisedSession[];
  /** Sessions that are not shown, because they were too many. */
  readonly more: number;
}

const HEADER = ['Session', 'Target', 'Statements', 'Denied', 'Held', 'Masked values', 'Time'];

/** @returns text that ends with a line feed, and begins with one, to follow what others wrote */
export function renderSummary(summary: JobSummary): string {
  const { sessions, gateway, exitStatus, more } = summary;
  const status = exitStatus === undefined ? '' : `; the command ended with ${exitStatus}`;
  const lines = [
    '',
    '### hoop',
    '',
    `${plural(sessions.length + more, 'session')} at ${code(gateway)}${status}`,
    '',
  ];
  if (sessions.length > 0) {
    lines.push(row(HEADER), row(HEADER.map(() => '---')), ...sessions.map(sessionRow));
    lines.push('', ...sessions.flatMap(details));
  }
  if (more > 0) {
    lines.push(`${plural(more, 'more session')}: see ${code('hoop sessions list')}`, '');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}

function sessionRow(session: SummarisedSession): string {
  const { id, link, target, statements, denied, maskedValues, durationMs } = session;
  return row([
    linked(code(id), link),
    code(target),
    String(statements ?? '?'),
    denied > 0 ? `**${denied}**` : '0',
    held(session),
    String(maskedValues ?? '?'),
    duration(durationMs),
  ]);
}

function held({ held: count, decided }: SummarisedSession): string {
  const outcomes = [...decided].map(([outcome, times]) => `${times} ${asText(outcome)}`);
  return outcomes.length === 0 ? String(count) : `${count} (${outcomes.join(', ')})`;
}

function details(session: SummarisedSession): string[] {
  const {
    id,
    principal,
    commit,
    recording,
    denials,
    denied,
    lookups,
    columnsMasked = [],
  } = session;
  const who = principal === undefined ? '' : ` for ${code(principal)}`;
  const left = denied - denials.length;
  return [
    `- ${code(id)}${who}, policy ${code(commit.slice(0, 12))}, ${recordingText(recording)}`,
    ...(columnsMasked.length === 0
      ? []
      : [`  - masked in what was returned, so not real: ${columnsMasked.map(code).join(', ')}`]),
    ...(lookups === undefined
      ? []
      : [`  - looked up: ${plural(lookups, 'value')} of masked columns`]),
    ...denials.map(
      (denial) =>
        `  - denied: ${asText(denial.message)} (${code(denial.code)}${denial.rule === undefined ? '' : `, ${code(denial.rule)}`})`,
    ),
    ...(left > 0 && denials.length > 0 ? [`  - and ${left} more`] : []),
  ];
}

function recordingText(recording: SummarisedSession['recording']): string {
  switch (recording.state) {
    case 'complete':
      return `recording complete, signed by both sides (${plural(recording.cuts, 'cut')})`;
    case 'tail':
      return `recording signed by both sides up to cut ${recording.cuts}, then by the gateway only`;
    case 'kept':
      return `**recording not signed by both sides**: ${asText(recording.because)}`;
  }
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** The address comes from the gateway: what would end it, or the cell, is written in hexadecimal. */
function linked(text: string, link: string | undefined): string {
  if (link === undefined || !URL.canParse(link) || new URL(link).protocol !== 'https:') {
    return text;
  }
  const address = new URL(link).href.replace(
    /[^A-Za-z0-9%/:?#@!$&+,;=._~-]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  return `[${text}](${address})`;
}

/** As code, which shows everything as it is; a backtick in it would end it. */
function code(text: string): string {
  return `\`${plain(text).replaceAll('`', '´').replaceAll('|', '¦')}\``;
}

/** https://spec.commonmark.org/0.31.2/#backslash-escapes */
function asText(text: string): string {
  return (
    plain(text)
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replace(/[\\`*_{}[\]()#+!|>~@-]/g, (character) => `\\${character}`)
      // What would become a link, or call somebody, without any mark around it.
      .replace(/:\/\/|@|\bwww(?=\.)/gi, (start) => `${start[0]}\u200b${start.slice(1)}`)
  );
}
