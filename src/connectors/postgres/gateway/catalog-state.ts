/** The rows of the system catalogs, by the object that they belong to; immutable, changes share. */
import { BucketMap } from './bucket-map.ts';
import type { Marks } from './catalog-marks.ts';
import {
  OWNED_SECTIONS,
  type OwnedSection,
  type Section,
  WHOLE_SECTIONS,
  type WholeSection,
} from './catalog-queries.ts';
import { number, type Row, text } from './catalog-rows.ts';

type Owned = BucketMap<number, readonly Row[]>;
type Index = BucketMap<string, readonly number[]>;

export interface CatalogState {
  readonly marks: Marks;
  readonly owned: Readonly<Record<OwnedSection, Owned>>;
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
  const owned = (): Owned => BucketMap.empty();
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
    whole: { server: [], schemas: [], operators: [], casts: [] },
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
  /** (section, JSON array of texts) */
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

export function withReading(state: CatalogState, reading: Reading, marks: Marks): Changed {
  const bySection = Map.groupBy(reading.rows, ([section]) => text(section));
  const rowsOf = (section: Section): Row[] =>
    (bySection.get(section) ?? []).map((row) => textsIn(row[1]));
  const owned = { ...state.owned };
  const indexes = { ...state.indexes };
  const owners = new Map<OwnedSection, ReadonlySet<number>>();
  const allRead = new Map<OwnedSection, ReadonlySet<number>>();
  for (const section of OWNED_SECTIONS) {
    const read = reading.owned.get(section);
    if (read === undefined) continue;
    const fresh = Map.groupBy(rowsOf(section), (row) => number(row[0]));
    const before = owned[section];
    const asked = read === 'all' ? new Set([...before.keys(), ...fresh.keys()]) : read;
    allRead.set(section, asked);
    const changes = [...asked].flatMap((owner) => {
      const [was, is] = [before.get(owner), fresh.get(owner)];
      return sameRows(was ?? [], is ?? []) ? [] : [{ owner, was, is }];
    });
    if (changes.length === 0) continue;
    owners.set(section, new Set(changes.map(({ owner }) => owner)));
    owned[section] = before.with(changes.map(({ owner, is }) => [owner, is]));
    for (const name of INDEX_NAMES) {
      if (INDEXES[name].section === section) {
        indexes[name] = reindexed(indexes[name], INDEXES[name].key, changes);
      }
    }
  }
  const whole = { ...state.whole };
  const lists = new Set<WholeSection>();
  for (const section of WHOLE_SECTIONS) {
    if (!reading.whole.has(section)) continue;
    const fresh = rowsOf(section);
    if (sameRows(whole[section], fresh)) continue;
    lists.add(section);
    whole[section] = fresh;
  }
  return { state: { marks, owned, whole, indexes }, owners, read: allRead, whole: lists };
}

function reindexed(
  index: Index,
  key: (row: Row) => string,
  changes: readonly {
    readonly owner: number;
    readonly was: readonly Row[] | undefined;
    readonly is: readonly Row[] | undefined;
  }[],
): Index {
  const entries = new Map<string, Set<number>>();
  const of = (name: string): Set<number> => {
    const known = entries.get(name) ?? new Set(index.get(name) ?? []);
    entries.set(name, known);
    return known;
  };
  for (const { owner, was = [] } of changes) for (const row of was) of(key(row)).delete(owner);
  for (const { owner, is = [] } of changes) for (const row of is) of(key(row)).add(owner);
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

function textsIn(json: string | null | undefined): Row {
  const values: unknown = JSON.parse(json ?? '[]');
  return Array.isArray(values)
    ? values.map((value: unknown) => (typeof value === 'string' ? value : null))
    : [];
}
