import knex from 'knex';
import { attempt } from './say.mjs';

const db = knex({ client: 'pg', connection: {}, pool: { min: 1, max: 3 } });
const a = () => db('by_knex.a');
await attempt('schema', () => db.schema.createSchemaIfNotExists('by_knex').then(() => 'ok'));
await attempt('table', () =>
  db.schema
    .withSchema('by_knex')
    .createTable('a', (t) => {
      t.increments();
      t.string('name').unique();
      t.json('j');
      t.timestamp('at');
    })
    .then(() => 'ok'),
);
await attempt('has', () => db.schema.withSchema('by_knex').hasTable('a'));
await attempt('columns', () => a().columnInfo());
await attempt('insert', () =>
  a()
    .insert([{ name: 'x', j: { k: 1 } }, { name: 'y' }])
    .returning('*'),
);
await attempt('upsert', () =>
  a().insert({ name: 'x' }).onConflict('name').merge().returning('name'),
);
await attempt('duplicate', () => a().insert({ name: 'x' }));
await attempt('select', () => a().where('name', 'like', 'x%').orderBy('id').select('name', 'j'));
await attempt('raw', () => db.raw('SELECT ?::int + ?::int AS v', [1, 2]).then(({ rows }) => rows));
await attempt('transaction', () =>
  db.transaction(async (tx) => {
    await tx('by_knex.a').update({ name: 'z' }).where({ name: 'y' });
    await tx.transaction((inner) => inner.raw('SELECT 1/0')).catch(() => undefined);
    return tx('by_knex.a').select('name').orderBy('id');
  }),
);
await attempt('rolled back', () =>
  db.transaction(async (tx) => {
    await tx('by_knex.a').del();
    throw new Error('no');
  }),
);
await attempt('count', () => a().count());
await attempt('alter', () =>
  db.schema
    .withSchema('by_knex')
    .alterTable('a', (t) => t.integer('extra').defaultTo(3))
    .then(() => 'ok'),
);
await attempt('after', () => a().select('name', 'extra').orderBy('id'));
await attempt('drop', () => db.raw('DROP SCHEMA by_knex CASCADE').then(() => 'ok'));
await db.destroy();
