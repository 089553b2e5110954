import type { Approval, StatementPart } from '../../src/api/approvals.ts';
import {
  effect,
  statementView,
} from '../../src/connectors/postgres/gateway/approvals/statement-view.ts';

export const NOW_MS = Date.parse('2026-03-01T12:00:00Z');

const STATEMENT: Omit<StatementPart, 'view' | 'later'> = {
  session: '0199c2f4-7c3a-7d1e-9a55-0123456789ab',
  stream: 1,
  at: 40,
  text: 'DELETE FROM public.orders\nWHERE id = $1 -- \u001b[2J\u001b]0;pwned\u0007\u202e',
  shortened: false,
  prepared: [],
  settings: [],
  parameters: [
    { format: 'text', value: '17\u001b[1A', typeOid: 23 },
    { format: 'null', value: '', typeOid: 0 },
    { format: 'hex', value: '00ff', typeOid: 17 },
  ],
  verbs: ['delete'],
  relations: ['public.orders'],
  database: 'shop',
  role: 'shop_app',
  inTransaction: true,
  waits: true,
  estimate: { state: 'known', rows: 1, plan: 'Delete on orders' },
  prompt: { id: 'p1', source: 'flag', text: 'remove the test orders', shortened: false },
};

/** A held DELETE of an agent, as an approver gets it; hostile wherever somebody else types. */
export function heldStatement(
  changes: Partial<Omit<Approval, 'statement'>> & { statement?: Partial<StatementPart> } = {},
): Approval {
  const { statement: changed, ...rest } = changes;
  const statement = { ...STATEMENT, ...changed };
  // The gateway makes it when the statement is held, and says the effect when it is known.
  const view = statementView({ ...statement, estimate: { state: 'pending' } });
  const shown = { view, later: [effect(statement)] };
  return {
    id: '7k3mq9xw2c4d',
    kind: 'statement',
    state: 'waiting',
    requester: { issuer: 'https://idp.example', sub: 'eve', name: 'eve@example.com' },
    agent: 'devin',
    target: 'prod-db',
    reason: 'INC-4711',
    createdAt: '2026-03-01T11:59:20Z',
    waitsUntil: '2026-03-01T12:14:20Z',
    needs: [{ rule: 'engineers/deletes', groups: ['dba', 'leads'], count: 2, approvedBy: 1 }],
    votes: [
      {
        by: { issuer: 'https://idp.example', sub: 'lea', name: 'Lea' },
        decision: 'approve',
        reason: 'ok for me',
        at: '2026-03-01T11:59:40Z',
      },
    ],
    policyCommit: '3f2a91c04d5e0000000000000000000000000000',
    binding: 'b'.repeat(64),
    mayDecide: true,
    statement: { ...statement, ...shown },
    ...rest,
  };
}

export function accessRequest(changes: Partial<Approval> = {}): Approval {
  const { statement: _, agent: __, ...rest } = heldStatement();
  return {
    ...rest,
    id: '2222mq9xw2c4',
    kind: 'access',
    votes: [],
    needs: [{ rule: 'fix', groups: ['leads'], count: 1, approvedBy: 0 }],
    access: { policy: 'fix', durationSeconds: 7200, rules: ['allow update on public.orders'] },
    ...changes,
  };
}
