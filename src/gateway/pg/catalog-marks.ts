/**
 * What has changed in the system catalogs since they were looked at last.
 *
 * Every change writes a new version of a row, with the id of its transaction. All that could not be
 * seen the last time was written by a transaction that was still running then, or began later: its
 * id is not below the oldest one that was running (pg_snapshot_xmin). So rows are "recent", with an
 * id from there on, or "old", and old rows can only have become fewer: when there are as many as
 * before, they are the same ones. (VACUUM and ANALYZE update in place and do not count.)
 *
 * That is one scan of each catalog, without an index, but of small rows; what is read again
 * afterwards is only what belongs to the objects found.
 */
import type { ChangeScope } from '../../policy/sql/types.ts';
import { BucketMap } from './bucket-map.ts';
import { type OwnedSection, USER, type WholeSection } from './catalog-queries.ts';
import type { Row } from './catalog-rows.ts';

interface Tracked {
  readonly name: string;
  /** Tells its rows apart. */
  readonly key: string;
  /** The object that a row belongs to. */
  readonly owner: string;
  readonly where?: string;
  /** What must be read again of the owner. */
  readonly owned?: readonly OwnedSection[];
  /** What must be read again as a whole. */
  readonly whole?: WholeSection;
}

/** Whose rows come and go with the object that they belong to, and never alone: DROP COLUMN keeps the row. */
const COLUMNS = 'pg_attribute';

const users = (column: string): string =>
  `x.${column} OPERATOR(pg_catalog.>=) ${USER}::pg_catalog.oid`;

/** A catalog without `owned` and `whole` makes everything be read again. */
const TRACKED: readonly Tracked[] = [
  {
    name: 'pg_class',
    key: 'x.oid',
    owner: 'x.oid',
    where: users('oid'),
    owned: ['relations', 'columns', 'inherits'],
  },
  {
    name: COLUMNS,
    key: 'x.attnum',
    owner: 'x.attrelid',
    where: `${users('attrelid')} AND x.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2`,
    owned: ['columns'],
  },
  { name: 'pg_type', key: 'x.oid', owner: 'x.oid', where: users('oid'), owned: ['types'] },
  { name: 'pg_proc', key: 'x.oid', owner: 'x.oid', where: users('oid'), owned: ['functions'] },
  {
    name: 'pg_attrdef',
    key: 'x.oid',
    owner: 'x.adrelid',
    owned: ['columns', 'code'],
  },
  {
    name: 'pg_constraint',
    key: 'x.oid',
    // Of a domain when it is of no table.
    owner:
      'CASE WHEN x.conrelid OPERATOR(pg_catalog.=) 0::pg_catalog.oid THEN x.contypid ELSE x.conrelid END',
    where: users('oid'),
    owned: ['foreignKeys', 'code'],
  },
  {
    name: 'pg_index',
    key: 'x.indexrelid',
    owner: 'x.indrelid',
    where: users('indexrelid'),
    owned: ['code'],
  },
  {
    name: 'pg_rewrite',
    key: 'x.oid',
    owner: 'x.ev_class',
    where: users('oid'),
    owned: ['relations', 'rules'],
  },
  {
    name: 'pg_trigger',
    key: 'x.oid',
    owner: 'x.tgrelid',
    where: 'NOT x.tgisinternal',
    owned: ['triggers'],
  },
  { name: 'pg_policy', key: 'x.oid', owner: 'x.polrelid', owned: ['code'] },
  { name: 'pg_statistic_ext', key: 'x.oid', owner: 'x.stxrelid', owned: ['code'] },
  { name: 'pg_partitioned_table', key: 'x.partrelid', owner: 'x.partrelid', owned: ['code'] },
  {
    name: 'pg_inherits',
    key: "pg_catalog.concat(x.inhrelid, '<', x.inhparent)",
    owner: 'x.inhrelid',
    owned: ['inherits'],
  },
  { name: 'pg_operator', key: 'x.oid', owner: 'x.oid', where: users('oid'), whole: 'operators' },
  { name: 'pg_cast', key: 'x.oid', owner: 'x.oid', where: users('oid'), whole: 'casts' },
  { name: 'pg_namespace', key: 'x.oid', owner: 'x.oid', whole: 'schemas' },
  { name: 'pg_event_trigger', key: 'x.oid', owner: 'x.oid', whole: 'server' },
  { name: 'pg_extension', key: 'x.oid', owner: 'x.oid' },
  { name: 'pg_language', key: 'x.oid', owner: 'x.oid' },
];

/** How many transactions may lie between two looks; ids are compared modulo 2^32. */
const MAX_DISTANCE = 1_000_000_000n;

interface Version {
  readonly key: string;
  readonly owner: number;
  readonly xmin: number;
}

interface Mark {
  /** Recent is what has this id or a later one. */
  readonly bound: bigint;
  readonly total: number;
  readonly recent: ReadonlyMap<string, Version>;
  /** The owner of each row; undefined: not kept. */
  readonly rows: BucketMap<string, number> | undefined;
}

/** What was seen of each catalog. */
export interface Marks {
  readonly byCatalog: ReadonlyMap<string, Mark>;
  readonly server: { readonly process: string; readonly startedAt: string };
}

/** The most: also of what is not said. */
export function widerScope(left: ChangeScope | undefined, right: ChangeScope): ChangeScope {
  return left === 'all' ? left : right;
}

/**
 * The oldest transaction that runs, the isolation level; the server's process and when the server
 * was started: after a failover or a crash transaction ids can stand for other transactions.
 */
const MOMENT = `SELECT 'bound', pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::pg_catalog.text,
  pg_catalog.current_setting('transaction_isolation')
UNION ALL SELECT 'server', pg_catalog.pg_backend_pid()::pg_catalog.text, 
  (pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())
    OPERATOR(pg_catalog.*) 1000000::pg_catalog.float8)::pg_catalog.int8::pg_catalog.text`;

/** Reads marks from the beginning. @returns rows for `firstMarks`. */
export const MARKS_SQL = `${TRACKED.map(
  ({ name, key, owner, where }) =>
    `SELECT '${name}', pg_catalog.count(*)::pg_catalog.text, ${
      name === COLUMNS
        ? 'NULL'
        : `pg_catalog.string_agg(pg_catalog.concat(${key}, ' ', ${owner}), ',')`
    } FROM pg_catalog.${name} x${where === undefined ? '' : ` WHERE ${where}`}`,
).join(' UNION ALL ')}
UNION ALL ${MOMENT}`;

/**
 * As nothing is known of which rows are recent, none is: the bound stays where it is, at the oldest
 * transaction that ran, and with the next look everything from there on counts as changed.
 */
export function firstMarks(rows: readonly Row[]): Marks {
  const bound = BigInt(rows.find(([name]) => name === 'bound')?.[1] ?? '0');
  const byCatalog = new Map<string, Mark>(
    TRACKED.map(({ name }) => {
      const [, total, list] = rows.find(([one]) => one === name) ?? [];
      const pairs = (list ?? '').split(',').filter((one) => one !== '');
      const owners = pairs.map((pair) => {
        const [key = '', owner = ''] = pair.split(' ');
        return [key, Number(owner)] as const;
      });
      const kept = name === COLUMNS ? undefined : BucketMap.empty<string, number>().with(owners);
      return [name, { bound, total: Number(total ?? 0), recent: new Map(), rows: kept }];
    }),
  );
  return { byCatalog, server: serverIn(rows) };
}

function serverIn(rows: readonly Row[]): Marks['server'] {
  const [, process, startedAt] = rows.find(([name]) => name === 'server') ?? [];
  return { process: process ?? '', startedAt: startedAt ?? '' };
}

/** @returns what to ask for `compareMarks`; the same marks must be given there. */
export function changesSql(marks: Marks, scope: ChangeScope): string {
  const parts = TRACKED.filter(({ name }) => isLookedAt(name, scope)).map(
    ({ name, key, owner, where }) => {
      const bound = BigInt.asUintN(32, marks.byCatalog.get(name)?.bound ?? 0n);
      return `SELECT '${name}', pg_catalog.count(*)::pg_catalog.text,
  pg_catalog.string_agg(pg_catalog.concat(${key}, ' ', ${owner}, ' ', x.xmin, ' ', x.ctid), ';')
    FILTER (WHERE pg_catalog.age(x.xmin) OPERATOR(pg_catalog.<=) (SELECT pg_catalog.age('${bound}'::pg_catalog.xid)))
FROM pg_catalog.${name} x${where === undefined ? '' : ` WHERE ${where}`}`;
    },
  );
  return `${parts.join(' UNION ALL ')}
UNION ALL ${MOMENT}`;
}

/** Where only relations came and went, no column of another one changed; columns are half of the work. */
function isLookedAt(name: string, scope: ChangeScope): boolean {
  return scope === 'all' || name !== COLUMNS;
}

export interface Changes {
  readonly marks: Marks;
  readonly owned: ReadonlyMap<OwnedSection, ReadonlySet<number>>;
  readonly whole: ReadonlySet<WholeSection>;
  /** Relations that are no longer there. */
  readonly dropped: ReadonlySet<number>;
  /** Catalogs of which rows are gone, and it must be asked which: `keysSql`, `withoutRows`. */
  readonly fewer: readonly string[];
  /** Isolation level of the transaction that was asked. */
  readonly isolation: string;
}

/** @returns undefined: what changed cannot be told, everything must be read. */
export function compareMarks(
  before: Marks,
  rows: readonly Row[],
  scope: ChangeScope,
): Changes | undefined {
  const [, boundText, isolation] = rows.find(([name]) => name === 'bound') ?? [];
  const bound = BigInt(boundText ?? '0');
  const byCatalog = new Map(before.byCatalog);
  const changed = new ChangedObjects();
  const fewer: string[] = [];
  for (const tracked of TRACKED) {
    if (!isLookedAt(tracked.name, scope)) continue;
    const mark = before.byCatalog.get(tracked.name);
    const [, total, list] = rows.find(([name]) => name === tracked.name) ?? [];
    const distance = bound - (mark?.bound ?? 0n);
    if (mark === undefined || distance < 0n || distance > MAX_DISTANCE) return undefined;
    const seen = compareOne(mark, Number(total), versionsIn(list ?? ''), bound);
    if (seen === undefined) return undefined;
    for (const owner of seen.owners) if (!changed.add(tracked, owner)) return undefined;
    if (seen.isFewer) fewer.push(tracked.name);
    byCatalog.set(tracked.name, seen.mark);
  }
  const marks = { byCatalog, server: serverIn(rows) };
  const { owned, whole } = changed;
  return { marks, owned, whole, dropped: new Set(), fewer, isolation: isolation ?? '' };
}

class ChangedObjects {
  readonly owned = new Map<OwnedSection, Set<number>>();
  readonly whole = new Set<WholeSection>();

  /** @returns false: such a change is everyone's. */
  add({ owned = [], whole }: Tracked, owner: number): boolean {
    if (whole !== undefined) this.whole.add(whole);
    for (const section of owned) {
      const owners = this.owned.get(section) ?? new Set();
      this.owned.set(section, owners.add(owner));
    }
    return whole !== undefined || owned.length > 0;
  }
}

function versionsIn(list: string): ReadonlyMap<string, Version> {
  const texts = list.split(';').filter((one) => one !== '');
  return new Map(
    texts.map((text) => {
      const [key = '', owner, xmin] = text.split(' ');
      return [text, { key, owner: Number(owner), xmin: Number(xmin) }];
    }),
  );
}

function compareOne(
  mark: Mark,
  total: number,
  recent: ReadonlyMap<string, Version>,
  bound: bigint,
): { mark: Mark; owners: ReadonlySet<number>; isFewer: boolean } | undefined {
  const owners = new Set<number>();
  const lostOld = mark.total - mark.recent.size - (total - recent.size);
  const keysBefore = new Set([...mark.recent.values()].map(({ key }) => key));
  const keys = new Set([...recent.values()].map(({ key }) => key));
  let updated = 0;
  for (const [text, { key, owner }] of recent) {
    if (mark.recent.has(text)) continue;
    owners.add(owner);
    if (mark.rows?.has(key) && !keysBefore.has(key)) updated += 1;
  }
  const gone: string[] = [];
  for (const [text, { key, owner }] of mark.recent) {
    if (recent.has(text)) continue;
    owners.add(owner);
    if (!keys.has(key)) gone.push(key);
  }
  if (mark.rows !== undefined && lostOld < updated) return undefined;
  const rows = mark.rows?.with([
    ...gone.map((key) => [key, undefined] as const),
    ...[...recent.values()].map(({ key, owner }) => [key, owner] as const),
  ]);
  return {
    mark: { bound, total, recent: stillRecent(recent, bound), rows },
    owners,
    isFewer: mark.rows !== undefined && lostOld > updated,
  };
}

function stillRecent(
  versions: ReadonlyMap<string, Version>,
  bound: bigint,
): ReadonlyMap<string, Version> {
  const from = Number(BigInt.asUintN(32, bound));
  return new Map([...versions].filter(([, { xmin }]) => ((xmin - from) | 0) >= 0));
}

/** Which rows there are in these catalogs. */
export function keysSql(catalogs: readonly string[]): string {
  return TRACKED.filter(({ name }) => catalogs.includes(name))
    .map(
      ({ name, key, where }) =>
        `SELECT '${name}', pg_catalog.string_agg((${key})::pg_catalog.text, ' ') FROM pg_catalog.${name} x${where === undefined ? '' : ` WHERE ${where}`}`,
    )
    .join(' UNION ALL ');
}

/** @param rows of `keysSql(changes.fewer)`. @returns undefined: everything must be read. */
export function withoutRows(changes: Changes, rows: readonly Row[]): Changes | undefined {
  const byCatalog = new Map(changes.marks.byCatalog);
  const changed = new ChangedObjects();
  for (const [section, owners] of changes.owned) changed.owned.set(section, new Set(owners));
  for (const section of changes.whole) changed.whole.add(section);
  const dropped = new Set<number>();
  for (const name of changes.fewer) {
    const tracked = TRACKED.find((one) => one.name === name);
    const mark = byCatalog.get(name);
    if (tracked === undefined || mark?.rows === undefined) return undefined;
    const there = new Set((rows.find(([one]) => one === name)?.[1] ?? '').split(' '));
    const gone: string[] = [];
    for (const [key, owner] of mark.rows.entries()) {
      if (there.has(key)) continue;
      gone.push(key);
      if (name === 'pg_class') dropped.add(owner);
      if (!changed.add(tracked, owner)) return undefined;
    }
    byCatalog.set(name, { ...mark, rows: mark.rows.with(gone.map((key) => [key, undefined])) });
  }
  const { owned, whole } = changed;
  return { ...changes, marks: { ...changes.marks, byCatalog }, owned, whole, dropped, fewer: [] };
}
