import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { problemLine } from '../../../src/policy/load-policy.ts';
import { PLATFORM_NAMES } from '../../../src/policy/workloads/platforms.ts';
import { MINIMAL } from '../git-fixture.ts';
import { loadPolicy } from '../with-connectors.ts';

const TEXT = readFileSync(new URL('../../../docs/workloads.md', import.meta.url), 'utf8');
const BLOCKS = [...TEXT.matchAll(/```yaml\n([\s\S]*?)```/g)]
  .map(([, block = '']) => block)
  .filter((block) => /^workloads:/m.test(block));

test.each(BLOCKS.map((block) => [/platform: (\w+)/.exec(block)?.[1] ?? '', block]))(
  'the example for %s in docs/workloads.md is a policy without problems',
  (_platform, block) => {
    const hoop = `${MINIMAL['hoop.yaml']}${block}`;
    const files = new Map(Object.entries({ ...MINIMAL, 'hoop.yaml': hoop }));
    const { policy, problems } = loadPolicy(files);
    expect(problems.map(problemLine)).toEqual([]);
    expect(policy?.workloads).toHaveLength(1);
  },
);

test('docs/workloads.md has an example for each platform', () => {
  for (const name of PLATFORM_NAMES) {
    expect(BLOCKS.join('\n')).toContain(`platform: ${name}\n`);
  }
});

test('docs/ci.md has an entry and a policy that load together', () => {
  const ci = readFileSync(new URL('../../../docs/ci.md', import.meta.url), 'utf8');
  const [entry = '', policyFile = ''] = [...ci.matchAll(/```yaml\n([\s\S]*?)```/g)].map(
    ([, block = '']) => block,
  );
  const target = MINIMAL['targets/db.yaml']?.replace('name: db', 'name: prod-db') ?? '';
  const { policy, problems } = loadPolicy(
    new Map([
      ['hoop.yaml', `${MINIMAL['hoop.yaml']}${entry}`],
      ['targets/prod-db.yaml', target],
      ['policies/reports.yaml', policyFile],
    ]),
  );
  expect(problems.map(problemLine)).toEqual([]);
  expect(policy?.workloads).toHaveLength(1);
});
