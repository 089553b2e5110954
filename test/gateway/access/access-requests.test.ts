import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApprovalsClient } from '../../../src/client/approvals-client.ts';
import { waitFor } from '../../wait-for.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { startRun } from '../run-client.ts';
import { requestSession } from '../test-session.ts';

const HOUR = 3600;
const FIX = `name: fix
who: { groups: [engineering, agents] }
targets: { names: [prod-db] }
request: { maxDuration: 2h, approvers: [approvers, auditors], count: 2, timeout: 1h }
rules:
  - name: repair
    allow: { verbs: [update], relations: [public.orders] }
`;
const OTHER = FIX.replace('name: fix', 'name: other').replace('update', 'delete');

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench();
  await put({ 'policies/fix.yaml': FIX });
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function as(account: string): Promise<ApprovalsClient> {
  return new ApprovalsClient(await bench.client(account));
}

/** Commits, and waits until it is in force. */
async function put(files: Record<string, string | undefined>): Promise<void> {
  const commit = await bench.policy.commit({ files, message: 'policy: test' });
  const client = await bench.client('dba');
  await waitFor(async () => expect((await client.policy(bench.signal)).commit).toBe(commit));
}

const WHAT = { target: 'prod-db', durationSeconds: HOUR, reason: 'INC-4711' };

async function ask(account = 'engineer', changes: object = {}): Promise<string> {
  const { id } = await (await as(account)).request({ ...WHAT, ...changes }, bench.signal);
  return id;
}

async function approve(account: string, id: string) {
  return (await as(account)).decide(id, { decision: 'approve' }, bench.signal);
}

async function stateOf(account: string, id: string): Promise<string> {
  return (await (await as(account)).find(id, bench.signal)).state;
}

async function grantOf(account: string, id: string) {
  const { grants } = await (await as(account)).access(bench.signal);
  return grants.find((grant) => grant.id === id);
}

test('As many approvers as the policy says are needed, and then the grant is there', async () => {
  const id = await ask();
  expect(await approve('dba', id)).toMatchObject({
    state: 'waiting',
    needs: [{ rule: 'fix', count: 2, approvedBy: 1 }],
  });
  await expect(approve('dba', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_VOTED' });
  expect(await grantOf('engineer', id)).toBeUndefined();
  expect(await approve('auditor', id)).toMatchObject({ state: 'used' });
  expect(await grantOf('engineer', id)).toMatchObject({
    state: 'active',
    mine: true,
    policy: 'fix',
    approvedBy: ['dba@example.com', 'auditor@example.com'],
  });
  // Approvers and auditors see everybody's grants, others their own.
  expect(await grantOf('auditor', id)).toMatchObject({ mine: false });
  expect(await grantOf('devin', id)).toBeUndefined();
  await expect((await as('devin')).revoke(id, bench.signal)).rejects.toMatchObject({
    code: 'HOOP_APPROVAL_UNKNOWN',
  });
  await (await as('auditor')).revoke(id, bench.signal);
  expect(await grantOf('engineer', id)).toMatchObject({
    state: 'revoked',
    endedBy: 'auditor@example.com',
  });
  await expect((await as('dba')).revoke(id, bench.signal)).rejects.toMatchObject({
    code: 'HOOP_APPROVAL_ENDED',
  });
});

test('Who asked cannot approve, nor can somebody in no approver group, who does not even see it', async () => {
  const id = await ask();
  await expect(approve('engineer', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_SELF' });
  await expect(approve('devin', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_UNKNOWN' });
  await (await as('engineer')).revoke(id, bench.signal);
  expect(await stateOf('engineer', id)).toBe('withdrawn');
  await expect(approve('dba', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_ENDED' });
});

test.each([
  ['a time beyond the longest', { durationSeconds: 2 * HOUR + 1 }, 'HOOP_ACCESS_DENIED'],
  ['a time that is over at once', { durationSeconds: 1 }, 'HOOP_ACCESS_DENIED'],
  ['no reason', { reason: ' \n ' }, 'HOOP_USAGE'],
  ['a reason that nobody sees', { reason: '\u0007\u200b' }, 'HOOP_USAGE'],
  ['a reason that is too long', { reason: 'x'.repeat(501) }, 'HOOP_USAGE'],
  ['a reason with half a character', { reason: 'INC-\ud800' }, 'HOOP_USAGE'],
  ['a target that there is not', { target: 'other-db' }, 'HOOP_ACCESS_DENIED'],
  ['a policy that cannot be asked for', { policy: 'engineers' }, 'HOOP_ACCESS_DENIED'],
  ['half a second', { durationSeconds: 0.5 }, 'HOOP_PROTOCOL'],
  ['a reason of 1 MB', { reason: 'x'.repeat(1 << 20) }, 'HOOP_TOO_LARGE'],
])('Asking with %s is refused', async (_what, changes, code) => {
  await expect(ask('engineer', changes)).rejects.toMatchObject({ code });
});

test('The same is not asked for twice while it waits, for another time neither', async () => {
  const id = await ask();
  await expect(ask()).rejects.toMatchObject({ code: 'HOOP_LIMIT' });
  await expect(ask('engineer', { durationSeconds: 60 })).rejects.toMatchObject({
    code: 'HOOP_LIMIT',
    detail: `Request ${id} is waiting.`,
  });
  // Somebody else may ask for the same.
  await (await as('devin')).revoke(await ask('devin'), bench.signal);
  await (await as('engineer')).revoke(id, bench.signal);
});

test('Who has no access to a target is told to ask, and in a run who can, since its login may not', async () => {
  await put({
    'policies/audit.yaml': FIX.replace('name: fix', 'name: audit').replace(
      'engineering, agents',
      'auditors',
    ),
  });
  const auditor = await bench.client('auditor');
  await expect(requestSession(bench, auditor)).rejects.toMatchObject({
    code: 'HOOP_ACCESS_DENIED',
    hint: 'Request it: `hoop access list` shows how, then `hoop access request prod-db --for 1h --reason TEXT`.',
  });
  await using run = await startRun(bench, auditor);
  await expect(requestSession(bench, run.client)).rejects.toMatchObject({
    code: 'HOOP_ACCESS_DENIED',
    hint: 'auditor@example.com can request it, outside the run: `hoop access request prod-db --for 1h --reason TEXT`.',
  });
  await put({ 'policies/audit.yaml': undefined });
});

test('With several to choose from, one must be named', async () => {
  await put({ 'policies/other.yaml': OTHER });
  await expect(ask()).rejects.toMatchObject({ code: 'HOOP_USAGE', detail: 'They are fix, other.' });
  await (await as('engineer')).revoke(await ask('engineer', { policy: 'other' }), bench.signal);
  await put({ 'policies/other.yaml': undefined });
});

test('A commit that changes what was asked for voids the request, although approvers had begun', async () => {
  const id = await ask();
  await approve('dba', id);
  await put({ 'policies/fix.yaml': FIX.replace('public.orders', '"public.*"') });
  expect(await stateOf('engineer', id)).toBe('void');
  await expect(approve('auditor', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_ENDED' });
  expect(await grantOf('engineer', id)).toBeUndefined();
  await put({ 'policies/fix.yaml': FIX });
  expect(await stateOf('engineer', id)).toBe('void');
});

test('A commit that lowers the longest time below what was asked for voids the request', async () => {
  const id = await ask('engineer', { durationSeconds: 2 * HOUR });
  await put({ 'policies/fix.yaml': FIX.replace('2h', '90m') });
  expect(await stateOf('engineer', id)).toBe('void');
  await put({ 'policies/fix.yaml': FIX });
});

test('The vote of somebody whose group is no longer an approver does not count', async () => {
  const id = await ask();
  await approve('auditor', id);
  await put({ 'policies/fix.yaml': FIX.replace('[approvers, auditors]', '[approvers]') });
  expect(await approve('dba', id)).toMatchObject({ state: 'waiting' });
  expect(await grantOf('engineer', id)).toBeUndefined();
  await put({ 'policies/fix.yaml': FIX });
  await (await as('engineer')).revoke(id, bench.signal);
});

test('A denial ends the request, with its reason', async () => {
  const id = await ask();
  const denied = await (await as('auditor')).decide(
    id,
    { decision: 'deny', reason: 'use the job' },
    bench.signal,
  );
  expect(denied).toMatchObject({ state: 'denied', votes: [{ reason: 'use the job' }] });
  await expect(approve('dba', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_ENDED' });
});

test('A request survives a restart of the gateway', async () => {
  const id = await ask();
  await approve('auditor', id);
  await bench.restart();
  expect(await approve('dba', id)).toMatchObject({ state: 'used' });
  await (await as('engineer')).revoke(id, bench.signal);
});

test('An approval that comes too late is refused', async () => {
  await put({ 'policies/fix.yaml': FIX.replace('timeout: 1h', 'timeout: 1s') });
  const id = await ask();
  await expect.poll(() => stateOf('engineer', id)).toBe('expired');
  await expect(approve('dba', id)).rejects.toMatchObject({ code: 'HOOP_APPROVAL_ENDED' });
});

test('An agent with a login of its own decides about nothing, though it is in an approver group', async () => {
  const BOT = `name: bot
identities: { users: [{ email: Auditor@example.com }] }
targets: { names: [prod-db] }
`;
  await put({ 'policies/fix.yaml': FIX });
  const half = await ask();
  await approve('auditor', half);
  const whole = await ask('devin');
  await approve('auditor', whole);
  await approve('dba', whole);
  expect(await stateOf('devin', whole)).toBe('used');
  await put({ 'agents/bot.yaml': BOT });
  // What it said before it was an agent no longer counts, and it can say no more.
  expect((await approve('dba', half)).state).toBe('waiting');
  for (const decision of ['approve', 'deny'] as const) {
    const refused = (await as('auditor')).decide(half, { decision, reason: 'no' }, bench.signal);
    await expect(refused).rejects.toMatchObject({
      code: 'HOOP_ACCESS_DENIED',
      detail: 'Only a person can approve, and this is agent bot.',
    });
  }
  await expect((await as('auditor')).revoke(whole, bench.signal)).rejects.toMatchObject({
    code: 'HOOP_ACCESS_DENIED',
  });
  expect(await grantOf('devin', whole)).toMatchObject({ state: 'active' });
  await (await as('devin')).revoke(whole, bench.signal);
  await (await as('engineer')).revoke(half, bench.signal);
  // And as a person again it does.
  await put({ 'agents/bot.yaml': undefined });
  const again = await ask();
  await approve('dba', again);
  expect((await approve('auditor', again)).state).toBe('used');
  await (await as('engineer')).revoke(again, bench.signal);
});
