/** Drivers and ORMs from the npm registry, each with a real program; see conformance/drivers. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Outputs, Suite, SuiteContext } from '../suite.ts';

const PROGRAMS = fileURLToPath(new URL('../drivers/', import.meta.url));
/** What the programs import; not part of this package, so installed beside them. */
const PACKAGES = {
  pg: '8.23.1',
  postgres: '3.4.9',
  knex: '3.3.0',
  'drizzle-orm': '0.45.4',
  typeorm: '1.1.1',
  'reflect-metadata': '0.2.2',
  sequelize: '6.37.8',
  // The last one whose command line runs migrations without a download of its own.
  prisma: '6.19.3',
  '@prisma/client': '6.19.3',
  '@prisma/adapter-pg': '6.19.3',
};
const NAMES = ['pg', 'postgres-js', 'knex', 'drizzle', 'typeorm', 'sequelize', 'prisma'];
const INSTALL_TIMEOUT_MS = 300_000;
/** Prisma's command line starts eight times; it has much WebAssembly to compile. */
const PROGRAM_TIMEOUT_MS = 600_000;

export const drivers: Suite = {
  name: 'drivers',
  missing: () => undefined,
  async run(context) {
    // `--path drivers=DIR` keeps what is installed from lane to lane and from run to run.
    const directory = context.options.paths['drivers'] ?? join(context.scratch, 'drivers');
    await install(context, directory);
    const outputs = new Map<string, string>();
    const wanted = NAMES.filter(
      (name) => context.options.cases.length === 0 || context.options.cases.includes(name),
    );
    for (const name of wanted) {
      for (const [title, output] of await runProgram(context, directory, name)) {
        outputs.set(`${name}: ${title}`, output);
      }
    }
    return outputs;
  },
};

async function install(context: SuiteContext, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  for (const file of readdirSync(PROGRAMS)) {
    copyFileSync(join(PROGRAMS, file), join(directory, file));
  }
  if (existsSync(join(directory, 'node_modules'))) return;
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ private: true, type: 'module', dependencies: PACKAGES }),
  );
  const { exitCode, stderr } = await context.runProgram(
    'npm',
    ['install', '--ignore-scripts', '--no-audit', '--no-fund'],
    { cwd: directory, timeoutMs: INSTALL_TIMEOUT_MS },
  );
  if (exitCode !== 0) throw new Error(`npm install failed: ${stderr.slice(-2000)}`);
}

/** A case for each line of JSON, and one for how the program ended. */
async function runProgram(
  context: SuiteContext,
  directory: string,
  name: string,
): Promise<Outputs> {
  const { exitCode, stdout, stderr } = await context.runProgram(
    process.execPath,
    [join(directory, `${name}.mjs`)],
    { cwd: directory, timeoutMs: PROGRAM_TIMEOUT_MS },
  );
  // What fails on every lane would look the same on every lane.
  if (exitCode !== 0 && context.lane.name === 'direct') {
    throw new Error(`${name} does not run straight on the server: ${stderr.slice(-2000)}`);
  }
  const cases = new Map<string, string>([['exit status', String(exitCode)]]);
  for (const line of stdout.split('\n')) {
    if (line === '') continue;
    const value: unknown = JSON.parse(line);
    const isCase = typeof value === 'object' && value !== null && 'name' in value;
    cases.set(isCase ? String(value.name) : 'not a case', line);
  }
  return cases;
}
