import { expect, test } from 'vitest';
import { FIRST_FOREIGN_LEAD, isForeignDigit } from '../../src/masking/candidates/foreign-digits.ts';
import { HitCandidates } from '../../src/masking/candidates/hit-candidates.ts';

test('every digit beyond ASCII that the platform knows is one, and nothing else', () => {
  const missed: string[] = [];
  for (let code = 0x80; code <= 0x10ffff; code += 1) {
    if (code >= 0xd800 && code < 0xe000) continue;
    const character = String.fromCodePoint(code);
    const bytes = Buffer.from(character);
    const isFound = (bytes[0] ?? 0) >= FIRST_FOREIGN_LEAD && isForeignDigit(bytes, 0, bytes.length);
    if (isFound !== /\p{Nd}/u.test(character)) missed.push(code.toString(16));
  }
  expect(missed).toEqual([]);
});

test('a digit that is cut off at the end of a value is none, whatever stands behind it', () => {
  const bytes = Buffer.from('x٣');
  expect(isForeignDigit(bytes, 1, 2)).toBe(false);
  expect(isForeignDigit(bytes, 1, 3)).toBe(true);
});

test.each([
  ['words', 'the order of this customer was sent back because nobody had signed for it'],
  [
    'a line of a log',
    '2026-11-22T10:04:33.123456Z INFO 10.0.3.7:5432 GET /v1/items/42?page=3 200 512 7.25ms',
  ],
  ['a SHA-256', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['a UUID', '2f1c7c3e-4b1d-4f5a-9c3d-0a1b2c3d4e5f'],
  ['a URL without a password', 'https://shop.example:8443/a?b=c&d=e%20f'],
  ['a handle', 'cc @ann: see a@b, and -----BEGIN CERTIFICATE-----'],
  ['words beyond ASCII', 'Größe 漢字 हिन्दी। 💳'],
])('nobody decodes %s', (_title, text) => {
  const bytes = Buffer.from(text);
  expect(new HitCandidates().inText(bytes, 0, bytes.length)).toBe(0);
});

test('what stands beside a value in its chunk belongs to no hit in it', () => {
  const candidates = new HitCandidates();
  const bytes = Buffer.from('4012888888881881 a@b.co');
  expect(candidates.inText(bytes, 0, 15)).toBe(0);
  expect(candidates.inText(bytes, 18, 22)).toBe(0);
  expect(candidates.inText(bytes, 0, 16)).not.toBe(0);
  // A letter in front would rule an IBAN out, if it stood in the same value.
  const account = Buffer.from('xDE89370400440532013000x');
  expect(candidates.inText(account, 1, 23)).not.toBe(0);
});
