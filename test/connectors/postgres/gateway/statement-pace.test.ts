import { expect, test } from 'vitest';
import { StatementPace } from '../../../../src/connectors/postgres/gateway/statements/statement-pace.ts';

test('two seconds of statements may come at once, and what comes faster waits', () => {
  const pace = new StatementPace();
  expect(pace.spend(200, 100, 0)).toBe(0);
  expect(pace.spend(1, 100, 0)).toBe(10);
  expect(pace.spend(1, 100, 10)).toBe(10);
  expect(pace.spend(1, 100, 1000)).toBe(0);
});

test('a message of many statements makes the next one wait for all of them', () => {
  const pace = new StatementPace();
  pace.spend(201, 100, 0);
  pace.spend(999, 100, 0);
  expect(pace.spend(1, 100, 0)).toBe(10_010);
});

test('without a limit nobody waits', () => {
  const pace = new StatementPace();
  expect(pace.spend(1_000_000, undefined, 0)).toBe(0);
});
