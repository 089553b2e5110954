import { expect, test } from 'vitest';
import { nearestName } from '../../src/ui/text/nearest-name.ts';

const NAMES = ['prod-db', 'staging-db', 'web-1', 'dwh'];

test.each([
  ['prod-bd', 'prod-db'],
  ['prdo-db', 'prod-db'],
  ['PROD-DB', 'prod-db'],
  ['proddb', 'prod-db'],
  ['web-11', 'web-1'],
  ['staging', 'staging-db'],
  ['prod-db', undefined],
  ['analytics', undefined],
  ['x', undefined],
  ['dw', undefined],
  ['', undefined],
])('"%s" was probably %s', (typed, expected) => {
  expect(nearestName(typed, NAMES)).toBe(expected);
});
