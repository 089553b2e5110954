/**
 * `node bench/run-cost.ts` (after `npm run build`): what `hoop run` and its fence cost a command that
 * does nothing. They are run in turn with that command alone and with a Node.js that does nothing; of
 * each the least of all rounds counts, since whatever else the machine does only adds to it. CPU time
 * is that of hoop and all that it has waited for (bwrap, the inside of the fence, the program),
 * without the gateway's.
 * Options: --rounds N.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { startDemo } from '../src/demo/demo.ts';
import { childEnvironment, LAUNCHER } from '../src/demo/hoop-process.ts';

const { values: flags } = parseArgs({ options: { rounds: { type: 'string', default: '20' } } });
/** Seconds since the start, user and system time of it and its children. */
const TIMED = ['-c', 'TIMEFORMAT="%3R %3U %3S"; time "$@"', 'bash'];
const HOOP = [process.execPath, LAUNCHER, 'run', '--target', 'prod-db'];
const WORKS = {
  true: ['true'],
  'node -e 0': [process.execPath, '-e', '0'],
  'hoop run -- true': [...HOOP, '--', 'true'],
  'hoop run --fence -- true': [...HOOP, '--fence', '--', 'true'],
};

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('SIGINT')));
// Not below /tmp, which is private inside.
const project = mkdtempSync(join(homedir(), '.hoop-bench-'));
try {
  await using demo = await startDemo({ note: () => undefined, signal: interrupted.signal });
  await measure(demo.homes['engineer'] ?? '');
} finally {
  rmSync(project, { recursive: true, force: true });
}

async function measure(home: string): Promise<void> {
  const all = new Map<string, { readonly wall: number; readonly cpu: number }[]>();
  for (let round = 0; round < Number(flags.rounds); round += 1) {
    for (const [work, command] of Object.entries(WORKS)) {
      interrupted.signal.throwIfAborted();
      all.set(work, [...(all.get(work) ?? []), await timeOf(home, command)]);
    }
  }
  for (const [work, times] of all) {
    const least = (of: 'wall' | 'cpu'): string =>
      `${Math.min(...times.map((one) => one[of]))} ms`.padStart(7);
    process.stdout.write(`${work.padEnd(26)} wall ${least('wall')}  CPU ${least('cpu')}\n`);
  }
}

/** @returns milliseconds */
async function timeOf(home: string, command: readonly string[]) {
  const { stderr } = await promisify(execFile)('bash', [...TIMED, ...command], {
    cwd: project,
    env: { ...childEnvironment({ home }), LC_ALL: 'C' },
  });
  const [wall = 0, user = 0, system = 0] = (stderr.trim().split('\n').at(-1) ?? '')
    .split(' ')
    .map((seconds) => Math.round(Number(seconds) * 1000));
  return { wall, cpu: user + system };
}
