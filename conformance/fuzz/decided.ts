/** What was decided about one text that a client sent. */

import type { SqlParser } from '../../src/connectors/postgres/policy/parse/parser.ts';
import { TextBytes } from '../../src/connectors/postgres/policy/parse/text-bytes.ts';
import { rangesOfStatements } from '../../src/connectors/postgres/policy/walk/analyse-statements.ts';
import type { DecidedText } from './unparsed.ts';

/** @param effects of the decisions about it, in their order */
export async function decidedText(
  parser: SqlParser,
  { text, isSimple }: Pick<DecidedText, 'text' | 'isSimple'>,
  effects: readonly string[],
): Promise<DecidedText> {
  const isAllowed = effects.length > 0 && effects.every((effect) => effect === 'allow');
  const refused = effects.findIndex((effect) => effect !== 'allow');
  // What follows a refusal was not decided.
  const count = refused < 0 ? effects.length : refused;
  const statements = isSimple && count > 0 ? await statementsOf(parser, text) : [];
  return { text, isSimple, isAllowed, parts: statements.slice(0, count) };
}

async function statementsOf(parser: SqlParser, text: string): Promise<readonly string[]> {
  const outcome = await parser.parse(text);
  if (outcome.type !== 'tree') return [];
  const bytes = new TextBytes(text);
  return rangesOfStatements(outcome.tree, bytes.length).map((range) => bytes.slice(range));
}
