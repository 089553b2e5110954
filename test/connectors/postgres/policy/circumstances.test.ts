import { describe, expect, it } from 'vitest';
import {
  Circumstances,
  type KeptContext,
} from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { emptyCatalog } from './empty-catalog.ts';
import { grantOf } from './grant-fixture.ts';

/** Another name is another generation. */
const grant = (table: string): Grant => grantOf({ rules: [`allow select on public.${table}`] });
const GRANT = grant('one');
const CONTEXT: KeptContext = {
  catalog: emptyCatalog(),
  searchPath: ['pg_catalog', 'public'],
  role: 'app',
  placeIsSteady: true,
  parameterTypes: [],
};

describe('what a verdict depends on besides its text', () => {
  it('has one number as long as it is the same, also for another connection', () => {
    const circumstances = new Circumstances();
    const number = circumstances.numberOf(CONTEXT, GRANT, 1);
    expect(circumstances.numberOf({ ...CONTEXT, parameterTypes: [] }, GRANT, 1)).toBe(number);
    const elsewhere = { ...CONTEXT, searchPath: ['pg_catalog', 'public'] };
    expect(circumstances.numberOf(elsewhere, GRANT, 1)).toBe(number);
    expect(circumstances.numberOf(CONTEXT, grant('one'), 1)).toBe(number);
  });

  it.each<readonly [string, Partial<KeptContext>, Grant, number]>([
    ['grant', {}, grant('other'), 1],
    ['catalog', {}, GRANT, 2],
    ['role', { role: 'other' }, GRANT, 1],
    ['role, which is that of the login', { isLoginRole: true }, GRANT, 1],
    ['role that is not known', { role: undefined }, GRANT, 1],
    ['search_path', { searchPath: ['pg_catalog'] }, GRANT, 1],
    ['search_path that is not known', { searchPath: undefined }, GRANT, 1],
    ['transaction that has changed the catalog', { unsettled: 'all' }, GRANT, 1],
    ['transaction that has moved the place', { placeIsSteady: false }, GRANT, 1],
    ['list of parameter types', { parameterTypes: [23] }, GRANT, 1],
  ])(
    'has another number with another %s, and the first one again after it',
    (_what, other, under, catalog) => {
      const circumstances = new Circumstances();
      const number = circumstances.numberOf(CONTEXT, GRANT, 1);
      expect(circumstances.numberOf({ ...CONTEXT, ...other }, under, catalog)).not.toBe(number);
      expect(circumstances.numberOf(CONTEXT, GRANT, 1)).toBe(number);
    },
  );

  it('is never one that was forgotten', () => {
    const circumstances = new Circumstances();
    const numbers = new Set<number>();
    for (let count = 0; count < 5000; count += 1) {
      numbers.add(circumstances.numberOf(CONTEXT, grant(`table_${count}`), 1));
    }
    expect(numbers.size).toBe(5000);
  });
});
