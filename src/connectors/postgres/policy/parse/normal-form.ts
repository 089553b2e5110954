/**
 * What is the same of statements that differ in constants, spelling and comments alone: the tree without
 * places and values. Parameters count as constants, and IN, ARRAY and VALUES are as long as any other, so
 * that a program's text and the same statement prepared are one. The digest has no key and is kept nowhere:
 * gateway/statement-columns.ts makes of it what is.
 */
import { hash } from 'node:crypto';

/** Where nodes stand in the text. */
const PLACES: ReadonlySet<string> = new Set([
  'location',
  'stmt_location',
  'stmt_len',
  'list_start',
  'list_end',
  'rexpr_list_start',
  'rexpr_list_end',
  'name_location',
]);
/** Lists of which the length says nothing. */
const SETS: ReadonlySet<string> = new Set(['elements', 'values_lists', 'valuesLists']);

/**
 * @param statement a node of the parser's. Constants in it are not looked at: constant-shapes.ts exchanges them.
 * @returns SHA-256, base64url
 */
export function normalForm(statement: object): string {
  return hash('sha256', formOf(statement), 'base64url');
}

/** It stands where every statement waits that is new: for…in, which makes no arrays. */
function formOf(value: unknown): string {
  if (typeof value === 'string') return `"${value.length}:${value}`;
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) {
    let form = '[';
    for (const item of value) form += `${formOf(item)},`;
    return `${form}]`;
  }
  if ('A_Const' in value || 'ParamRef' in value) return '?';
  if (isPassword(value)) return '?';
  const isIn = 'kind' in value && value.kind === 'AEXPR_IN';
  let form = '{';
  for (const key in value) {
    if (PLACES.has(key) || key === 'conninfo') continue;
    // In what for…in has just named.
    const child: unknown = value[key as keyof typeof value];
    const isSet = SETS.has(key) || (isIn && key === 'rexpr');
    form += `${key}:${isSet ? setOf(itemsOf(child)) : formOf(child)},`;
  }
  return `${form}}`;
}

/** `IN (1, 2)` is `IN (1, 2, 3)`, and VALUES with one row are VALUES with many that are alike. */
function setOf(list: unknown): string {
  if (!Array.isArray(list)) return formOf(list);
  let form = '[';
  let last = '';
  for (const item of list) {
    const own = formOf(item);
    if (own !== last) form += `${own},`;
    last = own;
  }
  return `${form}]`;
}

function itemsOf(node: unknown): unknown {
  if (typeof node !== 'object' || node === null || !('List' in node)) return node;
  const { List: list } = node;
  return typeof list === 'object' && list !== null && 'items' in list ? list.items : node;
}

/** PASSWORD of a role, a server or a user mapping: what is kept of a statement rests on no secret. */
function isPassword(value: object): boolean {
  return 'defname' in value && value.defname === 'password';
}
