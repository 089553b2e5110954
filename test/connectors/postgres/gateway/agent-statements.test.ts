/** An agent's statements through a real gateway to a real PostgreSQL, and who may approve them. */
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApprovalsClient } from '../../../../src/client/approvals-client.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { type GatewayBench, startGatewayBench } from '../../../gateway/gateway-bench.ts';
import { startRun } from '../../../gateway/run-client.ts';
import { TestSession, type TestStream } from '../../../gateway/test-session.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { waitFor } from '../../../wait-for.ts';

const STAFF = `name: staff
who: { groups: [engineering, dba] }
targets: { names: [prod-db] }
rules:
  - { name: all, allow: { verbs: [select, insert, update, delete], relations: ["public.*"] } }
`;
const DEVIN = `name: devin
targets: { names: [prod-db] }
rules:
  - { name: read, allow: { verbs: [select], relations: [public.orders] } }
  - { name: fix, approve: { verbs: [update], relations: [public.orders], approvers: [dba, engineering] } }
`;

let postgres: EmbeddedPostgres;
let bench: GatewayBench;
beforeAll(async () => {
  postgres = await startTestPostgres();
  bench = await startGatewayBench({ target: postgres });
  const files = {
    'policies/engineers.yaml': STAFF,
    'policies/dba.yaml': undefined,
    'agents/devin.yaml': DEVIN,
  };
  await bench.policy.commit({ files, message: 'devin' });
  await bench.restart();
  const setup = new pg.Client({ connectionString: postgres.url('postgres') });
  await setup.connect();
  await setup.query('CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)');
  await setup.end();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  await postgres[Symbol.asyncDispose]();
});

async function open(account: string, agent?: string) {
  const person = await bench.client(account);
  const run = await startRun(bench, person, agent === undefined ? {} : { agent });
  const session = await TestSession.open(bench, run.client);
  const stream = await session.openStream(1);
  await stream.startUp('postgres', 'postgres');
  return {
    run,
    session,
    stream,
    async [Symbol.asyncDispose]() {
      await stream.end();
      await session.close();
      await run[Symbol.asyncDispose]();
    },
  };
}

/** Fields of the ErrorResponse, by their letters. */
function errorOf(messages: Awaited<ReturnType<TestStream['query']>>): Record<string, string> {
  const body = messages.find(([type]) => type === 'E')?.[1].toString() ?? '';
  return Object.fromEntries(body.split('\0').map((field) => [field.slice(0, 1), field.slice(1)]));
}

test('what both may runs; what the agent may not is refused in words that an agent understands', async () => {
  await using alone = await open('engineer');
  await using devin = await open('engineer', 'devin');
  const read = await devin.stream.query('SELECT id FROM orders');
  expect(read.map(([type]) => type).join('')).toBe('TDCZ');
  expect(errorOf(await devin.stream.query('DELETE FROM orders WHERE id = 2'))).toMatchObject({
    C: '42501',
    // In a run the message carries what to do: libraries drop DETAIL and HINT.
    M: expect.stringMatching(
      /^DELETE on public\.orders is not allowed by policy \[Allowed for agent devin: select on public\.orders\. /,
    ),
    D: expect.stringContaining(
      'Requested by devin for engineer@example.com. No rule of agent devin',
    ),
  });
  const deleted = await alone.stream.query('DELETE FROM orders WHERE id = 2');
  expect(deleted.map(([type]) => type).join('')).toBe('CZ');
});

test('what an agent has asked for is not approved by who stands behind it, in any of their logins', async () => {
  await using devin = await open('engineer', 'devin');
  const update = devin.stream.query('UPDATE orders SET id = 3 WHERE id = 1');
  const engineer = new ApprovalsClient(await bench.client('engineer'));
  const approval = await waitFor(async () => {
    const { approvals } = await engineer.list({ state: 'open' }, bench.signal);
    return approvals[0] ?? expect.fail('nothing is held');
  });
  expect(approval).toMatchObject({
    agent: 'devin',
    requester: { name: 'engineer@example.com' },
    mayDecide: false,
  });
  const approve = { decision: 'approve' } as const;
  await expect(engineer.decide(approval.id, approve, bench.signal)).rejects.toMatchObject({
    code: 'HOOP_APPROVAL_SELF',
  });
  await using another = await startRun(bench, await bench.client('engineer'));
  await using ofApprover = await startRun(bench, await bench.client('dba'));
  for (const { client } of [devin.run, another, ofApprover]) {
    await expect(
      new ApprovalsClient(client).decide(approval.id, approve, bench.signal),
    ).rejects.toMatchObject({ code: 'HOOP_RUN_REFUSED' });
  }
  const dba = new ApprovalsClient(await bench.client('dba'));
  await dba.decide(approval.id, approve, bench.signal);
  expect((await update).map(([type]) => type)).toContain('C');
});
