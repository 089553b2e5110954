/** Why a statement was sent and what came of it, as lines of text. */
import { decidedIds, type FoundStatement } from '../../replay/find-statements.ts';
import type { Statement } from '../../replay/timeline.ts';
import { promptHead, promptLines } from '../prompt-lines.ts';
import { plain } from '../text/printable.ts';
import { renderTable } from '../text/table.ts';
import { localTime, plural } from '../text/times.ts';
import {
  answerLines,
  type LineOptions,
  markOf,
  oneLine,
  statementLines,
  summary,
} from './statement-lines.ts';

const INDENT = '    ';
const LABEL = 11;

export function whyLines(
  about: { readonly session: string; readonly target: string; readonly principal: string },
  { found, more }: { readonly found: readonly FoundStatement[]; readonly more: number },
  options: LineOptions,
): string[] {
  const { style, width } = options;
  const inner = { style, width: width === undefined ? undefined : width - INDENT.length };
  const fact = (name: string, value: string): string => style.bold(name.padEnd(LABEL)) + value;
  return [
    fact('session', `${plain(about.session)} to ${plain(about.target)}`),
    fact('who', plain(about.principal)),
    ...found.flatMap(({ statement, prompts }) => [
      '',
      ...(prompts.length === 0
        ? [fact('why', noPrompt(statement))]
        : prompts.flatMap((prompt, index) => [
            fact(
              index === 0 ? 'why' : 'under',
              `${promptHead(prompt)}, ${localTime(prompt.timeMs)}`,
            ),
            ...promptLines(prompt, inner).map((line) => INDENT + line),
          ])),
      ...statementBlock(statement, inner, fact),
    ]),
    ...(more > 0 ? ['', style.dim(`… and ${plural(more, 'more execution')}`)] : []),
  ];
}

function statementBlock(
  statement: Statement,
  inner: LineOptions,
  fact: (name: string, value: string) => string,
): string[] {
  const { sign, word, tone } = markOf(statement);
  const { style } = inner;
  const took = summary(statement);
  const when = localTime(statement.startMs);
  return [
    fact(
      'statement',
      `#${statement.number}${idText(statement)} on connection ${statement.stream}, ${when}`,
    ),
    ...statementLines(statement, inner).map((line) => INDENT + style.bold(line)),
    fact('came of it', `${style[tone](`${sign} ${word}`)}${took === '' ? '' : `, ${took}`}`),
    ...answerLines(statement, inner).map((line) => INDENT + line),
  ];
}

function noPrompt({ prompt }: Statement): string {
  return prompt === undefined
    ? 'no prompt was in force'
    : `prompt ${plain(prompt)} was in force but is not in this recording`;
}

function idText(statement: Statement): string {
  const ids = decidedIds(statement);
  return ids.length === 0 ? '' : ` (${ids.slice(0, 5).join(', ')}${ids.length > 5 ? ', …' : ''})`;
}

export function statementTable(
  statements: readonly Statement[],
  more: number,
  { style, width }: LineOptions,
): string[] {
  if (statements.length === 0) {
    return ['it contains no statements'];
  }
  const table = renderTable({
    columns: [
      { title: '#', whole: true, align: 'right' },
      { title: 'ID', whole: true },
      { title: 'OUTCOME', whole: true },
      { title: 'PROMPT', whole: true },
      { title: 'STATEMENT' },
    ],
    rows: statements.map((statement) => [
      String(statement.number),
      decidedIds(statement)[0] ?? '',
      markOf(statement).word,
      statement.prompt === undefined ? '' : plain(statement.prompt),
      oneLine(statement),
    ]),
    width,
    style,
    look: 'list',
  });
  return [...table, ...(more > 0 ? [style.dim(`… and ${plural(more, 'more')}`)] : [])];
}
