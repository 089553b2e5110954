import { expect, test } from 'vitest';
import { NameTable } from '../../../../src/connectors/postgres/gateway/statements/name-table.ts';

function tableOfTexts(): NameTable<string> {
  return new NameTable((name) => name, {
    sizeOf: (text) => text.length,
    added: () => undefined,
    dropped: () => undefined,
  });
}

test('the oldest names go when too much SQL stands behind all of them', () => {
  const table = tableOfTexts();
  const text = 'x'.repeat(1024 * 1024);
  for (let index = 0; index < 20; index += 1) table.set(`s${index}`, text);
  expect(table.lookup('s3', 0)).toEqual({ type: 'absent' });
  expect(table.lookup('s4', 0)).toEqual({ type: 'known', value: text });
  for (let index = 4; index < 20; index += 1) table.delete(`s${index}`);
  for (let index = 0; index < 16; index += 1) table.set(`t${index}`, text);
  expect(table.lookup('t0', 0)).toEqual({ type: 'known', value: text });
});

test('a statement that is made again counts once', () => {
  const table = tableOfTexts();
  table.set('first', 'SELECT 1');
  for (let index = 0; index < 40; index += 1) table.set('', 'x'.repeat(1024 * 1024));
  expect(table.lookup('first', 0)).toEqual({ type: 'known', value: 'SELECT 1' });
});
