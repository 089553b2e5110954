/**
 * Where it can be seen how many rows a statement changes. The number in CommandComplete is that of
 * one INSERT, UPDATE, DELETE, MERGE or COPY at the top; what WITH, EXPLAIN ANALYZE, foreign keys,
 * rules and triggers change besides is in the server's statistics alone.
 */

import type {
  IndirectWrite,
  Opaque,
  RowCountSource,
  StatementAnalysis,
} from '../facts/analysis-types.ts';
import type { Catalog, CatalogRelation, RowChange } from '../facts/catalog-types.ts';
import { descendants } from '../facts/relation-family.ts';

const CHANGING: readonly string[] = ['insert', 'update', 'delete', 'merge'];

/** Whether rows change when it runs, or when what it prepares runs. */
export function changesRows({ verbs }: Pick<StatementAnalysis, 'verbs'>): boolean {
  return verbs.some((verb) => CHANGING.includes(verb));
}

interface Step {
  readonly relation: CatalogRelation;
  readonly change: RowChange;
}

export interface CountedFacts {
  readonly catalog: Catalog;
  /** What it says that it changes, views with what is behind them. */
  readonly changed: readonly Step[];
  readonly indirectly: readonly IndirectWrite[];
  /** It is one change at the top and nothing else. */
  readonly isPlain: boolean;
  readonly opaque: readonly Opaque[];
  readonly runsUserCode: boolean;
  /** Of the statement that an EXECUTE in it runs. */
  readonly prepared: RowCountSource | undefined;
}

export function rowCountSource(facts: CountedFacts): RowCountSource {
  const { catalog, changed, indirectly, isPlain, opaque, runsUserCode, prepared } = facts;
  const hidden = opaque.find((one) => !isReadOnly(one, catalog));
  if (hidden !== undefined) {
    return { from: 'nowhere', why: hidden.reason };
  }
  const besides = indirectly.flatMap(({ oid, change }): Step[] => {
    const relation = catalog.relationByOid(oid);
    return relation ? [{ relation, change }] : [];
  });
  const all = [...changed, ...besides];
  const why = all.map(blindTo).find((text) => text !== undefined);
  if (why !== undefined) {
    return { from: 'nowhere', why };
  }
  const own: RowCountSource =
    runsUserCode || all.some(runsCode)
      ? { from: 'statistics', relations: 'all' }
      : isPlain && besides.every((step) => isBelow(step, changed, catalog))
        ? { from: 'tag' }
        : { from: 'statistics', relations: [...new Set(all.map(({ relation }) => relation.oid))] };
  return prepared === undefined ? own : both(prepared, isPlain, own, changed.length > 0);
}

/** Of EXECUTE: the tag is that of what it runs, and what it runs was looked at when it was prepared. */
function both(
  prepared: RowCountSource,
  isPlain: boolean,
  own: RowCountSource,
  changesMore: boolean,
): RowCountSource {
  if (prepared.from === 'nowhere' || (isPlain && !changesMore)) return prepared;
  const relations = own.from === 'statistics' ? own.relations : [];
  return prepared.from === 'statistics' && prepared.relations !== 'all' && relations !== 'all'
    ? { from: 'statistics', relations: [...new Set([...prepared.relations, ...relations])] }
    : { from: 'statistics', relations: 'all' };
}

/**
 * A partition or child of what is changed, in the same way: the tag counts its rows too, unless a
 * foreign key of its own is what changes them.
 */
function isBelow({ relation, change }: Step, changed: readonly Step[], catalog: Catalog): boolean {
  return (
    (relation.foreignKeys ?? []).every(({ onDelete, onUpdate }) => !onDelete && !onUpdate) &&
    changed.some(
      (step) => step.change === change && descendants(catalog, step.relation).includes(relation),
    )
  );
}

function runsCode({ relation, change }: Step): boolean {
  return relation.codeOn?.runs.has(change) ?? relation.hasTriggersOrRules;
}

/** @returns why the statistics of the transaction do not show what changes there, as a phrase */
function blindTo({ relation, change }: Step): string | undefined {
  const name = `${relation.schema}.${relation.name}`;
  if (relation.kind === 'f') return `${name} is a foreign table`;
  return relation.codeOn?.deferrable?.has(change)
    ? `a trigger of ${name} can be deferred to the end of the transaction`
    : undefined;
}

/**
 * A function that is not declared VOLATILE cannot change rows. What one does that is may be out of
 * sight: on another server, or a TRUNCATE.
 */
function isReadOnly({ because, missing }: Opaque, catalog: Catalog): boolean {
  if (because === undefined || !('function' in because) || missing !== undefined) return false;
  const possible = catalog.functions(because.schema, because.function);
  return possible.length > 0 && possible.every(({ volatility }) => volatility !== 'v');
}
