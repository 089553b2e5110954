/**
 * PostgreSQL's own regression schedule: pg_regress runs 200 files of SQL through psql, many at a
 * time. What the files print is compared with what they print without hoop, not with the expected
 * files: those depend on how a server was built.
 */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingSource, testDriver } from '../installation.ts';
import { DATABASE } from '../open-lane.ts';
import type { Outputs, Suite, SuiteContext } from '../suite.ts';

/** Extensions of the server that the files load by path. */
const LIBRARIES = ['autoinc.so', 'refint.so'];
/** In strict one file after the other, and the catalog read again after each DDL. */
const TIMEOUT_MS = 5_400_000;

export const regression: Suite = {
  name: 'regression',
  missing: (options, server) => missingSource(options.source, server, 'regress/pg_regress'),
  prepare: buildLibrary,
  async run(context) {
    const { options, server, scratch } = context;
    const source = join(options.source ?? '', 'src/test/regress');
    for (const name of ['results', 'testtablespace']) {
      mkdirSync(join(scratch, name), { recursive: true });
      // The server writes there: COPY … TO a file, tablespaces.
      await context.runProgram('chmod', ['777', join(scratch, name)]);
    }
    const tests =
      options.cases.length > 0
        ? ['test_setup', ...options.cases.filter((name) => name !== 'test_setup')]
        : [`--schedule=${join(source, 'parallel_schedule')}`];
    const args = [
      ...[`--inputdir=${source}`, `--outputdir=${scratch}`, `--dlpath=${scratch}`],
      ...[`--bindir=${join(server.root, 'bin')}`, `--dbname=${DATABASE}`, '--use-existing'],
      // One at a time where statements are judged: files that run together see each other's event
      // triggers and counters, and more so the more time passes between two statements.
      ...(context.lane.name === 'strict' ? ['--max-connections=1'] : []),
      ...['--max-concurrent-tests=20', ...tests],
    ];
    const driver = testDriver(server, 'regress/pg_regress') ?? '';
    const { stdout, stderr } = await context.runProgram(driver, args, {
      cwd: scratch,
      timeoutMs: TIMEOUT_MS,
    });
    context.say(
      `${stdout}${stderr}`
        .trim()
        .split('\n')
        .findLast((line) => /tests/.test(line)) ?? '',
    );
    return readResults(join(scratch, 'results'));
  },
};

/** Functions in C that the files call, from the source, with the server's own headers. */
async function buildLibrary(context: SuiteContext): Promise<void> {
  const { server, scratch, options } = context;
  const config = join(server.root, 'bin', 'pg_config');
  const headers = await context.runProgram(config, ['--includedir-server']);
  const libraries = await context.runProgram(config, ['--pkglibdir']);
  const regress = join(options.source ?? '', 'src/test/regress/regress.c');
  const { exitCode, stderr } = await context.runProgram('gcc', [
    ...['-O1', '-fPIC', '-shared', '-w', `-I${headers.stdout.trim()}`],
    ...[regress, '-o', join(scratch, 'regress.so')],
  ]);
  if (exitCode !== 0) throw new Error(`regress.c does not compile: ${stderr.slice(-500)}`);
  for (const name of LIBRARIES) {
    const file = join(libraries.stdout.trim(), name);
    if (existsSync(file)) copyFileSync(file, join(scratch, name));
  }
}

export function readResults(directory: string): Outputs {
  const names = readdirSync(directory).filter((name) => name.endsWith('.out'));
  return new Map(
    names.map((name) => [name.slice(0, -4), readFileSync(join(directory, name), 'utf8')]),
  );
}
