/** How many rows a statement has changed: by its tag, or by the counters of the server's statistics. */

import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { RelationFact, RowCountSource } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import type { KnownStatement } from '../statements/known-statement.ts';

/** Rows that a transaction has changed so far, by the OID of the relation. */
export type RowCounters = ReadonlyMap<number, number>;

type Trial = Extract<RowChanges, { counted: 'trial' }>;

/** Relations of initdb are below. */
const FIRST_OWN_OID = 16_384;
const TRACK_COUNTS = 'track_counts';
/**
 * What a transaction changes it has locked up to its end. So this finds what neither the gateway's
 * catalog has yet nor a REPEATABLE READ snapshot: a partition that somebody has made meanwhile.
 * TOAST tables have counters of their own, which are no rows of a statement.
 */
const CHANGED_BY_NOW = `SELECT l.relation FROM pg_catalog.pg_locks l
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) 'relation'
AND l.mode OPERATOR(pg_catalog.<>) ALL ('{AccessShareLock,RowShareLock}'::pg_catalog.text[])
AND l.relation OPERATOR(pg_catalog.>=) ${FIRST_OWN_OID}::pg_catalog.oid
AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) l.relation AND c.relkind OPERATOR(pg_catalog.<>) 'r')`;

/**
 * Asks for the counters of the open transaction. They may hold what earlier transactions of the
 * connection did (the server hands them on once in a second), so only a difference says anything;
 * both are asked within one transaction. A client may have put operators and functions of its own
 * before those of pg_catalog: all names are qualified, and the numbers are added up here.
 */
export function countersSql({
  relations,
}: {
  readonly relations: readonly number[] | 'all';
}): string {
  const counters = ['inserted', 'updated', 'deleted'].map(
    (what) => `pg_catalog.pg_stat_get_xact_tuples_${what}(r.oid)::pg_catalog.text`,
  );
  const known =
    relations === 'all'
      ? `SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND c.oid OPERATOR(pg_catalog.>=) ${FIRST_OWN_OID}::pg_catalog.oid`
      : `SELECT n.oid FROM pg_catalog.unnest('{${relations.join(',')}}'::pg_catalog.oid[]) n (oid)`;
  return `SELECT '${TRACK_COUNTS}', pg_catalog.current_setting('${TRACK_COUNTS}'), NULL, NULL
UNION ALL SELECT r.oid::pg_catalog.text, ${counters.join(', ')} FROM (${known} UNION ${CHANGED_BY_NOW}) r (oid)`;
}

/** @returns undefined: the server does not count. */
export function readCounters(
  rows: readonly (readonly (string | null)[])[],
): RowCounters | undefined {
  if (rows.find(([what]) => what === TRACK_COUNTS)?.[1] !== 'on') return undefined;
  const relations = rows.filter(([what]) => what !== TRACK_COUNTS);
  return new Map(
    relations.map(([oid, ...counters]) => [
      Number(oid),
      counters.reduce((sum, counter) => sum + Number(counter ?? 0), 0),
    ]),
  );
}

/** @param catalog names the relations. */
export function changesBetween(
  before: RowCounters | undefined,
  after: RowCounters | undefined,
  catalog: Catalog,
): RowChanges {
  if (before === undefined || after === undefined) {
    return { counted: 'not counted', why: 'the server has track_counts off' };
  }
  const changed: Trial['relations'][number][] = [];
  let rows = 0;
  for (const [oid, count] of after) {
    const difference = count - (before.get(oid) ?? 0);
    // TRUNCATE takes back what was counted before it.
    if (difference < 0) return { counted: 'not counted', why: 'a table was truncated meanwhile' };
    if (difference === 0) continue;
    rows += difference;
    const relation = catalog.relationByOid(oid);
    if (relation === undefined) continue;
    changed.push({ schema: relation.schema, name: relation.name, rows: difference });
  }
  return { counted: 'trial', rows, relations: changed.sort((a, b) => b.rows - a.rows) };
}

/** Of the tag of CommandComplete, e.g. `INSERT 0 3`. */
export function changesOfTag(tag: string, writes: readonly RelationFact[]): RowChanges {
  const number = / (\d+)$/.exec(tag)?.[1];
  if (number === undefined) {
    return { counted: 'not counted', why: 'the server has not reported how many they are' };
  }
  const rows = Number(number);
  const target = writes.find(({ via }) => via === undefined) ?? writes[0];
  const relations = target === undefined ? [] : [{ ...nameOf(target), rows }];
  return { counted: 'trial', rows, relations };
}

function nameOf({ schema, name }: RelationFact): { schema: string; name: string } {
  return { schema, name };
}

/** The tag of a portion of a result, as the server words it. */
export function tagOfPortion(tag: string, rows: number): string {
  return tag.replace(/ \d+$/, ` ${rows}`);
}

/** Whether its rows are counted before it may be committed. */
export function isLimited(allowed: AllowedStatement | undefined): boolean {
  // PREPARE only gives a name: what it names is counted each time it runs.
  const isCounted = allowed?.rowThresholds !== undefined || allowed?.rowsAreBudgeted === true;
  return isCounted && allowed.analysis.protocol.prepare === undefined;
}

export function isAnyLimited({
  statements,
}: {
  readonly statements: readonly AllowedStatement[];
}): boolean {
  return statements.some(isLimited);
}

/** Whether a count may lead to a request for approval. */
export function mayBeHeld({ rowThresholds = [] }: AllowedStatement): boolean {
  return rowThresholds.some(({ outcome }) => outcome.effect === 'hold');
}

/**
 * Where the count of a limited statement is to be seen.
 * @param bound as it was when its portal was bound.
 */
export function countSource(statement: KnownStatement, bound = statement): RowCountSource {
  const { allowed, executes } = statement;
  if (allowed?.analysis.protocol.copy?.direction === 'out') {
    return { from: 'nowhere', why: 'its result is copied out before they are known' };
  }
  const source = allowed?.analysis.rowCount ?? executes?.allowed?.analysis.rowCount;
  if (source === undefined) return { from: 'nowhere', why: 'nothing reports how many they are' };
  // A portal keeps the kind of result that it was bound with. Where EXECUTE ran a SELECT then and
  // runs an UPDATE now, the number in the tag is that of the rows that are returned.
  const isReplaced = executes?.number !== bound.executes?.number;
  return isReplaced && source.from === 'tag' ? { from: 'statistics', relations: 'all' } : source;
}
