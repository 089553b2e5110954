/**
 * `npm run nightly`: what takes too long, or needs too much, for `npm test`, one after the other. These
 * are the scripts of package.json that begin with `conformance`, `differential` or `soak:`.
 *
 *   --only NAME    repeated; default: all
 *   --output DIR   a log of each (default: a new temporary directory)
 *
 * Exit status 0: all of them went well. One that fails does not stop the others. The last line is
 * `N passed, N failed`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import * as z from 'zod';

const NIGHTLY = /^(conformance|differential$|soak:)/;
/** Far more than any of them takes: one that hangs must not keep the others from running. */
const MAX_MINUTES = 240;
const SHOWN_LINES = 15;

const { values: flags } = parseArgs({
  options: { only: { type: 'string', multiple: true }, output: { type: 'string' } },
});
const { scripts } = z
  .object({ scripts: z.record(z.string(), z.string()) })
  .parse(JSON.parse(readFileSync('package.json', 'utf8')));
const all = Object.keys(scripts).filter((name) => NIGHTLY.test(name));
const unknown = flags.only?.filter((name) => !all.includes(name)) ?? [];
if (unknown.length > 0) {
  throw new Error(`${unknown.join(', ')}: not one of ${all.join(', ')}`);
}
const output = flags.output ?? mkdtempSync(join(tmpdir(), 'hoop-nightly-'));
mkdirSync(output, { recursive: true });
const say = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

let running: ChildProcess | undefined;
let isStopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    isStopped = true;
    end(running, signal);
  });
}

let passed = 0;
let failed = 0;
for (const name of flags.only ?? all) {
  if (isStopped) break;
  const log = join(output, `${name.replaceAll(':', '-')}.log`);
  const start = performance.now();
  const ending = await run(name, log);
  const minutes = ((performance.now() - start) / 60_000).toFixed(1);
  say(`${ending === '' ? 'ok  ' : 'FAIL'} ${name}: ${minutes} minutes, ${log}${ending}`);
  if (ending === '') {
    passed += 1;
  } else {
    failed += 1;
    say(readFileSync(log, 'utf8').trimEnd().split('\n').slice(-SHOWN_LINES).join('\n'));
  }
}
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;

/** @returns how it ended; empty: as it should. */
async function run(name: string, log: string): Promise<string> {
  const file = openSync(log, 'w');
  // A group of its own, so that what it has started ends with it.
  const child = spawn('npm', ['run', '--silent', name], {
    stdio: ['ignore', file, file],
    detached: true,
  });
  running = child;
  const timer = setTimeout(() => end(child, 'SIGKILL'), MAX_MINUTES * 60_000);
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status, signal) => {
        if (status === 0) resolve('');
        else resolve(signal === null ? `, exit status ${status}` : `, ended by ${signal}`);
      });
    });
  } finally {
    clearTimeout(timer);
    closeSync(file);
    running = undefined;
  }
}

function end(child: ChildProcess | undefined, signal: NodeJS.Signals): void {
  if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    process.kill(-child.pid, signal);
  }
}
