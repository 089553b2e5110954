import { describe, expect, test } from 'vitest';
import type { ResultColumn } from '../../../../src/connectors/postgres/masking/column-masker.ts';
import { RowMasker } from '../../../../src/connectors/postgres/masking/row-masker.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import {
  decodeDataRow,
  encodeDataRow,
} from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import { ProtocolError } from '../../../../src/errors.ts';
import type { DetectorName } from '../../../../src/policy/types.ts';

const text = (mask?: ResultColumn['mask']): ResultColumn => ({
  typeOid: TYPE.text,
  format: 0,
  mask,
  derived: false,
});

function masker(
  columns: readonly ResultColumn[],
  detectors: readonly DetectorName[] = [],
): RowMasker {
  return new RowMasker({
    columns,
    detectors: new Set(detectors),
    hashKey: new Uint8Array(32),
    isText: () => false,
    decode: (bytes) => Buffer.from(bytes).toString(),
    isUtf8: true,
  });
}

const row = (...values: (string | null)[]): Uint8Array =>
  encodeDataRow({ values: values.map((value) => (value === null ? null : Buffer.from(value))) });

const values = (message: Uint8Array): (string | null)[] =>
  decodeDataRow(message.subarray(5)).values.map((value) =>
    value === null ? null : Buffer.from(value).toString(),
  );

test('a row is rewritten column by column, NULL stays NULL', () => {
  const rows = masker([text(), text('full'), text('null'), text('full')]);
  const result = rows.rewrite(row('a', 'secret', 'x', null));
  expect(values(result)).toEqual(['a', '****', null, null]);
  expect(rows.maskedValues).toBe(2);
});

test('a row without hits is the very message that came', () => {
  const rows = masker([text(), text()], ['card']);
  const message = row('a', 'b');
  expect(rows.rewrite(message)).toBe(message);
});

test('consecutive rows stand next to each other, so that they leave in one write', () => {
  const rows = masker([text('full')]);
  const chunk = Buffer.concat([row('secret'), row('another secret'), row(null)]);
  const { end, rows: count, pieces } = rows.rewriteRows(chunk, 0, Number.POSITIVE_INFINITY);
  expect({ end, count }).toEqual({ end: chunk.length, count: 3 });
  expect(pieces).toEqual([Buffer.concat([row('****'), row('****'), row(null)])]);
});

test('long rows get memory of their own', () => {
  const rows = masker([text(), text('full')]);
  const long = 'x'.repeat(200_000);
  expect(values(rows.rewrite(row(long, 'secret')))).toEqual([long, '****']);
});

test('columns that need nothing make it idle', () => {
  expect(masker([text(), text()]).isIdle).toBe(true);
  expect(masker([{ ...text(), typeOid: TYPE.int4 }], ['card']).isIdle).toBe(true);
  expect(masker([text()], ['card']).isIdle).toBe(false);
});

describe('a row that does not match its description is refused', () => {
  const good = row('a', 'b');
  const damage = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = good.slice();
    change(bytes);
    return bytes;
  };
  test.each([
    ['a column too many', row('a', 'b', 'c')],
    ['a column too few', row('a')],
    ['a length beyond the end', damage((bytes) => bytes.set([0, 0, 0, 9], 12))],
    ['a negative length', damage((bytes) => bytes.set([0xff, 0xff, 0xff, 0xfe], 7))],
    ['bytes behind the last column', damage((bytes) => bytes.set([0, 0, 0, 0], 12))],
    ['nothing at all', Uint8Array.of(0x44, 0, 0, 0, 4)],
  ])('%s', (_title, message) => {
    expect(() => masker([text('full'), text()]).rewrite(message)).toThrow(ProtocolError);
  });
});

test('random bytes never give anything but a row or a ProtocolError', () => {
  let state = 7;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state >> 16;
  };
  const rows = masker(
    [text('partial'), text(), { ...text(), typeOid: 1009, format: 1 }],
    ['card', 'email'],
  );
  for (let round = 0; round < 3000; round += 1) {
    const bytes = Uint8Array.from({ length: 7 + (random() % 60) }, () => random() & 0xff);
    if (round % 2 === 0) bytes.set([0, 3], 5);
    try {
      expect(rows.rewrite(bytes)).toBeInstanceOf(Uint8Array);
    } catch (error) {
      expect(error).toBeInstanceOf(ProtocolError);
    }
  }
});
