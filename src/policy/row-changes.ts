/** What is known of the rows that a statement would change, and how people are told. */

import { qualifiedName } from './patterns.ts';
import { rowCountText } from './words/describe-grant.ts';

/** How many rows a statement would change, for rules and approvers, and how that is known. */
export type RowChanges =
  | {
      /** It ran in a transaction that was rolled back, or is not committed yet. */
      readonly counted: 'trial';
      readonly rows: number;
      /** Where it is known in which, most rows first. */
      readonly relations: readonly {
        readonly schema: string;
        readonly name: string;
        readonly rows: number;
      }[];
    }
  /** @property why a phrase: that of `RowCountSource`, or what was found when it ran */
  | { readonly counted: 'not counted'; readonly why: string };

/** A sentence, e.g. `It would change 4,211 rows of public.orders (counted in a run …).` */
export function describeChanges(changes: RowChanges): string {
  switch (changes.counted) {
    case 'trial':
      return `It would change ${rowsOf(changes)} (counted in a rolled-back run; other rows may match later).`;
    case 'not counted':
      return `The rows that it would change cannot be counted: ${changes.why}.`;
  }
}

function rowsOf({ rows, relations }: Extract<RowChanges, { counted: 'trial' }>): string {
  const [only, ...others] = relations;
  if (only === undefined) return rowCountText(rows);
  const names = relations.map(
    ({ schema, name, rows: some }) => `${rowCountText(some)} of ${qualifiedName(schema, name)}`,
  );
  return others.length === 0 ? (names[0] ?? '') : `${rowCountText(rows)}: ${names.join(', ')}`;
}
