import { expect, test } from 'vitest';
import type { View } from '../../src/api/view.ts';
import { canonicalJson } from '../../src/recording/formats/canonical-json.ts';
import { recordedView } from '../../src/recording/formats/recorded-view.ts';

/** Each is six bytes of JSON. */
const HOSTILE = '\u0001'.repeat(40_000);
const CODE = { type: 'code', language: 'sql', text: 'DELETE FROM orders' } as const;

test('however much there is of each form, an event can hold it, and what would run is in it', () => {
  const text = HOSTILE.slice(0, 300);
  const fields = Array.from({ length: 40 }, () => ({ name: text, value: text }));
  const others: View = Array.from({ length: 40 }, () => ({ type: 'fields', fields }));
  const many = recordedView([CODE, ...others]);
  expect(Buffer.byteLength(canonicalJson(many))).toBeLessThanOrEqual(512 * 1024);
  expect(many).toEqual([expect.objectContaining({ type: 'warning' }), CODE]);
  const long = recordedView([
    { ...CODE, text: `DELETE FROM orders ${HOSTILE.repeat(3)}` },
    { type: 'fields', fields: [{ name: 'database', value: 'shop' }] },
  ]);
  expect(long).toMatchObject([
    { type: 'warning' },
    { text: expect.stringMatching(/^DELETE FROM orders /) },
    { fields: [{ name: 'database', value: 'shop' }] },
  ]);
});
