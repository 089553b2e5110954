/**
 * Calls of functions that run a text which they are given: query_to_xml(), crosstab(), cron.schedule().
 * Literals are read as code is; what else a call may give them is not known.
 */

import { TYPE } from '../calls/function-types.ts';
import type { CatalogFunction } from '../facts/catalog-types.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { literalText, type Node } from '../parse/tree.ts';
import { noteLogin } from './login-changes.ts';
import { HIDDEN, loginChangeIn } from './login-code.ts';
import { runsGivenText } from './runs-given-text.ts';

const VARCHAR = 1043;
const TEXT_ARRAY = 1009;
const TEXTS: ReadonlySet<number> = new Set([TYPE.text, VARCHAR, TEXT_ARRAY, TYPE.unknown]);

/** Notes what a call may make of roles. */
export function noteGivenCode(
  facts: StatementFacts,
  called: CatalogFunction,
  args: readonly Node[] | undefined,
): void {
  if (!runsGivenText(called)) return;
  for (const [index, arg] of (args ?? []).entries()) {
    const text = literalText(arg);
    const isText = TEXTS.has(called.argTypeOids[index] ?? TYPE.text);
    const reason = text === undefined ? HIDDEN : loginChangeIn(facts, text);
    if (isText && reason !== undefined) noteLogin(facts, reason);
  }
}
