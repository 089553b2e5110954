/** A store that is away while a test says so. */
import { HoopError } from '../../../src/errors.ts';
import type { Store } from '../../../src/gateway/store/store.ts';

export interface AwayStore extends Store {
  isAway: boolean;
}

export function awayStore(store: Store): AwayStore {
  const require = (): void => {
    if (away.isAway) throw new HoopError('HOOP_STORE_UNAVAILABLE', 'the store does not answer');
  };
  const away: AwayStore = {
    isAway: false,
    isShared: store.isShared,
    async transaction(work) {
      require();
      return store.transaction(work);
    },
    async all(sql, values) {
      require();
      return store.all(sql, values);
    },
    async get(sql, values) {
      require();
      return store.get(sql, values);
    },
    async change(sql, values) {
      require();
      return store.change(sql, values);
    },
    async checkWritable() {
      require();
      return store.checkWritable();
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
  return away;
}
