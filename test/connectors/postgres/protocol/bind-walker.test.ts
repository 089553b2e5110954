import { describe, expect, test } from 'vitest';
import { BindWalker } from '../../../../src/connectors/postgres/protocol/bind-walker.ts';
import {
  encodeBind,
  readResultFormats,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { MalformedMessage } from '../../../../src/connectors/postgres/protocol/malformed-message.ts';

const message = encodeBind({
  portal: '',
  statement: '',
  parameterFormats: [0, 1, 0],
  parameters: [Buffer.from('abc'), null, Buffer.alloc(300, 7), Buffer.alloc(0)],
  resultFormats: [1, 0, -1],
});
/** Behind type, length and two empty names. */
const behindNames = message.subarray(7);

function walk(parts: readonly Uint8Array[]): readonly number[] {
  const walker = new BindWalker();
  for (const part of parts) walker.feed(part);
  walker.end();
  return walker.resultFormats;
}

describe('BindWalker', () => {
  test('finds the result formats, split at every offset', () => {
    expect(readResultFormats(message.subarray(5))).toEqual([1, 0, -1]);
    for (let at = 0; at <= behindNames.length; at += 1) {
      expect(walk([behindNames.subarray(0, at), behindNames.subarray(at)])).toEqual([1, 0, -1]);
    }
    expect(walk([...behindNames].map((byte) => Uint8Array.of(byte)))).toEqual([1, 0, -1]);
  });

  test('refuses a Bind that ends early, at every offset', () => {
    for (let at = 0; at < behindNames.length; at += 1) {
      expect(() => walk([behindNames.subarray(0, at)])).toThrow(MalformedMessage);
    }
  });

  test('refuses bytes behind the end, and values of a negative length', () => {
    expect(() => walk([behindNames, Uint8Array.of(0)])).toThrow(MalformedMessage);
    expect(() => walk([Uint8Array.of(0, 0, 0, 1, 0xff, 0xff, 0xff, 0xfe)])).toThrow(
      MalformedMessage,
    );
  });
});
