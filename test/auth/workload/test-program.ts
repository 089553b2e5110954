/** A program of a platform, such as its agent, in a directory that is put first in the PATH. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

export interface TestProgram extends Disposable {
  /** PATH with the program in it. */
  readonly path: string;
  /** Arguments of the last run, as the program saw them. */
  arguments(): string[];
  /** What it does instead: a script of Node. */
  become(script: string): void;
}

export function writeProgram(name: string, script: string): TestProgram {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-test-program-'));
  const file = join(directory, name);
  const code = join(directory, 'code.cjs');
  const record = join(directory, 'arguments.json');
  const become = (text: string): void => {
    const head = `require('node:fs').writeFileSync(${JSON.stringify(record)}, JSON.stringify(process.argv.slice(2)));`;
    writeFileSync(code, `${head}\n${text}\n`);
    writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${code}' "$@"\n`);
    chmodSync(file, 0o755);
  };
  become(script);
  return {
    path: `${directory}${delimiter}${process.env['PATH'] ?? ''}`,
    arguments: () => JSON.parse(readFileSync(record, 'utf8')),
    become,
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}
