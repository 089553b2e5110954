/**
 * Drives each agent with a stub model through `hoop run --fence`: a statement that is allowed, one
 * that is denied, one that waits for a person, and then the end. What came of it is read from the
 * recording, from what the agent told the model, and from the machine. A complete run writes the
 * table of docs/agents.md.
 *
 *     npm run conformance:agents -- [--only NAME[@VERSION]] [--mode headless|terminal] [--installed DIR] [--show]
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from '../../test/e2e/demo-bench.ts';
import { AGENTS, type DrivenAgent, writeFilesOf } from './agents.ts';
import { drawTable, type Row } from './report.ts';
import { openStubModel } from './stub-model.ts';

const TASK = 'hoop-conformance: count what we sold';
const WITHIN_MS = 400_000;
/** So long a person takes who sits there; the limits of the agents' tools are minutes. */
const HELD_MS = 20_000;
const POLICY = `name: orders-need-approval
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: deletes
    approve: { verbs: [delete], relations: [public.orders], maxHold: 10m }
`;
const SCRIPT = [
  "psql -XAtc 'SELECT 40 + 2 AS allowed'",
  "psql -XAtc 'TRUNCATE public.customers'",
  "psql -XAtc 'DELETE FROM public.orders WHERE id = -1' && echo HELD-AND-DONE",
];

type Mode = 'headless' | 'terminal';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    mode: { type: 'string' },
    installed: { type: 'string' },
    show: { type: 'boolean' },
  },
});

await using bench = await openBench();
const commit = await bench.demo.policy.commit({
  files: { 'policies/orders-need-approval.yaml': POLICY },
  message: 'policy: deletes of orders wait',
});
while (JSON.parse((await bench.hoop('engineer', 'targets', '--json')).stdout).commit !== commit) {
  await sleep(500);
}
const rows: Row[] = [];
for (const agent of AGENTS) {
  for (const version of values.installed === undefined ? agent.versions : ['installed']) {
    if (
      values.only !== undefined &&
      ![agent.name, `${agent.name}@${version}`].includes(values.only)
    ) {
      continue;
    }
    const directory = values.installed ?? install(agent, version);
    for (const mode of ['headless', 'terminal'] as const) {
      if (values.mode === undefined || values.mode === mode) {
        const row = await drive(bench, agent, { version, mode, directory });
        rows.push(row);
        process.stdout.write(`${JSON.stringify(row)}\n`);
      }
    }
  }
}
process.stdout.write(drawTable(rows, AGENTS));
if (values.only === undefined && values.mode === undefined && values.installed === undefined) {
  const page = new URL('../../docs/agents.md', import.meta.url);
  const text = readFileSync(page, 'utf8');
  const [before = '', , after = ''] = text.split(/<!-- (?:begin|end) of the table -->\n/);
  writeFileSync(
    page,
    `${before}<!-- begin of the table -->\n${drawTable(rows, AGENTS)}<!-- end of the table -->\n${after}`,
  );
}

/** Where its program is found: outside of /tmp, which is the run's own inside of a fence. */
function install(agent: DrivenAgent, version: string): string {
  const directory = join(homedir(), '.cache/hoop-conformance', `${agent.name}-${version}`);
  const program = programOf(agent, directory);
  if (existsSync(program)) {
    return directory;
  }
  mkdirSync(directory, { recursive: true });
  const stdio = ['ignore', 'ignore', 'inherit'] as const;
  if (agent.registry === 'npm') {
    const words = ['install', '--no-audit', '--no-fund', '--prefix', directory];
    execFileSync('npm', [...words, `${agent.package}@${version}`], { stdio: [...stdio] });
  } else {
    execFileSync('python3', ['-m', 'venv', directory], { stdio: [...stdio] });
    const pip = join(directory, 'bin/pip');
    execFileSync(pip, ['install', '-q', `${agent.package}==${version}`], { stdio: [...stdio] });
  }
  return directory;
}

function programOf({ registry, program }: DrivenAgent, directory: string): string {
  return registry === 'npm'
    ? join(directory, 'node_modules/.bin', program)
    : ([join(directory, 'bin', program), join(directory, 'aider-venv/bin', program)].find((path) =>
        existsSync(path),
      ) ?? join(directory, 'bin', program));
}

async function drive(
  bench: Bench,
  agent: DrivenAgent,
  { version, mode, directory }: { version: string; mode: Mode; directory: string },
): Promise<Row> {
  const home = mkdtempSync(join(homedir(), '.hoop-agents-'));
  const project = join(home, 'project');
  mkdirSync(project);
  const words = mode === 'headless' ? agent.headless : agent.terminal;
  const row: Row = {
    agent: agent.name,
    version,
    mode,
    starts: false,
    prompt: false,
    denial: false,
    held: false,
    ended: false,
  };
  if (words === undefined) {
    rmSync(home, { recursive: true });
    return row;
  }
  const script = agent.says === undefined ? SCRIPT : [];
  await using model = await openStubModel(script);
  const url = `http://127.0.0.1:${model.port}`;
  writeFilesOf(agent, home, url);
  const task = agent.says?.(`${TASK.replace(/^/, ': ')}; ${SCRIPT.join('; ')}`) ?? TASK;
  const variables = agent.variables(url);
  const flags = [
    ...['run', '--target', 'prod-db', '--fence', '--fence-allow', `127.0.0.1:${model.port}`],
    ...['--fence-show', directory],
    ...Object.keys(variables).flatMap((name) => ['--env', name]),
  ];
  const program = programOf(agent, directory);
  const command = [process.execPath, LAUNCHER, ...flags, '--', program, ...agentWords()];
  function agentWords(): readonly string[] {
    return mode === 'headless' ? agent.headless(task, url) : (agent.terminal?.(url) ?? []);
  }
  const env = {
    ...childEnvironment({ home: bench.home('engineer'), variables }),
    HOME: home,
    PATH: `${dirname(program)}:${process.env['PATH']}`,
  };
  // A terminal of util-linux: 80 by 24, and what is typed comes by a pipe.
  const child =
    mode === 'headless'
      ? spawn(command[0] ?? '', command.slice(1), {
          cwd: project,
          env,
          stdio: ['ignore', 'pipe', 'pipe'],
        })
      : spawn(
          'script',
          [
            '-qec',
            command.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' '),
            '/dev/null',
          ],
          {
            cwd: project,
            env: { ...env, TERM: 'xterm-256color', COLUMNS: '120', LINES: '40' },
            stdio: ['pipe', 'pipe', 'pipe'],
          },
        );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (bytes) => {
      output += String(bytes);
    });
  }
  const exited = once(child, 'exit');
  const over = new AbortController();
  const deadline = setTimeout(() => child.kill('SIGKILL'), WITHIN_MS);
  const approving = approve(bench, over.signal);
  if (mode === 'terminal') {
    await type(
      child.stdin,
      () => output,
      () => model.requests.length,
      over.signal,
      exited,
    );
  }
  const [status] = await exited;
  clearTimeout(deadline);
  over.abort();
  await approving;
  const told = JSON.stringify(model.requests.map(({ body }) => body));
  const sessions = await bench.hoop('engineer', 'sessions', 'why', 'last', '1', '--json');
  const all = agent.says === undefined ? told : output;
  row.starts = mode === 'headless' ? status === 0 : output.includes('STUB DONE');
  row.prompt = sessions.stdout.includes('hoop-conformance');
  row.denial = /HINT|hint|is not allowed|denied/.test(all);
  row.held =
    (all.match(/HELD-AND-DONE/g) ?? []).length > 1 || /DELETE 0[\s\S]{0,20}HELD-AND-DONE/.test(all);
  row.ended = status === 0 && leftovers(home) === 0;
  if (values.show) {
    process.stdout.write(`${output}\nstatus ${status}; ${leftovers(home)} left\n`);
    writeFileSync(join(homedir(), `.hoop-agents-requests.json`), told);
  }
  rmSync(home, { recursive: true, force: true });
  return row;
}

/** Another person approves what waits, after a while. */
async function approve(bench: Bench, signal: AbortSignal): Promise<void> {
  const seen = new Map<string, number>();
  while (!signal.aborted) {
    await sleep(1000, undefined, { signal }).catch(() => undefined);
    const list = await bench.hoop('dba', 'approvals', 'list', '--json');
    const found: unknown = list.stdout === '' ? {} : JSON.parse(list.stdout);
    for (const id of idsIn(found)) {
      const since = seen.get(id) ?? Date.now();
      seen.set(id, since);
      if (Date.now() - since > HELD_MS) {
        await bench.hoop('dba', 'approvals', 'approve', id);
      }
    }
  }
}

function idsIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || !('approvals' in value)) {
    return [];
  }
  const { approvals } = value;
  return Array.isArray(approvals) ? approvals.map((one: { id: string }) => one.id) : [];
}

/** Waits for the screen to stand still, types the task, waits for the end of the script, and leaves. */
async function type(
  stdin: NodeJS.WritableStream | null,
  output: () => string,
  requests: () => number,
  signal: AbortSignal,
  exited: Promise<unknown>,
): Promise<void> {
  let hasEnded = false;
  void exited.then(() => {
    hasEnded = true;
  });
  const still = async (): Promise<void> => {
    for (let before = -1; before !== output().length && !hasEnded; ) {
      before = output().length;
      await sleep(3000, undefined, { signal });
    }
  };
  await still();
  // Questions of the first start (trust, theme): their first answer.
  for (
    let asked = 0;
    asked < 3 && /trust|Yes, I|❯ 1\.|› 1\./i.test(output().slice(-3000));
    asked += 1
  ) {
    stdin?.write('\r');
    await still();
  }
  stdin?.write(TASK);
  await sleep(1000);
  stdin?.write('\r');
  const end = Date.now() + WITHIN_MS - 100_000;
  while (!hasEnded && !output().includes('STUB DONE') && Date.now() < end) {
    await sleep(1000);
  }
  void requests;
  for (const keys of ['/quit\r', '\x03', '\x03', '\x04', '\x04']) {
    if (!hasEnded) {
      await sleep(1500);
      stdin?.write(keys);
    }
  }
}

/** Processes that still have the home of this run in their environment. */
function leftovers(home: string): number {
  const found = execFileSync('sh', [
    '-c',
    `grep -lz "HOME=${home}" /proc/[0-9]*/environ 2>/dev/null | wc -l`,
  ]);
  return Number(String(found).trim());
}
