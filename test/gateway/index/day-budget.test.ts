import { describe, expect, test } from 'vitest';
import { DayBudget } from '../../../src/gateway/index/day-budget.ts';
import { collectLog } from '../collect-log.ts';
import { DRIVERS, testStores } from '../store/test-stores.ts';

const ANN = { issuer: 'https://idp.example', sub: 'ann' };
const NOON = Date.UTC(2026, 2, 1, 12);
const MIDNIGHT = Date.UTC(2026, 2, 2);

const use = (amount: number, limit = 100) => ({ amount, limit });

const storesOf = testStores();

describe.each(DRIVERS)('in %s', (driver) => {
  async function opened(clock = () => NOON) {
    const stores = await storesOf(driver);
    const { log, events } = collectLog();
    const open = async () => new DayBudget('lookups', { store: await stores.open(), clock, log });
    return {
      open,
      events,
      close: stores.close,
      [Symbol.asyncDispose]: stores[Symbol.asyncDispose],
    };
  }

  test('what is spent adds up to the limit, and what would pass it spends nothing', async () => {
    await using files = await opened();
    const budget = await files.open();
    const resetsMs = MIDNIGHT;
    expect(await budget.spend(ANN, 'db', use(97))).toEqual({ type: 'spent', left: 3, resetsMs });
    expect(await budget.spend(ANN, 'db', use(4))).toEqual({ type: 'exhausted', left: 3, resetsMs });
    expect(await budget.spend(ANN, 'db', use(3))).toEqual({ type: 'spent', left: 0, resetsMs });
    expect(await budget.spend(ANN, 'db', use(1))).toEqual({ type: 'exhausted', left: 0, resetsMs });
    expect(await budget.spend(ANN, 'db', use(1, 101))).toMatchObject({ type: 'spent', left: 0 });
    // A limit that was lowered below what is used.
    expect(await budget.spend(ANN, 'db', use(1, 50))).toMatchObject({ type: 'exhausted', left: 0 });
  });

  test('a limit of none, and more at once than the limit', async () => {
    await using files = await opened();
    const budget = await files.open();
    expect(await budget.spend(ANN, 'db', use(1, 0))).toMatchObject({ type: 'exhausted', left: 0 });
    expect(await budget.spend(ANN, 'db', use(1000))).toMatchObject({
      type: 'exhausted',
      left: 100,
    });
  });

  test('others, and other targets, have their own', async () => {
    await using files = await opened();
    const budget = await files.open();
    await budget.spend(ANN, 'db', use(100));
    for (const other of [
      { ...ANN, sub: 'bob' },
      { ...ANN, issuer: 'https://other.example' },
    ]) {
      expect(await budget.spend(other, 'db', use(1))).toMatchObject({ left: 99 });
    }
    expect(await budget.spend(ANN, 'other-db', use(1))).toMatchObject({ left: 99 });
  });

  test('of many that ask at once no more than the limit pass', async () => {
    await using files = await opened();
    const budget = await files.open();
    const other = await files.open();
    const asked = Array.from({ length: 150 }, (_, index) =>
      (index % 2 === 0 ? budget : other).spend(ANN, 'db', use(1)),
    );
    const types = (await Promise.all(asked)).map(({ type }) => type);
    expect(types.filter((type) => type === 'spent')).toHaveLength(100);
  });

  test('a restart gives nothing back', async () => {
    await using files = await opened();
    const first = await files.open();
    await first.spend(ANN, 'db', use(99));
    await files.close();
    const second = await files.open();
    expect(await second.spend(ANN, 'db', use(2))).toMatchObject({
      type: 'exhausted',
      left: 1,
    });
  });

  test('the next day of UTC begins anew, and a clock that is set back finds what was used', async () => {
    let now = MIDNIGHT - 1;
    await using files = await opened(() => now);
    const budget = await files.open();
    await budget.spend(ANN, 'db', use(100));
    now = MIDNIGHT;
    expect(await budget.spend(ANN, 'db', use(1))).toEqual({
      type: 'spent',
      left: 99,
      resetsMs: MIDNIGHT + 86_400_000,
    });
    now = NOON;
    expect(await budget.spend(ANN, 'db', use(1))).toMatchObject({ type: 'exhausted', left: 0 });
  });

  test('what cannot be written down is not spent, and the operator hears of it', async () => {
    await using files = await opened();
    const budget = await files.open();
    await files.close();
    await expect(budget.spend(ANN, 'db', use(1))).rejects.toThrow();
    expect(files.events.map((event) => event['event'])).toEqual(['lookups.not_counted']);
  });
});
