import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface GoldenFile {
  readonly name: string;
  readonly title: string;
  readonly direction: 'startup' | 'frontend' | 'backend';
  readonly message: string;
  /** `ok`, or the code of the error that the bytes must give. */
  readonly expect: string;
  readonly bytes: Buffer;
}

const DIRECTORY = join(import.meta.dirname, '../../../fixtures/pg');

/** Header lines `key: value`, a blank line, then one field per line: hex digits and a `#` note. */
export function readGoldenFiles(): GoldenFile[] {
  return readdirSync(DIRECTORY)
    .filter((name) => name.endsWith('.hex'))
    .map((name) => parse(basename(name, '.hex'), readFileSync(join(DIRECTORY, name), 'utf8')));
}

function parse(name: string, text: string): GoldenFile {
  const [head = '', ...fields] = text.split('\n\n');
  const headers = new Map(
    head.split('\n').flatMap((line) => {
      const [, key, value] = /^([a-z]+): (.*)$/.exec(line) ?? [];
      return key === undefined || value === undefined ? [] : [[key, value] as const];
    }),
  );
  const direction = headers.get('direction');
  if (direction !== 'startup' && direction !== 'frontend' && direction !== 'backend') {
    throw new Error(`${name}.hex has no direction`);
  }
  const hex = fields
    .join('\n')
    .split('\n')
    .map((line) => line.replace(/#.*$/, '').trim())
    .join('');
  return {
    name,
    title: /^# (.*)$/m.exec(head)?.[1] ?? name,
    direction,
    message: headers.get('message') ?? '',
    expect: headers.get('expect') ?? '',
    bytes: Buffer.from(hex, 'hex'),
  };
}
