/**
 * `npm run conformance:tools`: tools that people use with PostgreSQL, installed from their
 * registries, do their main work straight on a server, through hoop with a policy that allows
 * everything, and through one with masks and rules (policy/). What they show is compared, and what
 * hoop recorded is counted. A complete run writes docs/tools.md, which says more.
 *
 *   --only TOOL      repeated; default: all
 *   --lane NAME      passthrough or strict; default: both
 *   --packages DIR   where installations are kept (default: in the temporary directory)
 *   --postgres DIR   the server: a directory with bin/postgres (default: Debian's newest)
 *   --output DIR     where outputs and diffs are left; what is there of other tools or lanes is kept,
 *                    so that a run can be made in parts
 *   --report DIR     nothing runs: what a run has left there is compared and counted anew
 *   --json           the result as JSON
 *
 * Exit status 0: every tool ran, and accepted.yaml explains every difference and every refusal.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compareSuite } from '../compare.ts';
import { findInstallation } from '../installation.ts';
import { type OpenLane, openLane, ROLE, runAdmin } from '../open-lane.ts';
import { runProgram } from '../program.ts';
import type { LaneName, Outputs } from '../suite.ts';
import { readAcceptedOfTools } from './accepted-refusals.ts';
import { HERE, type Installation, install } from './install.ts';
import { type Ran, readRan, writtenRan } from './ran.ts';
import { recordedSession } from './recorded-statements.ts';
import { faultsOf, renderPage, renderSummary, type ToolResult, toolResult } from './report.ts';
import type { SourceName, Tool } from './tool.ts';
import { TOOLS } from './tools.ts';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    lane: { type: 'string', multiple: true, default: ['passthrough', 'strict'] },
    packages: { type: 'string', default: join(tmpdir(), 'hoop-conformance-tools') },
    postgres: { type: 'string' },
    output: { type: 'string' },
    report: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const INSTALL_TIMEOUT_MS = 1_800_000;
const TOOL_TIMEOUT_MS = 600_000;
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}
const { signal } = interrupted;
const say = (text: string): void => {
  process.stderr.write(`tools: ${text}\n`);
};

const server = findInstallation(flags.postgres);
const output =
  flags.report ?? flags.output ?? mkdtempSync(join(tmpdir(), 'hoop-conformance-output-'));
mkdirSync(output, { recursive: true });
const wanted = TOOLS.filter(({ name }) => flags.only?.includes(name) ?? true);
const unknown = flags.only?.filter((name) => !TOOLS.some((tool) => tool.name === name)) ?? [];
if (unknown.length > 0) throw new Error(`no tool is called ${unknown.join(', ')}`);
say(`PostgreSQL ${server.version}; outputs in ${output}`);

const failed = new Map<SourceName, string>();
const installed = await installAll();
const tools = wanted.filter(({ source }) => source === 'server' || installed.has(source));
const kept = join(output, 'ran.json');
const ran = flags.report === undefined ? await runLanes() : readRan(readFileSync(kept, 'utf8'));
const direct = ran.get('direct') ?? new Map<string, Ran>();
const lanes = (['passthrough', 'strict'] as const).filter((name) => ran.has(name));
// Read last, so that what is found while a long run goes on can be written down.
const accepted = readAcceptedOfTools(new URL('accepted.yaml', import.meta.url));

const results: readonly ToolResult[] = wanted.map((tool) => {
  const version =
    tool.package === undefined
      ? server.version
      : (installed.get(tool.source)?.versions.get(tool.package) ?? '');
  const missing = failed.get(tool.source);
  const straight = direct.get(tool.name);
  if (straight === undefined)
    return { tool: tool.name, version, missing: missing ?? '', lanes: [] };
  const compared = lanes.flatMap((lane) => {
    const through = ran.get(lane)?.get(tool.name);
    if (through === undefined) return [];
    const suite = compareSuite({
      ...{ suite: tool.name, lane, direct: straight.outputs, again: undefined },
      ...{ hoop: through.outputs, accepted: accepted.differences, directory: output },
      isEveryLineExplained: true,
    });
    return [toolResult(suite, through.recorded, accepted)];
  });
  return { tool: tool.name, version, missing: undefined, lanes: compared };
});
// Without the other lane the page says so.
const isComplete = flags.only === undefined && lanes.includes('strict');
const faults = faultsOf(results, accepted, isComplete);
if (isComplete) {
  const page = renderPage(results, accepted, server.version);
  writeFileSync(new URL('../../docs/tools.md', import.meta.url), page);
}
process.stdout.write(
  flags.json
    ? `${JSON.stringify({ v: 1, server: server.version, results, faults })}\n`
    : renderSummary(results, faults),
);
process.exitCode = faults.length === 0 && results.length > 0 ? 0 : 1;

/** Each source on its own: one that cannot be had leaves the tools of the others. */
async function installAll(): Promise<ReadonlyMap<SourceName, Installation>> {
  const done = new Map<SourceName, Installation>();
  for (const source of new Set(wanted.map((tool) => tool.source))) {
    if (source === 'server') continue;
    say(`installing ${source}`);
    try {
      done.set(source, await install(source, flags.packages, runInstaller));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      failed.set(source, why);
      say(`NOT INSTALLED: ${source}: ${why}`);
    }
  }
  return done;
}

async function runInstaller(
  file: string,
  args: readonly string[],
  directory: string,
): Promise<void> {
  const nowhere = { name: 'direct', host: '', port: 0, user: '', password: '' } as const;
  const lane = { ...nowhere, database: '', url: '' };
  const options = { cwd: directory, timeoutMs: INSTALL_TIMEOUT_MS, lane, signal };
  const { exitCode, stdout, stderr } = await runProgram(file, args, options);
  if (exitCode !== 0) {
    throw new Error(`${file} ${args[0] ?? ''} failed: ${(stderr || stdout).slice(-2000)}`);
  }
}

async function runLanes(): Promise<ReadonlyMap<LaneName, ReadonlyMap<string, Ran>>> {
  const done = new Map(existsSync(kept) ? readRan(readFileSync(kept, 'utf8')) : undefined);
  for (const lane of ['direct', 'strict', 'passthrough'] as const) {
    if (lane !== 'direct' && !flags.lane.includes(lane)) continue;
    const ofLane = new Map(done.get(lane));
    done.set(lane, ofLane);
    await runLane(lane, ofLane, () => writeFileSync(kept, writtenRan(done)));
  }
  return done;
}

/** Each tool with the same database, made anew; kept as it goes, so that a run cut off can be compared. */
async function runLane(name: LaneName, done: Map<string, Ran>, keep: () => void): Promise<void> {
  const strictPolicy = join(HERE, 'policy');
  const options = { name, server, signal, say, attributes: 'NOSUPERUSER', strictPolicy } as const;
  await using open = await openLane(options);
  for (const tool of tools) {
    const start = performance.now();
    done.set(tool.name, await runTool(tool, open));
    keep();
    say(`${name}: ${tool.name} took ${Math.round((performance.now() - start) / 1000)} s`);
  }
}

async function runTool(tool: Tool, open: OpenLane): Promise<Ran> {
  await open.resetDatabase();
  await runAdmin(open.adminUrl, [
    `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO ${ROLE}', current_database()); END $$`,
    `ALTER SCHEMA public OWNER TO ${ROLE}`,
    `SET ROLE ${ROLE}`,
    readFileSync(join(HERE, 'schema.sql'), 'utf8'),
  ]);
  // The path shows up in outputs, so it is the same on every lane.
  const scratch = join(output, 'scratch');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  chmodSync(scratch, 0o700);
  const session = await open.openSession();
  const { lane } = session;
  let outputs: Outputs;
  try {
    outputs = await tool.run({
      lane,
      server,
      installed: installed.get(tool.source)?.directory ?? '',
      scratch,
      runProgram: (file, args, given) =>
        runProgram(file, args, { timeoutMs: TOOL_TIMEOUT_MS, ...given, lane, signal }),
    });
  } finally {
    await session[Symbol.asyncDispose]();
  }
  const recorded =
    session.id === undefined || open.home === undefined
      ? undefined
      : await recordedSession(open.home, session.id, signal).catch((error: unknown) => {
          say(`${lane.name}: ${tool.name}: ${String(error)}`);
          return undefined;
        });
  return { outputs, recorded };
}
