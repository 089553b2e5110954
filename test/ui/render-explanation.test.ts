import { expect, test } from 'vitest';
import { WORKLOAD_PROVIDERS } from '../../src/auth/workload/providers.ts';
import { renderExplanation } from '../../src/ui/render-explanation.ts';

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
