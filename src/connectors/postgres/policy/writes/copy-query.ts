/**
 * Where the query of `COPY (query) TO` stands in its text: the tree does not say. What is found by
 * counting parentheses counts only if the parser makes of it the very query of the COPY.
 */
import type { TextBytes } from '../parse/text-bytes.ts';
import { as, type Node } from '../parse/tree.ts';

/** Bytes of UTF-8. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** Names, strings, comments and the rest, one character each; by PostgreSQL's scan.l. */
const TOKEN =
  /\s+|--[^\n\r]*|[eE]'[^'\\]*(?:(?:\\[\s\S]|'')[^'\\]*)*'|'[^']*(?:''[^']*)*'|"[^"]*(?:""[^"]*)*"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$|[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*|\/\*|[\s\S]/y;

/** Of what is in the parentheses of a statement that begins at `range.start`. */
export function parenthesised(text: TextBytes, range: TextRange): TextRange | undefined {
  const sql = text.latin1(range);
  let open: number | undefined;
  let depth = 0;
  let words = 0;
  let at = 0;
  while (at < sql.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(sql)?.[0] ?? '';
    if (token === '') return undefined;
    const end = endOfToken(sql, token, at);
    if (end === undefined) return undefined;
    if (token === '(') {
      open ??= end;
      depth += 1;
    } else if (token === ')') {
      depth -= 1;
      if (depth === 0 && open !== undefined) {
        return { start: range.start + open, end: range.start + at };
      }
    } else if (open === undefined && /^\w/.test(token)) {
      words += 1;
      if (words > 1) return undefined;
    }
    at = end;
  }
  return undefined;
}

function endOfToken(sql: string, token: string, at: number): number | undefined {
  const end = at + token.length;
  if (token === '/*') return endOfComment(sql, end);
  if (token.length > 1 && token.startsWith('$')) {
    const close = sql.indexOf(token, end);
    return close === -1 ? undefined : close + token.length;
  }
  return end;
}

/** Comments nest. */
function endOfComment(sql: string, from: number): number | undefined {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  for (let depth = 1; ; ) {
    const found = mark.exec(sql)?.[0];
    if (found === undefined) return undefined;
    depth += found === '/*' ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
}

/** The queries of the COPYs of a text, by the index of their statement. */
export function copiedQueries(tree: unknown): ReadonlyMap<number, Node> {
  const found = new Map<number, Node>();
  for (const [index, node] of statementsOf(tree).entries()) {
    const fields = as(node, 'CopyStmt');
    if (fields?.query !== undefined && !fields.is_from) found.set(index, fields.query);
  }
  return found;
}

/** Whether a text has this query as its only statement. @param tree of that text */
export function isQuery(tree: unknown, query: Node): boolean {
  const [only, ...others] = statementsOf(tree);
  return others.length === 0 && only !== undefined && withoutPlaces(only) === withoutPlaces(query);
}

function statementsOf(tree: unknown): readonly Node[] {
  if (typeof tree !== 'object' || tree === null || !('stmts' in tree)) return [];
  // What the parser gives: the list is checked to be one, its elements are nodes.
  return Array.isArray(tree.stmts) ? tree.stmts.map((raw: { stmt: Node }) => raw.stmt) : [];
}

/** `location`, `stmt_len`, and the brackets of ARRAY and IN: `list_start`, `rexpr_list_end`. */
const PLACES = /location$|^stmt_len$|list_(?:start|end)$/;

function withoutPlaces(node: Node): string {
  return JSON.stringify(node, (key, value: unknown) => (PLACES.test(key) ? undefined : value));
}
