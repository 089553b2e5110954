/** Conditions and windows: what decides about rows without being shown itself. */
import { noteAssigned } from '../calls/applied-casts.ts';
import { TYPE } from '../calls/function-types.ts';
import { constant, type Origin, unite } from '../facts/lineage.ts';
import type { Scope } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, type Node } from '../parse/tree.ts';
import { expression, expressions } from './expressions.ts';
import { checkFields } from './grammar.ts';

/**
 * A condition: its columns show through inference, and columns compared with each other in one
 * test can show each other's values.
 * @returns everything that the condition depends on
 */
export function condition(
  facts: StatementFacts,
  node: Node | undefined,
  scope: Scope | undefined,
): ReadonlySet<Origin> {
  const parts = as(node, 'BoolExpr');
  if (parts) {
    checkFields(facts, 'BoolExpr', parts);
    return facts.nested(() => {
      const origins = new Set<Origin>();
      for (const part of parts.args ?? []) {
        for (const origin of condition(facts, part, scope)) {
          origins.add(origin);
        }
      }
      return origins;
    });
  }
  if (node === undefined) return new Set();
  const test = expression(facts, node, scope);
  noteAssigned(facts, test, TYPE.bool);
  facts.noteComputed(test, 'a condition');
  facts.tie(test.origins);
  facts.noteDeciding(test.origins);
  return test.origins;
}

/** What a window depends on: its own PARTITION BY, ORDER BY and frame, and the named one it builds on. */
export function windowOrigins(
  facts: StatementFacts,
  window: FieldsOf<'WindowDef'> | undefined,
  scope: Scope | undefined,
): ReadonlySet<Origin> {
  if (!window) {
    return new Set();
  }
  checkFields(facts, 'WindowDef', window);
  const parts = expressions(
    facts,
    [
      ...(window.partitionClause ?? []),
      ...(window.orderClause ?? []),
      ...(window.startOffset ? [window.startOffset] : []),
      ...(window.endOffset ? [window.endOffset] : []),
    ],
    scope,
  );
  const partitions = window.partitionClause?.length ?? 0;
  for (const [index, part] of parts.entries()) {
    // Both sort the rows, and so they come out.
    facts.noteComputed(part, index < partitions ? 'PARTITION BY' : 'ORDER BY of a window');
  }
  const named = [window.name, window.refname].flatMap((name) => {
    const origins = name === undefined ? undefined : windowNamed(scope, name);
    return origins ? [{ ...constant(), origins }] : [];
  });
  return unite([...parts, ...named]);
}

function windowNamed(scope: Scope | undefined, name: string): ReadonlySet<Origin> | undefined {
  for (let level = scope; level; level = level.outer) {
    const origins = level.windows?.get(name);
    if (origins) {
      return origins;
    }
  }
  return undefined;
}
