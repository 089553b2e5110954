import { expect, test } from 'vitest';
import { SessionNonces } from '../../../src/gateway/sessions/session-nonces.ts';

test('a nonce is good once, for its login, for five minutes', () => {
  let now = 0;
  const nonces = new SessionNonces(() => now);
  const nonce = nonces.issue('a');
  expect(nonces.use('b', nonce)).toBe(false);
  expect(nonces.use('a', nonce)).toBe(true);
  expect(nonces.use('a', nonce)).toBe(false);
  const late = nonces.issue('a');
  now = 5 * 60_000;
  expect(nonces.use('a', late)).toBe(false);
});

test('a login that asks for many loses its oldest', () => {
  const nonces = new SessionNonces(() => 0);
  const first = nonces.issue('a');
  const rest = Array.from({ length: 32 }, () => nonces.issue('a'));
  expect(nonces.use('a', first)).toBe(false);
  expect(rest.every((nonce) => nonces.use('a', nonce))).toBe(true);
});
