import { expect, test } from 'vitest';
import { bothAllow } from '../../src/policy/both-allow.ts';
import { describeConditions } from '../../src/policy/words/describe-grant.ts';
import { grantOf } from '../connectors/postgres/policy/grant-fixture.ts';

test.each<readonly [some: string[], others: string[], both: string[]]>([
  [['allow *'], ['allow select on public.*'], ['select on public.*']],
  [['allow select on public.*'], ['allow *'], ['select on public.*']],
  [['allow select on public.*'], ['allow select on public.orders'], ['select on public.orders']],
  [
    ['allow select, update on public.*, audit.*'],
    ['allow update with WHERE on public.orders, app.*'],
    ['update with WHERE on public.orders'],
  ],
  [['allow update with WHERE'], ['allow update without WHERE'], []],
  [['allow delete up to 100 rows'], ['allow delete up to 50 rows'], ['delete of up to 50 rows']],
  [['allow select on app.*'], ['allow select on public.*'], []],
  [['allow select'], ['allow update'], []],
  [['allow calls of app.*'], ['allow calls of app.total'], ['calls of app.total']],
  [['allow calls of app.*'], ['allow select on app.*'], []],
  [['allow create'], ['allow create table'], ['create table']],
])('%j and %j both allow %j', (some, others, both) => {
  const rules = bothAllow(grantOf({ rules: some }).rules, grantOf({ rules: others }).rules);
  expect(rules.map(describeConditions)).toEqual(both);
});
