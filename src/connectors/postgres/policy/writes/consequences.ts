/**
 * What the server changes besides what a statement names: partitions and children, rows that refer
 * to changed ones (ON DELETE CASCADE, SET NULL …), and what rules say. It counts as if it stood in
 * the statement, with the relation that the statement names as the way there (`via`).
 */

import type { IndirectWrite } from '../facts/analysis-types.ts';
import type { CatalogRelation, RowChange } from '../facts/catalog-types.ts';
import { descendants } from '../facts/relation-family.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { noteRowCode, type WrittenRows } from './row-code.ts';
import { ruleActions } from './rule-actions.ts';
import { noteComparisons } from './write-comparisons.ts';

/** A table can have thousands of partitions; each is looked at as if the statement named it. */
const STEPS_PER_RELATION = 16;

/** To be called when the statement has been walked; finds everything in `facts.changed`. */
export function noteConsequences(facts: StatementFacts): void {
  const seen = new Map<string, Pick<WrittenRows, 'columns' | 'valued'>>();
  const open: WrittenRows[] = [];
  const add = (step: WrittenRows): void => {
    const key = `${step.relation.oid} ${step.change}`;
    const before = seen.get(key);
    if (before && isWithin(step.columns, before.columns) && isWithin(step.valued, before.valued)) {
      return;
    }
    const both = {
      columns: before ? union(step.columns, before.columns) : step.columns,
      valued: before ? union(step.valued, before.valued) : step.valued,
    };
    seen.set(key, both);
    open.push({ ...step, ...both });
  };
  const named = facts.changed;
  for (const { relation, change } of named) {
    const same = (one: StatementFacts['changed'][number]) =>
      one.relation.oid === relation.oid && one.change === change;
    // Of two inserts each may leave out what the other one gives.
    const isOnly = change !== 'insert' || named.filter(same).length === 1;
    const columns =
      change === 'delete'
        ? undefined
        : isOnly
          ? writtenOf(facts, relation, change)
          : new Set<number>();
    const valued = change === 'delete' ? undefined : valuedOf(facts, relation, change);
    add({ relation, change, columns, valued, via: namedBy(facts, relation) });
  }
  for (let step = open.pop(); step !== undefined; step = open.pop()) {
    const { relation, via } = step;
    facts.spendOn(relation.columns);
    facts.budget.spend(STEPS_PER_RELATION);
    noteRowCode(facts, step);
    noteComparisons(facts, step);
    for (const next of [...below(facts, step), ...referring(facts, step), ...ruled(facts, step)]) {
      facts.noteWriteIndirectly(next.relation, next.change, via);
      add({ ...next, via });
    }
  }
}

/** The view that leads to it, or itself. */
function namedBy(facts: StatementFacts, relation: CatalogRelation): IndirectWrite['via'] {
  const fact = [...facts.writes.values()].find(({ oid }) => oid === relation.oid);
  return fact?.via ?? { schema: relation.schema, name: relation.name };
}

type Next = Omit<WrittenRows, 'via'>;

/** INSERT goes on into partitions, UPDATE and DELETE to all that inherit. */
function below(facts: StatementFacts, rows: WrittenRows): Next[] {
  const { relation, change, columns, valued } = rows;
  if (change === 'insert' && relation.kind !== 'p') return [];
  const { catalog } = facts.context;
  const names = columns && namesOf(relation, columns);
  const valuedNames = valued && namesOf(relation, valued);
  return descendants(catalog, relation).map((child) => ({
    relation: child,
    change,
    // A child has its own numbers for the same columns.
    columns: names && numbersOf(child, names),
    valued: valuedNames && numbersOf(child, valuedNames),
    isBelow: true,
  }));
}

/** Referential actions. */
function referring(facts: StatementFacts, { relation, change, columns }: WrittenRows): Next[] {
  const { catalog } = facts.context;
  return (relation.referencedBy ?? []).flatMap((oid) => {
    const other = catalog.relationByOid(oid);
    return (other?.foreignKeys ?? []).flatMap((key): Next[] => {
      const isReached =
        change === 'delete' ||
        (change === 'update' &&
          key.referencedColumns.some((column) => columns?.has(column) ?? true));
      const effect = change === 'delete' ? key.onDelete : key.onUpdate;
      if (!other || key.references !== relation.oid || !isReached || effect === undefined) {
        return [];
      }
      const changed = effect === 'update' ? new Set(key.columns) : undefined;
      return [{ relation: other, change: effect, columns: changed, valued: changed }];
    });
  });
}

/** Actions of rules, which can change anything. */
function ruled(facts: StatementFacts, { relation, change, columns }: WrittenRows): Next[] {
  return (relation.rules ?? [])
    .filter(({ event }) => event === change)
    .flatMap((rule) => ruleActions(facts, relation, rule, columns))
    .map((changed) => ({
      ...changed,
      columns:
        changed.change === 'update' ? writtenOf(facts, changed.relation, 'update') : new Set(),
      valued: valuedOf(facts, changed.relation, changed.change),
    }));
}

function writtenOf(
  facts: StatementFacts,
  { oid }: CatalogRelation,
  change: RowChange,
): ReadonlySet<number> {
  return facts.writtenBy.get(`${oid} ${change}`) ?? new Set();
}

/** Those that can get another value than NULL and their default. */
function valuedOf(
  facts: StatementFacts,
  { oid }: CatalogRelation,
  change: RowChange,
): ReadonlySet<number> {
  return facts.valuedBy.get(`${oid} ${change}`) ?? new Set();
}

function namesOf(relation: CatalogRelation, columns: ReadonlySet<number>): ReadonlySet<string> {
  return new Set(
    relation.columns.filter(({ attnum }) => columns.has(attnum)).map(({ name }) => name),
  );
}

function numbersOf(relation: CatalogRelation, names: ReadonlySet<string>): ReadonlySet<number> {
  return new Set(
    relation.columns.filter(({ name }) => names.has(name)).map(({ attnum }) => attnum),
  );
}

function isWithin(
  part: ReadonlySet<number> | undefined,
  whole: ReadonlySet<number> | undefined,
): boolean {
  return (
    whole === undefined || (part !== undefined && [...part].every((column) => whole.has(column)))
  );
}

function union(
  a: ReadonlySet<number> | undefined,
  b: ReadonlySet<number> | undefined,
): ReadonlySet<number> | undefined {
  return a === undefined || b === undefined ? undefined : new Set([...a, ...b]);
}
