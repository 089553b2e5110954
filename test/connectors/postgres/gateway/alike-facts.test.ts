import { expect, test } from 'vitest';
import { NOTHING_KNOWN } from '../../../../src/connectors/postgres/gateway/results/statement-columns.ts';
import { AlikeFacts } from '../../../../src/connectors/postgres/gateway/statements/alike-facts.ts';

const read = (column: string) => ({ ...NOTHING_KNOWN, clear: [column] });

test('facts that are alike are one object, and what is kept of them is bounded in size', () => {
  const facts = new AlikeFacts();
  const first = facts.of(read('id'));
  for (let at = 0; at < 30; at += 1) facts.of(read(`small ${at}`));
  expect(facts.of(read('id'))).toBe(first);
  for (let at = 0; at < 30; at += 1) facts.of(read(`${at}`.padEnd(700 * 1024)));
  expect(facts.of(read('id'))).not.toBe(first);
});
