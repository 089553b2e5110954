import { expect, test } from 'vitest';
import { targetVariable, targetVariables } from '../../src/run/target-variable.ts';

test('a name becomes a variable: upper case, and _ for what a variable cannot hold', () => {
  expect(targetVariable('prod-db')).toBe('HOOP_PROD_DB_URL');
  expect(targetVariable('eu.shop_2')).toBe('HOOP_EU_SHOP_2_URL');
});

test('two targets never share a variable', () => {
  expect([...targetVariables(['prod-db', 'stage-db'])]).toEqual([
    ['prod-db', 'HOOP_PROD_DB_URL'],
    ['stage-db', 'HOOP_STAGE_DB_URL'],
  ]);
  expect(() => targetVariables(['prod-db', 'prod.db'])).toThrow(
    '"prod-db" and "prod.db" would share a variable',
  );
});

test('a target cannot take the place of something else that hoop sets', () => {
  expect(() => targetVariables(['context'])).toThrow('HOOP_CONTEXT_URL');
});
