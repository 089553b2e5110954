/** Refusals as a program on the client's side sees them: on its stderr. */

import { plainText } from '../../../gateway/base/plain-text.ts';
import type { Refusal } from '../../../policy/types.ts';

const MAX_LINE = 2000;
/** As of a command that was found and cannot be run, POSIX 2.8.2. */
export const REFUSED_STATUS = 126;

export type RefusalWords = Pick<Refusal, 'message' | 'detail' | 'hint' | 'rule'>;

/** Of what goes on, and needs an approval that it has not had. */
export const NOW_HELD: RefusalWords = {
  message: 'it needs approval now',
  detail: undefined,
  hint: 'Request it again.',
  rule: undefined,
};

/** @param hasPty then nobody but us makes a carriage return of a line feed */
export function refusalText(
  { message, detail, hint, rule }: RefusalWords,
  hasPty: boolean,
): Uint8Array {
  // As policy/refusal.ts names it, with its place.
  const isNamed = rule === undefined || detail?.includes(`Rule ${rule.id} (`) === true;
  const place = isNamed ? '' : ` (rule ${rule.id}, ${rule.file}:${rule.line})`;
  return stderrLines(
    [
      `hoop: ${message}${place}`,
      ...(detail === undefined ? [] : [`hoop: ${detail}`]),
      ...(hint === undefined ? [] : [`hoop: ${hint}`]),
    ],
    hasPty,
  );
}

/** Text of others may be among it: no control characters. */
export function stderrLines(lines: readonly string[], hasPty: boolean): Uint8Array {
  const end = hasPty ? '\r\n' : '\n';
  return Buffer.from(lines.map((line) => `${plainText(line, MAX_LINE)}${end}`).join(''));
}
