import { spawnSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  constants,
  lstatSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { isRunning } from '../src/is-running.ts';

const SHARED_MEMORY = '/dev/shm';
/** Some times what the servers and recordings of all workers take at once. */
const ROOM_BYTES = 4 * 1024 ** 3;

/**
 * A directory in memory for what tests write and throw away. A server's 1,000 files on a disk are most
 * of what it costs to start one, and the suite starts hundreds.
 * @returns undefined where there is none that serves, or where TMPDIR says what to use.
 */
export function makeDirectoryInMemory(): string | undefined {
  if (process.env['TMPDIR'] !== undefined || process.availableMemory() < 2 * ROOM_BYTES) {
    return undefined;
  }
  try {
    accessSync(SHARED_MEMORY, constants.W_OK);
    const { bavail, bsize } = statfsSync(SHARED_MEMORY);
    if (bavail * bsize < ROOM_BYTES) {
      return undefined;
    }
  } catch {
    // Another system, or a container without it.
    return undefined;
  }
  removeStale();
  // A short name: sockets lie below it, and their paths have 107 bytes.
  const directory = mkdtempSync(join(SHARED_MEMORY, `hoop-${process.pid}-`));
  if (!runsPrograms(directory)) {
    rmSync(directory, { recursive: true });
    return undefined;
  }
  // PostgreSQL runs as nobody where the tests run as root.
  chmodSync(directory, 0o711);
  return directory;
}

/** A run that was killed has left its own, which would take memory until the next boot. */
function removeStale(): void {
  for (const name of readdirSync(SHARED_MEMORY)) {
    const [, owner] = /^hoop-(\d+)-\w{6}$/.exec(name) ?? [];
    const path = join(SHARED_MEMORY, name);
    if (owner !== undefined && !isRunning(Number(owner)) && isOurs(path)) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

function isOurs(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.uid === process.getuid?.();
}

/** Containers may mount it `noexec`, and tests write programs. */
function runsPrograms(directory: string): boolean {
  const program = join(directory, 'program');
  writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
  const { status } = spawnSync(program);
  rmSync(program);
  return status === 0;
}
