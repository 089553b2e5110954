import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, jsonb, pgSchema, serial, text } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { attempt } from './say.mjs';

const pool = new pg.Pool({ max: 3 });
const db = drizzle(pool);
const schema = pgSchema('by_drizzle');
const a = schema.table('a', {
  id: serial('id').primaryKey(),
  name: text('name').unique(),
  j: jsonb('j'),
});
const b = schema.table('b', { id: serial('id').primaryKey(), a: integer('a') });
const rows = (query) => db.execute(query).then((result) => result.rows);
await attempt('schema', () => rows(sql`CREATE SCHEMA IF NOT EXISTS by_drizzle`));
await attempt('a', () =>
  rows(sql`CREATE TABLE by_drizzle.a (id serial PRIMARY KEY, name text UNIQUE, j jsonb)`),
);
await attempt('b', () =>
  rows(sql`CREATE TABLE by_drizzle.b (id serial PRIMARY KEY, a int REFERENCES by_drizzle.a)`),
);
await attempt('insert', () =>
  db
    .insert(a)
    .values([{ name: 'x', j: { k: [1] } }, { name: 'y' }])
    .returning(),
);
await attempt('duplicate', () => db.insert(a).values({ name: 'x' }));
await attempt('foreign key', () => db.insert(b).values({ a: 99 }));
await attempt('join', () =>
  db
    .insert(b)
    .values({ a: 1 })
    .then(() => db.select().from(a).leftJoin(b, eq(a.id, b.a)).orderBy(a.id)),
);
await attempt('update', () =>
  db.update(a).set({ name: 'z' }).where(eq(a.name, 'y')).returning({ name: a.name }),
);
await attempt('prepared', async () => {
  const query = db
    .select()
    .from(a)
    .where(eq(a.id, sql.placeholder('id')))
    .prepare('by_id');
  return [await query.execute({ id: 1 }), await query.execute({ id: 2 })];
});
await attempt('transaction', () =>
  db.transaction(async (tx) => {
    await tx.delete(b);
    await tx.transaction((inner) => inner.execute(sql`SELECT 1/0`)).catch(() => undefined);
    return tx.select().from(b);
  }),
);
await attempt('drop', () => rows(sql`DROP SCHEMA by_drizzle CASCADE`));
await pool.end();
