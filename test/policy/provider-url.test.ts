import { expect, test } from 'vitest';
import { isSafeProviderUrl } from '../../src/policy/provider-url.ts';

test.each([
  ['https://idp.example.com', true],
  ['http://127.0.0.1:8080', true],
  ['http://[::1]:8080', true],
  ['http://localhost:8080', false],
  ['http://idp.example.com', false],
  ['http://127.0.0.1.evil.example', false],
  ['http://localhost.evil.example', false],
  ['file:///etc/passwd', false],
  ['nonsense', false],
])('an identity provider at %s is safe: %s', (url, safe) => {
  expect(isSafeProviderUrl(url)).toBe(safe);
});
