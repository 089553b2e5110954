/** What `hoop doctor` found, a check a line, and under it what to do. */

import type { LineOptions } from './replay/statement-lines.ts';
import { plain } from './text/printable.ts';
import type { Mark } from './text/style.ts';
import { wrapWords } from './text/wrap-words.ts';

export interface DoctorCheck {
  readonly name: string;
  /** `warning`: you can work. `skipped`: there is nothing to look at. */
  readonly status: 'ok' | 'warning' | 'failed' | 'skipped';
  readonly text: string;
  /** What to do, in sentences. */
  readonly hint?: string;
  /** Of the error, where one says what is wrong. */
  readonly code?: string;
}

const MARKS = {
  ok: { sign: '✓', word: 'ok', tone: 'green' },
  warning: { sign: '!', word: 'warning', tone: 'yellow' },
  failed: { sign: '✗', word: 'FAILED', tone: 'red' },
  skipped: { sign: '-', word: 'skipped', tone: 'dim' },
} as const satisfies Record<DoctorCheck['status'], Mark>;

const WORD_WIDTH = Math.max(...Object.values(MARKS).map(({ word }) => word.length));

export function passed(name: string, text: string): DoctorCheck {
  return { name, status: 'ok', text };
}

/** @returns lines without line feeds */
export function doctorLines(
  checks: readonly DoctorCheck[],
  { style, width }: LineOptions,
): string[] {
  const nameWidth = Math.max(0, ...checks.map(({ name }) => name.length));
  const indent = ' '.repeat(WORD_WIDTH + nameWidth + 6);
  return checks.flatMap(({ name, status, text, hint }) => {
    const { sign, word, tone } = MARKS[status];
    const mark = style[tone](`${sign} ${word.padEnd(WORD_WIDTH)}`);
    const under = { first: indent, rest: indent };
    const [first = '', ...rest] = wrapWords(plain(text), width, under);
    const advice =
      hint === undefined || status === 'ok'
        ? []
        : wrapWords(plain(hint), width, { first: `${indent}→ `, rest: `${indent}  ` });
    return [`${mark}  ${name.padEnd(nameWidth)}  ${first.trimStart()}`, ...rest, ...advice];
  });
}
