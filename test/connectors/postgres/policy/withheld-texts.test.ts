/** Where the words of the server may hold a masked value, and where they cannot. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = `
  CREATE TABLE people (id int PRIMARY KEY, name text, card text);
  CREATE VIEW whole AS SELECT id, name FROM people WHERE card::int > 0;
  CREATE VIEW names AS SELECT id, name FROM people;
  CREATE TABLE guarded (id int PRIMARY KEY, name text, card text);
  ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON guarded USING (card::int > 0);
  CREATE FOREIGN DATA WRAPPER lines;
  CREATE SERVER files FOREIGN DATA WRAPPER lines;
  CREATE FOREIGN TABLE far (id int, name text, card text) SERVER files;
  CREATE TABLE parent (id int, name text, card text);
  CREATE FOREIGN TABLE child () INHERITS (parent) SERVER files;
  CREATE TABLE notes (id int PRIMARY KEY, n text);
  ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
  CREATE POLICY known ON notes USING (EXISTS (SELECT 1 FROM people WHERE card::int > notes.id));
  CREATE TABLE owned (id int PRIMARY KEY, n text);
  ALTER TABLE owned ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON owned USING (n = current_user);
`;
const grant = grantOf({
  rules: ['allow *'],
  masks: ['people', 'guarded', 'far', 'parent'].map((table) => `public.${table}.card full`),
  inference: 'allow',
});

let bench: SqlBench;
let directory: string;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'withheld-'));
  const file = join(directory, 'schema.sql');
  writeFileSync(file, SCHEMA);
  bench = await startSqlBench(file);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

test.each([
  ['SELECT name::int FROM people', false],
  ['SELECT count(*), max(name::int) FROM people GROUP BY id', false],
  ['SELECT id / 0 FROM people ORDER BY name', false],
  ['SELECT name::int FROM names', false],
  ['SELECT name::int FROM whole', true],
  ['SELECT name::int FROM people WHERE card IS NOT NULL', true],
  ['SELECT card FROM people', true],
  ['SELECT * FROM people', true],
  ['SELECT people FROM people', true],
  ['SELECT id FROM people ORDER BY card::int', true],
  ['SELECT (SELECT max(card::int) FROM people)', true],
  ['SELECT name::int FROM guarded', true],
  ['SELECT n::int FROM notes', true],
  ["UPDATE notes SET n = 'x'", true],
  ['SELECT n::int FROM owned', false],
  ['SELECT name::int FROM far', true],
  ['SELECT name::int FROM parent', true],
  ["INSERT INTO people (id, name) VALUES (1, 'x')", true],
  ['DELETE FROM people WHERE id = 1', true],
  ['ALTER TABLE people ADD COLUMN n int', true],
  ['REINDEX TABLE owned', false],
  ['REINDEX SCHEMA public', true],
  ['VACUUM FULL', true],
])('of %s the texts of errors are withheld: %s', async (sql, isWithheld) => {
  const { catalog } = bench;
  const verdict = evaluate(await bench.analyse(sql), grant, { catalog });
  const [allowed] = verdict.effect === 'allow' ? verdict.statements : [];
  expect(allowed?.redactErrors).toBe(isWithheld);
});
