/** `hoop runs` with the real gateway: who sees what goes on, and who ends it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LAUNCHER } from '../../src/demo/hoop-process.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { startShell } from './live-program.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

interface Shown {
  readonly id: string;
  readonly reason?: string | undefined;
  readonly sessions: readonly unknown[];
  readonly held: readonly { readonly id: string }[];
}

async function runsOf(identity: string): Promise<readonly Shown[]> {
  const { stdout } = await bench.hoop(identity, 'runs', 'list', '--json');
  return JSON.parse(stdout).runs;
}

/** The same, while it is waited for. */
async function askedFor(identity: string): Promise<readonly Shown[]> {
  return (await bench.ask(identity, (client, signal) => client.runs(signal))).runs;
}

test('an approver sees who does what in a run and ends it; its program is gone and opens nothing more', async () => {
  const script = 'psql -Xc "DELETE FROM orders WHERE id = 2"; psql -Xc "SELECT 1"; sleep 3600';
  const flags = ['--reason', 'INC-12', '--prompt', 'tidy the orders'];
  const running = bench.hoop('engineer', 'run', ...flags, '--', 'sh', '-c', script);
  const run = await waitFor(async () => {
    const found = (await askedFor('dba')).find(({ reason }) => reason === 'INC-12');
    expect(found?.held).toHaveLength(1);
    return found as Shown;
  });
  const shown = await bench.hoop('dba', 'runs', 'show', run.id);
  expect(shown.stdout).toContain('engineer');
  expect(shown.stdout).toMatch(/^program +sh \(as the client says\)$/m);
  expect(shown.stdout).toMatch(/^prompt +tidy the orders \(as the client says\)$/m);
  expect(shown.stdout).toMatch(/^sessions +1 session$/m);
  expect(shown.stdout).toContain(run.held[0]?.id);
  // Somebody else's does not exist for a colleague, who is no approver.
  expect((await runsOf('devin')).map(({ id }) => id)).not.toContain(run.id);
  const colleague = await bench.hoop('devin', 'runs', 'kill', run.id, '--json');
  expect(colleague.stderr).toContain('HOOP_RUN_UNKNOWN');

  const killed = await bench.hoop('dba', 'runs', 'kill', run.id, '--reason', 'wrong table');
  expect(killed.exitCode, killed.stderr).toBe(0);
  const ended = await running;
  expect(ended.exitCode, ended.stderr).toBeNull();
  expect(ended.stderr).toContain('wrong table');
  expect((await runsOf('engineer')).map(({ id }) => id)).not.toContain(run.id);
  const held = await bench.hoop('engineer', 'approvals', 'show', run.held[0]?.id ?? '', '--json');
  expect(JSON.parse(held.stdout).approval).toMatchObject({ state: 'withdrawn' });
});

test.each([
  { what: 'its owner', by: 'engineer', said: 'its owner' },
  { what: 'an approver, who has no reason', by: 'dba', why: '', said: 'dba@example.com' },
])('a run that has opened nothing hears who has ended it: $what', async ({ by, why, said }) => {
  const running = bench.hoop('engineer', 'run', '--reason', by, '--', 'sleep', '3600');
  const run = await waitFor(async () => {
    const found = (await askedFor('engineer')).find(({ reason }) => reason === by);
    expect(found).toBeDefined();
    return found as Shown;
  });
  // Right when it is there: nothing of it waits for the end of its login yet.
  await bench.hoop(by, 'runs', 'kill', run.id, ...(why === '' ? [] : ['--reason', 'wrong day']));
  const { stderr } = await running;
  const because = why === '' ? '' : ': wrong day';
  expect(stderr).toContain(`hoop: the run was ended by ${said}${because}`);
  expect(stderr).not.toContain('somebody logged out');
});

test('a run sees and ends none, its person does', async () => {
  const refused = join(bench.home('engineer'), 'refused');
  const inner = `'${process.execPath}' '${LAUNCHER}' runs list --json; >'${refused}'; exec sleep 3600`;
  const running = bench.hoop('engineer', 'run', '--reason', 'own', '--', 'sh', '-c', inner);
  const run = await waitFor(async () => {
    const found = (await askedFor('engineer')).find(({ reason }) => reason === 'own');
    expect(found).toBeDefined();
    return found as Shown;
  });
  // A run is listed before its program starts: killed then, nothing would have been refused.
  await waitFor(() => expect(existsSync(refused)).toBe(true));
  await bench.hoop('engineer', 'runs', 'kill', run.id.slice(0, 23));
  const ended = await running;
  expect(ended.exitCode).not.toBe(0);
  expect(ended.stderr).toContain('HOOP_RUN_REFUSED');
});

/** The dba ends the run on the engineer's terminal, and the shell there goes on. */
async function isEndedByDba(
  { type, sees, ended }: Awaited<ReturnType<typeof startShell>>,
  reason: string,
): Promise<void> {
  const run = (await runsOf('dba')).find((one) => one.reason === reason);
  await bench.hoop('dba', 'runs', 'kill', run?.id ?? '', '--reason', 'wrong table');
  await sees(/the run was ended by dba@example\.com: wrong table[\s\S]*ready> $/);
  type('exit\n');
  await ended;
}

test.each(['', '--fence '])(
  'a program that has stopped the shell between it and hoop is ended with its run: hoop run %s',
  async (flag) => {
    const shell = await startShell({ home: bench.home('engineer') });
    const reason = `stopped${flag.trim()}`;
    const script = 'kill -STOP $PPID; echo "up-$((1+1))"';
    shell.type(`hoop run --reason '${reason}' ${flag}-- sh -c '${script}'\n`);
    await shell.sees('up-2');
    await isEndedByDba(shell, reason);
  },
);

test.each(['', '--no-terminal ', '--fence '])(
  'a program on a terminal is ended with its run: hoop run %s',
  async (flag) => {
    const shell = await startShell({ home: bench.home('engineer') });
    const reason = `terminal${flag.trim()}`;
    shell.type(
      `hoop run --reason '${reason}' ${flag}-- sh -c 'echo "up-$((1+1))"; exec sleep 3600'\n`,
    );
    await shell.sees('up-2');
    await isEndedByDba(shell, reason);
  },
);
