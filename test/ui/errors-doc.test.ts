import { globSync, readFileSync } from 'node:fs';
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

test('every code is raised somewhere', () => {
  // A list of codes, or a table by code, raises nothing.
  const TABLES = ['src/errors.ts', 'src/gateway/base/http-errors.ts', 'src/ui/render-error.ts'];
  const sources = globSync('src/**/*.{ts,tsx}')
    .filter((file) => !TABLES.includes(file))
    .map((file) => readFileSync(file, 'utf8').replaceAll(/^\s*(\*|\/\/).*$/gm, ''))
    .join('\n');
  const named = new Set(sources.match(/'HOOP_[A-Z_]+'/g));
  // What the system itself refuses gets its code where errors are rendered.
  const rendered = new Set(readFileSync('src/ui/render-error.ts', 'utf8').match(/'HOOP_[A-Z_]+'/g));
  const raised = (code: string): boolean => named.has(`'${code}'`) || rendered.has(`'${code}'`);
  expect(ERROR_CODES.filter((code) => !raised(code))).toEqual([]);
});

test('every code is provoked by a test that names it', () => {
  // Of parts that are being built: their tests come with them.
  const COMING = ['HOOP_TARGET_HOST_KEY'];
  const tests = globSync('test/**/*.ts')
    .filter((file) => !file.endsWith('errors-doc.test.ts'))
    .map((file) => readFileSync(file, 'utf8').replaceAll(/^\s*(\*|\/\/).*$/gm, ''))
    .join('\n');
  const named = new Set(tests.match(/HOOP_[A-Z_]*[A-Z]\b/g));
  expect(ERROR_CODES.filter((code) => !named.has(code) && !COMING.includes(code))).toEqual([]);
});
