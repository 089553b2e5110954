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
  /** Of a Query: its statements as far as they were allowed, which may have been run one by one. */
  readonly parts: readonly string[];
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
  // A Query, or a part of it, is run once for each time that it was allowed; a prepared statement as
  // often as one likes.
  const queries = new Map<string, number>();
  const parts = new Map<string, number>();
  for (const { text, isSimple, isAllowed, parts: own } of decided) {
    for (const part of own) parts.set(part, (parts.get(part) ?? 0) + 1);
    if (!isAllowed) continue;
    allowed.add(text);
    if (isSimple) queries.set(text, (queries.get(text) ?? 0) + 1);
  }
  return logged.flatMap((entry) => {
    const { text, kind, isSimple } = entry;
    if (isOwn(entry) && !sent.has(text)) return [];
    const isPart = !allowed.has(text);
    if (isPart && (isSimple || !parts.has(text))) return [text];
    if (kind !== 'statement' || (!isSimple && !isPart)) return [];
    const counts = isPart ? parts : queries;
    const left = (counts.get(text) ?? 0) - 1;
    counts.set(text, left);
    return left < 0 ? [text] : [];
  });
}
