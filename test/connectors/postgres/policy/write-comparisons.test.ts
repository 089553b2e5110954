/** Comparisons that the owner of a table wrote and of which the client gives one side. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqlRefusal } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { evaluate } from '../../../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { type GrantText, grantOf } from './grant-fixture.ts';
import { type SqlBench, startSqlBench } from './sql-bench.ts';

const SCHEMA = join(dirname(fileURLToPath(import.meta.url)), 'consequences.sql');

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(SCHEMA);
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

const RULES = ['allow select, insert, update, delete, merge on app.*'];
const MASKS = [
  'app.staff.salary full',
  'app.staff.email full writable',
  'app.staff.pin full writable',
  'app.lowered.email full writable',
  'app.booked.pin full writable',
  'app.parted.pin full writable',
  'app.rowed.pin full writable',
  'app.cards.pan full writable',
  'app.payments.card full writable',
  'app.watched.pin full writable',
  'app.tagged.pin full',
  'app.pay.salary full',
  'app.named.salary full',
  'app.named.last full',
  'app.coded.last full',
  'app.ranked.salary full',
  'app.ranked.last full',
];

async function refused(sql: string, grant: GrantText = {}): Promise<SqlRefusal | undefined> {
  const verdict = evaluate(
    await bench.analyse(sql),
    grantOf({ rules: RULES, masks: MASKS, inference: 'deny', ...grant }),
    { catalog: bench.catalog },
  );
  return verdict.effect === 'refuse' ? verdict.refusal : undefined;
}

describe('a write that the owner compares with a masked column is refused', () => {
  test.each<[string, RegExp]>([
    ['UPDATE app.staff SET bonus = 100 WHERE id = 1', /check app\.staff\.fair .*salary/],
    ['UPDATE app.staff SET seat = 9 WHERE id = 1', /check app\.staff\.twice/],
    [
      'INSERT INTO app.staff (id, bonus) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET bonus = 5',
      /fair/,
    ],
    [
      'MERGE INTO app.staff s USING app.notes n ON s.id = n.customer WHEN MATCHED THEN UPDATE SET bonus = 1',
      /fair/,
    ],
    ['WITH u AS (UPDATE app.staff SET bonus = 7 WHERE id = 1) SELECT 1', /fair/],
    ["INSERT INTO app.staff (id, email) VALUES (9, 'guess')", /unique index .*app\.staff/],
    [
      "INSERT INTO app.staff (id, email) VALUES (9, 'guess') ON CONFLICT DO NOTHING",
      /unique index/,
    ],
    ["UPDATE app.staff SET email = 'guess' WHERE id = 1", /unique index/],
    ["INSERT INTO app.staff (id, team, pin) VALUES (9, 1, '1234')", /unique index/],
    ['UPDATE app.staff SET team = 2 WHERE id = 1', /unique index/],
    ["INSERT INTO app.lowered (id, email) VALUES (1, 'guess')", /unique index/],
    ["UPDATE app.lowered SET name = 'x' WHERE id = 1", /unique index/],
    ["INSERT INTO app.booked VALUES (1, 'guess')", /exclusion constraint/],
    ['COPY app.booked FROM STDIN', /exclusion constraint/],
    ['UPDATE app.parted SET a = 4 WHERE a = 1', /partition key of app\.parted/],
    ['UPDATE app.rowed SET a = 4 WHERE b = 1', /row security policy above/],
    ["INSERT INTO app.payments (id, card) VALUES (1, '4111')", /foreign key|unique index/],
    ["INSERT INTO app.refunds (id, card) VALUES (1, '4111')", /must not be written/],
    [
      "UPDATE app.tagged SET prefix = 'x' WHERE id = 1",
      /column app\.tagged\.prefix .*check app\.tagged\.paired .*tagged\.pin/,
    ],
    ["INSERT INTO app.tagged (id, prefix) VALUES (1, 'guess')", /unique index .*tagged\.pin/],
    ["INSERT INTO app.tags (id, tag) VALUES (1, 'guess')", /must not be written/],
    [
      'UPDATE app.pay SET bonus = 2147480000 WHERE id = 1',
      /^column app\.pay\.bonus must not be written: the generated column app\.pay\.(total|share) is computed from it and from masked column app\.pay\.salary$/,
    ],
    ["UPDATE app.coded SET first = 'x' WHERE id = 1", /generated column app\.coded\.code/],
    [
      'UPDATE app.ranked SET bonus = 2147480000 WHERE id = 1',
      /^column app\.ranked\.bonus must not be written: the index app\.ranked_sum is computed from it and from masked column app\.ranked\.salary$/,
    ],
    ['UPDATE app.ranked SET rate = 5 WHERE id = 1', /the index app\.ranked_share/],
    ['UPDATE app.pay SET id = 5 WHERE id = 1', /generated column app\.pay\.short/],
    [
      'INSERT INTO app.pay (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET bonus = 5',
      /generated column app\.pay\.total/,
    ],
    ["UPDATE app.watched SET pin = 'guess' WHERE id = 1", /may be shown, but not used in/],
    // One of several rows, and one of several inserts, has a value.
    ["INSERT INTO app.staff (id, email) VALUES (8, NULL), (9, 'guess')", /unique index/],
    ["INSERT INTO app.staff (id, email) SELECT 8, NULL UNION ALL SELECT 9, 'guess'", /unique/],
    [
      "WITH other AS (INSERT INTO app.staff (id, email) VALUES (8, 'guess')) INSERT INTO app.staff (id) VALUES (9)",
      /unique index/,
    ],
    [
      'INSERT INTO app.staff (id, email) VALUES (1, NULL) ON CONFLICT (email) DO NOTHING',
      /CONFLICT/,
    ],
    ['UPDATE app.staff SET email = NULL WHERE id = 1', /unique index/],
    ['INSERT INTO app.staff (id, salary) VALUES (9, coalesce(NULL, 1))', /must not be written/],
    [
      'INSERT INTO app.staff (id, salary) VALUES (1, NULL) ON CONFLICT (id) DO UPDATE SET salary = excluded.salary',
      /must not be written/,
    ],
    ['UPDATE app.staff SET salary = NULL WHERE id = 1', /must not be written/],
    ['UPDATE app.staff SET salary = DEFAULT WHERE id = 1', /must not be written/],
  ])('%s', async (sql, message) => {
    expect((await refused(sql))?.message).toMatch(message);
  });

  test('where the mask allows inference, it is not', async () => {
    const sql = 'UPDATE app.staff SET bonus = 100 WHERE id = 1';
    expect(await refused(sql, { inference: 'allow' })).toBeUndefined();
    expect(await refused(sql, { masks: [] })).toBeUndefined();
  });
});

describe('what goes on', () => {
  test.each(
    [
      // A new row is the client's from end to end.
      'INSERT INTO app.staff (id, bonus, team, seat) VALUES (1, 5, 1, 2)',
      'INSERT INTO app.parted VALUES (1, 2)',
      'INSERT INTO app.rowed VALUES (1, 2, 3)',
      "INSERT INTO app.lowered (id, name) VALUES (1, 'x')",
      // A key that only carries a masked column, and checks of other columns.
      'UPDATE app.staff SET id = 2 WHERE id = 1',
      'UPDATE app.rowed SET b = 4 WHERE b = 1',
      'UPDATE app.booked SET room = 2 WHERE room = 1',
      'DELETE FROM app.staff WHERE id = 1',
      // Of a generated column that has nothing of a masked one.
      'UPDATE app.tagged SET free = 1, id = 2 WHERE id = 1',
      // What cannot fail, and a new row.
      "UPDATE app.named SET first = 'x', label = 'y', bonus = 2147480000 WHERE id = 1",
      "UPDATE app.pay SET first = 'x' WHERE id = 1",
      "UPDATE app.ranked SET id = 2, first = 'x' WHERE id = 1",
      'INSERT INTO app.ranked (id, bonus, rate) VALUES (1, 2147480000, 5)',
      'INSERT INTO app.pay (id, bonus) VALUES (1, 2147480000)',
      "INSERT INTO app.tags (id, place) VALUES (1, 'x-')",
      'EXPLAIN UPDATE app.staff SET bonus = 100 WHERE id = 1',
      // NULL and DEFAULT in a new row say what leaving out the column says.
      'INSERT INTO app.staff (id, email, pin, salary) VALUES (9, NULL, NULL, NULL)',
      'INSERT INTO app.staff (id, email, salary) VALUES (9, DEFAULT, NULL), (10, NULL, DEFAULT)',
      'INSERT INTO app.staff (id, email) VALUES (9, NULL::text)',
      'INSERT INTO app.staff (id, team, pin) VALUES (9, 1, NULL)',
      'INSERT INTO app.staff (id, salary) SELECT 9, NULL',
      'INSERT INTO app.payments (id, card) VALUES (1, NULL)',
      'INSERT INTO app.tags (id, tag) VALUES (1, NULL)',
      'INSERT INTO app.staff DEFAULT VALUES',
      'MERGE INTO app.staff s USING app.notes n ON s.id = n.customer WHEN NOT MATCHED THEN INSERT (id, salary) VALUES (n.customer, NULL)',
    ].filter((sql) => !sql.startsWith('UPDATE app.cards')),
  )('%s', async (sql) => {
    expect(await refused(sql)).toBeUndefined();
  });
});

describe('a view that compares a masked column', () => {
  test.each(['app.hits', 'app.misses', 'app.exist'])(
    '%s with a column that the reader may write is refused',
    async (view) => {
      const sql = `SELECT count(*) FROM ${view}`;
      expect((await refused(sql))?.message).toMatch(/^view app\.\w+ compares masked column/);
      expect(await refused(sql, { rules: ['allow select'] })).toBeUndefined();
    },
  );

  test.each(['app.known', 'app.seats'])(
    '%s with constants, or not at all, is read',
    async (view) => {
      expect(await refused(`SELECT count(*) FROM ${view}`)).toBeUndefined();
      expect(await refused(`SELECT * FROM ${view} WHERE id = 1`)).toBeUndefined();
    },
  );
});
