/** From what has changed in the system catalogs to rows: only what belongs to it is read again. */
import type { ChangeScope } from '../../policy/facts/analysis-types.ts';
import { type Changes, changesSql, compareMarks, keysSql, withoutRows } from './catalog-marks.ts';
import type { OwnedSection } from './catalog-queries.ts';
import { number, type Row } from './catalog-rows.ts';
import { dependentsSql, sectionSql } from './catalog-sql.ts';
import { type CatalogState, type Changed, withReading } from './catalog-state.ts';

/** Above this many objects of one kind everything is read instead. */
const MAX_CHANGED = 10_000;

/** One statement; undefined: it was not answered. */
export type Ask = (sql: string) => Promise<readonly Row[] | undefined>;

/** @returns undefined: not answered, or what changed cannot be told. */
export async function findChanges(
  state: CatalogState,
  scope: ChangeScope,
  ask: Ask,
): Promise<Changes | undefined> {
  const rows = await ask(changesSql(state.marks, scope));
  const found = rows && (await compareMarks(state.marks, rows, scope));
  if (found === undefined || found.fewer.length === 0) return found;
  const keys = await ask(keysSql(found.fewer));
  return keys && withoutRows(found, keys);
}

export function isUnchanged({ owned, whole }: Changes): boolean {
  return owned.size === 0 && whole.size === 0;
}

/** @returns undefined: not answered, or too much. */
export async function readChanges(
  state: CatalogState,
  changes: Changes,
  ask: Ask,
): Promise<Changed | undefined> {
  const { marks, whole, dropped } = changes;
  for (const owners of changes.owned.values()) if (owners.size > MAX_CHANGED) return undefined;
  const queries = [...whole].map((section) => sectionSql(section));
  for (const [section, owners] of changes.owned) {
    const there = [...owners].filter((owner) => !hasRelations(section) || !dropped.has(owner));
    if (there.length > 0) queries.push(sectionSql(section, there));
  }
  const rows = queries.length === 0 ? [] : await ask(queries.join('\nUNION ALL '));
  if (rows === undefined) return undefined;
  const first = await withReading(state, { owned: changes.owned, whole, rows }, marks);
  if (isRenamedSchema(state, first.state)) return undefined;
  const named = namedInTexts(state, first);
  const dependents = named.size === 0 ? [] : await ask(dependentsSql(named));
  if (dependents === undefined) return undefined;
  return dependents.length === 0 ? first : await readDependents(first, dependents, ask);
}

/** Everything there is carries the name of its schema. */
function isRenamedSchema(before: CatalogState, now: CatalogState): boolean {
  if (before.whole.schemas === now.whole.schemas) return false;
  const names = new Map(before.whole.schemas.map(([oid, name]) => [oid, name]));
  return now.whole.schemas.some(([oid, name]) => names.has(oid) && names.get(oid) !== name);
}

const NAMED: readonly OwnedSection[] = ['relations', 'columns', 'functions', 'types'];

function hasRelations(section: OwnedSection): boolean {
  // `code` is of types, too, whose numbers are others.
  return section !== 'functions' && section !== 'types' && section !== 'code';
}

/** What was there before, is another one now, and may stand in the text of a view. */
function namedInTexts(before: CatalogState, { state, owners }: Changed): ReadonlySet<number> {
  return new Set(
    NAMED.flatMap((section) =>
      [...(owners.get(section) ?? [])].filter(
        (owner) => before.owned[section].has(owner) && state.owned[section].has(owner),
      ),
    ),
  );
}

async function readDependents(
  first: Changed,
  dependents: readonly Row[],
  ask: Ask,
): Promise<Changed | undefined> {
  const of = (kind: string): ReadonlySet<number> =>
    new Set(dependents.filter(([one]) => one === kind).map((row) => number(row[1])));
  const owned = new Map<OwnedSection, ReadonlySet<number>>([
    ['relations', of('view')],
    ['rules', of('view')],
    ['columns', of('column')],
  ]);
  const queries = [...owned].flatMap(([section, owners]) =>
    owners.size === 0 ? [] : [sectionSql(section, owners)],
  );
  const rows = await ask(queries.join('\nUNION ALL '));
  if (rows === undefined) return undefined;
  const second = await withReading(
    first.state,
    { owned, whole: new Set(), rows },
    first.state.marks,
  );
  const owners = new Map(first.owners);
  for (const [section, more] of second.owners) {
    owners.set(section, new Set([...(owners.get(section) ?? []), ...more]));
  }
  const read = new Map([
    ...first.read,
    ...[...owned].map(
      ([section, more]) =>
        [section, new Set([...(first.read.get(section) ?? []), ...more])] as const,
    ),
  ]);
  return { state: second.state, owners, read, whole: first.whole };
}
