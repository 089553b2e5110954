/** The rows of the system catalogs, by the object that they belong to; immutable, changes share. */

import { OwnedRows, type RowsText } from '../results/owned-rows.ts';
import { BucketMap } from '../statements/bucket-map.ts';
import { inLots } from './catalog-lots.ts';
import type { Marks } from './catalog-marks.ts';
import {
  OWNED_SECTIONS,
  type OwnedSection,
  WHOLE_SECTIONS,
  type WholeSection,
} from './catalog-queries.ts';
import { flag, number, type Row, rowIn, rowsIn, text } from './catalog-rows.ts';

type Index = BucketMap<string, readonly number[]>;

export interface CatalogState {
  readonly marks: Marks;
  readonly owned: Readonly<Record<OwnedSection, OwnedRows>>;
  readonly whole: Readonly<Record<WholeSection, readonly Row[]>>;
  /** Owners by what a row of theirs says. */
  readonly indexes: Readonly<Record<IndexName, Index>>;
}

/** No name can hold a zero byte. */
export function nameKey(schema: string, name: string): string {
  return `${schema}\0${name}`;
}

const byName = (row: Row): string => nameKey(text(row[1]), text(row[2]));

const INDEXES = {
  relations: { section: 'relations', key: byName },
  functions: { section: 'functions', key: byName },
  types: { section: 'types', key: byName },
  /** By parent. */
  children: { section: 'inherits', key: (row: Row): string => text(row[1]) },
  /** By referenced table. */
  referencing: { section: 'foreignKeys', key: (row: Row): string => text(row[1]) },
  /** Sequences by the table that they belong to; tables by the sequence that they draw from. */
  ownSequences: { section: 'sequences', key: (row: Row): string => text(row[1]) },
  drawnBy: { section: 'drawing', key: (row: Row): string => text(row[1]) },
} as const satisfies Record<string, { section: OwnedSection; key: (row: Row) => string }>;

type IndexName = keyof typeof INDEXES;
const INDEX_NAMES: readonly IndexName[] = [
  'relations',
  'functions',
  'types',
  'children',
  'referencing',
  'ownSequences',
  'drawnBy',
];

export function emptyState(marks: Marks): CatalogState {
  const owned = (): OwnedRows => OwnedRows.EMPTY;
  const index = (): Index => BucketMap.empty();
  return {
    marks,
    owned: {
      relations: owned(),
      columns: owned(),
      inherits: owned(),
      triggers: owned(),
      rules: owned(),
      primaryKeys: owned(),
      foreignKeys: owned(),
      sequences: owned(),
      drawing: owned(),
      functions: owned(),
      types: owned(),
      code: owned(),
      comparisons: owned(),
    },
    whole: { server: [], schemas: [], roles: [], operators: [], casts: [] },
    indexes: {
      relations: index(),
      functions: index(),
      types: index(),
      children: index(),
      referencing: index(),
      ownSequences: index(),
      drawnBy: index(),
    },
  };
}

/** What was read: all rows of these owners, and of these lists. */
export interface Reading {
  readonly owned: ReadonlyMap<OwnedSection, ReadonlySet<number> | 'all'>;
  readonly whole: ReadonlySet<WholeSection>;
  /** Of `sectionSql`. */
  readonly rows: readonly Row[];
}

export interface Changed {
  readonly state: CatalogState;
  /** Owners of which a row is another one now. */
  readonly owners: ReadonlyMap<OwnedSection, ReadonlySet<number>>;
  /** Owners whose rows have been read, the same or not. */
  readonly read: ReadonlyMap<OwnedSection, ReadonlySet<number>>;
  readonly whole: ReadonlySet<WholeSection>;
}

/** Large readings are worked off in lots. */
export async function withReading(
  state: CatalogState,
  reading: Reading,
  marks: Marks,
): Promise<Changed> {
  const fresh = await sorted(reading.rows);
  const owned = { ...state.owned };
  const indexes = { ...state.indexes };
  const owners = new Map<OwnedSection, ReadonlySet<number>>();
  const allRead = new Map<OwnedSection, ReadonlySet<number>>();
  for (const section of OWNED_SECTIONS) {
    const asked = reading.owned.get(section);
    if (asked === undefined) continue;
    const found = await compared(owned[section], fresh.owned.get(section) ?? new Map(), asked);
    allRead.set(section, found.read);
    if (found.changes.length === 0) continue;
    owners.set(section, new Set(found.changes.map(({ owner }) => owner)));
    owned[section] = owned[section].with(found.changes.map(({ owner, is }) => [owner, is]));
    for (const name of INDEX_NAMES) {
      if (INDEXES[name].section === section) {
        indexes[name] = await reindexed(indexes[name], INDEXES[name].key, found.changes);
      }
    }
  }
  const whole = { ...state.whole };
  const lists = new Set<WholeSection>();
  for (const section of WHOLE_SECTIONS) {
    if (!reading.whole.has(section)) continue;
    const rows = fresh.whole.get(section) ?? [];
    if (sameRows(whole[section], rows)) continue;
    lists.add(section);
    whole[section] = rows;
  }
  return { state: { marks, owned, whole, indexes }, owners, read: allRead, whole: lists };
}

interface OwnerChange {
  readonly owner: number;
  readonly was: RowsText | undefined;
  readonly is: RowsText | undefined;
}

interface Fresh {
  readonly owned: ReadonlyMap<string, ReadonlyMap<number, RowsText>>;
  readonly whole: ReadonlyMap<string, readonly Row[]>;
}

async function sorted(rows: readonly Row[]): Promise<Fresh> {
  const owned = new Map<string, Map<number, RowsText>>();
  const whole = new Map<string, Row[]>();
  await inLots(rows, ([section, owner, json, hasSql]) => {
    const name = text(section);
    if (owner === null) {
      const known = whole.get(name) ?? [];
      known.push(rowIn(text(json)));
      whole.set(name, known);
    } else {
      const known = owned.get(name) ?? new Map<number, RowsText>();
      known.set(number(owner), { json: text(json), hasSql: flag(hasSql) });
      owned.set(name, known);
    }
  });
  return { owned, whole };
}

async function compared(
  before: OwnedRows,
  fresh: ReadonlyMap<number, RowsText>,
  asked: ReadonlySet<number> | 'all',
): Promise<{ readonly read: ReadonlySet<number>; readonly changes: readonly OwnerChange[] }> {
  const read = asked === 'all' ? new Set([...before.owners(), ...fresh.keys()]) : asked;
  const changes: OwnerChange[] = [];
  await inLots(read, (owner) => {
    const [was, is] = [before.text(owner), fresh.get(owner)];
    if (was?.json !== is?.json) changes.push({ owner, was, is });
  });
  return { read, changes };
}

async function reindexed(
  index: Index,
  key: (row: Row) => string,
  changes: readonly OwnerChange[],
): Promise<Index> {
  const entries = new Map<string, Set<number>>();
  const of = (name: string): Set<number> => {
    const known = entries.get(name) ?? new Set(index.get(name) ?? []);
    entries.set(name, known);
    return known;
  };
  // All that is taken away before anything is added: a name may go from one owner to another.
  await inLots(changes, ({ owner, was }) => {
    for (const row of was ? rowsIn(was.json) : []) of(key(row)).delete(owner);
  });
  await inLots(changes, ({ owner, is }) => {
    for (const row of is ? rowsIn(is.json) : []) of(key(row)).add(owner);
  });
  return index.with(
    [...entries].map(([name, owners]) => [
      name,
      owners.size === 0 ? undefined : [...owners].sort((a, b) => a - b),
    ]),
  );
}

function sameRows(left: readonly Row[], right: readonly Row[]): boolean {
  return (
    left.length === right.length &&
    left.every((row, index) => {
      const other = right[index] ?? [];
      return row.length === other.length && row.every((value, at) => value === other[at]);
    })
  );
}
