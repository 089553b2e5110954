/** What the server does besides, as the catalog says: foreign keys and rules, from rows. */
import type {
  CatalogComparison,
  CatalogForeignKey,
  CatalogRule,
  RowChange,
} from '../../policy/facts/catalog-types.ts';
import { number, oids, type Row, text } from './catalog-rows.ts';
import type { RelationTexts } from './catalog-view.ts';

/** pg_rewrite.ev_type. */
export const RULE_EVENTS: ReadonlyMap<string, RowChange> = new Map([
  ['2', 'update'],
  ['3', 'insert'],
  ['4', 'delete'],
]);
/** In place of an attnum: a policy has a subquery. */
const OTHER_TABLES = -1;
const OTHER_THAN_CHECK = ['index', 'partition', 'policy', 'unique'] as const;
/** What ON DELETE does to referencing rows: c CASCADE, n SET NULL, d SET DEFAULT. */
const REFERENTIAL: ReadonlyMap<string, 'delete' | 'update'> = new Map([
  ['c', 'delete'],
  ['n', 'update'],
  ['d', 'update'],
]);

export function catalogForeignKey(row: Row): CatalogForeignKey {
  return {
    name: text(row[6]),
    references: number(row[1]),
    columns: oids(row[4]),
    referencedColumns: oids(row[5]),
    onDelete: REFERENTIAL.get(text(row[2])),
    onUpdate: REFERENTIAL.has(text(row[3])) ? 'update' : undefined,
  };
}

export function catalogRules(
  rows: readonly Row[],
  texts: RelationTexts | undefined,
): readonly CatalogRule[] {
  return rows.flatMap((row) => {
    const event = RULE_EVENTS.get(text(row[1]));
    if (event === undefined) return [];
    return [{ name: text(row[3]), event, tree: texts?.definitions.get(text(row[4])) }];
  });
}

/** @param columns rows of the relation's columns */
export function catalogComparisons(
  rows: readonly Row[],
  columns: readonly Row[],
  texts: RelationTexts | undefined,
): readonly CatalogComparison[] {
  return rows.flatMap((row) => {
    const kind = text(row[1]);
    const found = texts?.expressions.get(text(row[4]));
    if (kind === 'index' && found?.isTotal) return [];
    const names = kind === 'index' ? found?.columnNames : undefined;
    const used = names && columns.filter((column) => names.includes(text(column[2])));
    const numbers = used?.map((column) => number(column[1])) ?? oids(row[3]);
    const words = kind === 'unique' ? text(row[2]).split(' ') : [];
    const isPlannersKey = words.includes('planner');
    return [
      {
        kind: OTHER_THAN_CHECK.find((other) => other === kind) ?? 'check',
        name: kind === 'unique' ? '' : text(row[2]),
        ...(isPlannersKey ? { isPlannersKey } : {}),
        ...(isPlannersKey && words.includes('alike') ? { isKey: true } : {}),
        ...(words.includes('nulls') ? { nullsAreEqual: true } : {}),
        ...(numbers.includes(OTHER_TABLES) ? { readsOthers: true } : {}),
        columns: [...new Set(numbers.filter((attnum) => attnum !== OTHER_TABLES))],
      },
    ];
  });
}
