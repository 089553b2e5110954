import { readdirSync, readFileSync } from 'node:fs';

/** Processes whose command line or environment names the directory. */
export function processesOf(path: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => {
      try {
        return (
          readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(path) ||
          readFileSync(`/proc/${name}/environ`, 'latin1').includes(path)
        );
      } catch {
        // It ended while we looked, or it is not ours to look at.
        return false;
      }
    });
}
