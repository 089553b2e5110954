/**
 * Says whether the text of a PL/pgSQL function compares a column with a constant. Its statements are taken
 * apart at the words between them, and each that names the column is parsed as SQL. One that is no SQL
 * counts as telling where it has a constant: its text is not understood.
 */
import { isTelling } from '../../policy/masks/telling-texts.ts';
import type { ViewNames } from './view-names.ts';

type Parse = (sql: string) => Promise<unknown>;

const BETWEEN = /;|\b(?:BEGIN|DECLARE|ELSE|LOOP|THEN)\b/i;
const NOTHING = /--[^\n]*|\/\*[\s\S]*?\*\/|(?<!')''(?!')/g;
/** Where SELECT and RETURNING put their results. */
const INTO = /(?<!\b(?:INSERT|MERGE)\s*)\bINTO\s+(?:STRICT\s+)?[\w.]+(?:\s*,\s*[\w.]+)*/gi;
/** Words before a query, before a condition, and before another expression. */
const BEFORE_QUERY = /^\s*(?:FOR\s+\w+\s+IN|RETURN\s+QUERY|OPEN\s+\w+\s+FOR|\w+\s+CURSOR\s+FOR)\b/i;
const BEFORE_CONDITION = /^\s*(?:IF|ELSIF|ELSEIF|WHILE|WHEN|(?:EXIT|CONTINUE)\s+WHEN|ASSERT)\b/i;
const BEFORE_EXPRESSION =
  /^\s*(?:RETURN\b|PERFORM\b|[\w.]+\s*:?=|RAISE\b\s*(?:DEBUG|LOG|INFO|NOTICE|WARNING|EXCEPTION)?)/i;
const CONSTANT = /['"$]|(?<![\w.$])[1-9]/;

export async function isTellingCode(
  source: string,
  names: ViewNames,
  parse: Parse,
): Promise<boolean> {
  for (const part of source.replace(NOTHING, ' ').split(BETWEEN)) {
    const columns = new Set([...names.everywhere].filter((name) => isNamed(part, name)));
    if (columns.size === 0 || !CONSTANT.test(part)) continue;
    const isCondition = BEFORE_CONDITION.test(part);
    const tree = await treeOf(part, parse);
    if (isTelling(tree, { columns, comparisons: 'all', isCondition })) return true;
  }
  return false;
}

async function treeOf(part: string, parse: Parse): Promise<unknown> {
  // It runs a text that is put together; as SQL, EXECUTE 'text' would be a constant of that type.
  if (/\bEXECUTE\b/i.test(part)) return undefined;
  const query = part.replace(INTO, ' ').replace(BEFORE_QUERY, '');
  const expression = query.replace(BEFORE_CONDITION, '').replace(BEFORE_EXPRESSION, '');
  // RAISE … USING option = value
  const list = /^\s*RAISE\b/i.test(query) ? expression.replace(/\bUSING\b/gi, ',') : expression;
  return (await tried(parse, query)) ?? (await tried(parse, `SELECT ${list}`));
}

function isNamed(text: string, name: string): boolean {
  const at = (position: number): string => text.at(position) ?? ' ';
  const [all, sought] = [text.toLowerCase(), name.toLowerCase()];
  for (let from = all.indexOf(sought); from !== -1; from = all.indexOf(sought, from + 1)) {
    const isPart = from > 0 && /[\w$]/.test(at(from - 1));
    if (!isPart && !/[\w$]/.test(at(from + sought.length) || ' ')) return true;
  }
  return false;
}

/** @returns undefined: it does not parse */
export async function tried(parse: Parse, sql: string): Promise<unknown> {
  try {
    return await parse(sql);
  } catch {
    return undefined;
  }
}
