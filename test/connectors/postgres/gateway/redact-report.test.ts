/** The server's words with a whole value in them: looked through up to a bound, and withheld above. */
import { expect, test } from 'vitest';
import {
  type Redaction,
  redactError,
  redactNotice,
} from '../../../../src/connectors/postgres/gateway/results/redact-report.ts';
import {
  decodeErrorResponse,
  decodeNoticeResponse,
  encodeErrorResponse,
  encodeNoticeResponse,
} from '../../../../src/connectors/postgres/protocol/report-fields.ts';
import { BYTES } from '../../../../src/connectors/postgres/protocol/text-codec.ts';

const CARD = '4111111111111111';
const DETECTING: Redaction = {
  values: false,
  userCode: false,
  hiddenColumns: undefined,
  detectors: ['card', 'email'],
};
const HEADER = 5;

function fields(message: string, detail: string): ReadonlyMap<string, string> {
  return new Map([
    ['S', 'ERROR'],
    ['C', '22P02'],
    ['M', message],
    ['D', detail],
  ]);
}

function redacted(message: string, detail: string): readonly (string | undefined)[] | undefined {
  const body = encodeErrorResponse({ fields: fields(message, detail) }, BYTES).subarray(HEADER);
  const bytes = redactError(body, DETECTING);
  if (bytes === undefined) return undefined;
  const after = decodeErrorResponse(bytes.subarray(HEADER), BYTES).fields;
  expect(after.get('C')).toBe('22P02');
  return [after.get('M'), after.get('D')];
}

test('in words of the usual length a value is found, and words without one pass', () => {
  expect(redacted(`bad: "${CARD}"`, 'x'.repeat(10_000))).toEqual([
    'bad: "[card]"',
    'x'.repeat(10_000),
  ]);
  expect(redacted('bad', 'x'.repeat(10_000))).toBeUndefined();
});

test.each(['x', '4', 'a@b.', 'ä'])('of %s by the million nothing is looked through', (part) => {
  const message = `invalid input syntax: "${Buffer.from(part.repeat(4_000_000)).toString('latin1')}"`;
  expect(redacted(`${message} ${CARD}`, `hidden: ${CARD}`)).toEqual([
    `text of ${message.length + 17} bytes withheld: too long to be searched for values`,
    'hidden: [card]',
  ]);
});

test('several fields together have one bound', () => {
  const [message, detail] = redacted('m'.repeat(100_000), 'd'.repeat(100_000)) ?? [];
  expect(message).toBe('m'.repeat(100_000));
  expect(detail).toMatch(/^text of 100000 bytes withheld/);
});

test('of notices, too; and without detectors they pass as they are', () => {
  const long = fields('n'.repeat(200_000), '');
  const body = encodeNoticeResponse({ fields: long }, BYTES).subarray(HEADER);
  const after = redactNotice(body, DETECTING) ?? new Uint8Array();
  expect(decodeNoticeResponse(after.subarray(HEADER), BYTES).fields.get('M')).toMatch(
    /^text of 200000/,
  );
  expect(redactNotice(body, { ...DETECTING, detectors: [] })).toBeUndefined();
});
