/** Code that is not built in and that reading or changing a relation runs. */

import { isPlainFunction } from '../../policy/calls/trusted-extensions.ts';
import type {
  CatalogFunction,
  CatalogRelation,
  RowChange,
} from '../../policy/facts/catalog-types.ts';
import type { TriggerEffect } from '../../policy/triggers/trigger-body.ts';
import { catalogForeignKey, RULE_EVENTS } from './catalog-consequences.ts';
import { USER } from './catalog-queries.ts';
import { flag, number, type Row, text } from './catalog-rows.ts';
import type { CatalogState } from './catalog-state.ts';

type CodeOn = NonNullable<CatalogRelation['codeOn']>;

const ROW_BEFORE = 0b11;
const INSTEAD = 0b100_0000;
const TRIGGER_EVENTS: readonly (readonly [number, RowChange])[] = [
  [0b100, 'insert'],
  [0b1000, 'delete'],
  [0b1_0000, 'update'],
  [0b10_0000, 'truncate'],
];
const CHANGES: readonly RowChange[] = ['insert', 'update', 'delete', 'truncate'];
const NO_CODE: CodeOn = { runs: new Set(), altersRow: new Set() };

interface Lookup {
  readonly function: (oid: number) => CatalogFunction | undefined;
  readonly typeRunsCode: (oid: number) => boolean;
  /** @param row of the relation's triggers */
  readonly triggerEffect: (relation: number, row: Row) => TriggerEffect | undefined;
}

export class CatalogCode {
  readonly #state: CatalogState;
  readonly #lookup: Lookup;
  readonly #direct = new Map<number, CodeOn>();

  constructor(state: CatalogState, lookup: Lookup) {
    this.#state = state;
    this.#lookup = lookup;
  }

  isHarmless(functionOid: number): boolean {
    const called = this.#lookup.function(functionOid);
    return called !== undefined && (called.oid < USER || isPlainFunction(called));
  }

  /** All that it does is known: it is built in, or it only computes. */
  #isKnown(functionOid: number): boolean {
    return this.isHarmless(functionOid) || this.#lookup.function(functionOid)?.calls !== undefined;
  }

  /** A row security policy calls code that is not built in. */
  runsOnRead(relation: number): boolean {
    return this.#has(relation, 'read');
  }

  /** A check of this domain does. */
  runsInType(type: number): boolean {
    return this.#has(type, 'type');
  }

  /** Which changes of the relation run code, and whether that code can alter the row. */
  codeOn(relation: number): CodeOn {
    const { altersRow, deferrable, alteredBy, alteredOtherwise, followedBy, unread } =
      this.#directly(relation);
    const runs = CHANGES.filter((change) => this.#runs(relation, change, new Set()));
    const cascading = CHANGES.filter((change) => this.#cascades(relation, change, new Set()));
    return runs.length === 0
      ? NO_CODE
      : {
          runs: new Set(runs),
          altersRow,
          unread: new Set([...(unread ?? []), ...cascading]),
          ...(alteredBy?.length ? { alteredBy } : {}),
          ...(followedBy?.length ? { followedBy } : {}),
          ...(alteredOtherwise?.size ? { alteredOtherwise } : {}),
          ...(deferrable?.size ? { deferrable } : {}),
        };
  }

  /** Functions that are not built in, of constraints and of column types. */
  checking(relation: number): readonly CatalogFunction[] {
    const { columns } = this.#state.owned;
    const types = (columns.get(relation) ?? [])
      .filter((column) => !flag(column[4]))
      .flatMap((column) => this.inType(number(column[3])));
    return [...new Set([...this.#functions(relation, 'write').map(([, one]) => one), ...types])];
  }

  /** Trigger functions that run in place of a change of a view. */
  insteadOf(relation: number): NonNullable<CatalogRelation['insteadOf']> {
    const rows = this.#state.owned.triggers.get(relation) ?? [];
    return rows.flatMap((row) => {
      const called = this.#lookup.function(number(row[4]));
      const bits = number(row[1]);
      if (called === undefined || (bits & INSTEAD) === 0) return [];
      return TRIGGER_EVENTS.flatMap(([bit, change]) =>
        (bits & bit) === 0 ? [] : [{ change, called }],
      );
    });
  }

  /** Those of defaults and of generated columns, with their attnum. */
  inDefaults(relation: number): readonly (readonly [number, CatalogFunction])[] {
    return this.#functions(relation, 'default');
  }

  /** Those of the checks of a domain, or of a part of the type. */
  inType(type: number, open: Set<number> = new Set()): readonly CatalogFunction[] {
    const [row] = this.#state.owned.types.get(type) ?? [];
    if (type < USER || row === undefined || open.has(type)) return [];
    open.add(type);
    const columns = this.#state.owned.columns.get(number(row[4])) ?? [];
    const parts = [number(row[5]), number(row[6]), ...columns.map((column) => number(column[3]))];
    return [
      ...this.#functions(type, 'type').map(([, one]) => one),
      ...parts.flatMap((part) => this.inType(part, open)),
    ];
  }

  #functions(owner: number, kind: string): (readonly [number, CatalogFunction])[] {
    return (this.#state.owned.code.get(owner) ?? [])
      .filter((row) => row[1] === kind && !this.isHarmless(number(row[2])))
      .flatMap((row) => {
        const called = this.#lookup.function(number(row[2]));
        return called === undefined ? [] : [[number(row[3]), called] as const];
      });
  }

  #has(owner: number, kind: string): boolean {
    const rows = this.#state.owned.code.get(owner) ?? [];
    return rows.some((row) => row[1] === kind && !this.#isKnown(number(row[2])));
  }

  #directly(relation: number): CodeOn {
    const known = this.#direct.get(relation);
    if (known !== undefined) return known;
    const { triggers, rules, columns } = this.#state.owned;
    const runs = new Set<RowChange>();
    const altersRow = new Set<RowChange>();
    const deferrable = new Set<RowChange>();
    const alteredOtherwise = new Set<RowChange>();
    const unread = new Set<RowChange>();
    const alteredBy: NonNullable<CodeOn['alteredBy']>[number][] = [];
    const followedBy: NonNullable<CodeOn['followedBy']>[number][] = [];
    const isOwnType = (oid: number): boolean => oid >= USER && this.#lookup.typeRunsCode(oid);
    const inValues =
      this.#has(relation, 'write') ||
      this.#has(relation, 'index') ||
      this.#has(relation, 'default') ||
      (columns.get(relation) ?? []).some((column) => isOwnType(number(column[3])));
    if (inValues) {
      for (const change of ['insert', 'update'] as const) {
        runs.add(change);
        altersRow.add(change);
        alteredOtherwise.add(change);
        unread.add(change);
      }
    }
    for (const row of triggers.get(relation) ?? []) {
      const bits = number(row[1]);
      const isInstead = (bits & INSTEAD) !== 0;
      const before = (bits & ROW_BEFORE) === ROW_BEFORE || isInstead;
      // One that is put off runs when names may be looked up elsewhere, and mean something else.
      const isFollowed = !isInstead && !flag(row[3]);
      const effect = isFollowed ? this.#lookup.triggerEffect(relation, row) : undefined;
      for (const [bit, change] of TRIGGER_EVENTS) {
        if ((bits & bit) !== 0) {
          runs.add(change);
          const called = this.#lookup.function(number(row[4]));
          if (effect === undefined || called === undefined) unread.add(change);
          else if (!before) followedBy.push({ change, called, effect });
          if (before) {
            altersRow.add(change);
            if (called === undefined) alteredOtherwise.add(change);
            else alteredBy.push({ change, called, ...(effect ? { effect } : {}) });
          }
          if (flag(row[3])) deferrable.add(change);
        }
      }
    }
    for (const row of rules.get(relation) ?? []) {
      const change = RULE_EVENTS.get(text(row[1]));
      if (change) {
        runs.add(change);
        altersRow.add(change);
        alteredOtherwise.add(change);
        unread.add(change);
      }
    }
    const made = {
      ...{ runs, altersRow, deferrable, alteredBy, alteredOtherwise },
      ...{ followedBy, unread },
    };
    this.#direct.set(relation, made);
    return made;
  }

  /** CASCADE and SET NULL change the referencing rows, and that runs the code there. */
  #runs(relation: number, change: RowChange, seen: Set<string>): boolean {
    const step = `${relation} ${change}`;
    if (seen.has(step)) return false;
    seen.add(step);
    return this.#directly(relation).runs.has(change) || this.#cascades(relation, change, seen);
  }

  #cascades(relation: number, change: RowChange, seen: Set<string>): boolean {
    if (change !== 'delete' && change !== 'update') return false;
    const referencing = this.#state.indexes.referencing.get(String(relation)) ?? [];
    return referencing.some((other) =>
      (this.#state.owned.foreignKeys.get(other) ?? []).some((row) => {
        const { references, onDelete, onUpdate } = catalogForeignKey(row);
        if (references !== relation) return false;
        const effect = change === 'delete' ? onDelete : onUpdate;
        return effect !== undefined && this.#runs(other, effect, seen);
      }),
    );
  }
}
