/** The server converts values to client_encoding before they are masked, and fails where it cannot. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  errors,
  execute,
  parse,
  query,
  RawClient,
  type Received,
  rows,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

// What has a letter that LATIN1 does not have must look like what has none.
const { target, sql } = testTarget(`
  CREATE TABLE people (id int PRIMARY KEY, name text, secret text, CHECK (id > 0));
  INSERT INTO people VALUES (1, 'Ada', 'plain'), (2, 'Zoë', 'Ж');
`);
const grant = grantOf({
  rules: ['allow *'],
  masks: ['public.people.secret full'],
  inference: 'deny',
});
const real = realEngine(target);

let engine: Bench;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
afterAll(() => engine?.[Symbol.asyncDispose]());

const code = (received: readonly Received[]) => errors(received).map(({ R, C }) => R ?? C);
const SECRET = 'SELECT secret FROM people ORDER BY id';
const REFUSED = ['HOOP_ENCODING'];

async function opened(parameters: Record<string, string> = {}) {
  const client = await RawClient.open(engine.port, parameters);
  const asked = async (text: string) => client.ask([query(text)]);
  return {
    client,
    asked,
    codeOf: async (text: string) => code(await asked(text)),
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

test.each([
  ['a parameter of the startup', { client_encoding: 'LATIN1' }, undefined],
  ['options of the startup', { options: '-c client_encoding=latin9' }, undefined],
  ['SET', {}, "SET client_encoding = 'LATIN1'"],
  ['SET NAMES', {}, "SET NAMES 'WIN1252'"],
  ['SET LOCAL', {}, "BEGIN; SET LOCAL client_encoding = 'LATIN1'"],
  ['set_config()', {}, "SELECT set_config('client_encoding', 'LATIN1', false)"],
])(
  '%s: the encoding is in force, and masked columns are refused in it',
  async (_by, parameters, text) => {
    await using connection = await opened(parameters);
    const { asked, codeOf, client } = connection;
    if (text !== undefined) expect(await codeOf(text)).toEqual([]);
    const [shown] = rows(await asked('SHOW client_encoding'))[0] ?? [];
    expect(shown).not.toBe('UTF8');
    for (const one of [
      SECRET,
      'SELECT * FROM people WHERE id = 1',
      'SELECT to_json(p) FROM people p WHERE id = 1',
      'COPY people TO STDOUT',
      'UPDATE people SET id = -id WHERE id = 2',
    ]) {
      expect([one, await codeOf(one)]).toEqual([one, REFUSED]);
      if (text?.startsWith('BEGIN')) await codeOf(`ROLLBACK; ${text}`);
    }
    if (text?.startsWith('BEGIN')) await codeOf(`ROLLBACK; ${text}`);
    const answer = await asked('SELECT name FROM people WHERE id = 2');
    const row = answer.find(({ type }) => type === 'D');
    expect(row?.body.subarray(-3).toString('latin1')).toBe('Zo\u00eb');
    expect(code(await client.ask([[parse(SECRET), bind(), execute(), sync]]))).toEqual(REFUSED);
  },
);

test('back in UTF8 they are shown again', async () => {
  await using connection = await opened({ client_encoding: 'LATIN1' });
  const { asked, codeOf } = connection;
  expect(await codeOf(SECRET)).toEqual(REFUSED);
  const answer = await asked("SET client_encoding = 'UTF8'");
  expect(answer.find(({ type }) => type === 'S')?.body.toString()).toContain('UTF8');
  expect(rows(await asked(SECRET))).toEqual([['****'], ['****']]);
  // Back to what the connection began with.
  expect(await codeOf('RESET client_encoding')).toEqual([]);
  expect(await codeOf(SECRET)).toEqual(REFUSED);
});

test.each(['UTF8', 'unicode', 'SQL_ASCII'])('nothing is converted to %s', async (encoding) => {
  await using connection = await opened({ client_encoding: encoding });
  expect(rows(await connection.asked(SECRET))).toEqual([['****'], ['****']]);
  expect(
    code(
      await connection.client.ask([
        [
          parse(`SET client_encoding = '${encoding}'`),
          bind(),
          execute(),
          parse(SECRET),
          bind(),
          execute(),
          sync,
        ],
      ]),
    ),
  ).toEqual([]);
});

test('what changes it on the way is refused before it is reported', async () => {
  for (const text of [
    `SET client_encoding = 'LATIN1'; ${SECRET}`,
    "SELECT set_config('client_encoding', 'LATIN1', true), secret FROM people",
    `DECLARE c CURSOR WITH HOLD FOR SELECT set_config('client_encoding', 'LATIN1', false), secret FROM people`,
  ]) {
    await using connection = await opened();
    expect([text, await connection.codeOf(text)]).toEqual([text, REFUSED]);
  }
  await using connection = await opened();
  const { client, asked, codeOf } = connection;
  const set = [parse("SET client_encoding = 'LATIN1'"), bind(), execute()];
  const read = [parse(SECRET), bind(), execute()];
  expect(code(await client.ask([[...set, ...read, sync]]))).toEqual(REFUSED);
  expect(
    code(
      await client.ask([
        [
          parse('SELECT set_config($1, $2, false), secret FROM people'),
          bind({ values: ['client_encoding', 'LATIN1'] }),
          execute(),
          sync,
        ],
      ]),
    ),
  ).toEqual(REFUSED);
  // The end of the transaction brings LATIN1 back.
  expect(await codeOf("SET client_encoding = 'LATIN1'")).toEqual([]);
  await asked("BEGIN; SET client_encoding = 'UTF8'");
  expect(rows(await asked(SECRET))).toHaveLength(2);
  expect(code(await client.ask([[parse('ROLLBACK'), bind(), execute(), ...read, sync]]))).toEqual(
    REFUSED,
  );
});

test('a portal that has begun is not read on in another encoding', async () => {
  await using connection = await opened();
  const { client } = connection;
  await client.ask([query('BEGIN')]);
  const begin = await client.ask([[parse(SECRET), bind({ portal: 'p' }), execute('p', 1), sync]]);
  expect(errors(begin)).toEqual([]);
  await client.ask([query("SET client_encoding = 'LATIN1'")]);
  expect(code(await client.ask([[execute('p', 1), sync]]))).toEqual(REFUSED);
});

test('an encoding that the role begins with counts like one that the client asks for', async () => {
  await sql(`ALTER ROLE ${target().user} SET client_encoding = 'LATIN1'`);
  await using connection = await opened();
  const [refused] = errors(await connection.asked(SECRET));
  await sql(`ALTER ROLE ${target().user} RESET client_encoding`);
  expect(refused).toMatchObject({
    R: 'HOOP_ENCODING',
    H: expect.stringContaining('PGCLIENTENCODING=UTF8'),
  });
});
