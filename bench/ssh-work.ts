/** Shells, commands and files over SSH, through each lane in turn. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { cpuName, type Figures } from './figures.ts';
import type { Notes } from './memory.ts';
import type { BenchOptions } from './options.ts';
import { cpuSeconds, knowsProcesses, residentKilobytes, settle } from './process-figures.ts';
import type { SshLane } from './ssh-lanes.ts';
import { percentile } from './statistics.ts';
import { warmMemory } from './warm-memory.ts';

const run = promisify(execFile);

export interface SshContext {
  readonly options: BenchOptions;
  readonly lanes: readonly SshLane[];
  readonly figures: Figures;
  readonly signal: AbortSignal;
}

const EXECS_PER_ROUND = 10;
const ECHOES = 500;
/** Before what is measured: code that is not compiled yet would be charged to the first bytes. */
const FIRST_ECHOES = 200;
const PARALLEL = 50;
const PARALLEL_BYTES = 1_000_000;
const MEGABYTE = 1e6;
/** The slow reader takes this much and then stops for a while. */
const READ_BEFORE_PAUSE_BYTES = 64e6;
const PAUSE_MS = 5000;

const LOGIN = { work: 'ssh true, with its login', unit: 'ms', moreIsBetter: false };
const EXEC = { work: 'ssh true, on an open connection', unit: 'ms', moreIsBetter: false };
const ECHO = { work: 'echo of one byte, p50', unit: 'µs', moreIsBetter: false };
const UP = { work: 'scp up', unit: 'MB/s', moreIsBetter: true };
const DOWN = { work: 'scp down', unit: 'MB/s', moreIsBetter: true };
const MANY = { work: `${PARALLEL} logins with 1 MB each, at once`, unit: 's', moreIsBetter: false };

/** A command's round trip: with a login of its own, and as one more channel of a connection. */
export async function sshExec({ options, lanes, figures }: SshContext): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-mux-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const open = new Map<SshLane, readonly string[]>();
  for (const [index, lane] of lanes.entries()) {
    open.set(lane, await openMaster(lane, join(directory, String(index)), stack));
  }
  for (let round = 0; round < options.rounds * EXECS_PER_ROUND; round += 1) {
    for (const [lane, master] of open) {
      figures.add(LOGIN, lane.name, await milliseconds(() => ssh(lane, [], 'true')));
      figures.add(EXEC, lane.name, await milliseconds(() => ssh(lane, master, 'true')));
    }
  }
  figures.tell(LOGIN.work, EXEC.work);
}

/** @returns options of ssh that use its connection. */
async function openMaster(
  lane: SshLane,
  socket: string,
  stack: AsyncDisposableStack,
): Promise<readonly string[]> {
  const options = ['-S', socket];
  const master = spawn('ssh', ['-F', lane.config, '-NM', ...options, lane.host], {
    stdio: 'ignore',
  });
  const closed = once(master, 'close');
  stack.defer(async () => {
    master.kill();
    await closed;
  });
  while (!existsSync(socket)) {
    if (master.exitCode !== null) {
      throw new Error(`${lane.name}: ssh ended with ${master.exitCode}`);
    }
    await sleep(50);
  }
  return options;
}

/** What somebody feels who types. */
export async function sshEcho({ options, lanes, figures }: SshContext): Promise<void> {
  for (let round = 0; round < options.rounds; round += 1) {
    for (const lane of lanes) {
      const child = spawn('ssh', ['-F', lane.config, lane.host, 'cat'], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await echoes(child, FIRST_ECHOES);
      figures.add(ECHO, lane.name, percentile(await echoes(child, ECHOES), 50));
      child.stdin.end();
      await once(child, 'close');
    }
  }
  figures.tell(ECHO.work);
}

/** @returns µs. */
async function echoes(child: ChildProcess, count: number): Promise<readonly number[]> {
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) {
    throw new TypeError('the child has no pipes');
  }
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    const answer = once(stdout, 'data');
    stdin.write('x');
    await answer;
    times.push((performance.now() - start) * 1000);
  }
  return times;
}

/**
 * One file, as scp does it by itself (SFTP).
 * @param where before the names of the rows
 */
export async function sshCopy(
  { options, lanes, figures, signal }: SshContext,
  where = '',
): Promise<void> {
  const up = { ...UP, work: `${where}${UP.work}` };
  const down = { ...DOWN, work: `${where}${DOWN.work}` };
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-scp-'));
  const file = join(directory, 'file');
  const copy = join(directory, 'copy');
  try {
    writeFile(file, options.megabytes);
    const bytes = statSync(file).size;
    for (let round = 0; round < options.rounds; round += 1) {
      for (const { name, config, host, processes } of lanes) {
        const ends = processes === undefined ? [] : [processes.cli, processes.gateway];
        for (const [figure, from, to] of [
          [up, file, `${host}:${copy}`],
          [down, `${host}:${file}`, copy],
        ] as const) {
          if (!options.cold) {
            await warmMemory(signal);
          }
          const before = knowsProcesses() ? ends.map((end) => cpuSeconds([end])) : [];
          const ms = await milliseconds(() => run('scp', ['-q', '-F', config, from, to]));
          if (statSync(copy).size !== bytes) {
            throw new Error(`${name}: the copy has another size`);
          }
          rmSync(copy);
          figures.add(figure, name, bytes / 1000 / ms);
          if (before.length > 0) await settle(ends);
          for (const [index, spentBefore] of before.entries()) {
            const work = cpuName(figure.work, index === 0 ? 'client end' : 'server end');
            const spent = cpuSeconds([ends[index] ?? 0]) - spentBefore;
            const each = spent / (bytes / 1e9);
            figures.add({ work, unit: 's/GB', moreIsBetter: false }, name, each);
          }
        }
      }
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  figures.tell(up.work, down.work);
}

function writeFile(path: string, megabytes: number): void {
  const block = Buffer.alloc(MEGABYTE, 'hoop ');
  const file = openSync(path, 'w');
  for (let index = 0; index < megabytes; index += 1) {
    writeSync(file, block);
  }
  closeSync(file);
}

/** Connections that all come at once, as those of a program that works on many things. */
export async function sshParallel({ options, lanes, figures }: SshContext): Promise<void> {
  for (let round = 0; round < options.rounds; round += 1) {
    for (const lane of lanes) {
      const all = (): Promise<unknown> =>
        Promise.all(
          Array.from({ length: PARALLEL }, async () => {
            const { stdout } = await ssh(lane, [], `head -c ${PARALLEL_BYTES} /dev/zero`);
            if (stdout.length !== PARALLEL_BYTES) {
              throw new Error(`${lane.name}: ${stdout.length} bytes instead of ${PARALLEL_BYTES}`);
            }
          }),
        );
      figures.add(MANY, lane.name, (await milliseconds(all)) / 1000);
    }
  }
  figures.tell(MANY.work);
}

/** A reader that stops in the middle must not make anybody buffer what comes. */
export async function memoryWithStoppedReader(lanes: readonly SshLane[]): Promise<Notes> {
  const notes: Record<string, number> = {};
  for (const { config, host, processes } of lanes) {
    if (processes === undefined) {
      continue;
    }
    const child = spawn('ssh', ['-F', config, host, 'cat /dev/zero'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close');
    let taken = 0;
    await new Promise<void>((resolve, reject) => {
      void closed.then(() => reject(new Error('ssh ended before its reader paused')));
      child.stdout.on('data', (chunk: Buffer) => {
        taken += chunk.length;
        if (taken >= READ_BEFORE_PAUSE_BYTES) {
          child.stdout.pause();
          resolve();
        }
      });
    });
    const before = [processes.gateway, processes.cli].map((id) => residentKilobytes(id, 'VmRSS'));
    await sleep(PAUSE_MS);
    const after = [processes.gateway, processes.cli].map((id) => residentKilobytes(id, 'VmRSS'));
    child.kill();
    child.stdout.resume();
    await closed;
    for (const [index, name] of ['gateway', 'CLI'].entries()) {
      const gained = (after[index] ?? 0) - (before[index] ?? 0);
      notes[`${name}, RSS gained while a reader of SSH pauses for 5 s (MB)`] = Math.round(
        gained / 1000,
      );
    }
  }
  return notes;
}

function ssh(lane: SshLane, options: readonly string[], ...command: readonly string[]) {
  return run('ssh', ['-F', lane.config, ...options, lane.host, ...command], {
    encoding: 'latin1',
    maxBuffer: 2 * PARALLEL_BYTES,
  });
}

async function milliseconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
