/**
 * What a run without a fence leaves behind: programs in sessions of their own (`setsid`, daemons),
 * and all of it when hoop itself is killed. Each is ended with the run, and nothing else is:
 *
 *   cgroup   of version 2, where this process may make one: nothing that is started gets out by itself
 *   sweep    Linux without one: processes whose environment at their start says HOOP_RUN of this run
 *   guardian a shell that reads a pipe of ours: at its end, however we ended, it does the same
 *
 * Elsewhere there is nothing that tells what belongs to a run once it has left its process group.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { RunCgroup } from './run-cgroup.ts';
import type { ChildStdio } from './terminal/pseudo-terminal.ts';

/** After SIGTERM, for what programs save at their end. */
const KILL_AFTER_MS = 2000;
const LOOK_EVERY_MS = 20;
/**
 * `$1` is the id, `$2` the cgroup or nothing. A line on its input says that all is over; its end
 * without one, that hoop was killed. grep -z: variables end with a NUL in /proc.
 */
const GUARDIAN = `
if read -r said; then exit 0; fi
if [ -n "$2" ]; then echo 1 > "$2/cgroup.kill"; sleep 1; rmdir "$2"; exit; fi
for f in $(grep -lzxE "HOOP_(PARENT_)?RUN=$1" /proc/[0-9]*/environ); do
  pid=\${f#/proc/}; kill -9 "\${pid%/environ}"
done
`;

export interface RemainsOptions {
  /** Of a terminal of the run: whoever inherits hoop's end of it keeps it alive. */
  readonly cover?: ((stdio: readonly ChildStdio[]) => ChildStdio[]) | undefined;
  /** For tests. */
  readonly cgroupOf?: (run: string) => RunCgroup | undefined;
}

export class RunRemains {
  readonly #run: string;
  readonly #cgroup: RunCgroup | undefined;
  readonly #guardian: ChildProcess | undefined;
  #ended: Promise<number> | undefined;

  /** @returns undefined where nothing tells what belongs to a run. */
  static open(run: string, options: RemainsOptions = {}): RunRemains | undefined {
    return process.platform === 'linux' ? new RunRemains(run, options) : undefined;
  }

  private constructor(run: string, { cgroupOf = RunCgroup.make, cover }: RemainsOptions) {
    this.#run = run;
    this.#cgroup = cgroupOf(run);
    const stdio = ['pipe', 'ignore', 'ignore'] as const;
    const directory = this.#cgroup?.directory ?? '';
    const guardian = spawn('/bin/sh', ['-c', GUARDIAN, 'hoop-guardian', run, directory], {
      // A session of its own: what ends our terminal does not end it.
      detached: true,
      stdio: cover?.(stdio) ?? [...stdio],
      cwd: '/',
      // Without the run's variables: it would be among what it ends.
      env: { PATH: '/usr/bin:/bin' },
    });
    guardian.on('error', () => undefined);
    guardian.stdin?.on('error', () => undefined);
    guardian.unref();
    this.#guardian = guardian;
  }

  /** What `start` starts, and all that comes of it, belongs to the run. */
  within<T>(start: () => T): T {
    return this.#cgroup === undefined ? start() : this.#cgroup.within(start);
  }

  /** Ends what is left. @returns how many processes that were; never rejects */
  end(): Promise<number> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<number> {
    const left = this.#left();
    if (left.length > 0) await this.#endLeft(left);
    await this.#cgroup?.remove();
    this.#guardian?.stdin?.end('over\n');
    return left.length;
  }

  async #endLeft(left: readonly number[]): Promise<void> {
    for (const pid of left) send(pid, 'SIGTERM');
    const until = performance.now() + KILL_AFTER_MS;
    while (this.#left().length > 0 && performance.now() < until) {
      await delay(LOOK_EVERY_MS);
    }
    this.#cgroup?.kill();
    for (const pid of this.#left()) send(pid, 'SIGKILL');
  }

  #left(): readonly number[] {
    return this.#cgroup?.processes() ?? markedWith(this.#run);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already, or is not ours: then it was not of the run.
  }
}

/** By the environment that they were started with; those of others cannot be read. */
function markedWith(run: string): readonly number[] {
  const marks = [`HOOP_RUN=${run}`, `HOOP_PARENT_RUN=${run}`];
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) return [];
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      return variables.some((variable) => marks.includes(variable)) ? [pid] : [];
    } catch {
      return [];
    }
  });
}
