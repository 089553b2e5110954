/** Prompts, end to end: CLI, gateway, recording, and what is told of it afterwards. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { runSessions } from '../cli/run-command.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  bench = await openBench();
  directory = await mkdtemp(join(tmpdir(), 'hoop-prompts-'));
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const HOOP = `"${process.execPath}" "${LAUNCHER}"`;
const PSQL = 'psql -X -q -t -A';

async function why(...args: string[]) {
  const env = { HOOP_HOME: bench.home('engineer') };
  const run = await runSessions(['why', ...args, '--json'], { env });
  expect(run).toMatchObject({ status: 0, stderr: expect.not.stringContaining('error') });
  return JSON.parse(run.stdout);
}

/** The newest session is uploaded and can be read. */
async function statements(): Promise<Record<string, unknown>[]> {
  return (await why('last')).statements;
}

test('a prompt given to connect is behind each statement, and is told as a claim', async () => {
  const file = join(directory, 'task.md');
  await writeFile(file, 'Which cities do\nour customers live in? \u001b[31m\u202e');
  const command = ['--prompt-file', file, '--', 'psql', '-X', '-c', 'SELECT id FROM public.orders'];
  const run = await bench.hoop('engineer', 'connect', 'prod-db', ...command);
  expect(run.exitCode).toBe(0);
  const [first] = await statements();
  const { statements: found, verdict } = await why('last', String(first?.['number']));
  expect(verdict).toContain('verified (two-sided');
  expect(found).toMatchObject([
    {
      prompts: [{ source: 'file', isCut: false, claimedBy: 'client' }],
      statement: { text: 'SELECT id FROM public.orders', outcome: 'ok' },
    },
  ]);
  const { stdout: shown } = await bench.hoop('engineer', 'sessions', 'why', 'last', '1');
  expect(shown).toContain('as the client says');
  expect(shown).toContain('our customers live in? ⟪U+001B⟫[31m⟪U+202E⟫');
  expect(shown).toContain('engineers/read-shop (policies/engineers.yaml:');
  const { stdout: replayed } = await bench.hoop(
    'engineer',
    'sessions',
    'replay',
    'last',
    '--no-tui',
  );
  expect(replayed.indexOf('our customers live in?')).toBeLessThan(replayed.indexOf('SELECT id'));
});

test('in a run the prompt changes when the agent says so, by command, hook and HTTP', async () => {
  const hook = JSON.stringify({
    session_id: 'abc123',
    transcript_path: '/home/you/.claude/projects/x/abc123.jsonl',
    cwd: '/home/you/x',
    permission_mode: 'default',
    hook_event_name: 'UserPromptSubmit',
    prompt: 'third: who is $HOME',
  });
  const hookFile = join(directory, 'hook.json');
  await writeFile(hookFile, hook);
  const script = `set -e
${PSQL} -c "SELECT 1"
${HOOP} prompt "second: 'quoted'" >&2
${PSQL} -c "SELECT 2"
${HOOP} prompt --hook claude-code < ${hookFile}
${PSQL} -c "SELECT 3"
curl -sS --fail --unix-socket "\${HOOP_CONTEXT_URL#unix:}" -H "Authorization: Bearer $HOOP_CONTEXT_TOKEN" \\
  --data-binary "fourth" http://hoop/v1/prompt >/dev/null
${PSQL} -c "SELECT 4"
${HOOP} prompt --status --json`;
  const run = await bench.hoop(
    'engineer',
    ...['run', '--target', 'prod-db', '--prompt', 'first', '--', 'sh', '-c', script],
  );
  expect(run.exitCode, run.output).toBe(0);
  // A hook's stdout goes to the model: it says nothing.
  const [one, two, three, four, status] = run.stdout.trim().split('\n');
  expect([one, two, three, four]).toEqual(['1', '2', '3', '4']);
  expect(JSON.parse(status ?? '')).toMatchObject({
    targets: ['prod-db'],
    prompt: { text: 'fourth' },
  });
  const chains = await Promise.all(
    (await statements()).map(async ({ number }) => {
      const { statements: found } = await why('last', String(number));
      const [{ statement, prompts }] = found;
      return [statement.text, prompts[0]?.text, prompts[0]?.source];
    }),
  );
  expect(chains).toEqual([
    ['SELECT 1', 'first', 'flag'],
    ['SELECT 2', "second: 'quoted'", 'command'],
    ['SELECT 3', 'third: who is $HOME', 'hook:claude-code'],
    ['SELECT 4', 'fourth', 'endpoint'],
  ]);
});

test('outside of a run a hook does nothing, and hoop prompt says so', async () => {
  const plain = await bench.hoop('engineer', 'prompt', 'x');
  expect(plain).toMatchObject({ exitCode: 2, stdout: '' });
  expect(plain.stderr).toContain('not inside a run');
  expect(await bench.hoop('engineer', 'prompt', '--hook', 'claude-code')).toMatchObject({
    exitCode: 0,
    output: '',
  });
  expect(await bench.hoop('engineer', 'prompt', '--hook', 'cursor')).toMatchObject({
    exitCode: 0,
    stdout: '{"continue":true}\n',
  });
});

test('what is not the input of the hook is reported, and stops the agent only if that is wanted', async () => {
  const script = `echo '{"hook_event_name":"Stop"}' | ${HOOP} prompt --hook claude-code; echo $?
echo nonsense | ${HOOP} prompt --hook gemini-cli --strict; echo $?
echo '{"hook_event_name":"BeforeAgent","prompt":"p"}' | ${HOOP} prompt --hook gemini-cli; echo $?`;
  const run = await bench.hoop(
    'engineer',
    ...['run', '--target', 'prod-db', '--', 'sh', '-c', script],
  );
  expect(run.stdout).toBe('1\n2\n{}\n0\n');
  expect(run.stderr).toContain('the prompt was not recorded');
});

test('an approver sees the prompt of what is held', async () => {
  await using connection = await bench.connect('engineer', '--prompt', 'remove order 1, a test');
  const client = new pg.Client({ connectionString: connection.url });
  client.on('error', () => undefined);
  await client.connect();
  const deleted = client.query('DELETE FROM public.orders WHERE id = 1').catch(() => undefined);
  const held = () => connection.lines.find((line) => line['event'] === 'held');
  await expect.poll(held).toBeDefined();
  const id = String(held()?.['request']);
  const { stdout } = await bench.hoop('dba', 'approvals', 'show', id, '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    approval: { statement: { prompt: { source: 'flag', text: 'remove order 1, a test' } } },
  });
  await bench.hoop('dba', 'approvals', 'deny', id, '--reason', 'not now');
  await deleted;
  await client.end();
});

test('the briefing says what the policy gives, and where it is', async () => {
  const run = await bench.hoop(
    'engineer',
    ...['run', '--target', 'prod-db', '--', 'sh', '-c', 'cat "$HOOP_BRIEFING"'],
  );
  const only = await bench.hoop('engineer', 'run', '--target', 'prod-db', '--briefing-only');
  expect(only.exitCode, only.output).toBe(0);
  expect(only.stdout).toBe(run.stdout);
  for (const part of [
    '## prod-db (postgres)',
    '`HOOP_PROD_DB_URL`',
    'engineers/read-shop: allow select on public.*',
    'Waits for a person to approve:\n- engineers/delete-orders',
    'engineers/change-many-orders: approve update of more than 20 rows on public.orders',
    'Denied:\n- engineers/no-structure',
    'public.customers.card_number (full)',
    'ERROR:  ',
    'hoop access request prod-db',
  ]) {
    expect(only.stdout).toContain(part);
  }
  expect(only.stdout.length).toBeLessThan(6000);
  expect(only.stdout).not.toMatch(/postgres(ql)?:\/\//);
  const json = await bench.hoop('engineer', 'run', '--briefing-only', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    v: 1,
    recorded: true,
    targets: [{ name: 'prod-db' }, { name: 'web-1' }],
  });
});
