/**
 * `npm test`: everything that must hold. All tests, and beside them format and lint, types, unused
 * code, the package as it would be published. Ends with a line `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { checkPackage } from './check-package.ts';
import { ensurePrerequisites, runStep } from './prerequisites.ts';

/** What is read of vitest's JSON report. */
const Report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  testResults: z.array(
    z.object({
      assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })),
    }),
  ),
});

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const binary = (name: string): string => join('node_modules', '.bin', name);
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

type Step = { readonly name: string; readonly run: () => { ok: boolean; output: string } };

const build: Step = {
  name: 'build',
  run: () => runStep(process.execPath, ['tools/build.ts', '--quiet']),
};
/** They take a core while tests wait for clocks and servers. */
const besideTheTests: readonly Step[] = [
  {
    name: 'format and lint',
    run: () => runStep(binary('biome'), ['check', '--error-on-warnings', '.']),
  },
  { name: 'types', run: () => runStep(binary('tsc'), ['-p', 'tsconfig.json']) },
  { name: 'unused code', run: () => runStep(binary('knip'), []) },
  { name: 'package', run: checkPackage },
];

if (!ensurePrerequisites(say)) {
  say('0 passed, 1 failed');
  process.exitCode = 1;
} else {
  const done = [take(build)];
  const tests = startTests();
  done.push(...besideTheTests.map(take));
  const ran = await tests;
  // Once more what failed: it stands above all that the tests have said.
  for (const { name, ok, output } of done) {
    if (!ok) say(`FAIL ${name}\n${output}`);
  }
  // What does not run here (a test that only root can do) is named, so that none vanishes silently.
  for (const title of ran.skipped) {
    say(`skipped: ${title}`);
  }
  const failed = ran.failed + done.filter(({ ok }) => !ok).length;
  say(`${ran.passed + done.filter(({ ok }) => ok).length} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function take(step: Step): { name: string; ok: boolean; output: string } {
  const { ok, output } = step.run();
  say(`${ok ? 'ok  ' : 'FAIL'} ${step.name}`);
  if (!ok) say(output);
  return { name: step.name, ok, output };
}

/** Vitest begins at once, and goes on while this process waits for something else. */
async function startTests(): Promise<{
  passed: number;
  failed: number;
  skipped: readonly string[];
}> {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-test-'));
  const report = join(directory, 'report.json');
  try {
    const args = ['run', '--reporter=default', '--reporter=json', `--outputFile=${report}`];
    const vitest = spawn(binary('vitest'), [...args, ...process.argv.slice(2)], {
      stdio: 'inherit',
    });
    const [status] = await once(vitest, 'exit');
    const result = Report.parse(JSON.parse(readFileSync(report, 'utf8')));
    const { numPassedTests: passed, numFailedTests: failed } = result;
    const tests = result.testResults.flatMap(({ assertionResults }) => assertionResults);
    return {
      passed,
      // A file that cannot be loaded counts no failed test; vitest's status tells.
      failed: failed > 0 || status === 0 ? failed : 1,
      skipped: tests
        .filter((test) => test.status !== 'passed' && test.status !== 'failed')
        .map(({ fullName }) => fullName),
    };
  } catch (error) {
    say(`vitest left no report: ${error instanceof Error ? error.message : String(error)}`);
    return { passed: 0, failed: 1, skipped: [] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
