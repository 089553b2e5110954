import { expect, test } from 'vitest';
import { RowDescriptions } from '../../../../src/connectors/postgres/gateway/target/target-side.ts';
import {
  encodeRowDescription,
  type FieldDescription,
} from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import { BYTES } from '../../../../src/connectors/postgres/protocol/text-codec.ts';
import { ProtocolError } from '../../../../src/errors.ts';

function body(...fields: Partial<FieldDescription>[]): Uint8Array {
  const full = fields.map((field) => ({
    name: 'a',
    tableOid: 0,
    columnNumber: 0,
    typeOid: 25,
    typeSize: -1,
    typeModifier: -1,
    format: 0 as const,
    ...field,
  }));
  return encodeRowDescription({ fields: full }, BYTES).subarray(5);
}

test('the same bytes say the same, and a difference of one is seen', () => {
  const known = new RowDescriptions();
  for (let round = 0; round < 3; round += 1) {
    expect(known.decode(body({ name: 'a' }))).toMatchObject([{ name: 'a', format: 0 }]);
    expect(known.decode(body({ name: 'a', format: 1 }))).toMatchObject([{ name: 'a', format: 1 }]);
    expect(known.decode(body({ name: 'a', tableOid: 2 ** 31 }))).toMatchObject([
      { tableOid: 2 ** 31 },
    ]);
    // Not valid UTF-8: 0xe9 and 0xe8 must not become the same replacement character.
    expect(known.decode(body({ name: '\u00e9' }))).toMatchObject([{ name: '\u00e9' }]);
    expect(known.decode(body({ name: '\u00e8' }))).toMatchObject([{ name: '\u00e8' }]);
  }
});

test('memory that is used again for another message does not change what was said', () => {
  const known = new RowDescriptions();
  const memory = Buffer.from(body({ name: 'one' }));
  known.decode(memory);
  memory.set(body({ name: 'two' }));
  expect(known.decode(memory)).toMatchObject([{ name: 'two' }]);
  expect(known.decode(body({ name: 'one' }))).toMatchObject([{ name: 'one' }]);
});

test('many different ones, and one that is too long to be kept, are decoded all the same', () => {
  const known = new RowDescriptions();
  for (let at = 0; at < 200; at += 1) {
    expect(known.decode(body({ name: `c${at}` }))).toMatchObject([{ name: `c${at}` }]);
  }
  const wide = Array.from({ length: 400 }, (_, at) => ({ name: `c${at}` }));
  expect(known.decode(body(...wide))).toHaveLength(400);
});

test('what is no RowDescription is refused each time', () => {
  const known = new RowDescriptions();
  for (let round = 0; round < 2; round += 1) {
    expect(() => known.decode(Uint8Array.of(0, 9, 1))).toThrow(ProtocolError);
  }
});
