import { expect, test } from 'vitest';
import { patternMatches, qualifiedName, splitColumn } from '../../src/policy/patterns.ts';
import { isKnownVerb, verbMatches } from '../../src/policy/verbs.ts';

test.each([
  ['*', 'public', 'orders', true],
  ['*.*', 'public', 'orders', true],
  ['public.*', 'public', 'orders', true],
  ['public.*', 'publicity', 'orders', false],
  ['public.order*', 'public', 'orders', true],
  ['public.order*', 'public', 'order', true],
  ['public.*_log', 'public', 'order_log', true],
  ['public.*_log', 'public', '_lo', false],
  ['public.a*b*c', 'public', 'a1b2c', true],
  ['public.a*b*c', 'public', 'acb', false],
  ['public.ab*ba', 'public', 'aba', false],
  ['public.orders', 'public', 'Orders', false],
  ['public.Orders', 'public', 'Orders', true],
  ['public."my.table"', 'public', 'my.table', true],
  ['public."a*"', 'public', 'a*', true],
  ['public."a*"', 'public', 'ab', false],
  ['public."say ""hi"""', 'public', 'say "hi"', true],
  ['tenant_*.orders', 'tenant_7', 'orders', true],
  ['orders', 'public', 'orders', false],
  ['a.b.c', 'a', 'b.c', false],
])('pattern %s on %s.%s: %s', (pattern, schema, name, expected) => {
  expect(patternMatches(pattern, schema, name)).toBe(expected);
});

test('a pattern of many stars takes no time worth naming', () => {
  const pattern = `public.${'*a'.repeat(2000)}`;
  expect(patternMatches(pattern, 'public', 'a'.repeat(1999))).toBe(false);
});

test('columns are written as schema.relation.column', () => {
  expect(splitColumn('public.customers.ssn')).toEqual({
    schema: 'public',
    relation: 'customers',
    column: 'ssn',
  });
  expect(splitColumn('public."my table"."a.b"')).toEqual({
    schema: 'public',
    relation: 'my table',
    column: 'a.b',
  });
  expect(splitColumn('customers.ssn')).toBeUndefined();
  expect(qualifiedName('public', 'my.table')).toBe('public."my.table"');
});

test('a verb matches its own words and all that begin with them', () => {
  expect(verbMatches('drop', 'drop table')).toBe(true);
  expect(verbMatches('drop table', 'drop')).toBe(false);
  expect(verbMatches('dro', 'drop')).toBe(false);
  expect(verbMatches('*', 'anything')).toBe(true);
});

test('known verbs are PostgreSQL’s commands, their beginnings, and single settings', () => {
  for (const verb of [
    'select',
    'drop',
    'drop table',
    'alter default',
    'set work_mem',
    'set app.tenant',
    '*',
  ]) {
    expect(isKnownVerb(verb), verb).toBe(true);
  }
  for (const verb of ['', 'Select', 'drop  table', 'dropp', 'table drop', 'set Work', 'set a.']) {
    expect(isKnownVerb(verb), verb).toBe(false);
  }
});
