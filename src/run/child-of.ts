/** Who runs below a process that is not our own child, as far as Linux tells. */
import { readdirSync, readFileSync } from 'node:fs';

/** @returns one of its children, as seen from here; undefined: none, or no Linux */
export function childOf(parent: number): number | undefined {
  let processes: readonly string[];
  try {
    processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined;
  }
  const found = processes.find((name) => {
    try {
      // The name of the program stands in parentheses and may hold anything; then state, parent.
      const fields = readFileSync(`/proc/${name}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .split(' ');
      return Number(fields[1]) === parent;
    } catch {
      // It has ended meanwhile.
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}
