/** What a statement does with the values of columns besides carrying them. */

import type { ColumnFact, ColumnUse, StatementAnalysis } from './analysis-types.ts';
import type { ColumnOrigin, Origin } from './lineage.ts';

type Uses = Map<ColumnOrigin, string>;

/** Each column once for each kind of use, with the words of the first. */
export class ColumnUses {
  readonly #computed: Uses = new Map();
  readonly #nullTested: Uses = new Map();
  readonly #grouped: Uses = new Map();
  readonly #equated = new Map<string, readonly [ColumnUse, ColumnUse]>();

  computed(origins: Iterable<Origin>, by: string): void {
    for (const origin of origins) {
      if (origin.kind === 'column') put(this.#computed, origin, by);
    }
  }

  nullTested(column: ColumnOrigin, by: string): void {
    put(this.#nullTested, column, by);
  }

  grouped(column: ColumnOrigin, by: string): void {
    put(this.#grouped, column, by);
  }

  equated([left, right]: readonly [ColumnOrigin, ColumnOrigin], by: string): void {
    const key = [left, right].map(({ fact }) => `${fact.oid}.${fact.attnum}`).join(' ');
    this.#equated.set(key, [
      { column: left.fact, by },
      { column: right.fact, by },
    ]);
  }

  /** Those of a statement that was judged before. */
  include(other: StatementAnalysis, known: (fact: ColumnFact) => ColumnOrigin): void {
    for (const { column, by } of other.columnsComputed) put(this.#computed, known(column), by);
    for (const { column, by } of other.columnsNullTested ?? []) {
      put(this.#nullTested, known(column), by);
    }
    for (const { column, by } of other.columnsGrouped ?? []) put(this.#grouped, known(column), by);
    for (const [left, right] of other.columnsEquated ?? []) {
      this.equated([known(left.column), known(right.column)], left.by);
    }
  }

  result(): Pick<
    StatementAnalysis,
    'columnsComputed' | 'columnsNullTested' | 'columnsGrouped' | 'columnsEquated'
  > {
    return {
      columnsComputed: usesOf(this.#computed),
      columnsNullTested: usesOf(this.#nullTested),
      columnsGrouped: usesOf(this.#grouped),
      columnsEquated: [...this.#equated.values()],
    };
  }
}

function put(uses: Uses, column: ColumnOrigin, by: string): void {
  if (!uses.has(column)) uses.set(column, by);
}

function usesOf(uses: Uses): ColumnUse[] {
  return [...uses].map(([{ fact: column }, by]) => ({ column, by }));
}
