import { mkdirSync, writeFileSync } from 'node:fs';
import { count, eq, relations, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate } from 'drizzle-orm/node-postgres/migrator';
import { bigserial, integer, numeric, pgSchema, pgTable, serial, text } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { attempt } from './say.mjs';

const customers = pgTable('customers', {
  id: serial().primaryKey(),
  name: text(),
  email: text(),
  notes: text(),
});
const orders = pgTable('orders', {
  id: bigserial({ mode: 'number' }).primaryKey(),
  customerId: integer('customer_id').notNull(),
  total: numeric(),
});
const products = pgTable('products', {
  id: serial().primaryKey(),
  sku: text(),
  title: text(),
  price: numeric(),
  stock: integer(),
});
const tasks = pgSchema('scratch').table('tasks', {
  id: serial().primaryKey(),
  name: text().notNull(),
});
const customersRelations = relations(customers, ({ many }) => ({ orders: many(orders) }));
const ordersRelations = relations(orders, ({ one }) => ({
  customer: one(customers, { fields: [orders.customerId], references: [customers.id] }),
}));
const pool = new pg.Pool({ max: 2 });
const db = drizzle(pool, {
  schema: { customers, orders, products, customersRelations, ordersRelations },
});

mkdirSync('drizzle/meta', { recursive: true });
const entries = [
  { idx: 0, version: '7', when: 1, tag: '0000_first', breakpoints: true },
  { idx: 1, version: '7', when: 2, tag: '0001_second', breakpoints: false },
];
writeFileSync(
  'drizzle/meta/_journal.json',
  JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
);
writeFileSync(
  'drizzle/0000_first.sql',
  'CREATE TYPE "scratch"."level" AS ENUM(\'low\', \'high\');--> statement-breakpoint\nCREATE TABLE "scratch"."tasks" ("id" serial PRIMARY KEY NOT NULL, "name" text NOT NULL, "level" "scratch"."level");--> statement-breakpoint\nCREATE INDEX "tasks_name" ON "scratch"."tasks" USING btree ("name");',
);
writeFileSync(
  'drizzle/0001_second.sql',
  'ALTER TABLE "scratch"."tasks" ADD COLUMN "done" boolean DEFAULT false;\nALTER TABLE "scratch"."tasks" ALTER COLUMN "done" SET NOT NULL;',
);
await attempt('migrate', () =>
  migrate(db, { migrationsFolder: 'drizzle', migrationsSchema: 'scratch' }).then(() => 'ok'),
);
await attempt('select', () => db.select().from(customers).orderBy(customers.id).limit(2));
await attempt('with one', () =>
  db.query.orders.findMany({ with: { customer: true }, limit: 2, orderBy: orders.id }),
);
await attempt('with many', () =>
  db.query.customers.findFirst({
    with: { orders: { columns: { id: true } } },
    where: eq(customers.id, 3),
  }),
);
await attempt('count', () => db.select({ n: count(customers.email) }).from(customers));
await attempt('lookup', () =>
  db
    .select({ id: customers.id })
    .from(customers)
    .where(eq(customers.email, 'customer2@shop.example')),
);
await attempt('join', () =>
  db
    .select({ id: orders.id, name: customers.name })
    .from(orders)
    .innerJoin(customers, eq(customers.id, orders.customerId))
    .orderBy(orders.id)
    .limit(3),
);
await attempt('insert', () =>
  db
    .insert(tasks)
    .values([{ name: 'a' }, { name: 'b' }])
    .returning(),
);
await attempt('insert with defaults', () =>
  db.insert(orders).values({ customerId: 2, total: '4' }).returning({ id: orders.id }),
);
await attempt('upsert', () =>
  db
    .insert(products)
    .values({ sku: 'SKU-1', title: 'z', price: '1', stock: 1 })
    .onConflictDoUpdate({ target: products.sku, set: { title: 'z' } })
    .returning({ title: products.title }),
);
await attempt('update', () =>
  db.update(customers).set({ name: 'Renamed' }).where(eq(customers.id, 4)).returning(),
);
await attempt('duplicate', () =>
  db.insert(products).values({ sku: 'SKU-1', title: 'z', price: '1', stock: 1 }),
);
await attempt('transaction', () =>
  db.transaction(async (tx) => {
    await tx
      .update(products)
      .set({ stock: sql`${products.stock} + 1` })
      .where(eq(products.id, 2));
    await tx.transaction(() => Promise.reject(new Error('no'))).catch(() => undefined);
    return tx.select({ stock: products.stock }).from(products).where(eq(products.id, 2));
  }),
);
await attempt('delete', () => db.delete(tasks).returning());
await attempt('drop', () => db.execute(sql`DROP TABLE scratch.tasks`).then(() => 'ok'));
await pool.end();
