/** Functions and sequences that the server uses for each row that is written, by what its owner wrote. */

import { noteComputation } from '../calls/note-function.ts';
import type { IndirectWrite } from '../facts/analysis-types.ts';
import type { CatalogFunction, CatalogRelation, RowChange } from '../facts/catalog-types.ts';
import { columnByNumber } from '../facts/relation-attributes.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';

export interface WrittenRows {
  readonly relation: CatalogRelation;
  readonly change: RowChange;
  /** attnums that the statement gives something in each row; undefined: any. */
  readonly columns: ReadonlySet<number> | undefined;
  /** attnums that can get a value of the client's: neither NULL nor the default; undefined: any. */
  readonly valued: ReadonlySet<number> | undefined;
  readonly via: IndirectWrite['via'];
  /** The rows come by way of a parent, whose defaults have been taken. */
  readonly isBelow?: true;
}

export function noteRowCode(facts: StatementFacts, written: WrittenRows): void {
  const { relation, change, columns, via, isBelow = false } = written;
  for (const instead of relation.insteadOf ?? []) {
    if (instead.change === change) noteOwnersCall(facts, instead.called, via);
  }
  if (change !== 'insert' && change !== 'update') return;
  for (const called of relation.checking ?? []) noteOwnersCall(facts, called, via);
  for (const { attnum, called, draws } of relation.defaults ?? []) {
    const column = columnByNumber(relation, attnum);
    const isGenerated = column?.generatedFrom !== undefined;
    // INSERT takes the default of what it gives no value; UPDATE only where it says DEFAULT.
    const isTaken =
      !isBelow && (facts.usesDefaults || (change === 'insert' && columns?.has(attnum) !== true));
    if (called && (isGenerated || isTaken)) noteOwnersCall(facts, called, via);
    if (draws !== undefined && isTaken) noteDraw(facts, relation, draws);
  }
}

/** A sequence that belongs to nobody belongs to the tables that draw from it. */
function noteDraw(facts: StatementFacts, relation: CatalogRelation, oid: number): void {
  const sequence = facts.context.catalog.relationByOid(oid);
  const owner = sequence?.sequenceOf;
  if (sequence === undefined || owner === undefined || owner === relation.oid) return;
  const { view } = facts;
  facts.view ??= relation;
  facts.noteSequence(sequence, 'nextval');
  facts.view = view;
}

function noteOwnersCall(
  facts: StatementFacts,
  called: CatalogFunction,
  via: IndirectWrite['via'],
): void {
  if (called.calls) {
    noteComputation(facts, called, via);
    return;
  }
  const { schema, name } = called;
  const key = `${schema}.${name}`;
  if (!facts.functions.has(key)) facts.functions.set(key, { schema, name, builtIn: false, via });
}
