import { expect, test } from 'vitest';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { grantOf } from './grant-fixture.ts';
import { SAMPLE_SCHEMA, startSqlBench } from './sql-bench.ts';

test('a fault of ours refuses the statement and is told to the operator; deep nesting is no fault', async () => {
  await using parser = SqlParser.create({ workers: 1 });
  await using bench = await startSqlBench(SAMPLE_SCHEMA);
  const faults: Error[] = [];
  const policy = createStatementPolicy(parser, (fault) => faults.push(fault));
  const grant = grantOf({ rules: ['allow *'], masks: ['public.people.secret full'] });
  const failing = (error: Error): Catalog =>
    new Proxy(bench.context.catalog, {
      get: (catalog, name) => {
        if (name === 'relation') {
          throw error;
        }
        return Reflect.get(catalog, name);
      },
    });
  const decide = (error: Error) =>
    policy.decide('SELECT name FROM people', { ...bench.context, catalog: failing(error) }, grant);

  const fault = new TypeError('a place that nobody thought of');
  expect(await decide(fault)).toMatchObject({
    effect: 'refuse',
    refusal: { code: 'HOOP_UNTRACEABLE', message: 'statement could not be analysed' },
  });
  expect(faults).toEqual([fault]);
  expect(await decide(new RangeError('Maximum call stack size exceeded'))).toMatchObject({
    effect: 'refuse',
  });
  expect(faults).toHaveLength(1);
});
