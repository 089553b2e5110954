/**
 * The property that is tested: what the server ran for a client is, byte for byte, what the gateway
 * has recorded that it allowed.
 */
import type { LoggedText } from './server-log.ts';

/** A text that the client sent, and whether all that was decided about it was `allow`. */
export interface DecidedText {
  readonly text: string;
  readonly isSimple: boolean;
  readonly isAllowed: boolean;
}

/**
 * What the gateway sends to be refused, and what it asks on the client's connection: known by the
 * name of its statement, or by its beginning where it failed and the log has no name.
 */
const DENIED = /^hoop_denied_[0-9a-f]+$/;
const ASKED = /^SELECT '[a-z_]+'(::pg_catalog\.text)?, /;

function isOwn({ text, kind, isNamedProbe }: LoggedText): boolean {
  return DENIED.test(text) || isNamedProbe || (kind === 'failed' && ASKED.test(text));
}

/** @returns the texts that reached the server and that nobody had allowed. */
export function unparsedTexts(
  logged: readonly LoggedText[],
  decided: readonly DecidedText[],
): readonly string[] {
  const sent = new Set(decided.map(({ text }) => text));
  const allowed = new Set<string>();
  // A Query is run once for each time that it was allowed; a prepared statement as often as one likes.
  const queries = new Map<string, number>();
  for (const { text, isSimple, isAllowed } of decided) {
    if (!isAllowed) continue;
    allowed.add(text);
    if (isSimple) queries.set(text, (queries.get(text) ?? 0) + 1);
  }
  return logged.flatMap((entry) => {
    const { text, kind, isSimple } = entry;
    if (isOwn(entry) && !sent.has(text)) return [];
    if (!allowed.has(text)) return [text];
    if (kind !== 'statement' || !isSimple) return [];
    const left = (queries.get(text) ?? 0) - 1;
    queries.set(text, left);
    return left < 0 ? [text] : [];
  });
}
