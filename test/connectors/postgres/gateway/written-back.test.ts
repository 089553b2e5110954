/** What masks put in the place of values is not written over the values, against a real server. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCopyData } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { placeholderIn } from '../../../../src/policy/placeholders.ts';
import { DETECTORS } from '../../../../src/policy/schema/schema.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  copyDone,
  errors,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  status,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE SCHEMA app;
  CREATE TABLE app.notes (id int PRIMARY KEY, body text, data text[]);
  INSERT INTO app.notes VALUES (1, 'my card is 4539148803436467 please help', '{}');
`);
const real = realEngine(target);
const guarded = grantOf({ rules: ['allow *'], detectors: ['card', 'email'] });
const free = grantOf({ rules: ['allow *'] });
const BACK = 'my card is [card] please help';

let engine: Bench;
let grant: Grant = guarded;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
afterAll(() => engine[Symbol.asyncDispose]());

async function ask(...messages: Parameters<RawClient['ask']>[0]): Promise<Received[]> {
  await using client = await RawClient.open(engine.port);
  return await client.ask(messages);
}

const bodies = async (): Promise<string> =>
  JSON.stringify(await sql('SELECT id, body FROM app.notes ORDER BY id'));

describe('a write with a placeholder in it is refused, and nothing is changed', () => {
  const refused = /a value to be written contains \[card\]/;

  test.each([
    `UPDATE app.notes SET body = '${BACK}' WHERE id = 1`,
    `INSERT INTO app.notes VALUES (7, '${BACK}')`,
    `INSERT INTO app.notes (id, body) SELECT 7, '${BACK}'`,
    `INSERT INTO app.notes VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET body = '${BACK}'`,
    `MERGE INTO app.notes n USING (SELECT 1 AS id) s ON n.id = s.id WHEN MATCHED THEN UPDATE SET body = '${BACK}'`,
    `WITH w AS (UPDATE app.notes SET body = '${BACK}' RETURNING 1) SELECT * FROM w`,
    `UPDATE app.notes SET data = ARRAY['a', '[card]']`,
    `UPDATE app.notes SET body = E'\\x5bcard]'`,
    `PREPARE p AS UPDATE app.notes SET body = $1; EXECUTE p('${BACK}')`,
  ])('%s', async (text) => {
    const before = await bodies();
    const received = await ask(query(text));
    expect(
      errors(received)
        .map((fields) => fields['M'] ?? '')
        .join(),
    ).toMatch(refused);
    expect(await bodies()).toBe(before);
  });

  test('as a parameter, in a pipeline, with what follows skipped', async () => {
    const before = await bodies();
    const received = await ask(
      parse('UPDATE app.notes SET body = $1 WHERE id = 1'),
      bind({ values: [BACK] }),
      execute(),
      sync,
    );
    expect(
      errors(received)
        .map((fields) => fields['M'] ?? '')
        .join(),
    ).toMatch(refused);
    expect(status(received)).toBe('I');
    expect(await bodies()).toBe(before);
  });

  test.each([
    ['whole', [`7\t${BACK}\t{}\n`]],
    ['cut in two', ['7\tmy card is [ca', 'rd] please help\t{}\n']],
    ['behind other rows', ['7\tx\t{}\n', '8\ty\t{}\n', `9\t${BACK}\t{}\n`, '10\tz\t{}\n']],
  ])('in the data of COPY FROM, %s', async (_, data) => {
    const before = await bodies();
    await using client = await RawClient.open(engine.port);
    const received = await client.ask([
      query('COPY app.notes FROM STDIN'),
      ...data.map((text) => encodeCopyData({ data: Buffer.from(text) })),
      copyDone,
    ]);
    expect(
      errors(received)
        .map((fields) => fields['M'] ?? '')
        .join(),
    ).toMatch(refused);
    expect(errors(received)[0]?.['C']).toBe('42501');
    expect(await bodies()).toBe(before);
    const after = await client.ask([query('SELECT 1')]);
    expect(errors(after)).toEqual([]);
  });
});

describe('everyday statements go on', () => {
  test.each([
    `UPDATE app.notes SET body = 'see [1] and [cards]' WHERE id = 99`,
    `UPDATE app.notes SET body = 'x' WHERE body = '[card]'`,
    `SELECT '[card]'`,
    `DELETE FROM app.notes WHERE body LIKE '%[card]%'`,
    `UPDATE app.notes SET body = data[1] WHERE id = 99`,
  ])('%s', async (text) => {
    expect(errors(await ask(query(text)))).toEqual([]);
  });

  test('COPY FROM without placeholders, and anything where nothing is masked', async () => {
    const copy = (text: string) =>
      ask(
        query('COPY app.notes FROM STDIN'),
        encodeCopyData({ data: Buffer.from(text) }),
        copyDone,
      );
    expect(errors(await copy('20\tplain [x]\t{}\n'))).toEqual([]);
    grant = free;
    try {
      expect(errors(await copy(`21\t${BACK}\t{}\n`))).toEqual([]);
    } finally {
      grant = guarded;
    }
  });
});

test('a COPY whose rows are counted is refused as well, and the connection goes on', async () => {
  const before = await bodies();
  grant = grantOf({
    rules: ['allow insert, copy up to 5 rows', 'allow select'],
    detectors: ['card', 'email'],
  });
  try {
    await using client = await RawClient.open(engine.port);
    const received = await client.ask([
      query('COPY app.notes FROM STDIN'),
      encodeCopyData({ data: Buffer.from(`7\t${BACK}\t{}\n`) }),
      copyDone,
    ]);
    expect(
      errors(received)
        .map((fields) => fields['M'] ?? '')
        .join(),
    ).toMatch(/a value to be written contains \[card\]/);
    expect(status(received)).toBe('I');
    expect(errors(await client.ask([query('SELECT 1')]))).toEqual([]);
  } finally {
    grant = guarded;
  }
  expect(await bodies()).toBe(before);
});

test('every detector has its placeholder, and nothing else is one', () => {
  for (const name of DETECTORS) expect(placeholderIn(`a [${name}] b`)).toBe(`[${name}]`);
  expect(placeholderIn('[cards] [car d] card] [1]')).toBeUndefined();
});
