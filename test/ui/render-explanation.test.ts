import { expect, test } from 'vitest';
import { WORKLOAD_PROVIDERS } from '../../src/auth/workload/providers.ts';
import { HoopError } from '../../src/errors.ts';
import { renderExplanation } from '../../src/ui/render-explanation.ts';

test('without a gateway it says so, and shows the platforms', () => {
  const platform = { name: 'github', title: 'GitHub', state: 'absent', because: 'no' } as const;
  const text = renderExplanation({
    gateway: undefined,
    forced: undefined,
    login: { found: false },
    platforms: [platform],
    used: undefined,
    audience: undefined,
    claims: undefined,
    whoami: undefined,
    error: new HoopError('HOOP_NOT_LOGGED_IN', 'not logged in to any gateway'),
  });
  expect(text).toContain('gateway   none is known (HOOP_GATEWAY is not set)\n');
  expect(text).toContain('  github  not here: no\n');
  expect(text).toContain('refused   not logged in to any gateway\n');
});

test('the name of every platform stands apart from what was found there', () => {
  const text = renderExplanation({
    gateway: 'https://hoop.example.com',
    forced: undefined,
    login: { found: false },
    platforms: WORKLOAD_PROVIDERS.map(({ name, title }) => ({
      name,
      title,
      state: 'absent' as const,
      because: 'nothing says so',
    })),
    used: undefined,
    audience: undefined,
    claims: undefined,
    whoami: undefined,
    error: undefined,
  });
  for (const { name } of WORKLOAD_PROVIDERS) {
    expect(text).toMatch(new RegExp(`^ {2}${name} {2,}not here: nothing says so$`, 'm'));
  }
});
