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
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import { BucketMap } from '../statements/bucket-map.ts';
import { inLots } from './catalog-lots.ts';
import type { OwnedSection, WholeSection } from './catalog-queries.ts';
import type { Row } from './catalog-rows.ts';
import { COLUMNS, TRACKED, type Tracked } from './catalog-tracked.ts';

/** How many transactions may lie between two looks; ids are compared modulo 2^32. */
const MAX_DISTANCE = 1_000_000_000n;
/** Of this many newest rows of a catalog it is looked at once which ones there are; half is kept. */
const MAX_YOUNG = 256;

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
  /** Those of them with the highest keys: what is dropped has mostly been made not long ago. */
  readonly young: { readonly floor: number; readonly keys: ReadonlySet<string> };
}

const NONE_YOUNG: Mark['young'] = { floor: Number.POSITIVE_INFINITY, keys: new Set() };

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
  pg_catalog.current_setting('transaction_isolation'), NULL
UNION ALL SELECT 'server', pg_catalog.pg_backend_pid()::pg_catalog.text, 
  (pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())
    OPERATOR(pg_catalog.*) 1000000::pg_catalog.float8)::pg_catalog.int8::pg_catalog.text, NULL`;

/** Reads marks from the beginning. @returns rows for `firstMarks`. */
export const MARKS_SQL = `${TRACKED.map(
  ({ name, key, owner, where }) =>
    `SELECT '${name}', pg_catalog.count(*)::pg_catalog.text, ${
      name === COLUMNS
        ? 'NULL'
        : `pg_catalog.string_agg(pg_catalog.concat(${key}, ' ', ${owner}), ',')`
    }, NULL FROM pg_catalog.${name} x${where === undefined ? '' : ` WHERE ${where}`}`,
).join(' UNION ALL ')}
UNION ALL ${MOMENT}`;

/**
 * As nothing is known of which rows are recent, none is: the bound stays where it is, at the oldest
 * transaction that ran, and with the next look everything from there on counts as changed.
 */
export async function firstMarks(rows: readonly Row[]): Promise<Marks> {
  const bound = BigInt(rows.find(([name]) => name === 'bound')?.[1] ?? '0');
  const byCatalog = new Map<string, Mark>();
  for (const { name, key: ofRow } of TRACKED) {
    const [, total, list] = rows.find(([one]) => one === name) ?? [];
    const owners: (readonly [string, number])[] = [];
    await inLots(
      (list ?? '').split(',').filter((one) => one !== ''),
      (pair) => {
        const [key = '', owner = ''] = pair.split(' ');
        owners.push([key, Number(owner)]);
      },
    );
    byCatalog.set(name, {
      bound,
      total: Number(total ?? 0),
      recent: new Map(),
      rows: name === COLUMNS ? undefined : BucketMap.empty<string, number>().with(owners),
      young: hasNumbers(ofRow) ? youngFrom(owners) : NONE_YOUNG,
    });
  }
  return { byCatalog, server: serverIn(rows) };
}

/** None yet, above all that there are. */
function youngFrom(rows: readonly (readonly [string, number])[]): Mark['young'] {
  const highest = rows.reduce((most, [key]) => Math.max(most, Number(key)), 0);
  return { floor: highest + 1, keys: new Set() };
}

/** The key is a column, and not made of several. */
function hasNumbers(key: string): boolean {
  return key.startsWith('x.');
}

function serverIn(rows: readonly Row[]): Marks['server'] {
  const [, process, startedAt] = rows.find(([name]) => name === 'server') ?? [];
  return { process: process ?? '', startedAt: startedAt ?? '' };
}

/** @returns what to ask for `compareMarks`; the same marks must be given there. */
export function changesSql(marks: Marks, scope: ChangeScope): string {
  const parts = TRACKED.filter((tracked) => isLookedAt(tracked, scope)).map(
    ({ name, key, owner, where }) => {
      const bound = BigInt.asUintN(32, marks.byCatalog.get(name)?.bound ?? 0n);
      const { floor } = marks.byCatalog.get(name)?.young ?? NONE_YOUNG;
      const young =
        name === COLUMNS || floor === Number.POSITIVE_INFINITY
          ? 'NULL'
          : `pg_catalog.string_agg((${key})::pg_catalog.text, ' ') FILTER (WHERE ${key} OPERATOR(pg_catalog.>=) ${floor}::pg_catalog.oid)`;
      return `SELECT '${name}', pg_catalog.count(*)::pg_catalog.text,
  pg_catalog.string_agg(pg_catalog.concat(${key}, ' ', ${owner}, ' ', x.xmin, ' ', x.ctid), ';')
    FILTER (WHERE pg_catalog.age(x.xmin) OPERATOR(pg_catalog.<=) (SELECT pg_catalog.age('${bound}'::pg_catalog.xid))), ${young}
FROM pg_catalog.${name} x${where === undefined ? '' : ` WHERE ${where}`}`;
    },
  );
  return `${parts.join(' UNION ALL ')}
UNION ALL ${MOMENT}`;
}

/** Where only relations came and went, no column of another one changed; columns are half of the work. */
function isLookedAt({ withRelations }: Tracked, scope: ChangeScope): boolean {
  return scope === 'all' || withRelations === true;
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
export async function compareMarks(
  before: Marks,
  rows: readonly Row[],
  scope: ChangeScope,
): Promise<Changes | undefined> {
  const [, boundText, isolation] = rows.find(([name]) => name === 'bound') ?? [];
  const bound = BigInt(boundText ?? '0');
  const byCatalog = new Map(before.byCatalog);
  const changed = new ChangedObjects();
  const fewer: string[] = [];
  const dropped = new Set<number>();
  for (const tracked of TRACKED) {
    if (!isLookedAt(tracked, scope)) continue;
    const mark = before.byCatalog.get(tracked.name);
    const [, total, list, young] = rows.find(([name]) => name === tracked.name) ?? [];
    const distance = bound - (mark?.bound ?? 0n);
    if (mark === undefined || distance < 0n || distance > MAX_DISTANCE) return undefined;
    const seen = compareOne(mark, {
      total: Number(total),
      recent: await versionsIn(list ?? ''),
      young: new Set((young ?? '').split(' ')),
      bound,
    });
    if (seen === undefined) return undefined;
    if (tracked.name === 'pg_class') for (const key of seen.gone) dropped.add(Number(key));
    for (const owner of seen.owners) if (!changed.add(tracked, owner)) return undefined;
    if (seen.isFewer) fewer.push(tracked.name);
    byCatalog.set(tracked.name, seen.mark);
  }
  const marks = { byCatalog, server: serverIn(rows) };
  const { owned, whole } = changed;
  return { marks, owned, whole, dropped, fewer, isolation: isolation ?? '' };
}

class ChangedObjects {
  readonly owned = new Map<OwnedSection, Set<number>>();
  readonly whole = new Set<WholeSection>();

  /** @returns false: such a change is everyone's. */
  add({ owned = [], whole = [] }: Tracked, owner: number): boolean {
    for (const section of whole) this.whole.add(section);
    for (const section of owned) {
      const owners = this.owned.get(section) ?? new Set();
      this.owned.set(section, owners.add(owner));
    }
    return whole.length > 0 || owned.length > 0;
  }
}

async function versionsIn(list: string): Promise<ReadonlyMap<string, Version>> {
  const versions = new Map<string, Version>();
  await inLots(
    list.split(';').filter((one) => one !== ''),
    (text) => {
      const [key = '', owner, xmin] = text.split(' ');
      versions.set(text, { key, owner: Number(owner), xmin: Number(xmin) });
    },
  );
  return versions;
}

interface Look {
  readonly total: number;
  readonly recent: ReadonlyMap<string, Version>;
  /** Keys of the young ones that there are. */
  readonly young: ReadonlySet<string>;
  readonly bound: bigint;
}

interface Seen {
  readonly mark: Mark;
  readonly owners: ReadonlySet<number>;
  /** Keys of rows that are no longer there. */
  readonly gone: readonly string[];
  /** Others are gone, too. */
  readonly isFewer: boolean;
}

function compareOne(mark: Mark, { total, recent, young, bound }: Look): Seen | undefined {
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
  const { rows } = mark;
  if (rows === undefined) {
    const next = { ...mark, bound, total, recent: stillRecent(recent, bound) };
    return { mark: next, owners, gone: [], isFewer: false };
  }
  if (lostOld < updated) return undefined;
  const youngGone = [...mark.young.keys].filter((key) => !young.has(key) && !keysBefore.has(key));
  for (const key of youngGone) owners.add(rows.get(key) ?? 0);
  gone.push(...youngGone);
  const next: Mark = {
    bound,
    total,
    recent: stillRecent(recent, bound),
    rows: rows.with([
      ...gone.map((key) => [key, undefined] as const),
      ...[...recent.values()].map(({ key, owner }) => [key, owner] as const),
    ]),
    young: youngAfter(mark.young, gone, keys),
  };
  return { mark: next, owners, gone, isFewer: lostOld > updated + youngGone.length };
}

function youngAfter(
  { floor, keys }: Mark['young'],
  gone: readonly string[],
  seen: ReadonlySet<string>,
): Mark['young'] {
  const there = new Set(keys);
  for (const key of gone) there.delete(key);
  for (const key of seen) if (Number(key) >= floor) there.add(key);
  if (there.size <= MAX_YOUNG) return { floor, keys: there };
  const highest = [...there]
    .map(Number)
    .sort((a, b) => b - a)
    .slice(0, MAX_YOUNG / 2);
  return { floor: highest.at(-1) ?? floor, keys: new Set(highest.map(String)) };
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
  const dropped = new Set(changes.dropped);
  for (const name of changes.fewer) {
    const tracked = TRACKED.find((one) => one.name === name);
    const mark = byCatalog.get(name);
    if (tracked === undefined || mark?.rows === undefined) return undefined;
    const there = new Set((rows.find(([one]) => one === name)?.[1] ?? '').split(' '));
    const gone = mark.rows.keysOutside(there);
    for (const key of gone) {
      const owner = mark.rows.get(key) ?? 0;
      if (name === 'pg_class') dropped.add(owner);
      if (!changed.add(tracked, owner)) return undefined;
    }
    const rowsNow = mark.rows.with(gone.map((key) => [key, undefined]));
    byCatalog.set(name, { ...mark, rows: rowsNow, young: youngAfter(mark.young, gone, new Set()) });
  }
  const { owned, whole } = changed;
  return { ...changes, marks: { ...changes.marks, byCatalog }, owned, whole, dropped, fewer: [] };
}
