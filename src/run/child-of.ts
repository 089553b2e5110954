/** Who runs below a process that is not our own child, as far as Linux tells. */
import { readdirSync } from 'node:fs';
import { processStat, STAT } from './process-stat.ts';

/** @returns one of its children, as seen from here; undefined: none, or no Linux */
export function childOf(parent: number): number | undefined {
  let processes: readonly string[];
  try {
    processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
  const found = processes.find((name) => Number(processStat(name)?.[STAT.parent]) === parent);
  return found === undefined ? undefined : Number(found);
}
