import 'reflect-metadata';
import { DataSource, EntitySchema } from 'typeorm';
import { attempt } from './say.mjs';

const text = { type: 'text', nullable: true };
const Customer = new EntitySchema({
  name: 'Customer',
  tableName: 'customers',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    name: { type: 'text' },
    email: text,
    notes: text,
  },
  relations: { orders: { type: 'one-to-many', target: 'Order', inverseSide: 'customer' } },
});
const Order = new EntitySchema({
  name: 'Order',
  tableName: 'orders',
  columns: {
    id: { type: 'bigint', primary: true, generated: true },
    total: { type: 'numeric' },
    state: { type: 'text', default: () => "'open'" },
  },
  relations: {
    customer: { type: 'many-to-one', target: 'Customer', joinColumn: { name: 'customer_id' } },
  },
});
const Product = new EntitySchema({
  name: 'Product',
  tableName: 'products',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    sku: { type: 'varchar' },
    title: { type: 'text' },
    price: { type: 'numeric' },
    stock: { type: 'int', default: 0 },
  },
});
class First1700000000000 {
  async up(runner) {
    await runner.query("CREATE TYPE scratch.level AS ENUM ('low', 'high')");
    await runner.query(
      'CREATE TABLE scratch.tasks (id SERIAL NOT NULL, name character varying NOT NULL, level scratch.level, CONSTRAINT pk PRIMARY KEY (id)); CREATE INDEX tasks_name ON scratch.tasks (name)',
    );
  }
  async down(runner) {
    await runner.query('DROP TABLE scratch.tasks');
    await runner.query('DROP TYPE scratch.level');
  }
}
const source = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  schema: 'public',
  entities: [Customer, Order, Product],
  migrations: [First1700000000000],
  migrationsTableName: 'migrations',
  installExtensions: false,
});
await attempt('initialize', () => source.initialize().then(() => 'ok'));
const tables = new DataSource({
  type: 'postgres',
  url: process.env.DATABASE_URL,
  schema: 'scratch',
  migrations: [First1700000000000],
  installExtensions: false,
});
await tables.initialize();
await attempt('migrate', () => tables.runMigrations().then((done) => done.length));
await attempt('revert', () => tables.undoLastMigration().then(() => 'ok'));
await attempt('schema log', () =>
  source.driver
    .createSchemaBuilder()
    .log()
    .then(({ upQueries }) => upQueries.length > 0),
);
const of = (name) => source.getRepository(name);
await attempt('find', () => of('Customer').find({ where: { id: 2 } }));
await attempt('relations', () =>
  of('Customer').find({
    relations: { orders: true },
    where: { id: 3 },
    order: { orders: { id: 'ASC' } },
  }),
);
await attempt('relations by query', () =>
  of('Order').find({
    relations: { customer: true },
    take: 2,
    order: { id: 'ASC' },
    relationLoadStrategy: 'query',
  }),
);
await attempt('lookup', () => of('Customer').existsBy({ email: 'customer2@shop.example' }));
await attempt('builder', () =>
  of('Order')
    .createQueryBuilder('o')
    .leftJoinAndSelect('o.customer', 'c')
    .where('o.total > :n', { n: 85 })
    .orderBy('o.id')
    .getMany(),
);
await attempt('paged', () =>
  of('Customer').findAndCount({
    skip: 2,
    take: 2,
    order: { id: 'ASC' },
    select: { id: true, name: true },
  }),
);
await attempt('save', () =>
  of('Customer')
    .findOneBy({ id: 6 })
    .then((one) => of('Customer').save({ ...one, name: 'Renamed' })),
);
await attempt('save what a detector found', () =>
  of('Customer')
    .findOneBy({ id: 7 })
    .then((one) => of('Customer').save({ ...one, notes: `${one.notes}!` })),
);
await attempt('insert', () =>
  of('Product')
    .save([
      { sku: 'T-1', title: 'a', price: 1 },
      { sku: 'T-2', title: 'b', price: 2 },
    ])
    .then((rows) => rows.map(({ sku }) => sku)),
);
await attempt('insert an order', () =>
  of('Order')
    .save({ customer: { id: 2 }, total: 5 })
    .then(({ state }) => state),
);
await attempt('upsert', () =>
  of('Product')
    .upsert({ sku: 'T-1', title: 'z', price: 3 }, ['sku'])
    .then(() => of('Product').findOneBy({ sku: 'T-1' }))
    .then(({ title }) => title),
);
await attempt('remove', () => of('Product').delete({ sku: 'T-2' }));
await attempt('duplicate', () => of('Product').insert({ sku: 'SKU-1', title: 'x', price: 1 }));
await attempt('transaction', () =>
  source.transaction(async (manager) => {
    await manager.increment('Product', { id: 1 }, 'stock', 3);
    return manager.findOneBy('Product', { id: 1 });
  }),
);
await source.destroy();
await tables.destroy();
