/**
 * A live client is never called lost: one end stands still or gets next to no processor time, its
 * disk is slow, its descriptors or its disk run out, its output has no reader, its identity provider
 * or its gateway is away. Each on a real gateway with an idle connection and a busy one through
 * `hoop connect`. Sessions go on where they can, else they end in words that say why, by whom and
 * what to do; recordings verify, and no process or backend stays behind.
 *
 *     npm run soak:starved -- --only stopped
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startDemo } from '../../src/demo/demo.ts';
import { logInDemo } from '../log-in-demo.ts';
import { Bench } from './demo-bench.ts';
import { Faults } from './faults.ts';
import { STARVED_CASES } from './starved-cases.ts';
import { Starved } from './starved-work.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

const directory = mkdtempSync(join(tmpdir(), 'hoop-starved-'));
// As root PostgreSQL runs as nobody, who has to pass through.
chmodSync(directory, 0o711);
const data = join(directory, 'demo');
const gatewayFaults = Faults.in(directory, 'gateway', join(data, 'gateway/'));
const clientFaults = Faults.in(directory, 'client', join(data, 'homes/'));
// The gateway has them from here: the demo passes on what its own environment holds.
Object.assign(process.env, gatewayFaults.variables);
let failures = 0;
try {
  await using demo = await startDemo({
    data,
    logIn: logInDemo,
    note: () => undefined,
    signal: new AbortController().signal,
  });
  const bench = new Bench(demo);
  for (const [name, play] of STARVED_CASES) {
    if (!name.includes(values.only)) continue;
    const starved = new Starved({ bench, gatewayFaults, clientFaults });
    const startedMs = performance.now();
    const problems = await starved.play(play);
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    process.stdout.write(`${problems.length === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)\n`);
    for (const problem of [...starved.seen, ...problems]) {
      process.stdout.write(`       ${problem.replaceAll('\n', '\n       ')}\n`);
    }
    failures += problems.length;
  }
} finally {
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
}
process.exitCode = failures === 0 ? 0 : 1;
