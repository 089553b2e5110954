import { expect, test } from 'vitest';
import { EvidenceLines } from '../../src/recording/verify/evidence-lines.ts';

const line = (value: unknown) => Buffer.from(`${JSON.stringify(value)}\n`);
const closing = { type: 'closing', reason: 'idle', message: 'bye' };

test('lines come out whole, however they were cut up', () => {
  const lines = new EvidenceLines();
  const bytes = Buffer.concat([line(closing), line({ type: 'reason', text: 'INC-7' })]);
  const found = [...bytes].flatMap((byte) => lines.push(Buffer.from([byte])));
  expect(found).toEqual([closing, { type: 'reason', text: 'INC-7' }]);
});

test('what is not one of the known lines is left out, whatever a gateway sends', () => {
  const strange = [
    { type: 'denied' },
    { type: 'denied', stream: 1, at: 0, code: {}, message: null },
    { type: 'closing', reason: 'because', message: 'x' },
    { type: 'reason', text: ['a'] },
    null,
    7,
  ];
  const lines = new EvidenceLines();
  expect(strange.flatMap((value) => lines.push(line(value)))).toEqual([]);
  expect(lines.push(Buffer.from('{"type":\n'))).toEqual([]);
  expect(lines.push(Buffer.alloc(100_000, 'x'))).toEqual([]);
});
