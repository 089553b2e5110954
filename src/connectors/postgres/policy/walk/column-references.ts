/** Names in expressions: columns, tables as rows, and calls in the dress of a column. */

import { callFunction } from '../calls/functions.ts';
import type { Opaque } from '../facts/analysis-types.ts';
import { UNKNOWN_NAME } from '../facts/is-mistake.ts';
import { constant, derive, type Lineage, oneOf } from '../facts/lineage.ts';
import { refuseServerFiles } from '../facts/relation-columns.ts';
import {
  columnOf,
  findColumn,
  findTable,
  hasIncomplete,
  type Scope,
  type Table,
  wholeRow,
} from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf, is, type Node, stringOf } from '../parse/tree.ts';
import { checkFields } from './grammar.ts';

/** `a`, `t.a`, `s.t.a`, `t.*` and `t`; and `t.f`, which can also be the call f(t). */
export function columnRef(
  facts: StatementFacts,
  fields: FieldsOf<'ColumnRef'>,
  scope: Scope | undefined,
): Lineage {
  checkFields(facts, 'ColumnRef', fields);
  const parts = fields.fields ?? [];
  const names = parts.flatMap((part) => stringOf(part) ?? []);
  const found = is(parts.at(-1), 'A_Star')
    ? starRow(facts, names, scope)
    : namedValue(facts, names, scope, fields.location);
  if (!found) {
    // Of an unknown relation the columns are unknown too: one reason is enough.
    if (facts.opaque.length === 0 || !hasIncomplete(scope)) {
      const hint = nearColumnHint(scope, names);
      const mistake = missingTable(facts, names, scope);
      const reason = `column ${names.join('.')} is not known`;
      facts.refuse(reason, { location: fields.location, hint, mistake });
    }
    return constant();
  }
  refuseServerFiles(facts, found, fields.location);
  return found;
}

/** `p.name` where no table is called p. */
function missingTable(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
): Opaque['mistake'] {
  const [table] = names;
  if (names.length !== 2 || tableNamed(facts, names.slice(0, 1), scope)) return undefined;
  for (let level = scope; level; level = level.outer) {
    // Under an alias it cannot be reached by its own name, and the server has other words for it.
    if (level.tables.some(({ relation }) => relation?.name === table)) {
      const message = `invalid reference to FROM-clause entry for table "${table}"`;
      return { sqlState: UNKNOWN_NAME.relation, message };
    }
  }
  const message = `missing FROM-clause entry for table "${table}"`;
  return { sqlState: UNKNOWN_NAME.relation, message };
}

export function namedValue(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
  location: number | undefined,
): Lineage | undefined {
  const name = names.at(-1) ?? '';
  const [first = ''] = names;
  if (names.length === 1) {
    const column = findColumn(facts, scope, first);
    if (column) {
      return column;
    }
    const table = findTable(scope, first);
    return table ? wholeRow(facts, table) : undefined;
  }
  const table = tableNamed(facts, names.slice(0, -1), scope);
  if (!table) {
    return undefined;
  }
  return (
    columnOf(facts, table, name) ?? attributeCall(facts, name, wholeRow(facts, table), location)
  );
}

/** The table that `t`, `s.t` or `db.s.t` means. */
export function tableNamed(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
): Table | undefined {
  const [database] = names.slice(-3, -2);
  if (names.length > 3 || (database !== undefined && database !== facts.context.catalog.database)) {
    return undefined;
  }
  return findTable(scope, names.at(-1) ?? '', names.at(-2));
}

/** The whole row of `t.*` used as a value. */
export function starRow(
  facts: StatementFacts,
  names: readonly string[],
  scope: Scope | undefined,
): Lineage | undefined {
  if (names.length === 0) {
    const columns = scope?.columns ?? [];
    facts.spendOn(columns);
    return derive(
      columns.map((column) => column.lineage),
      undefined,
      columns,
    );
  }
  const table = tableNamed(facts, names, scope);
  return table ? wholeRow(facts, table) : undefined;
}

/** Whether a table of which not all columns are known is part of the star. */
export function isIncomplete(
  facts: StatementFacts,
  node: Node,
  names: readonly string[],
  scope: Scope | undefined,
): boolean {
  if (!is(node, 'ColumnRef')) {
    return false;
  }
  const tables = names.length === 0 ? scope?.tables : [tableNamed(facts, names, scope)];
  return tables?.some((table) => table?.incomplete) ?? false;
}

/** `x.f` or `(x).f` where x has no field f: PostgreSQL then calls f(x). */
export function attributeCall(
  facts: StatementFacts,
  name: string,
  argument: Lineage,
  location: number | undefined,
): Lineage | undefined {
  return callFunction(facts, { names: [name], args: [argument], location })?.lineage;
}

export function fieldOf(facts: StatementFacts, value: Lineage, name: string): Lineage {
  const found = value.fields?.filter((field) => field.name === name) ?? [];
  if (found.length > 0) {
    const field = oneOf(found.map((candidate) => candidate.lineage));
    refuseServerFiles(facts, field, undefined);
    return field;
  }
  return attributeCall(facts, name, value, undefined) ?? derive([value]);
}

/** `*`, `t.*` or `(x).*`. */
export function isStar(node: Node | undefined): boolean {
  const steps = as(node, 'ColumnRef')?.fields ?? as(node, 'A_Indirection')?.indirection;
  return is(steps?.at(-1), 'A_Star');
}

/** Of a name that may have been meant; Levenshtein's. */
const MAX_DISTANCE = 3;

/**
 * "Perhaps you meant to reference the column …", as the server says it: tools and people look for it,
 * and it names only columns of tables that the statement names itself (searchRangeTableForCol).
 * @param names of a column that does not exist: `name`, or `table.name`.
 */
function nearColumnHint(scope: Scope | undefined, names: readonly string[]): string | undefined {
  const wanted = names.at(-1) ?? '';
  const table = names.at(-2);
  const found: { readonly name: string; readonly distance: number }[] = [];
  for (let level = scope; level; level = level.outer) {
    for (const one of level.tables) {
      if (one.name === undefined) continue;
      const penalty = table === undefined ? 0 : distanceOf(table, one.name);
      for (const column of one.columns) {
        const distance = distanceOf(wanted, column.name);
        if (distance > wanted.length / 2 || distance + penalty > MAX_DISTANCE) continue;
        found.push({ name: `${one.name}.${column.name}`, distance: distance + penalty });
      }
    }
  }
  const least = Math.min(...found.map(({ distance }) => distance));
  const best = found.filter(({ distance }) => distance === least).map(({ name }) => `"${name}"`);
  // With more than two to choose from the server keeps silent.
  return best.length === 0 || best.length > 2
    ? undefined
    : `Perhaps you meant to reference the column ${best.join(' or the column ')}.`;
}

/** Levenshtein's, each step 1; more than MAX_DISTANCE counts as that and one. */
function distanceOf(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > MAX_DISTANCE) return MAX_DISTANCE + 1;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [index, letter] of [...left].entries()) {
    const next = [index + 1];
    for (const [at, other] of [...right].entries()) {
      const kept = (row[at] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(kept, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(row.at(-1) ?? 0, MAX_DISTANCE + 1);
}
