/**
 * `npm run conformance`: public test suites run straight against PostgreSQL and through hoop, and
 * every difference is listed. See docs/conformance.md.
 *
 *   --source DIR          PostgreSQL's source, of the server's major version
 *   --postgres DIR        the server: a directory with bin/postgres (default: Debian's newest)
 *   --path NAME=DIR       a checkout that another suite needs; repeated
 *   --only SUITE          repeated; default: all that can run
 *   --case NAME           repeated, where a suite can choose
 *   --lane NAME           passthrough or strict; default: both
 *   --once                not a second run straight on the server, which finds unstable cases
 *   --seed N --seconds N  where the fuzzer begins, and for how long it goes on
 *   --output DIR          where outputs and diffs are left (default: a temporary directory)
 *   --json                the result as JSON
 *
 * Exit status 0: no difference that conformance/accepted.yaml does not list.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readAccepted } from './accepted.ts';
import { type ComparedSuite, compareSuite } from './compare.ts';
import { findInstallation } from './installation.ts';
import { type OpenLane, openLane } from './open-lane.ts';
import { runProgram } from './program.ts';
import { isClean, render } from './report.ts';
import type { LaneName, Outputs, RunOptions, Suite, SuiteContext } from './suite.ts';
import { SUITES } from './suites.ts';

const { values: flags } = parseArgs({
  options: {
    source: { type: 'string' },
    postgres: { type: 'string' },
    path: { type: 'string', multiple: true, default: [] },
    only: { type: 'string', multiple: true },
    case: { type: 'string', multiple: true, default: [] },
    lane: { type: 'string', multiple: true, default: ['passthrough', 'strict'] },
    once: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '60' },
    output: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}
const say = (text: string): void => {
  process.stderr.write(`conformance: ${text}\n`);
};

const options: RunOptions = {
  source: flags.source,
  cases: flags.case,
  fuzz: { seed: Number(flags.seed), seconds: Number(flags.seconds) },
  paths: Object.fromEntries(flags.path.map((text) => text.split(/=(.*)/s).slice(0, 2))),
};
const server = findInstallation(flags.postgres);
const accepted = readAccepted(new URL('accepted.yaml', import.meta.url));
const output = flags.output ?? mkdtempSync(join(tmpdir(), 'hoop-conformance-output-'));
mkdirSync(output, { recursive: true });
const suites = SUITES.filter(({ name }) => flags.only?.includes(name) ?? true).filter((suite) => {
  const missing = suite.missing(options, server);
  if (missing !== undefined) say(`${suite.name} does not run: ${missing}`);
  return missing === undefined;
});
say(`PostgreSQL ${server.version}; outputs in ${output}`);

const direct = await runLane('direct');
const again = flags.once ? undefined : await runLane('direct');
const compared: ComparedSuite[] = [];
for (const lane of (['passthrough', 'strict'] as const).filter((name) =>
  flags.lane.includes(name),
)) {
  for (const [suite, hoop] of await runLane(lane)) {
    const common = { suite, lane, hoop, accepted, directory: output };
    compared.push(
      compareSuite({ ...common, direct: direct.get(suite) ?? new Map(), again: again?.get(suite) }),
    );
  }
}
process.stdout.write(
  flags.json ? `${JSON.stringify({ v: 1, server: server.version, compared })}\n` : render(compared),
);
process.exitCode = isClean(compared) && suites.length > 0 ? 0 : 1;

/** One lane after the other: two at a time would only show that the machine is busy. */
async function runLane(name: LaneName): Promise<Map<string, Outputs>> {
  await using open = await openLane({ name, server, signal: interrupted.signal, say });
  const outputs = new Map<string, Outputs>();
  for (const suite of suites) {
    say(`${name}: ${suite.name}`);
    const start = performance.now();
    outputs.set(suite.name, await runSuite(suite, open));
    say(`${name}: ${suite.name} took ${Math.round((performance.now() - start) / 1000)} s`);
  }
  return outputs;
}

async function runSuite(suite: Suite, open: OpenLane): Promise<Outputs> {
  await open.resetDatabase();
  // The path shows up in outputs, so it is the same on every lane.
  const scratch = join(output, suite.name, 'scratch');
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(scratch, { recursive: true });
  for (const directory of [output, join(output, suite.name)]) chmodSync(directory, 0o755);
  chmodSync(scratch, 0o777);
  const { signal } = interrupted;
  const context: SuiteContext = {
    lane: open.lane,
    adminUrl: open.adminUrl,
    home: open.home,
    onServerLog: open.onServerLog,
    options,
    server,
    scratch,
    signal,
    say: (text) => say(`${open.lane.name}: ${suite.name}: ${text}`),
    runProgram: (file, args, given) =>
      runProgram(file, args, { ...given, lane: open.lane, signal }),
  };
  try {
    await suite.prepare?.(context);
    return await suite.run(context);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
