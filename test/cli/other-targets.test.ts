import { expect, test } from 'vitest';
import { withOtherTargets } from '../../src/commands/other-targets.ts';
import { HoopError } from '../../src/errors.ts';

const { signal } = new AbortController();
const REFUSED = new HoopError('HOOP_ACCESS_DENIED', 'no access', { hint: 'Ask for it.' });

/** The hint that is shown to whoever typed this name, and reaches these. */
async function hintFor(typed: string, names: readonly string[]): Promise<string | undefined> {
  const client = { targets: async () => ({ targets: names.map((name) => ({ name })) }) };
  const error: unknown = await withOtherTargets(REFUSED, { client } as never, typed, signal).catch(
    (reason: unknown) => reason,
  );
  return error instanceof HoopError ? error.hint : undefined;
}

test('the targets that there are stand behind what the gateway says to do', async () => {
  expect(await hintFor('elsewhere', ['web-1', 'prod-db'])).toBe(
    'Ask for it. You may reach prod-db, web-1.',
  );
  const many = Array.from({ length: 1000 }, (_, index) => `t${1000 + index}`);
  expect(await hintFor('elsewhere', many)).toMatch(
    /^Ask for it\. You may reach t1000, .*t1009, and 990 more\.$/,
  );
});

test('nothing is added where there is none, or where the target is one of them', async () => {
  expect(await hintFor('elsewhere', [])).toBe('Ask for it.');
  expect(await hintFor('prod-db', ['prod-db', 'web-1'])).toBe('Ask for it.');
});

test('a name that is nearly one of them is told alone', async () => {
  expect(await hintFor('prod-bd', ['prod-db', 'web-1'])).toContain('Did you mean "prod-db"?');
});

test('a gateway that does not answer takes nothing from the refusal', async () => {
  const client = { targets: () => Promise.reject(new HoopError('HOOP_UNREACHABLE', 'gone')) };
  await expect(withOtherTargets(REFUSED, { client } as never, 'x', signal)).rejects.toBe(REFUSED);
});
