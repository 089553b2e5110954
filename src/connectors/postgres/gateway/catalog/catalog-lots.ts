/**
 * A catalog of tens of thousands of tables is worked off in lots: between two of them others have
 * their turn. What is made of it is used when it is whole.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Rows, or objects with their rows: some milliseconds. */
export const CATALOG_LOT = 2000;

/** @param items that nobody changes meanwhile */
export async function inLots<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
  let left = CATALOG_LOT;
  for (const item of items) {
    act(item);
    left -= 1;
    if (left > 0) continue;
    left = CATALOG_LOT;
    await nextTurn();
  }
}
