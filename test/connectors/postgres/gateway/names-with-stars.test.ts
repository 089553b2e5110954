/** Names with stars, dots, quotes and spaces, from the policy's files to a real server's rows. */
import { expect, test } from 'vitest';
import { problemLine } from '../../../../src/policy/load-policy.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { loadPolicy } from '../../../policy/with-connectors.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { errors, query, RawClient, rows } from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const { target } = testTarget(`
  CREATE TABLE "a*b" (id int, "c*d" text); INSERT INTO "a*b" VALUES (1, 'secret');
  CREATE TABLE "axb" (id int, "c*d" text, "cxd" text); INSERT INTO "axb" VALUES (1, 'plain', 'plain');
  CREATE TABLE "*" ("*" text, "Say ""x.y""" text); INSERT INTO "*" VALUES ('secret', 'secret');
`);
const real = realEngine(target);

function load(file: string): ReturnType<typeof loadPolicy> {
  return loadPolicy(
    new Map([
      [
        'hoop.yaml',
        'version: 1\nidentityProviders: [{ issuer: https://idp.example, clientId: hoop }]\n',
      ],
      ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
      ['policies/p.yaml', `name: p\nwho: { everyone: true }\ntargets: { names: [db] }\n${file}`],
    ]),
  );
}

function grantFrom(file: string): Grant {
  const { policy, problems } = load(file);
  expect(problems.map(problemLine)).toEqual([]);
  const [document] = policy?.documents ?? [];
  if (document === undefined) throw new Error('there is no policy');
  return { ...grantOf({}), rules: document.rules, masks: document.masks };
}

test('a quoted name with a star is masked as that column, and no other name is', async () => {
  const grant = grantFrom(`masks:
  - { column: 'public."a*b"."c*d"', mask: full }
  - { column: 'public."*"."*"', mask: full }
  - { column: 'public."*"."Say ""x.y"""', mask: full }
rules:
  - allow: { verbs: [select], relations: ['public.*'] }
`);
  await using engine = await startBench({ ...real.parts(), target: target(), grant: () => grant });
  await using client = await RawClient.open(engine.port);
  const shown = async (text: string): Promise<unknown> => rows(await client.ask([query(text)]));
  expect(await shown('SELECT id, "c*d" FROM "a*b"')).toEqual([['1', '****']]);
  expect(await shown('SELECT * FROM "*"')).toEqual([['****', '****']]);
  expect(await shown('SELECT "c*d", "cxd" FROM "axb"')).toEqual([['plain', 'plain']]);
});

test('a rule for a quoted name with a star allows that table alone, a bare star all', async () => {
  const read = async (pattern: string, text: string): Promise<number> => {
    const grant = grantFrom(
      `rules:\n  - allow: { verbs: [select], relations: [${JSON.stringify(pattern)}] }\n`,
    );
    await using engine = await startBench({
      ...real.parts(),
      target: target(),
      grant: () => grant,
    });
    await using client = await RawClient.open(engine.port);
    return errors(await client.ask([query(text)])).length;
  };
  expect(await read('public."a*b"', 'SELECT id FROM "a*b"')).toBe(0);
  expect(await read('public."a*b"', 'SELECT id FROM "axb"')).toBe(1);
  expect(await read('public.a*b', 'SELECT id FROM "axb"')).toBe(0);
  expect(await read('public."*"', 'SELECT id FROM "axb"')).toBe(1);
});

test.each(['public.*.c', 'public.a*b.c', '*.t.c', 'public."t".c*'])(
  'a mask on %s is a mistake: the star is not quoted',
  (column) => {
    const { problems } = load(`masks:\n  - { column: ${JSON.stringify(column)}, mask: full }\n`);
    expect(problems.map(problemLine)).toEqual([
      'policies/p.yaml:5:15: expected schema.relation.column without wildcards, such as public.customers.ssn; a name with a star is quoted: public."a*b".c',
    ]);
  },
);
