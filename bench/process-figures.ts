/** What Linux says about a process: memory and CPU time. */
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode } from '../src/error-code.ts';

/** Clock ticks per second in /proc: USER_HZ, which has been 100 on all of Linux's usual machines. */
const TICKS_PER_SECOND = 100;
/** Recording and hashing go on for a moment after the last byte has arrived. */
const QUIET_MS = 300;
const QUIET_MAX_SECONDS = 0.02;
const SETTLE_MAX_MS = 5000;

/** Elsewhere than on Linux the rows about processes are missing. */
export function knowsProcesses(): boolean {
  return existsSync('/proc/self/stat');
}

/** @returns 10³ bytes. */
export function residentKilobytes(processId: number, what: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${processId}/status`, 'utf8');
  const kibibytes = new RegExp(`${what}:\\s+(\\d+) kB`).exec(text)?.[1];
  return Math.round((Number(kibibytes ?? 0) * 1024) / 1000);
}

/** User and system time of all threads of these processes, in seconds; of no children. */
export function cpuSeconds(processIds: readonly number[]): number {
  const ticks = processIds.map((processId) => {
    const text = readFileSync(`/proc/${processId}/stat`, 'utf8');
    // The second field is the name, which may hold anything; utime and stime are 14 and 15.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) / TICKS_PER_SECOND;
}

/** Waits until these processes rest: what they still do is not charged to whoever comes next. */
export async function settle(processIds: readonly number[]): Promise<void> {
  const deadline = performance.now() + SETTLE_MAX_MS;
  let before = cpuSeconds(processIds);
  for (;;) {
    await sleep(QUIET_MS);
    const now = cpuSeconds(processIds);
    if (now - before <= QUIET_MAX_SECONDS || performance.now() > deadline) {
      return;
    }
    before = now;
  }
}

/** The process and all that it has started, once none of them comes or goes. */
export async function steadyTree(processId: number): Promise<readonly number[]> {
  for (let before = processTree(processId); ; ) {
    await sleep(QUIET_MS);
    const now = processTree(processId);
    if (now.join() === before.join()) return now;
    before = now;
  }
}

/** The process and all that it has started and that still live. */
function processTree(processId: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${processId}/task/${processId}/children`, 'utf8')
      .split(' ')
      .filter((text) => text !== '')
      .map(Number);
    return [processId, ...children.flatMap(processTree)];
  } catch (error) {
    // It has ended since it was listed.
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return [];
    throw error;
  }
}
