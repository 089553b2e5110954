/** node-postgres' own tests, from a checkout: those of pg that need a server, pg-pool's and pg-cursor's. */
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import type { ProgramResult } from '../program.ts';
import type { Outputs, Suite, SuiteContext } from '../suite.ts';

/** Taken from the checkout; the other packages of the repository are compiled, so they come from npm. */
const PACKAGES = ['pg', 'pg-pool', 'pg-cursor', 'pg-connection-string'];
/** What the tests import; installing all that the repository needs to be developed takes minutes. */
const NEEDED = {
  async: '2.6.4',
  bluebird: '3.7.2',
  co: '4.6.0',
  'expect.js': '0.3.1',
  lodash: '4.17.21',
  mocha: '11.7.5',
  'pg-copy-streams': '0.3.0',
};
/**
 * ssl-tests needs a server with TLS (test/tunnel has TLS on the local port); 130-tests connects to
 * another database, template1, and a session is for one.
 */
const LEFT_OUT = new Set(['ssl-tests.js', '130-tests.js']);
/** Many of the tests count in milliseconds, and fail straight on a busy server too. */
const MAX_TRIES = 3;
const INSTALL_TIMEOUT_MS = 300_000;
const FILE_TIMEOUT_MS = 60_000;
/** Most of pg-pool's tests wait for its own timeouts. */
const MOCHA_TIMEOUT_MS = 180_000;

export const nodePostgres: Suite = {
  name: 'node-postgres',
  missing({ paths }) {
    const checkout = paths['node-postgres'];
    if (checkout === undefined) {
      return 'it needs a checkout: git clone https://github.com/brianc/node-postgres, then --path node-postgres=DIR';
    }
    const isCheckout = existsSync(join(checkout, 'packages/pg/test/integration'));
    return isCheckout ? undefined : `"${checkout}" is no checkout of node-postgres`;
  },
  async run(context) {
    const directory = await install(context);
    const pg = join(directory, 'packages/pg');
    const outputs = new Map<string, string>();
    for (const file of globSync('test/integration/**/*-tests.js', { cwd: pg }).sort()) {
      const name = relative('test/integration', file);
      if (LEFT_OUT.has(basename(file)) || !isWanted(context, name)) continue;
      outputs.set(name, await runNode(context, pg, [file], FILE_TIMEOUT_MS));
    }
    for (const name of ['pg-pool', 'pg-cursor']) {
      if (!isWanted(context, name)) continue;
      for (const [title, said] of await runMocha(context, directory, name)) {
        outputs.set(`${name}: ${title}`, said);
      }
    }
    return outputs;
  },
};

function isWanted({ options }: SuiteContext, name: string): boolean {
  return options.cases.length === 0 || options.cases.includes(name);
}

/** Beside the scratch directory, which each lane gets anew: once for a run is enough. */
async function install(context: SuiteContext): Promise<string> {
  const directory = join(dirname(context.scratch), 'installed');
  for (const name of PACKAGES) {
    const from = join(context.options.paths['node-postgres'] ?? '', 'packages', name);
    const isOurs = (path: string): boolean => basename(path) !== 'node_modules';
    cpSync(from, join(directory, 'packages', name), { recursive: true, filter: isOurs });
  }
  mkdirSync(directory, { recursive: true });
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ private: true, workspaces: ['packages/*'], dependencies: NEEDED }),
  );
  if (existsSync(join(directory, 'node_modules'))) return directory;
  const { exitCode, stderr } = await context.runProgram(
    'npm',
    ['install', '--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund'],
    { cwd: directory, timeoutMs: INSTALL_TIMEOUT_MS },
  );
  if (exitCode !== 0) throw new Error(`npm install failed: ${stderr.slice(-2000)}`);
  return directory;
}

async function runNode(
  context: SuiteContext,
  cwd: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<string> {
  // No TLS, and nothing that needs the addon of another package.
  const env = { PGTESTNOSSL: 'true', TEST_SKIP_NATIVE: 'true', NODE_NO_WARNINGS: '1' };
  for (let tries = 1; ; tries += 1) {
    const result = await context.runProgram(process.execPath, args, { cwd, timeoutMs, env });
    if (result.exitCode === 0 || tries === MAX_TRIES) return withoutChance(context, result);
  }
}

/** A case for each test file. */
async function runMocha(context: SuiteContext, directory: string, name: string): Promise<Outputs> {
  const cwd = join(directory, 'packages', name);
  const mocha = join(directory, 'node_modules/mocha/bin/mocha.js');
  const cases = new Map<string, string>();
  for (const file of globSync('test/*.js', { cwd }).sort()) {
    if (!readFileSync(join(cwd, file), 'utf8').includes('describe(')) continue;
    const args = [mocha, '--exit', '--no-color', '--reporter', 'spec', file];
    cases.set(basename(file, '.js'), await runNode(context, cwd, args, MOCHA_TIMEOUT_MS));
  }
  return cases;
}

/** Ports, and how long anything took. */
function withoutChance(
  { lane }: SuiteContext,
  { exitCode, stdout, stderr }: ProgramResult,
): string {
  const said = `${stdout}${stderr}`
    .replaceAll(`:${lane.port}`, ':PORT')
    .replaceAll(/ ?\(\d+(ms|s)\)/g, '');
  return `exit ${exitCode}\n${said}`;
}
