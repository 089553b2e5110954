/** What the system knows of processes and their terminal. */
import { readFileSync } from 'node:fs';
import type { Io } from './io.ts';

/** proc_pid_stat(5), counted from the field behind the name: state, ppid, pgrp, session, tty, tpgid. */
const STATE = 0;
const PROCESS_GROUP = 2;
const TERMINAL_GROUP = 5;

/** Whether what is typed on the terminal (Ctrl-C, Ctrl-Z) goes to us, and so to our child as well. */
export function isForeground(io: Pick<Io, 'stdin' | 'stdout' | 'stderr'>): boolean {
  const fields = statOf('self');
  if (fields === undefined) {
    return [io.stdin, io.stdout, io.stderr].some(({ isTTY }) => isTTY === true);
  }
  return fields[PROCESS_GROUP] === fields[TERMINAL_GROUP];
}

/** Whether a process is stopped, as by Ctrl-Z. Only Linux tells. */
export function isStopped(processId: number): boolean {
  return statOf(String(processId))?.[STATE] === 'T';
}

function statOf(process: string): readonly string[] | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${process}/stat`, 'latin1');
  } catch {
    // No Linux, or the process has gone: who asks has another way, or nothing to do.
    return undefined;
  }
  // The name stands in brackets, and may hold brackets and spaces itself.
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}
