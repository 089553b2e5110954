import { expect, test } from 'vitest';
import type { TargetsReply } from '../../src/api/targets.ts';
import { groupsProblem } from '../../src/auth/groups-problem.ts';
import { renderTargets } from '../../src/ui/render-targets.ts';

const target = {
  name: 'prod-db',
  kind: 'postgres',
  labels: { env: 'production' },
  rules: ['staff/read: allow select on public.*'],
  masked: [{ column: 'public.customers.ssn', mask: 'full', inference: 'deny' as const }],
  requireReason: true,
};

test('each target is shown with what one may do there and what is masked', () => {
  expect(
    renderTargets({ v: 1, commit: 'abcdef0123456789', targets: [target], requestable: [] }, false),
  ).toBe(
    `prod-db  postgres  env=production
  staff/read: allow select on public.*
  masked: public.customers.ssn (full)
  Masked columns may be shown (also inside text expressions, min and max), not used in WHERE, JOIN, ORDER BY, DISTINCT or functions that reveal something
  a reason is required: hoop connect prod-db --reason TEXT

policy abcdef012345
connect with: hoop connect NAME
`,
  );
});

test('limits are told, with rows and changed rows where there are limits of these', () => {
  const shown = (limits: TargetsReply['targets'][number]['limits']) =>
    renderTargets({ v: 1, commit: 'a', targets: [{ ...target, limits }], requestable: [] }, false);
  const always = { maxTimeSeconds: 14_400, idleTimeSeconds: 90, maxConnections: 20 };
  expect(shown(always)).toContain(
    '\n  limits: 20 connections; a session ends after 4 h, or 90 s idle\n',
  );
  expect(
    shown({ ...always, maxRows: 1000, changedRowsPerTransaction: 10, changedRowsPerDay: 50 }),
  ).toContain(
    '20 connections, 1000 rows a statement, 10 changed rows a transaction, 50 changed rows a day (UTC, all sessions of the person);',
  );
});

test('what the agent needs is said apart, and not where neither side is restricted', () => {
  const shown = (agentRules: string[]) =>
    renderTargets(
      { v: 1, commit: 'a', targets: [{ ...target, agentRules }], requestable: [] },
      false,
    );
  expect(shown(['agents/narrow/no-delete: deny delete'])).toContain(
    'and the agent, which needs its own rule:\n  agents/narrow/no-delete: deny delete\n',
  );
  expect(shown([])).not.toContain('the agent');
});

test('since when the policy is in force is said where the gateway says it', () => {
  const inForceSince = new Date().toISOString();
  const text = renderTargets(
    { v: 1, commit: 'abcdef', inForceSince, targets: [target], requestable: [] },
    false,
  );
  expect(text).toMatch(/policy abcdef, in force since \d{4}-\d\d-\d\d \d\d:\d\d/);
});

test('whoever may reach nothing is told whom to ask', () => {
  expect(renderTargets({ v: 1, commit: 'a', targets: [], requestable: [] }, false)).toContain(
    'No target is open',
  );
});

test('whoever has only groups that the policy does not name is told which, and what to change', () => {
  const who = { kind: 'person' as const, groups: ['/engineering', 'x\x1b]0;owned\x07'] };
  const problem = groupsProblem({ ...who, unnamedGroups: true });
  const text = renderTargets({ v: 1, commit: 'a', targets: [], requestable: [], problem }, false);
  expect(text).toContain(
    'Your login has only groups that the policy does not name: /engineering, x',
  );
  expect(text).toContain('Compare them with `who.groups`');
  expect(text).not.toMatch(/\x1b|\x07/);
  expect(groupsProblem(who)).toBeUndefined();
});

test('escape sequences in what a policy author wrote do not reach the terminal', () => {
  const hostile = { ...target, description: 'x\x1b]0;owned\x07', labels: { a: '\x9b31m' } };
  const text = renderTargets({ v: 1, commit: 'a', targets: [hostile], requestable: [] }, true);
  expect(text).not.toMatch(/\x1b\]|\x07|\x9b/);
});

test('what can be asked for is listed, with who decides, where no target is open as well', () => {
  const requestable = [
    {
      target: 'prod-db',
      policy: 'fix-orders',
      maxDurationSeconds: 7200,
      approvers: ['dba', 'leads'],
      count: 1,
      rules: ['allow update on public.orders'],
    },
  ];
  const lines = `on request, temporarily
  prod-db: fix-orders, up to 2 h, by one person of the groups dba, leads (allow update on public.orders)
request with: hoop access request NAME --for TIME --reason TEXT
`;
  const reply = { v: 1, commit: 'a', requestable } as const;
  expect(renderTargets({ ...reply, targets: [target] }, false)).toContain(`\n\n${lines}\npolicy a`);
  expect(renderTargets({ ...reply, targets: [] }, false)).toBe(
    `No target is open to you now.\n\n${lines}`,
  );
  // The login of a run may not ask: its agent is told who may.
  expect(renderTargets({ ...reply, targets: [], inRun: true }, false)).toBe(
    `No target is open to you now.

on request, temporarily
  prod-db: fix-orders, up to 2 h, by one person of the groups dba, leads (allow update on public.orders)
you cannot request access in this run; whoever started it can, outside the run: hoop access request NAME --for TIME --reason TEXT
`,
  );
});
