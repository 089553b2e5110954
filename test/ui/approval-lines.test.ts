import { expect, test } from 'vitest';
import {
  approvalChangeLine,
  approvalLines,
  approvalTable,
  decisionText,
  spanOf,
  timeLeft,
} from '../../src/ui/approvals/approval-lines.ts';
import { styleFor } from '../../src/ui/text/style.ts';
import { textWidth } from '../../src/ui/text/text-width.ts';
import { accessRequest, heldStatement, NOW_MS } from './made-approval.ts';

const PLAIN = { style: styleFor(false), width: 80 };
const WIDE = { style: styleFor(false), width: undefined };
// biome-ignore format: one class
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;

test('An approver is shown statement, parameters, requester, agent, reason, prompt, target, effect', () => {
  const text = approvalLines(heldStatement(), PLAIN, NOW_MS).join('\n');
  for (const part of [
    'request    7k3mq9xw2c4d  ● waiting',
    'who        devin for eve@example.com',
    'target     prod-db',
    'reason     INC-4711',
    'prompt     remove the test orders (as the client says)',
    '40 s ago, 14 min left',
    'database   shop, as shop_app',
    'inside an open transaction, which holds locks',
    'effect     about 1 row, by the planner',
    'touches    delete on public.orders',
    '  DELETE FROM public.orders\n  WHERE id = $1',
    '$2 = NULL',
    '$3 = \\x00ff',
    'needs      one more person of the groups dba, leads (engineers/deletes: 1 of 2)',
    'approved   by Lea',
    'ok for me',
  ]) {
    expect(text).toContain(part);
  }
});

test('An approver is shown how many rows would change, and how they were counted', () => {
  const { statement } = heldStatement();
  if (statement === undefined) throw new Error('no statement');
  const effect = (changes: typeof statement.changes) =>
    approvalLines(heldStatement({ statement: { ...statement, changes } }), WIDE, NOW_MS).find(
      (line) => line.startsWith('effect'),
    );
  const orders = { schema: 'public', name: 'orders', rows: 4211 };
  expect(effect({ counted: 'trial', rows: 4211, relations: [orders] })).toBe(
    'effect     It would change 4,211 rows of public.orders (counted in a rolled-back run; other rows may match later).',
  );
  expect(effect({ counted: 'not counted', why: 'public.far is a foreign table' })).toBe(
    'effect     The rows that it would change cannot be counted: public.far is a foreign table. (about 1 row, by the planner)',
  );
});

test('Nothing that a requester typed reaches the terminal as a control', () => {
  const { statement } = heldStatement();
  if (statement === undefined) throw new Error('no statement');
  const nasty = heldStatement({
    reason: 'a\u001b[31m\r\nrequest    fake',
    statement: {
      ...statement,
      prompt: { id: 'p1', source: 'flag', text: '\u009b2J\r\nwho        fake', shortened: true },
    },
    target: 'x\u0007',
    requester: { issuer: 'i', sub: 's', name: '\u202eevil' },
    outcome: '\u001b]0;x\u0007',
  });
  const texts = [
    ...approvalLines(nasty, PLAIN, NOW_MS),
    ...approvalTable([nasty, accessRequest()], PLAIN, NOW_MS),
    approvalChangeLine(nasty, PLAIN.style),
    decisionText(nasty, 'approve'),
  ];
  for (const text of texts) {
    expect(text).not.toMatch(CONTROLS);
    expect(text).not.toContain('\n');
  }
});

test('What an EXECUTE runs is shown with it', () => {
  const prepared = ['DELETE FROM orders\nWHERE true \u001b[2J'];
  const held = heldStatement({ statement: { text: 'EXECUTE cleanup', prepared } });
  const text = approvalLines(held, PLAIN, NOW_MS).join('\n');
  expect(text).toContain('which runs:\n  DELETE FROM orders\n  WHERE true ⟪U+001B⟫[2J');
});

test('A long statement is shown to its last character, however narrow the terminal', () => {
  const text = `DELETE FROM orders WHERE id IN (${Array.from({ length: 400 }, (_, n) => n).join(', ')}) AND note = 'the end'`;
  const held = heldStatement({ statement: { text } });
  const lines = approvalLines(held, { ...PLAIN, width: 40 }, NOW_MS);
  expect(lines.map((line) => line.trim()).join(' ')).toContain("AND note = 'the end'");
  expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(40);
});

test('A request for access says what it gives, for how long, and who can approve', () => {
  const text = approvalLines(accessRequest(), PLAIN, NOW_MS).join('\n');
  expect(text).toContain('asks for   fix, for 2 h');
  expect(text).toContain('gives      allow update on public.orders');
  expect(text).toContain('needs      one person of the group leads (fix: 0 of 1)');
});

test('The table fits 80 columns and has who and what', () => {
  const lines = approvalTable([heldStatement(), accessRequest()], PLAIN, NOW_MS);
  expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(80);
  expect(lines[1]).toMatch(/^7k3mq9xw2c4d {2}waiting {2}devin for .*14 min {2}DELETE FROM/);
  expect(lines[2]).toContain('fix for 2 h');
});

test('Spans are short and whole, and what is over has none left', () => {
  expect([0, 1000, 61_000, 150_000, 3_600_000, 7_500_000, 90_000_000].map(spanOf)).toEqual([
    '0 s',
    '1 s',
    '1 min 1 s',
    '2 min',
    '1 h',
    '2 h 5 min',
    '1 d 1 h',
  ]);
  expect(timeLeft(heldStatement({ state: 'used' }), NOW_MS)).toBe('');
  expect(timeLeft(heldStatement({ waitsUntil: '2026-03-01T11:00:00Z' }), NOW_MS)).toBe(
    'time is over',
  );
});

test('An approver reads that rules with different groups need different people', () => {
  const needs = [
    { rule: 'p/deletes', groups: ['dba'], count: 1, approvedBy: 1 },
    { rule: 'q/big', groups: ['leads'], count: 1, approvedBy: 0 },
  ];
  expect(approvalLines(heldStatement({ needs }), WIDE, NOW_MS)).toContain(
    'needs      different people: one person counts for one of these groups only',
  );
  expect(approvalLines(heldStatement(), WIDE, NOW_MS).join()).not.toContain('different people');
  expect(decisionText(heldStatement({ needs }), 'approve')).toBe(
    'approved request 7k3mq9xw2c4d of devin for eve@example.com; it still needs one person of the group leads, other than those so far',
  );
});

test('Whoever decides is told what is still missing', () => {
  expect(decisionText(heldStatement(), 'approve')).toBe(
    'approved request 7k3mq9xw2c4d of devin for eve@example.com; it still needs one more person of the groups dba, leads',
  );
  const done = accessRequest({
    state: 'used',
    needs: [{ rule: 'fix', groups: ['leads'], count: 1, approvedBy: 1 }],
  });
  expect(decisionText(done, 'approve')).toBe('approved request 2222mq9xw2c4 of eve@example.com');
});
