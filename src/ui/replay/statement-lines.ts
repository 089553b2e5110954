/** One recorded statement as lines of text: for the transcript and for the replay view alike. */
import { outcomeWord } from '../../recording/formats/types.ts';
import type {
  ApprovalStep,
  Decision,
  LookupCount,
  Outcome,
  Result,
  ServerMessage,
  Statement,
} from '../../replay/timeline.ts';
import { actLines, actSummary, actText, isAct } from '../act-lines.ts';
import { plain, plainLines } from '../text/printable.ts';
import type { Mark, Style } from '../text/style.ts';
import { renderTable } from '../text/table.ts';
import { wrap } from '../text/text-width.ts';
import { byteCount, count, duration, plural } from '../text/times.ts';
import { viewLines } from '../view-lines.ts';

export interface LineOptions {
  readonly style: Style;
  /** Columns that a line may take; undefined: lines are not broken and not cut. */
  readonly width: number | undefined;
}

const OUTCOMES = {
  ok: { sign: '✓', word: 'allowed', tone: 'green' },
  denied: { sign: '✗', word: 'denied', tone: 'red' },
  failed: { sign: '!', word: 'failed', tone: 'yellow' },
  skipped: { sign: '-', word: 'skipped', tone: 'dim' },
  prepared: { sign: '·', word: 'prepared', tone: 'dim' },
  unanswered: { sign: '?', word: 'unanswered', tone: 'yellow' },
} as const satisfies Record<Outcome, Mark>;

const APPROVED: Mark = { sign: '✓', word: 'approved', tone: 'green' };

const EFFECTS = {
  allow: OUTCOMES.ok,
  approve: { sign: '…', word: 'needs approval', tone: 'yellow' },
  refuse: OUTCOMES.denied,
  fail: OUTCOMES.failed,
} as const satisfies Record<Decision['effect'], Mark>;

/** Sign and word of an outcome; the sign never stands alone. */
export function markOf(statement: Statement): Mark {
  if (statement.outcome === 'ok' && statement.decisions.length === 0) {
    // Nobody has recorded a decision, so nobody has allowed it.
    return { sign: '✓', word: 'ran', tone: 'dim' };
  }
  const isApproved = statement.approvals.some(
    (step) => step.type === 'decided' && step.outcome === 'released',
  );
  return statement.outcome === 'ok' && isApproved ? APPROVED : OUTCOMES[statement.outcome];
}

/** The statement on one line: white space runs together, everything else is shown. */
export function oneLine(statement: Statement): string {
  if (isAct(statement)) {
    return actText(statement);
  }
  if (statement.protocol === 'function call') {
    return '(function call)';
  }
  return plain(statement.text.trim().replace(/\s+/g, ' ')) || '(empty statement)';
}

/** Whether the gateway put something in the place of a value. */
export function isMasked(statement: Statement): boolean {
  return statement.results.some(
    ({ columns, facts }) => (facts?.maskedValues ?? 0) > 0 || columns.some(({ masked }) => masked),
  );
}

/** E.g. `2 rows, 12 ms` or `UPDATE 3, 4 ms`. */
export function summary(statement: Statement): string {
  const parts = visibleResults(statement).map(({ rowCount, columns, tag, copy }) => {
    if (copy) {
      return `COPY ${copy.direction}, ${byteCount(copy.bytes)}`;
    }
    return columns.length > 0 ? plural(rowCount, 'row') : plain(tag ?? '');
  });
  const shown = [...parts.filter((part) => part !== ''), ...actSummary(statement)];
  const took = statement.endMs === undefined ? [] : [duration(statement.endMs - statement.startMs)];
  return [...shown.slice(0, 3), ...(shown.length > 3 ? ['…'] : []), ...took].join(', ');
}

export function statementLines(statement: Statement, options: LineOptions): string[] {
  if (statement.view !== undefined) return viewLines(statement.view, options, 'nothing');
  const cut = statement.textLength - Buffer.byteLength(statement.text);
  const text =
    isAct(statement) && statement.protocol !== 'exec' ? actText(statement) : statement.text;
  return [
    ...breakLines(plainLines(text.trimEnd()), options),
    ...(cut > 0 ? [`… ${byteCount(cut)} more of the statement`] : []),
  ];
}

/** Parameters, decision, result, errors and notices: all but the statement's own text. */
export function answerLines(statement: Statement, options: LineOptions): string[] {
  return [
    ...statement.parameters.map((parameter, index) => {
      const value = parameter.value === null ? 'NULL' : plain(parameter.value);
      const type = parameter.type === 'unspecified' ? '' : ` (${parameter.type})`;
      return `$${index + 1}${type} = ${value}`;
    }),
    ...distinct(statement.decisions).flatMap((decision) =>
      decisionLines(decision, statement.error, options),
    ),
    ...(statement.lookups === undefined ? [] : [lookupLine(statement.lookups)]),
    ...statement.approvals.flatMap((step) => approvalStepLines(step, statement, options)),
    ...statement.notices
      .filter((notice) => !isOfHold(notice, statement))
      .flatMap((notice) => messageLines(notice, options)),
    ...visibleResults(statement).flatMap((result) => resultLines(result, options)),
    ...actLines(statement).flatMap((line) => breakLines(line, options)),
    ...(statement.error ? messageLines(statement.error, options) : []),
  ];
}

function lookupLine({ candidates, left }: LookupCount): string {
  return `looked up: ${plural(candidates, 'value')} of masked columns, ${count(left)} left today`;
}

/** The hold, then what became of it, each with the time that had passed by then. */
function approvalStepLines(
  step: ApprovalStep,
  { startMs }: Statement,
  options: LineOptions,
): string[] {
  const after = duration(step.timeMs - startMs);
  if (step.type === 'held') {
    const word = step.waits ? 'held' : 'asked for';
    const text = plain(`${step.message}; by ${step.approvers}`);
    return breakLines(text, options, `${options.style.yellow(word)}: `, word.length + 2);
  }
  const word = outcomeWord(step.outcome);
  const by = step.by.length > 0 ? ` by ${step.by.join(', ')}` : '';
  const why = step.message === undefined ? '' : `: ${step.message}`;
  return breakLines(
    plain(`after ${after}${by}${why}`),
    options,
    `${options.style[step.outcome === 'released' ? 'green' : 'red'](word)} `,
    word.length + 1,
  );
}

/** The notice of a hold has the words of the hold. */
function isOfHold({ message }: ServerMessage, { approvals }: Statement): boolean {
  return approvals.some((step) => step.type === 'held' && step.message === message);
}

/** A description that an error followed, before any row, is no result. */
function visibleResults({ results, error }: Statement): readonly Result[] {
  return error
    ? results.filter(({ rowCount, tag, copy }) => rowCount > 0 || tag !== undefined || copy)
    : results;
}

/** Several statements of one Query often have the same decision. */
function distinct(decisions: readonly Decision[]): Decision[] {
  const seen = new Map(
    decisions.map((decision) => [JSON.stringify({ ...decision, statement: 0 }), decision]),
  );
  return [...seen.values()];
}

function decisionLines(
  decision: Decision,
  error: ServerMessage | undefined,
  options: LineOptions,
): string[] {
  const { style } = options;
  const refused = decision.effect === 'refuse' || decision.effect === 'fail';
  const { word: plainWord, tone } = EFFECTS[decision.effect];
  const word = style[tone](plainWord);
  const rules = decision.rules.map(({ id, file, line, grant }) => {
    const given = grant === undefined ? '' : `, temporary grant ${plain(grant)}`;
    return file === 'builtin' ? plain(id) : `${plain(id)} (${plain(file)}:${line}${given})`;
  });
  const facts = [
    ...(refused && decision.code ? [plain(decision.code)] : []),
    ...(rules.length > 0 ? [`by ${rules.join(', ')}`] : []),
    `policy ${plain(decision.policyCommit.slice(0, 12))}`,
  ];
  const lines = breakLines(facts.join(', '), options, `${word}: `, plainWord.length + 2);
  // The error that the client was given has the same words, and more of them.
  if (refused && decision.message && decision.message !== error?.message) {
    lines.push(...breakLines(plain(decision.message), options));
  }
  if (decision.columnsMasked.length > 0) {
    const columns = plain(decision.columnsMasked.join(', '));
    lines.push(...breakLines(columns, options, `${style.yellow('masked')}: `, 8));
  }
  if (decision.columnsComputed.length > 0) {
    const columns = plain(decision.columnsComputed.join(', '));
    lines.push(...breakLines(columns, options, `${style.yellow('computed with masked')}: `, 22));
  }
  const tags = Object.entries(decision.comments ?? {}).map(([key, value]) => `${key}=${value}`);
  if (tags.length > 0) {
    lines.push(...breakLines(plain(tags.join(', ')), options, 'says of itself: ', 16));
  }
  return lines;
}

function resultLines(result: Result, options: LineOptions): string[] {
  const { style, width } = options;
  const { columns, rows, rowCount, tag, copy, facts } = result;
  if (copy) {
    return [`COPY ${copy.direction} (${copy.format}): ${byteCount(copy.bytes)}`, ...tagLine(tag)];
  }
  if (columns.length === 0) {
    return tagLine(tag);
  }
  const table = renderTable({
    columns: columns.map(({ name, numeric, masked }) => ({
      title: masked ? `${name} [masked]` : name,
      align: numeric ? ('right' as const) : ('left' as const),
      paint: (text: string, cell: string) =>
        masked ? style.yellow(text) : cell === 'NULL' ? style.dim(text) : text,
    })),
    rows: rows.map((row) => row.map((value) => value?.replaceAll('\n', '↵') ?? 'NULL')),
    width,
    style,
    look: 'grid',
  });
  const hidden = rowCount - rows.length;
  const notes = [plural(rowCount, 'row')];
  if (facts && facts.maskedValues > 0) {
    notes.push(`${count(facts.maskedValues)} masked`);
  }
  for (const [name, hits] of Object.entries(facts?.detected ?? {})) {
    notes.push(`${count(hits)} ${plain(name)} replaced`);
  }
  if (result.suspended) {
    notes.push('more on request');
  }
  return [
    ...table,
    ...(hidden > 0 ? [style.dim(`… ${plural(hidden, 'more row')}`)] : []),
    style.dim(`(${notes.join(', ')})`),
  ];
}

function tagLine(tag: string | undefined): string[] {
  return tag ? [plain(tag)] : [];
}

/** As psql prints them. */
export function messageLines(message: ServerMessage, options: LineOptions): string[] {
  const { style } = options;
  const fatal = /^(ERROR|FATAL|PANIC)$/.test(message.severity);
  const head = `${plain(message.severity)}:`;
  const lines = breakLines(
    `${plainLines(message.message)}${fatal && message.sqlState !== '' ? ` (${plain(message.sqlState)})` : ''}`,
    options,
    `${fatal ? style.red(head) : style.yellow(head)}  `,
    message.severity.length + 3,
  );
  if (message.detail) {
    lines.push(...breakLines(plainLines(message.detail), options, 'DETAIL:  ', 9));
  }
  if (message.hint) {
    lines.push(...breakLines(plainLines(message.hint), options, 'HINT:  ', 7));
  }
  return lines;
}

/** @param text filtered. @param prefix of the first line; the others are indented by its width. */
function breakLines(text: string, { width }: LineOptions, prefix = '', prefixWidth = 0): string[] {
  const lines = text
    .split('\n')
    .flatMap((line) => (width === undefined ? [line] : wrap(line, width - prefixWidth)));
  return lines.map((line, index) => (index === 0 ? prefix + line : ' '.repeat(prefixWidth) + line));
}
