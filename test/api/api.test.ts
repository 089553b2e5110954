import { expect, test } from 'vitest';
import { SessionSummary } from '../../src/api/sessions.ts';

const SUMMARY = {
  id: '0199c2f4-7c3a-7d1e-9a55-000000000003',
  target: 'prod-db',
  principal: 'eve@example.com',
  startedAt: '2026-01-01T00:00:00Z',
  state: 'uploaded',
  statements: 0,
  denied: 0,
  maskedValues: 0,
  upBytes: 0,
  downBytes: 0,
  policyCommit: '0'.repeat(40),
};

test('a gateway cannot name a session so that a download lands somewhere else', () => {
  expect(SessionSummary.safeParse(SUMMARY).success).toBe(true);
  for (const id of ['../../.bashrc', '/etc/cron.d/x', '\u001b]0;x\u0007', 'last', '']) {
    expect(SessionSummary.safeParse({ ...SUMMARY, id }).success).toBe(false);
  }
});
