import type { CatalogRelation } from './catalog-types.ts';
import type { NamedLineage } from './lineage.ts';
import { select } from './queries.ts';
import { BUILT_IN_PATH, type StatementFacts } from './statement-facts.ts';
import { as, type Node } from './tree.ts';

/** @returns undefined after it has said why the definition cannot be followed. */
export function viewColumns(
  facts: StatementFacts,
  view: CatalogRelation,
): readonly NamedLineage[] | undefined {
  if (facts.views.has(view.oid)) {
    const known = facts.views.get(view.oid);
    if (!known) {
      facts.refuse(`the view ${view.schema}.${view.name} cannot be followed`);
    }
    return known;
  }
  facts.views.set(view.oid, undefined);
  const query = as(viewQuery(view.viewTree), 'SelectStmt');
  if (!query) {
    facts.refuse(`the definition of the view ${view.schema}.${view.name} is not known`);
    return undefined;
  }
  const verbs = [...facts.verbs];
  const { view: outer, viewPath } = facts;
  // Columns behind a view belong to the view that the statement names.
  facts.view ??= view;
  facts.viewPath = view.viewPath ?? BUILT_IN_PATH;
  const { columns } = select(facts, query, undefined);
  facts.view = outer;
  facts.viewPath = viewPath;
  facts.verbs.splice(0, facts.verbs.length, ...verbs);
  facts.views.set(view.oid, columns);
  return columns;
}

/** The one statement of a parse result. */
function viewQuery(tree: unknown): Node | undefined {
  if (
    typeof tree !== 'object' ||
    tree === null ||
    !('stmts' in tree) ||
    !Array.isArray(tree.stmts)
  ) {
    return undefined;
  }
  const [first] = tree.stmts;
  return tree.stmts.length === 1 ? first?.stmt : undefined;
}
