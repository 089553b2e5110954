/** `hoop run --agent`: what the agent may do is the least of two, and everybody sees who asked. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';

/** Narrower than what its person may do in each way that a bundle knows. */
const DEVIN = `name: devin
match: [{ program: devin }]
targets: { names: [prod-db] }
masks:
  - { column: public.customers.full_name, mask: full }
rules:
  - name: read-shop
    allow: { verbs: [select], relations: [public.customers, public.orders] }
  - name: ask-for-orders
    approve: { verbs: [update], relations: [public.orders], approvers: [approvers] }
`;
const HOOP = `"${process.execPath}" "${LAUNCHER}"`;
const PSQL = 'psql -XAtq -v VERBOSITY=verbose';
const WHO = 'devin for engineer@example.com';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-run-agent-'));
  bench = await openBench();
  await bench.commitPolicy({ 'agents/devin.yaml': DEVIN });
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

function asDevin(script: string) {
  const flags = ['--agent', 'devin', '--target', 'prod-db'];
  return bench.hoop('engineer', 'run', ...flags, '--', 'sh', '-c', script);
}

test('psql in the run is denied and masked by the agent’s bundle, and the person’s own is not', async () => {
  const script = `${PSQL} -c "SELECT full_name FROM customers WHERE id = 1"
${PSQL} -c "INSERT INTO orders SELECT * FROM orders WHERE false"
${PSQL} -c "SELECT count(*) FROM support_tickets"
${HOOP} whoami
${HOOP} targets`;
  const run = await asDevin(script);
  expect(run.stdout).toMatch(/^\*+\n/);
  expect(run.stderr.match(/ERROR: {2}42501/g)).toHaveLength(2);
  expect(run.stderr).toContain(`Requested by ${WHO}`);
  expect(run.stdout).toContain(WHO);
  expect(run.stdout).toContain('you cannot request access in this run; whoever started it can');
  const session = String((await bench.sessions('engineer'))[0]?.['id']);

  const own = await bench.psql(
    'engineer',
    'SELECT full_name FROM customers WHERE id = 1',
    'INSERT INTO orders SELECT * FROM orders WHERE false',
  );
  expect(own.exitCode, own.output).toBe(0);
  expect(own.stdout).toContain('INSERT 0 0');
  expect(own.stdout).not.toContain('***');

  for (const args of [
    ['sessions', 'list'],
    ['sessions', 'show', session],
    ['sessions', 'why', session, '1'],
  ]) {
    expect((await bench.hoop('engineer', ...args)).stdout, args.join(' ')).toContain(WHO);
  }
});

test('what is held waits for another identity: neither the run nor its person can approve it', async () => {
  const itsId = join(directory, 'held-id');
  const script = `${PSQL} -c "UPDATE orders SET id = id WHERE id = 2 RETURNING 'released'" &
until [ -s '${itsId}' ]; do sleep 0.1; done
${HOOP} approvals approve "$(cat '${itsId}')" --json
wait $!`;
  const flags = ['run', '--agent', 'devin', '--target', 'prod-db', '--', 'sh', '-c', script];
  const child = spawn(process.execPath, [LAUNCHER, ...flags], {
    env: childEnvironment({ home: bench.home('engineer') }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const closed = once(child, 'close');
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => {
    stdout += String(text);
  });
  child.stderr.on('data', (text) => {
    stderr += String(text);
  });
  const held = () => /request (\w+)/.exec(stderr)?.[1];
  await expect.poll(held).toBeDefined();
  const id = String(held());
  // The run that asks sees its request and may not decide; another run does not even see it.
  writeFileSync(itsId, id);
  await expect.poll(() => stderr).toContain('HOOP_RUN_REFUSED');
  const fromOther = await asDevin(`${HOOP} approvals approve ${id} --json`);
  expect(fromOther.exitCode).not.toBe(0);
  expect(fromOther.stderr).toContain('HOOP_APPROVAL_UNKNOWN');
  const own = await bench.hoop('engineer', 'approvals', 'approve', id, '--json');
  expect(own.stderr).toContain('HOOP_APPROVAL_SELF');
  expect((await bench.hoop('dba', 'approvals', 'show', id)).stdout).toContain(WHO);
  expect(stdout).toBe('');
  expect((await bench.hoop('dba', 'approvals', 'approve', id)).exitCode).toBe(0);
  expect((await closed)[0], stderr).toBe(0);
  expect(stdout).toBe('released\n');
});

test('the briefing promises nothing that only the person has a rule for', async () => {
  const flags = ['--agent', 'devin', '--target', 'prod-db', '--briefing-only'];
  const only = await bench.hoop('engineer', 'run', ...flags);
  expect(only.stdout).toBe((await asDevin('cat "$HOOP_BRIEFING"')).stdout);
  expect(only.stdout).toContain(`You act as ${WHO}`);
  expect(only.stdout).not.toMatch(/^(Allowed|Waits for a person to approve):$/m);
  expect(only.stdout).toContain('by the person’s rules:\n- engineers/delete-orders');
  expect(only.stdout).toContain(
    'The agent also needs a rule of its own. Allowed:\n- agents/devin/read-shop',
  );
  expect(only.stdout).toContain('It adds nothing to the agent’s rules');
  const json = await bench.hoop('engineer', 'run', ...flags, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    targets: [{ allowed: [], held: [], needsOneOfEach: { agent: { held: [expect.any(String)] } } }],
    requestable: [{ needsAgentRule: true }],
  });
});

test('the person’s own login is not narrowed while a run is open', async () => {
  await using connection = await bench.connect('engineer');
  const client = new pg.Client({ connectionString: connection.url });
  await client.connect();
  const run = await asDevin(`${PSQL} -c "SELECT count(*) FROM support_tickets"`);
  expect(run.stderr).toContain('42501');
  const { rows } = await client.query('SELECT count(*)::int > 0 AS found FROM support_tickets');
  expect(rows).toEqual([{ found: true }]);
  await client.end();
});

test('a run inside the run is the agent’s, with a prompt of its own, and cannot be more', async () => {
  const inner = `${HOOP} prompt "the inner task"; ${PSQL} -c "SELECT 1"; ${PSQL} -c "SELECT count(*) FROM support_tickets"; true`;
  const run = await asDevin(`${HOOP} prompt "the outer task"
${HOOP} run --target prod-db -- sh -c '${inner}'
${PSQL} -c "SELECT 2"`);
  expect(run.exitCode, run.output).toBe(0);
  expect(run.stdout).toContain('1\n2\n');
  expect(run.stderr).toContain(`Requested by ${WHO}`);
  const sessions = (await bench.sessions('engineer')).slice(0, 2);
  expect(new Set(sessions.map(({ run: id }) => id)).size).toBe(2);
  const prompts = await Promise.all(
    sessions.map(async ({ id }) => {
      const why = await bench.hoop('engineer', 'sessions', 'why', String(id), '1', '--json');
      const [{ statement, prompts: found }] = JSON.parse(why.stdout).statements;
      return [statement.text, found[0]?.text];
    }),
  );
  expect(Object.fromEntries(prompts)).toEqual({
    'SELECT 1': 'the inner task',
    'SELECT 2': 'the outer task',
  });
});
