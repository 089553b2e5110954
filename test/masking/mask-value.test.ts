import { describe, expect, test } from 'vitest';
import { HashMask, maskValue, partialMask } from '../../src/masking/mask-value.ts';
import type { MaskKind } from '../../src/policy/types.ts';

const key = new Uint8Array(32).fill(1);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function masked(mask: MaskKind, text: string, isText = true): string | null {
  const value = maskValue(bytes(text), {
    mask,
    isText,
    hash: new HashMask(key),
    decode: (raw) => new TextDecoder('utf-8', { fatal: true }).decode(raw),
  });
  return value === null ? null : new TextDecoder().decode(value);
}

describe('partial', () => {
  test.each([
    ['ada.lovelace@corp.example', 'a***@***.example'],
    ['  ada@corp.example ', 'a***@***.example'],
    ['ab@corp.example', '***@***.example'],
    ['jürgen@müller.example', 'j***@***.example'],
    ['4012 8888 8888 1881', '****1881'],
    ['4012-8888-8888-1881', '****1881'],
    ['Johanna Müller', 'J***'],
    ['536-90-4399', '5***'],
    ['short', '****'],
    ['', '****'],
    ['ada@localhost', 'a***'],
  ])('of %j shows %j and no more', (text, expected) => {
    expect(partialMask(text)).toBe(expected);
  });

  test('never shows a character that client_encoding may not have', () => {
    expect(masked('partial', 'Österreich')).toBe('****');
  });

  test('of bytes that are no text shows nothing', () => {
    const value = maskValue(Uint8Array.of(0xff, 0xfe), {
      mask: 'partial',
      isText: true,
      hash: new HashMask(key),
      decode: () => undefined,
    });
    expect(new TextDecoder().decode(value ?? new Uint8Array(0))).toBe('****');
  });
});

test('full hides text behind a mark and makes everything else NULL', () => {
  expect(masked('full', 'secret')).toBe('****');
  expect(masked('full', '42', false)).toBeNull();
  expect(masked('partial', '4012888888881881', false)).toBeNull();
  expect(masked('hash', '42', false)).toBeNull();
  expect(masked('null', 'secret')).toBeNull();
});

test('hash is the same for the same value and key, and another for any other', () => {
  expect(new HashMask(key).of(bytes('a'))).toBe(new HashMask(key).of(bytes('a')));
  expect(new HashMask(key).of(bytes('a'))).not.toBe(new HashMask(key).of(bytes('b')));
  expect(new HashMask(key).of(bytes('a'))).not.toBe(
    new HashMask(new Uint8Array(32).fill(2)).of(bytes('a')),
  );
  expect(masked('hash', 'a')).toMatch(/^[0-9a-f]{32}$/);
});
