/**
 * pgbench in all modes. It checks what it gets, and with a fixed seed what is in the tables at the
 * end is the same on every lane; speed is bench's business.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientProgram } from '../installation.ts';
import { runAdmin } from '../open-lane.ts';
import type { Suite, SuiteContext } from '../suite.ts';

const MODES = ['simple', 'extended', 'prepared'] as const;
const SCRIPTS = ['tpcb-like', 'simple-update', 'select-only'] as const;
const STATE = `SELECT (SELECT sum(abalance) FROM pgbench_accounts) AS accounts,
  (SELECT sum(tbalance) FROM pgbench_tellers) AS tellers,
  (SELECT sum(bbalance) FROM pgbench_branches) AS branches,
  (SELECT count(*) || ':' || coalesce(sum(delta), 0) FROM pgbench_history) AS history`;

const PIPELINE = `
\\set aid random(1, 100000)
\\set delta random(-5000, 5000)
\\startpipeline
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, :delta, now());
END;
SELECT 1;
\\endpipeline
SELECT count(*) FROM pgbench_history \\gset
\\startpipeline
SELECT repeat('x', 100000);
SELECT :aid, :delta;
\\endpipeline
`;
const FAILING = `
\\startpipeline
SELECT 1;
SELECT 1 / 0;
SELECT 2;
\\endpipeline
`;

export const pgbench: Suite = {
  name: 'pgbench',
  missing: () => undefined,
  async run(context) {
    const outputs = new Map<string, string>();
    const { scratch } = context;
    for (const [name, steps] of [
      ['initialize on the client', 'dtgvpf'],
      ['initialize on the server', 'dtGvp'],
      ['initialize with partitions', 'dtgvp'],
    ] as const) {
      const partitions = name.endsWith('partitions') ? ['--partitions=3'] : [];
      outputs.set(name, await bench(context, ['-i', '-I', steps, '-q', ...partitions]));
    }
    await bench(context, ['-i', '-q']);
    for (const mode of MODES) {
      for (const script of SCRIPTS) {
        const args = [
          '-M',
          mode,
          '-b',
          script,
          '-c',
          '4',
          '-j',
          '2',
          '-t',
          '50',
          '--random-seed=7',
        ];
        outputs.set(`${script}, ${mode}`, await bench(context, args));
      }
    }
    for (const [name, script] of Object.entries({
      pipeline: PIPELINE,
      'failing pipeline': FAILING,
    })) {
      const file = join(scratch, 'script.sql');
      writeFileSync(file, script);
      for (const mode of ['extended', 'prepared'] as const) {
        const args = ['-n', '-M', mode, '-f', file, '-c', '2', '-t', '50', '--random-seed=7'];
        outputs.set(`${name}, ${mode}`, await bench(context, args));
      }
    }
    return outputs;
  },
};

async function bench(context: SuiteContext, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await context.runProgram(
    clientProgram(context.server, 'pgbench'),
    args,
    { cwd: context.scratch },
  );
  const [state] = await runAdmin(context.adminUrl, [STATE]);
  const said = `${stdout}${stderr}`.replaceAll(/\d+\.\d+ (s|ms)\b/g, 'N $1').split('\n');
  // Who of several clients fails first, and how long anything takes, is chance.
  const kept = said.filter(
    (line) => !/^(latency|tps|initial connection|number of)|tuples|^done in/.test(line),
  );
  return `exit ${exitCode}\n${[...new Set(kept)]
    .sort()
    .join('\n')
    .replaceAll(/client \d+/g, 'client N')}\n${JSON.stringify(state)}\n`;
}
