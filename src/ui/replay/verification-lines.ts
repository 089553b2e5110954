/** What was checked about a recording, and with which result. */
import type { Check, Verification } from '../../recording/verify/verify.ts';
import { plain } from '../text/printable.ts';
import type { Mark, Style } from '../text/style.ts';
import { localTimes } from '../text/times.ts';
import { wrapWords } from '../text/wrap-words.ts';

const SIGNS = {
  ok: { sign: '✓', word: 'ok', tone: 'green' },
  warning: { sign: '!', word: 'warning', tone: 'yellow' },
  failed: { sign: '✗', word: 'FAILED', tone: 'red' },
  incomplete: { sign: '?', word: 'incomplete', tone: 'yellow' },
  untrusted: { sign: '?', word: 'untrusted', tone: 'yellow' },
  'not applicable': { sign: '-', word: 'not applicable', tone: 'dim' },
} as const satisfies Record<Check['status'], Mark>;

export function verificationLines(
  verification: Verification,
  style: Style,
  width?: number,
): string[] {
  const { session } = verification;
  const checks = summarised(verification.checks);
  const nameWidth = Math.max(0, ...checks.map(({ name }) => name.length));
  const wordWidth = Math.max(0, ...checks.map(({ status }) => SIGNS[status].word.length));
  return [
    ...(session === undefined ? [] : [`session ${plain(session)}`, '']),
    ...checks.flatMap(({ name, status, text }) => {
      const { sign, word, tone } = SIGNS[status];
      const mark = style[tone](`${sign} ${word.padEnd(wordWidth)}`);
      const indent = ' '.repeat(wordWidth + nameWidth + 6);
      const [first = '', ...rest] = wrapWords(localTimes(plain(text)), width, {
        first: indent,
        rest: indent,
      });
      return [`${mark}  ${name.padEnd(nameWidth)}  ${first.trimStart()}`, ...rest];
    }),
    '',
    verdictLine(verification, style),
  ];
}

/** Checks that say the same are one line: of a file that was cut off, nothing was checked. */
const MAX_ALIKE = 3;

interface Row extends Pick<Check, 'status' | 'text'> {
  readonly name: string;
}

function summarised(checks: readonly Check[]): readonly Row[] {
  const alike = Map.groupBy(checks, ({ status, text }) => `${status} ${text}`);
  return checks.flatMap((check) => {
    const { status, text } = check;
    const same = alike.get(`${status} ${text}`) ?? [];
    if (same.length <= MAX_ALIKE) return [check];
    const names = same.map(({ name }) => name).join(', ');
    return same[0] === check
      ? [{ status, name: `${same.length} checks`, text: `${text} (${names})` }]
      : [];
  });
}

/** E.g. `✓ verified (two-sided, not logged)`. */
export function verdictLine({ exitStatus, verdict }: Verification, style: Style): string {
  const { sign, tone } =
    SIGNS[exitStatus === 0 ? 'ok' : exitStatus === 1 ? 'failed' : 'incomplete'];
  return style.bold(style[tone](`${sign} ${plain(verdict)}`));
}
