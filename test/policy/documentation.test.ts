import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readGatewayConfig } from '../../src/gateway/base/config.ts';
import { problemLine } from '../../src/policy/load-policy.ts';
import { AgentFile, loadPolicy, PolicyFile, TargetFile } from './with-connectors.ts';

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

test('docs/deploy.md has a policy without problems, and the gateway that README.md has, too', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'hoop-docs-'));
  for (const name of ['docs/deploy.md', 'README.md']) {
    const text = readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
    const blocks = [...text.matchAll(/```yaml\n# (\S+)\n([\s\S]*?)```/g)];
    const files = new Map(blocks.map(([, path = '', block = '']) => [path, block]));
    const [config] = [...files.keys()].filter((path) => path.endsWith('gateway.yaml'));
    const file = join(directory.path, 'gateway.yaml');
    writeFileSync(file, files.get(config ?? '') ?? '');
    expect((await readGatewayConfig(file)).credentials).toHaveProperty('prod-db');
    files.delete(config ?? '');
    const hoop = 'version: 1\nidentityProviders: [{ issuer: https://a.example, clientId: hoop }]\n';
    const target = 'name: prod-db\nkind: postgres\ndatabase: shop\ncredential: prod-db\n';
    const policy = new Map([['hoop.yaml', hoop], ['targets/prod-db.yaml', target], ...files]);
    expect(files.size).toBe(name === 'README.md' ? 1 : 3);
    expect(loadPolicy(policy).problems.map(problemLine)).toEqual([]);
  }
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
