/** The server gives a parameter without a type the one of its first place. */
import type { StatementFacts } from '../facts/statement-facts.ts';

/** How often each parameter stands in a statement. */
const USES = new WeakMap<object, ReadonlyMap<number, number>>();

/** Whether $number stands in one place only, so that this place gives it its type. */
export function hasOneUse({ root }: StatementFacts, number: number): boolean {
  if (root === undefined) {
    return false;
  }
  let uses = USES.get(root);
  if (uses === undefined) {
    uses = usesIn(root);
    USES.set(root, uses);
  }
  return uses.get(number) === 1;
}

/** Without recursion: trees can be deeper than the stack. */
function usesIn(root: object): ReadonlyMap<number, number> {
  const uses = new Map<number, number>();
  const open: object[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const [key, value] of Object.entries(node)) {
      // There is no parameter in a constant, and one that is looked at belongs to this text alone.
      if (typeof value !== 'object' || value === null || key === 'A_Const') {
        continue;
      }
      if (key === 'ParamRef') {
        const number = 'number' in value ? Number(value.number) : 0;
        uses.set(number, (uses.get(number) ?? 0) + 1);
      }
      open.push(value);
    }
  }
  return uses;
}
