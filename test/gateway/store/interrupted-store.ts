/** A store in whose way something else comes: what was looked at before may not be so any more. */
import type { BulkSql, Sql, Store } from '../../../src/gateway/store/store.ts';

export interface InterruptedStore extends Store {
  /** Once, before the next request whose first statement is like this. What it asks is not interrupted. */
  before(statement: RegExp, happens: () => Promise<unknown>): void;
}

export function interruptedStore(store: Store): InterruptedStore {
  let next: { statement: RegExp; happens: () => Promise<unknown> } | undefined;
  const interrupt = async (sql: Sql | BulkSql | undefined): Promise<void> => {
    if (sql === undefined || next?.statement.test(sql.sqlite) !== true) return;
    const { happens } = next;
    next = undefined;
    await happens();
  };
  return {
    isShared: store.isShared,
    before(statement, happens) {
      next = { statement, happens };
    },
    async transaction(work) {
      const first = work().next();
      await interrupt(first.done === true ? undefined : first.value.sql);
      return store.transaction(work);
    },
    async all(sql, values) {
      await interrupt(sql);
      return store.all(sql, values);
    },
    async get(sql, values) {
      await interrupt(sql);
      return store.get(sql, values);
    },
    async change(sql, values) {
      await interrupt(sql);
      return store.change(sql, values);
    },
    checkWritable: () => store.checkWritable(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
