import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writePrivateFile } from '../../src/recording/keys/private-file.ts';

const run = promisify(execFile);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-private-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a key that does not fit on the disk is an error, never half a key', async () => {
  const path = join(directory, 'key');
  writePrivateFile(path, 'the old key');
  const module = join(import.meta.dirname, '../../src/recording/keys/private-file.ts');
  const script = `
    const { writePrivateFile } = await import(${JSON.stringify(module)});
    writePrivateFile(${JSON.stringify(path)}, 'k'.repeat(1500));`;
  // The first write(2) takes 1024 bytes of it and says so without an error.
  const limited = 'trap "" XFSZ; ulimit -f 1; exec "$0" --input-type=module -e "$1"';
  await expect(run('bash', ['-c', limited, process.execPath, script])).rejects.toThrow(/EFBIG/);
  expect(readFileSync(path, 'utf8')).toBe('the old key');
  expect(readdirSync(directory)).toEqual(['key']);
});
