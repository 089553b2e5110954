/** A view that gets another name: everything that its definition reads, conditions included. */

import type { ColumnFact } from './analysis-types.ts';
import type { CatalogRelation } from './catalog-types.ts';
import { outputOf } from './output-column.ts';
import { StatementFacts } from './statement-facts.ts';

/** @returns undefined: it cannot be followed. */
export function columnsBehind(
  facts: StatementFacts,
  view: CatalogRelation,
): readonly ColumnFact[] | undefined {
  // For itself: the statement reads nothing of it, and needs no rule that allows it to.
  const apart = new StatementFacts(facts.context, facts.walks, facts.budget);
  const columns = apart.walks.view(apart, view);
  const outputs = columns?.map((column) => outputOf(apart, column));
  if (outputs === undefined || apart.opaque.length > 0) return undefined;
  const { columnsRead, columnsEvaluated = [] } = apart.result(
    'select',
    outputs,
    {},
    { start: 0, end: 0 },
  );
  const shown = outputs.flatMap(({ sources, tied = [] }) => [...sources, ...tied]);
  return [...columnsRead, ...columnsEvaluated, ...shown];
}
