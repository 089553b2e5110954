/** What RETURNING shows of a row that triggers have changed. */
import type { CatalogFunction } from '../facts/catalog-types.ts';
import { constant, type Origin, unite } from '../facts/lineage.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import { descendants } from '../facts/relation-family.ts';
import type { Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { type TriggeredRow, triggeredRow } from '../triggers/trigger-effects.ts';
import type { Flows, WriteTarget } from './write-targets.ts';

interface AfterTriggers extends Pick<TriggeredRow, 'leavesOut' | 'unclear'> {
  readonly after: Table;
  /** As OLD: in PostgreSQL 18 `(old).a` gives `new.a` (tried on 18.4), so what is in that can be in this. */
  readonly before: Table;
}

/** @param after the target after what the statement writes */
export function afterTriggers(
  facts: StatementFacts,
  target: WriteTarget,
  flows: Flows,
  after: Table,
): AfterTriggers {
  const movable = canMove(facts, target, flows);
  const written = unite(flows.values());
  const unclear = new Set<CatalogFunction>();
  const leavesOut = new Map<CatalogFunction, ReadonlySet<Origin>>();
  const added = new Map<string, ReadonlySet<Origin>>();
  for (const { members, triggers, movedTo } of target.families) {
    const own = [...triggers, ...(movable ? movedTo : [])];
    const [first] = members;
    if (first === undefined || own.length === 0) continue;
    const row = triggeredRow(facts, first, own, written);
    for (const called of row.unclear) unclear.add(called);
    for (const [called, tested] of row.leavesOut) {
      leavesOut.set(called, new Set([...(leavesOut.get(called) ?? []), ...tested]));
    }
    for (const { oid, columns } of members) {
      for (const { attnum, name } of columns) {
        const more = row.added.get(name);
        if (more) added.set(`${oid}.${attnum}`, more);
      }
    }
  }
  return {
    before: withAdded(target, added),
    after: withAdded(after, added),
    leavesOut,
    unclear,
  };
}

function withAdded<T extends Table>(table: T, added: ReadonlyMap<string, ReadonlySet<Origin>>): T {
  if (added.size === 0) return table;
  const columns = table.columns.map(({ name, lineage }) => {
    const more = new Set<Origin>();
    for (const origin of lineage.origins) {
      if (origin.kind !== 'column') continue;
      for (const one of added.get(`${origin.fact.oid}.${origin.fact.attnum}`) ?? []) more.add(one);
    }
    if (more.size === 0) return { name, lineage };
    // Nothing is known of its fields any more, or of JSON in it.
    const origins = new Set([...lineage.origins, ...more]);
    return { name, lineage: { ...constant(lineage.type), origins } };
  });
  return { ...table, columns };
}

/** A row can get to another partition: a column that partitions are told by is written. */
function canMove(facts: StatementFacts, target: WriteTarget, flows: Flows): boolean {
  const { relation, families } = target;
  if (relation?.kind !== 'p' || families.some(({ triggers }) => triggers.length > 0)) return true;
  const members = [relation, ...descendants(facts.context.catalog, relation)];
  const keys = members.flatMap((member) =>
    (member.comparisons ?? [])
      .filter(({ kind }) => kind === 'partition')
      .flatMap((key) => key.columns)
      .map((attnum) => columnByNumber(member, attnum)?.name),
  );
  return keys.some((name) => name === undefined || flows.has(name));
}
