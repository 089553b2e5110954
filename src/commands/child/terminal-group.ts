/** What the system knows of processes and their terminal. */
import { processStat, STAT } from '../../run/process-stat.ts';
import type { Io } from '../io.ts';

/** Whether what is typed on the terminal (Ctrl-C, Ctrl-Z) goes to us, and so to our child as well. */
export function isForeground(io: Pick<Io, 'stdin' | 'stdout' | 'stderr'>): boolean {
  const fields = processStat('self');
  if (fields === undefined) {
    return [io.stdin, io.stdout, io.stderr].some(({ isTTY }) => isTTY === true);
  }
  return fields[STAT.processGroup] === fields[STAT.terminalGroup];
}

/** Whether a process is stopped, as by Ctrl-Z. Only Linux tells. */
export function isStopped(processId: number): boolean {
  return processStat(processId)?.[STAT.state] === 'T';
}
