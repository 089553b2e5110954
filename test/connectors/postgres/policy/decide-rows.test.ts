import { describe, expect, test } from 'vitest';
import type {
  RowThreshold,
  SqlRefusal,
} from '../../../../src/connectors/postgres/policy/facts/types.ts';
import {
  decideRows,
  isCovered,
} from '../../../../src/connectors/postgres/policy/verdict/decide-rows.ts';
import type { RowChanges } from '../../../../src/policy/row-changes.ts';
import type { ApprovalTerms } from '../../../../src/policy/types.ts';

const RULE = { id: 'support/many', file: 'policies/support.yaml', line: 3 };
const TERMS: ApprovalTerms = {
  groups: ['dba'],
  count: 1,
  timeoutSeconds: 60,
  waits: true,
  maxHoldSeconds: 30,
};
const REFUSAL: SqlRefusal = {
  code: 'HOOP_DENIED',
  sqlState: '42501',
  message: 'DELETE on public.orders is denied by policy',
  detail: 'Rule support/many says so.',
  hint: undefined,
  position: undefined,
  rule: RULE,
};
const DEMAND = { rule: RULE, terms: TERMS, hint: undefined };
const held = (above: number): RowThreshold => ({
  above,
  rule: RULE,
  outcome: { effect: 'hold', approvals: [DEMAND] },
});
const refused = (above: number): RowThreshold => ({
  above,
  rule: RULE,
  outcome: { effect: 'refuse', refusal: REFUSAL },
});
const trial = (rows: number): RowChanges => ({ counted: 'trial', rows, relations: [] });

describe('decideRows', () => {
  test('lets as many rows change as a threshold names, and not one more', () => {
    const rowThresholds = [held(10)];
    expect(decideRows({ rowThresholds }, trial(10)).effect).toBe('allow');
    expect(decideRows({ rowThresholds }, trial(11))).toEqual({
      effect: 'hold',
      approvals: [DEMAND],
    });
  });

  test('asks for everything that the count is above, and refuses first', () => {
    const rowThresholds = [held(10), held(20), refused(30)];
    const both = decideRows({ rowThresholds }, trial(30));
    expect(both.effect === 'hold' && both.approvals).toHaveLength(2);
    expect(decideRows({ rowThresholds }, trial(31)).effect).toBe('refuse');
  });

  test('takes what cannot be counted for more than every threshold', () => {
    const unknown: RowChanges = { counted: 'not counted', why: 'public.far is a foreign table' };
    expect(decideRows({ rowThresholds: [held(1_000_000)] }, unknown).effect).toBe('hold');
    expect(decideRows({ rowThresholds: [] }, unknown).effect).toBe('allow');
  });

  test('says the count in the detail of a refusal', () => {
    const decision = decideRows(
      { rowThresholds: [refused(100)] },
      {
        counted: 'trial',
        rows: 4211,
        relations: [{ schema: 'public', name: 'orders', rows: 4211 }],
      },
    );
    expect(decision.effect === 'refuse' && decision.refusal.detail).toBe(
      'It would change 4,211 rows of public.orders (counted in a rolled-back run; other rows may match later). Rule support/many says so.',
    );
  });
});

describe('isCovered', () => {
  test('an approval covers the count that it was given for and less', () => {
    expect(isCovered(trial(10), trial(10))).toBe(true);
    expect(isCovered(trial(11), trial(10))).toBe(false);
  });

  test('only an approval of what was not counted covers what is not counted', () => {
    const unknown: RowChanges = { counted: 'not counted', why: 'public.far is a foreign table' };
    expect(isCovered(unknown, trial(10))).toBe(false);
    expect(isCovered(unknown, unknown)).toBe(true);
    expect(isCovered(trial(1_000_000), unknown)).toBe(true);
  });
});
