import { mkdirSync, writeFileSync } from 'node:fs';
import knex from 'knex';
import { attempt } from './say.mjs';

mkdirSync('migrations', { recursive: true });
writeFileSync('package.json', '{ "type": "module" }');
writeFileSync(
  'migrations/1_first.js',
  `export const up = async (k) => {
    await k.schema.createTable('tasks', (t) => {
      t.increments();
      t.string('title').notNullable().unique();
      t.integer('customer').unsigned();
      t.enu('state', ['open', 'done']).defaultTo('open');
      t.jsonb('data');
      t.timestamps(true, true);
      t.index(['state', 'title']);
      t.comment('tasks of people');
    });
  };
  export const down = (k) => k.schema.dropTable('tasks');`,
);
writeFileSync(
  'migrations/2_second.js',
  `export const up = async (k) => {
    await k.schema.alterTable('tasks', (t) => { t.integer('level').notNullable().defaultTo(1); t.renameColumn('title', 'name'); });
    await k.raw('create table notes (id int primary key, task int references tasks); alter table notes add column body text; create index notes_task on notes (task)');
    await k.schema.createView('open_tasks', (v) => { v.columns(['id', 'name']); v.as(k('tasks').select('id', 'name').where('state', 'open')); });
  };
  export const down = async (k) => {
    await k.schema.dropView('open_tasks');
    await k.schema.dropTable('notes');
    await k.schema.alterTable('tasks', (t) => { t.dropColumn('level'); t.renameColumn('name', 'title'); });
  };`,
);
const db = knex({
  client: 'pg',
  connection: {},
  searchPath: ['scratch', 'public'],
  pool: { min: 1, max: 3 },
  migrations: { directory: './migrations' },
});
await attempt('migrate', () => db.migrate.latest().then(([, names]) => names));
await attempt('status', () =>
  db.migrate.list().then(([done, waiting]) => [done.length, waiting.length]),
);
await attempt('has table', () => db.schema.hasTable('tasks'));
await attempt('has column', () => db.schema.hasColumn('tasks', 'level'));
await attempt('columns', () => db('tasks').columnInfo());
await attempt('insert', () =>
  db('tasks')
    .insert([
      { name: 'a', data: { k: 1 } },
      { name: 'b', customer: 3 },
    ])
    .returning(['id', 'name', 'state']),
);
await attempt('batch insert', () =>
  db
    .batchInsert(
      'tasks',
      Array.from({ length: 25 }, (_, i) => ({ name: `t${i}` })),
      10,
    )
    .returning('id')
    .then((ids) => ids.length),
);
await attempt('upsert', () =>
  db('tasks')
    .insert({ name: 'a', state: 'done' })
    .onConflict('name')
    .merge(['state'])
    .returning(['name', 'state']),
);
await attempt('duplicate', () => db('tasks').insert({ name: 'a' }));
await attempt('missing table', () => db('nowhere').select());
await attempt('select', () =>
  db('orders')
    .where({ state: 'open' })
    .whereBetween('id', [1, 9])
    .orderBy('id')
    .select('id', 'total'),
);
await attempt('join', () =>
  db('orders as o')
    .join('customers as c', 'c.id', 'o.customer_id')
    .where('o.id', '<', 3)
    .orderBy('o.id')
    .select('o.id', 'c.name', 'c.email'),
);
await attempt('first', () => db('customers').where('id', 2).first());
await attempt('pluck', () => db('products').orderBy('id').pluck('title'));
await attempt('count', () =>
  db('customers').count('email as addresses').countDistinct('name as names'),
);
await attempt('by address', () =>
  db('customers').where({ email: 'customer5@shop.example' }).select('id'),
);
await attempt('group', () =>
  db('orders')
    .select('state')
    .sum('total as total')
    .groupBy('state')
    .having(db.raw('count(*) > 1'))
    .orderBy('state'),
);
await attempt('subquery', () =>
  db('customers')
    .whereIn('id', db('orders').select('customer_id').where('total', '>', 80))
    .orderBy('id')
    .select('id'),
);
await attempt('with', () =>
  db
    .with('big', db('orders').where('total', '>', 60))
    .select('*')
    .from('big')
    .orderBy('id')
    .limit(2)
    .select('id'),
);
await attempt('increment', () => db('products').where({ id: 1 }).increment('stock', 5));
await attempt('update', () =>
  db('orders').where({ id: 4 }).update({ state: 'paid' }, ['id', 'state', 'changes']),
);
await attempt('delete', () => db('tasks').where('name', 'like', 't2%').del());
await attempt('transaction', () =>
  db.transaction(async (tx) => {
    await tx('tasks').update({ state: 'done' }).where({ name: 'b' });
    await tx.transaction((inner) => inner.raw('SELECT 1/0')).catch(() => undefined);
    return tx('tasks').select('name', 'state').orderBy('id').limit(2);
  }),
);
await attempt('rolled back', () =>
  db.transaction(async (tx) => {
    await tx('tasks').del();
    throw new Error('no');
  }),
);
await attempt('for update', () =>
  db.transaction((tx) => tx('orders').where({ id: 1 }).forUpdate().skipLocked().select('id')),
);
await attempt('stream', async () => {
  let count = 0;
  for await (const _row of db('tasks').select('id').stream()) count += 1;
  return count;
});
await attempt('raw', () => db.raw('SELECT ?::int + ?::int AS v', [1, 2]).then(({ rows }) => rows));
await attempt('truncate', () =>
  db('notes')
    .truncate()
    .then(({ command }) => command),
);
await attempt('rollback all', () =>
  db.migrate.rollback(undefined, true).then(([, names]) => names),
);
await attempt('lock tables', () =>
  db.schema
    .dropTable('knex_migrations')
    .dropTable('knex_migrations_lock')
    .then(() => 'ok'),
);
await db.destroy();
