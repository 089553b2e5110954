/** Code that is not built in and that reading or changing a relation runs. */
import { isHarmlessExtension } from '../../policy/sql/functions-table.ts';
import type { CatalogFunction, CatalogRelation, RowChange } from '../../policy/sql/types.ts';
import { number, type Row, text } from './catalog-rows.ts';
import type { CatalogRows } from './catalog-snapshot.ts';

export interface OwnCode {
  readonly write: ReadonlySet<number>;
  readonly read: ReadonlySet<number>;
  readonly type: ReadonlySet<number>;
}

/** Relations and types with functions in their definition that are not built in. */
export function ownCode(
  rows: readonly Row[],
  functions: ReadonlyMap<number, CatalogFunction>,
): OwnCode {
  const owners = { write: new Set<number>(), read: new Set<number>(), type: new Set<number>() };
  for (const [kind, owner, called] of rows) {
    if (!isHarmless(functions.get(number(called)))) {
      const set = kind === 'type' ? owners.type : kind === 'read' ? owners.read : owners.write;
      set.add(number(owner));
    }
  }
  return owners;
}

export function isHarmless(called: CatalogFunction | undefined): boolean {
  return called !== undefined && (called.oid < 16_384 || isHarmlessExtension(called.extension));
}

const ROW_BEFORE = 0b11;
const INSTEAD = 0b100_0000;
const TRIGGER_EVENTS: readonly (readonly [number, RowChange])[] = [
  [0b100, 'insert'],
  [0b1000, 'delete'],
  [0b1_0000, 'update'],
  [0b10_0000, 'truncate'],
];
/** What ON DELETE does to referencing rows: c CASCADE, n SET NULL, d SET DEFAULT. */
const REFERENTIAL: ReadonlyMap<string, RowChange> = new Map([
  ['c', 'delete'],
  ['n', 'update'],
  ['d', 'update'],
]);
const RULE_EVENTS: ReadonlyMap<string, RowChange> = new Map([
  ['2', 'update'],
  ['3', 'insert'],
  ['4', 'delete'],
]);

interface CodeOn {
  readonly runs: Set<RowChange>;
  readonly altersRow: Set<RowChange>;
}

export const NO_CODE: NonNullable<CatalogRelation['codeOn']> = {
  runs: new Set(),
  altersRow: new Set(),
};

/** Which changes of which tables run code, and whether that code can alter the row. */
export function codeByRelation(
  rows: Pick<CatalogRows, 'triggers' | 'rules' | 'foreignKeys'>,
  codeInValues: ReadonlySet<number>,
): ReadonlyMap<number, NonNullable<CatalogRelation['codeOn']>> {
  const all = new Map<number, CodeOn>();
  const of = (oid: number): CodeOn => {
    const known = all.get(oid) ?? { runs: new Set(), altersRow: new Set() };
    all.set(oid, known);
    return known;
  };
  for (const oid of codeInValues) {
    for (const change of ['insert', 'update'] as const) {
      of(oid).runs.add(change);
      of(oid).altersRow.add(change);
    }
  }
  for (const row of rows.triggers) {
    const bits = number(row[1]);
    const before = (bits & ROW_BEFORE) === ROW_BEFORE || (bits & INSTEAD) !== 0;
    for (const [bit, change] of TRIGGER_EVENTS) {
      if ((bits & bit) !== 0) {
        of(number(row[0])).runs.add(change);
        if (before) of(number(row[0])).altersRow.add(change);
      }
    }
  }
  for (const row of rows.rules) {
    const change = RULE_EVENTS.get(text(row[1]));
    if (change) {
      of(number(row[0])).runs.add(change);
      of(number(row[0])).altersRow.add(change);
    }
  }
  followForeignKeys(rows.foreignKeys, of);
  return all;
}

/** CASCADE and SET NULL change the referencing rows, and that runs the code there. */
function followForeignKeys(foreignKeys: readonly Row[], of: (oid: number) => CodeOn): void {
  const effects = foreignKeys.flatMap((row) => [
    { key: row, cause: 'delete' as const, effect: REFERENTIAL.get(text(row[2])) },
    {
      key: row,
      cause: 'update' as const,
      effect: REFERENTIAL.has(text(row[3])) ? ('update' as const) : undefined,
    },
  ]);
  for (let grew = true; grew; ) {
    grew = false;
    for (const { key, cause, effect } of effects) {
      const referenced = of(number(key[1])).runs;
      if (effect && of(number(key[0])).runs.has(effect) && !referenced.has(cause)) {
        referenced.add(cause);
        grew = true;
      }
    }
  }
}
