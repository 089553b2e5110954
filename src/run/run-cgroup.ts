/**
 * A cgroup of version 2 below our own, where the system lets us make one: as root, and in what a
 * systemd of the user has started (a terminal of the desktop, a unit). It has no controllers.
 * https://docs.kernel.org/admin-guide/cgroup-v2.html
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Until the kernel has taken its killed processes out. */
const REMOVE_TRIES = 50;
const REMOVE_EVERY_MS = 10;

export class RunCgroup {
  readonly directory: string;
  readonly #own: string;
  #isInside = false;

  /** @returns undefined where there is none to be had, for whatever reason. */
  static make(run: string): RunCgroup | undefined {
    try {
      const own = ownDirectory();
      if (own === undefined) return undefined;
      const directory = join(own, `hoop-run-${run}`);
      mkdirSync(directory);
      if (existsSync(join(directory, 'cgroup.kill'))) return new RunCgroup(own, directory);
      rmdirSync(directory);
      return undefined;
    } catch {
      return undefined;
    }
  }

  private constructor(own: string, directory: string) {
    this.#own = own;
    this.directory = directory;
  }

  /** What is started is where we are: so it cannot start anything before it is in there. */
  within<T>(start: () => T): T {
    try {
      enter(this.directory);
    } catch {
      return start();
    }
    try {
      return start();
    } finally {
      try {
        enter(this.#own);
      } catch {
        // What kills everything in it would kill us, too.
        this.#isInside = true;
      }
    }
  }

  /** With those of cgroups within it. */
  processes(): readonly number[] {
    return tree(this.directory).flatMap((directory) => {
      try {
        const text = readFileSync(join(directory, 'cgroup.procs'), 'utf8');
        const pids = text.split('\n').filter(Boolean).map(Number);
        // 0 is a process of another PID namespace, and for kill(2) our own process group.
        return pids.filter((pid) => pid > 0 && pid !== process.pid);
      } catch {
        return [];
      }
    });
  }

  /** All of it, also what is being started right now. */
  kill(): void {
    if (this.#isInside) return;
    try {
      writeFileSync(join(this.directory, 'cgroup.kill'), '1');
    } catch {
      // It is gone: somebody who may has removed it, and nothing was in it then.
    }
  }

  async remove(): Promise<void> {
    for (let tries = 0; tries < REMOVE_TRIES; tries += 1) {
      try {
        for (const directory of tree(this.directory).toReversed()) rmdirSync(directory);
        return;
      } catch {
        await delay(REMOVE_EVERY_MS);
      }
    }
  }
}

/** `0`: whoever writes it. */
function enter(directory: string): void {
  writeFileSync(join(directory, 'cgroup.procs'), '0');
}

/** Itself first. */
function tree(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  const below = readdirSync(directory, { withFileTypes: true }).filter((one) => one.isDirectory());
  return [directory, ...below.flatMap(({ name }) => tree(join(directory, name)))];
}

/** Where a cgroup2 is mounted, and our place in it. */
function ownDirectory(): string | undefined {
  const path = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  // Fields: … root, mount point, options … - type. A part of the tree alone has another root.
  const mount = mounts.find((line) => / \/ \S+ .* - cgroup2 /.test(line))?.split(' ')[4];
  return path === undefined || mount === undefined ? undefined : join(mount, path);
}
