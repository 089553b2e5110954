/** PostgreSQL's isolation schedule: several sessions whose steps interleave, locks and deadlocks. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { missingSource, testDriver } from '../installation.ts';
import { DATABASE } from '../open-lane.ts';
import type { Suite } from '../suite.ts';
import { readResults } from './regression.ts';

const TIMEOUT_MS = 1_800_000;

/**
 * It has the first answer of a text while the second statement waits for a lock, and isolationtester
 * then waits in libpq for good: docs/design/0030-postgres-engine.md, "Known limits".
 */
const ENDLESS: ReadonlyMap<string, string> = new Map([
  ['nowait-5', 'not run: isolationtester would wait for good\n'],
]);

export const isolation: Suite = {
  name: 'isolation',
  missing: (options, server) =>
    missingSource(options.source, server, 'isolation/pg_isolation_regress'),
  async run(context) {
    const { options, server, scratch } = context;
    const source = join(options.source ?? '', 'src/test/isolation');
    mkdirSync(join(scratch, 'results'), { recursive: true });
    const driver = testDriver(server, 'isolation/pg_isolation_regress') ?? '';
    const isJudged = context.lane.name === 'strict';
    const schedule = isJudged ? join(scratch, 'schedule') : join(source, 'isolation_schedule');
    if (isJudged) {
      const all = readFileSync(join(source, 'isolation_schedule'), 'utf8').split('\n');
      const run = all.filter((line) => !ENDLESS.has(line.replace(/^test:\s*/, '')));
      writeFileSync(schedule, run.join('\n'));
    }
    const tests = options.cases.length > 0 ? options.cases : [`--schedule=${schedule}`];
    // It looks for isolationtester beside itself.
    const { stdout, stderr } = await context.runProgram(
      driver,
      [
        ...[`--inputdir=${source}`, `--outputdir=${scratch}`, `--dbname=${DATABASE}`],
        ...[`--bindir=${join(server.root, 'bin')}`, '--use-existing', ...tests],
      ],
      { cwd: dirname(driver), timeoutMs: TIMEOUT_MS },
    );
    context.say(
      `${stdout}${stderr}`
        .trim()
        .split('\n')
        .findLast((line) => /tests/.test(line)) ?? '',
    );
    const results = readResults(join(scratch, 'results'));
    const leftOut = isJudged && options.cases.length === 0 ? ENDLESS : [];
    return new Map([...results, ...leftOut]);
  },
};
