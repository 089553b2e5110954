/**
 * Drives each agent with a stub model through `hoop run --fence`: a statement that is allowed, one
 * that is denied, one that waits for a person, and then the end; without a terminal, in the agent's
 * own screen (tmux), and by `hoop mcp` in the agent's own configuration. In the mode `hold` the agent
 * gives the tool up before the person answers. What came of it is read from the recording, from what
 * the agent told the model, and from the machine.
 *
 *     npm run conformance:agents -- [--only NAME[@VERSION]] [--mode headless|terminal|mcp|hold] [--slow N] [--output DIR] [--show DIR]
 *     npm run conformance:agents -- --report DIR
 *
 * `--slow 4` waits four times as long for an agent before it is given up: for a machine that does
 * other things as well. A part at a time is fine: each run keeps a file in DIR, and `--report` writes
 * the table of docs/agents.md from all of them. A complete run does both. Exit status 0: all is yes,
 * or has a reason (agents.ts).
 */
import { execFileSync, type StdioOptions } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Bench, openBench } from '../../test/e2e/demo-bench.ts';
import { AGENTS, type DrivenAgent } from './agents.ts';
import { drive } from './drive.ts';
import { keepRow, type Mode, modesOf, readRows, report } from './report.ts';

/** Outside of /tmp, which is the run's own inside of a fence. */
const CACHE = join(homedir(), '.cache/hoop-conformance');
const POLICY = `name: orders-need-approval
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: deletes
    approve: { verbs: [delete], relations: [public.orders], maxHold: 10m }
`;

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    mode: { type: 'string' },
    output: { type: 'string' },
    report: { type: 'string' },
    show: { type: 'string' },
    slow: { type: 'string', default: '1' },
  },
});
const slow = Number(values.slow);
if (!(slow >= 1)) {
  throw new Error('--slow takes a number from 1 on');
}
const isPart = values.only !== undefined || values.mode !== undefined;
const directory = values.report ?? values.output ?? join(CACHE, 'rows');
if (values.report === undefined) {
  await driveAll();
}
if (values.report !== undefined || !isPart) {
  writeReport();
}

async function driveAll(): Promise<void> {
  await using bench = await openBench();
  const commit = await bench.demo.policy.commit({
    files: { 'policies/orders-need-approval.yaml': POLICY },
    message: 'policy: deletes of orders wait',
  });
  while (JSON.parse((await bench.hoop('engineer', 'targets', '--json')).stdout).commit !== commit) {
    await sleep(500);
  }
  for (const { agent, version, mode } of wanted()) {
    try {
      await driveOne(bench, agent, version, mode);
    } catch (error) {
      // Of one that could not be driven the others know nothing.
      process.stderr.write(`${agent.name}@${version} ${mode}: ${String(error)}\n`);
      process.exitCode = 1;
    }
  }
}

async function driveOne(
  bench: Bench,
  agent: DrivenAgent,
  version: string,
  mode: Mode,
): Promise<void> {
  const program = install(agent, version);
  const { row, output, results } = await drive(bench, agent, { version, mode, program, slow });
  keepRow(directory, row);
  process.stdout.write(`${JSON.stringify(row)}\n`);
  if (values.show !== undefined) {
    const file = join(values.show, `${agent.name}-${version}-${mode}.txt`);
    mkdirSync(values.show, { recursive: true });
    writeFileSync(file, `${output}\n${results}\n`);
  }
}

/** @throws Error when nothing is called what was asked for */
function wanted() {
  const { only, mode: asked } = values;
  const all = AGENTS.flatMap((agent) =>
    agent.versions.flatMap((version) =>
      modesOf(agent, version).map((mode) => ({ agent, version, mode })),
    ),
  );
  const found = all.filter(
    ({ agent, version, mode }) =>
      (only === undefined || [agent.name, `${agent.name}@${version}`].includes(only)) &&
      (asked === undefined || asked === mode),
  );
  if (found.length === 0) {
    throw new Error(`nothing is called ${[only, asked].filter(Boolean).join(', ')}`);
  }
  return found.filter(({ agent, mode }) => agent.reasons?.[mode] === undefined);
}

function writeReport(): void {
  const { table, unexplained } = report(readRows(directory));
  const page = new URL('../../docs/agents.md', import.meta.url);
  const [before = '', , after = ''] = readFileSync(page, 'utf8').split(
    /<!-- (?:begin|end) of the table -->\n/,
  );
  writeFileSync(
    page,
    `${before}<!-- begin of the table -->\n${table}<!-- end of the table -->\n${after}`,
  );
  process.stdout.write(unexplained.map((line) => `not explained: ${line}\n`).join(''));
  if (unexplained.length > 0) {
    process.exitCode = 1;
  }
}

function install(agent: DrivenAgent, version: string): string {
  const directory = join(CACHE, `${agent.name}-${version}`);
  const program = join(
    directory,
    agent.registry === 'npm' ? 'node_modules/.bin' : 'bin',
    agent.program,
  );
  if (!existsSync(program)) {
    mkdirSync(directory, { recursive: true });
    const options: { stdio: StdioOptions } = { stdio: ['ignore', 'ignore', 'inherit'] };
    if (agent.registry === 'npm') {
      const words = ['install', '--no-audit', '--no-fund', '--prefix', directory];
      execFileSync('npm', [...words, `${agent.package}@${version}`], options);
    } else {
      execFileSync('python3', ['-m', 'venv', directory], options);
      const words = ['install', '-q', `${agent.package}==${version}`];
      execFileSync(join(directory, 'bin/pip'), words, options);
    }
  }
  return program;
}
