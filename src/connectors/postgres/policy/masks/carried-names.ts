/** Finds the other names that a query gives to a column: `SELECT token AS t` in a view, a subquery or WITH. */

/** Says whether an expression holds a value of a column of one of these names. */
export type HoldsColumn = (expression: unknown, names: ReadonlySet<string>) => boolean;

/** Names of the columns of a query whose values come from columns of these names. */
export function outputNames(
  query: unknown,
  names: ReadonlySet<string>,
  holds: HoldsColumn,
): ReadonlySet<string> {
  return new Set(positions(query, names, holds).map(({ name }) => name));
}

/** These names, and those that subqueries in FROM and WITH queries of the tree give to them. */
export function withCarriedNames(
  tree: unknown,
  names: ReadonlySet<string>,
  holds: HoldsColumn,
): ReadonlySet<string> {
  const found = new Set(names);
  const inner = renamings(tree);
  let before: number;
  do {
    before = found.size;
    for (const { query, columns } of inner) {
      for (const { name, index } of positions(query, found, holds)) {
        found.add(columns[index] ?? name);
      }
    }
  } while (found.size > before);
  return found;
}

/** Names of the relations in a tree, without their schemas. */
export function relationNames(tree: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { RangeVar } of nodesIn(tree)) {
    const name = fieldOf(RangeVar, 'relname');
    if (typeof name === 'string') found.add(name);
  }
  return found;
}

interface Position {
  readonly name: string;
  readonly index: number;
}

function positions(query: unknown, names: ReadonlySet<string>, holds: HoldsColumn): Position[] {
  const arms = [fieldOf(query, 'larg'), fieldOf(query, 'rarg')].filter((arm) => arm !== undefined);
  if (arms.length > 0) {
    // The first arm names the columns of all.
    const first = targets(firstArm(query));
    return arms
      .flatMap((arm) => positions(arm, names, holds))
      .map(({ name, index }) => ({ name: outputName(first[index]) ?? name, index }));
  }
  return targets(query).flatMap((target, index) =>
    holds(fieldOf(target, 'val'), names) ? { name: outputName(target) ?? '', index } : [],
  );
}

function firstArm(query: unknown): unknown {
  let arm = query;
  for (let next = fieldOf(arm, 'larg'); next !== undefined; next = fieldOf(arm, 'larg')) arm = next;
  return arm;
}

function targets(query: unknown): unknown[] {
  return listOf(fieldOf(query, 'targetList')).map((one) => fieldOf(one, 'ResTarget'));
}

function outputName(target: unknown): string | undefined {
  const name = fieldOf(target, 'name');
  if (typeof name === 'string') return name;
  const fields = listOf(fieldOf(fieldOf(fieldOf(target, 'val'), 'ColumnRef'), 'fields'));
  const last = fieldOf(fieldOf(fields.at(-1), 'String'), 'sval');
  return typeof last === 'string' ? last : undefined;
}

/** Queries in the tree that have a name there, with the names that it gives to their columns. */
function renamings(tree: unknown): { readonly query: unknown; readonly columns: string[] }[] {
  return nodesIn(tree).flatMap(({ RangeSubselect, CommonTableExpr }) => {
    const subquery = fieldOf(fieldOf(RangeSubselect, 'subquery'), 'SelectStmt');
    const query = subquery ?? fieldOf(fieldOf(CommonTableExpr, 'ctequery'), 'SelectStmt');
    if (query === undefined) return [];
    const given = subquery
      ? fieldOf(fieldOf(RangeSubselect, 'alias'), 'colnames')
      : fieldOf(CommonTableExpr, 'aliascolnames');
    const columns = listOf(given).map((one) => String(fieldOf(fieldOf(one, 'String'), 'sval')));
    return [{ query, columns }];
  });
}

function nodesIn(tree: unknown): Readonly<Record<string, unknown>>[] {
  const found: Readonly<Record<string, unknown>>[] = [];
  const open: unknown[] = [tree];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    found.push({ ...value });
    open.push(...Object.values(value).filter((inner) => inner !== undefined));
  }
  return found;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}
