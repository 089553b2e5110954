/** Constants of a statement that it writes into columns. */
import { placeholderIn } from '../../../../policy/placeholders.ts';
import { isPlainConstant } from '../parse/constant-shapes.ts';
import type { Node } from '../parse/tree.ts';

/** Parts of statements that only look for rows. */
const LOOKING: ReadonlySet<string> = new Set([
  'whereClause',
  'havingClause',
  'joinCondition',
  'quals',
  'condition',
]);

const WRITING = /^(insert|update|merge)$/;

export function writesValues(verbs: readonly string[]): boolean {
  return verbs.some((verb) => WRITING.test(verb));
}

/** @returns a placeholder of a detector among the constants that it does not only look for. */
export function writtenPlaceholder(statement: Node): string | undefined {
  const open: unknown[] = [statement];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null || isPlainConstant(value)) continue;
    const holder: unknown = Object(Reflect.get(value, 'A_Const')).sval;
    const text: unknown = isPlainConstant(holder) ? undefined : Object(holder).sval;
    const found = typeof text === 'string' ? placeholderIn(text) : undefined;
    if (found !== undefined) return found;
    for (const [name, inner] of Object.entries(value)) {
      if (!LOOKING.has(name) && inner !== undefined) open.push(inner);
    }
  }
  return undefined;
}
