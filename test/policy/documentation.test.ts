import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { loadPolicy, problemLine } from '../../src/policy/load-policy.ts';
import { AgentFile, PolicyFile, TargetFile } from '../../src/policy/schema.ts';

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
  expect(files.size).toBe(7);
  expect(loadPolicy(files).problems.map(problemLine)).toEqual([]);
});

test.each([
  ['policies', PolicyFile],
  ['targets', TargetFile],
  ['agents', AgentFile],
])('docs/policy.md shows every key of %s/*.yaml', (_folder, schema) => {
  for (const key of Object.keys(schema.shape)) {
    expect(TEXT, key).toMatch(new RegExp(`^(# )?${key}:`, 'm'));
  }
});
