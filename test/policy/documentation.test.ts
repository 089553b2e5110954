import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadPolicy, problemLine } from '../../src/policy/load-policy.ts';
import { AgentFile, PolicyFile } from '../../src/policy/schema.ts';
import { TargetFile } from '../../src/policy/target-schema.ts';

const TEXT = readFileSync(new URL('../../docs/policy.md', import.meta.url), 'utf8');
const BLOCKS = [...TEXT.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block ?? '');

test('the examples in docs/policy.md are a policy without problems', () => {
  const files = new Map<string, string>();
  for (const [index, block] of BLOCKS.entries()) {
    const path = block.startsWith('version:')
      ? 'hoop.yaml'
      : block.includes('\nkind:')
        ? `targets/t${index}.yaml`
        : block.includes('\nmatch:')
          ? `agents/a${index}.yaml`
          : `policies/p${index}.yaml`;
    files.set(path, block);
  }
  files.set('targets/staging.yaml', 'name: staging-db\nkind: postgres\ndatabase: shop\n');
  expect(files.size).toBe(9);
  expect(loadPolicy(files).problems.map(problemLine)).toEqual([]);
});

test.each([
  ['policies', [PolicyFile]],
  ['targets', TargetFile.options],
  ['agents', [AgentFile]],
])('docs/policy.md shows every key of %s/*.yaml', (_folder, schemas) => {
  for (const key of schemas.flatMap(({ shape }) => Object.keys(shape))) {
    expect(TEXT, key).toMatch(new RegExp(`^(# )?${key}:`, 'm'));
  }
});
