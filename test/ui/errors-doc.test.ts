import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';

const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const entries = new Map(
  text
    .split(/^### /m)
    .slice(1)
    .map((entry) => [entry.split('\n')[0] ?? '', entry] as const),
);

test('docs/errors.md has an entry for every code, and for nothing else', () => {
  expect([...entries.keys()].sort()).toEqual([...ERROR_CODES].sort());
});

test('each entry says what, why and what to do', () => {
  for (const [code, entry] of entries) {
    expect(entry, code).toMatch(/^\*\*What:\*\* .+\n\*\*Why:\*\* .+\n\*\*What to do:\*\* .+$/m);
  }
});
