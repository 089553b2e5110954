import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { makeDirectoryInMemory } from './in-memory.ts';

/** End-to-end tests run the program as users get it, from dist/. Fresh builds take no time. */
export function setup(project: TestProject): () => void {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  execFileSync(process.execPath, ['tools/build.ts', '--quiet'], { cwd: root, stdio: 'inherit' });
  const inMemory = makeDirectoryInMemory();
  const shared = mkdtempSync(join(inMemory ?? tmpdir(), 'hoop-tests-'));
  // PostgreSQL runs as nobody where the tests run as root.
  chmodSync(shared, 0o711);
  project.provide('sharedDirectory', shared);
  project.provide('inMemory', inMemory);
  return () => {
    for (const directory of inMemory === undefined ? [shared] : [shared, inMemory]) {
      rmSync(directory, { recursive: true, force: true });
    }
  };
}
