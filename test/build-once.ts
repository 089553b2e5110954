import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** End-to-end tests run the program as users get it, from dist/. Fresh builds take no time. */
export function setup(): void {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  execFileSync(process.execPath, ['tools/build.ts', '--quiet'], { cwd: root, stdio: 'inherit' });
}
