/**
 * `qualified`: an UPDATE or DELETE has a WHERE, and it is no constant. It names a column; `WHERE true`,
 * `WHERE 1 = 1`, `WHERE $1` and `WHERE random() < 2` do not. How many rows it leaves out nobody can
 * tell from its text: `id > 0`, `id = id` and `id IN (SELECT id FROM t)` are qualified, and change all
 * rows. Rules with `rows` are for that.
 *
 * INSERT … ON CONFLICT DO UPDATE always is: each row that it changes is named by its key. MERGE is when
 * each action that updates or deletes is: by ON together with its AND, and by its AND alone where it
 * is for rows that ON has not matched (NOT MATCHED BY SOURCE).
 */
import { as, type Node } from './tree.ts';

/** The condition of an UPDATE or DELETE, or those parts of it that decide about the rows changed. */
export function isQualified(...conditions: readonly (Node | undefined)[]): boolean {
  const open: unknown[] = [...conditions];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    if ('CurrentOfExpr' in node || namesColumn(node)) return true;
    // The value of a constant is not looked at: a verdict is kept for all of them (constant-shapes.ts).
    if ('A_Const' in node) continue;
    open.push(...Object.values(node));
  }
  return false;
}

/** `*` alone is in the list of a subquery and tests nothing. */
function namesColumn(node: object): boolean {
  if (!('ColumnRef' in node)) return false;
  const { ColumnRef: reference } = node;
  const fields: unknown =
    typeof reference === 'object' && reference !== null && 'fields' in reference
      ? reference.fields
      : [];
  const [first, ...more] = Array.isArray(fields) ? fields : [];
  return more.length > 0 || as(first, 'A_Star') === undefined;
}
