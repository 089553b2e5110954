/** What Linux says of a process in /proc/PID/stat: proc_pid_stat(5). */
import { readFileSync } from 'node:fs';

/** Places of the fields behind the name of the program. */
export const STAT = {
  state: 0,
  parent: 1,
  processGroup: 2,
  terminalGroup: 5,
  /** In ticks since the machine has started: with the number it names one process for ever. */
  startTime: 19,
  /** As of waitpid(2); 0 to who may not trace the process. */
  exitCode: 49,
} as const;

/** @returns undefined: there is no such process, or no Linux */
export function processStat(pid: number | string): readonly string[] | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return undefined;
  }
  // The name stands in brackets, and may hold brackets, spaces and ends of lines itself.
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/** @param stat of a process that may have ended; nobody need have waited for it */
export function isOver(stat: readonly string[] | undefined): boolean {
  return stat === undefined || ['Z', 'X'].includes(stat[STAT.state] ?? '');
}
