import { expect, test } from 'vitest';
import { clockCheck } from '../../src/commands/doctor-checks.ts';
import { doctorLines } from '../../src/ui/doctor-lines.ts';
import { styleFor } from '../../src/ui/style.ts';

const NOW_MS = Date.UTC(2026, 2, 1);

test.each([
  [undefined, 'skipped', 'does not report'],
  [NOW_MS + 900, 'ok', 'agrees'],
  [NOW_MS - 45_000, 'warning', 'this machine is 45 s ahead of the gateway'],
  [NOW_MS + 300_000, 'failed', 'this machine is 5 min behind the gateway'],
])('a clock of the gateway that says %s is %s', (theirsMs, status, text) => {
  const check = clockCheck(theirsMs, NOW_MS);
  expect(check).toMatchObject({ status, text: expect.stringContaining(text) });
  expect(check.hint !== undefined).toBe(status === 'warning' || status === 'failed');
});

test('each check is a line, with what to do below, and nothing that acts on a terminal', () => {
  const checks = [
    {
      name: 'gateway',
      status: 'failed',
      text: 'cannot \x1b[2J reach it',
      hint: 'Check it. '.repeat(9),
    },
    { name: 'tokens', status: 'ok', text: 'in the keychain', hint: 'not said' },
  ] as const;
  expect(doctorLines(checks, { style: styleFor(false), width: 50 })).toEqual([
    '✗ FAILED   gateway  cannot ⟪U+001B⟫[2J reach it',
    '                    → Check it. Check it. Check',
    '                      it. Check it. Check it.',
    '                      Check it. Check it. Check',
    '                      it. Check it.',
    '✓ ok       tokens   in the keychain',
  ]);
});
