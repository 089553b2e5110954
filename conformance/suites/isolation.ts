/** PostgreSQL's isolation schedule: several sessions whose steps interleave, locks and deadlocks. */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { missingSource, testDriver } from '../installation.ts';
import { DATABASE } from '../open-lane.ts';
import type { Suite } from '../suite.ts';
import { readResults } from './regression.ts';

const TIMEOUT_MS = 1_800_000;

export const isolation: Suite = {
  name: 'isolation',
  missing: (options, server) =>
    missingSource(options.source, server, 'isolation/pg_isolation_regress'),
  async run(context) {
    const { options, server, scratch } = context;
    const source = join(options.source ?? '', 'src/test/isolation');
    mkdirSync(join(scratch, 'results'), { recursive: true });
    const driver = testDriver(server, 'isolation/pg_isolation_regress') ?? '';
    const tests =
      options.cases.length > 0
        ? options.cases
        : [`--schedule=${join(source, 'isolation_schedule')}`];
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
    return readResults(join(scratch, 'results'));
  },
};
