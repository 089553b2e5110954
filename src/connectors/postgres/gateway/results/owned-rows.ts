/**
 * Rows of one system catalog by the object that they belong to, as the JSON that the server wrote:
 * of tens of thousands of tables, statements name a few, and only of those rows are made.
 */

import { type Row, rowsIn } from '../catalog/catalog-rows.ts';
import { BucketMap } from '../statements/bucket-map.ts';

/** All rows of one object. */
export interface RowsText {
  /** An array of rows, each an array of texts and nulls. The same rows have the same text. */
  readonly json: string;
  /** There is SQL in them: `SectionQuery.sqlText`. */
  readonly hasSql: boolean;
}

interface Kept extends RowsText {
  /** Made when somebody first asks for them. */
  rows?: readonly Row[];
}

/** A change makes a new one; both share what is the same. */
export class OwnedRows {
  static readonly EMPTY = new OwnedRows(BucketMap.empty());
  readonly #byOwner: BucketMap<number, Kept>;

  private constructor(byOwner: BucketMap<number, Kept>) {
    this.#byOwner = byOwner;
  }

  get(owner: number): readonly Row[] | undefined {
    const kept = this.#byOwner.get(owner);
    if (kept === undefined) return undefined;
    kept.rows ??= rowsIn(kept.json);
    return kept.rows;
  }

  text(owner: number): RowsText | undefined {
    return this.#byOwner.get(owner);
  }

  has(owner: number): boolean {
    return this.#byOwner.has(owner);
  }

  hasSql(owner: number): boolean {
    return this.#byOwner.get(owner)?.hasSql ?? false;
  }

  owners(): Generator<number> {
    return this.#byOwner.keys();
  }

  /** @param changes undefined: without this object. */
  with(changes: Iterable<readonly [number, RowsText | undefined]>): OwnedRows {
    return new OwnedRows(this.#byOwner.with(changes));
  }
}
