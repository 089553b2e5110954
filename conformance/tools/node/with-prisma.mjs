// Prisma: its client, with relations by join and by query. Its migrations are left out: their engine
// is a download of its own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import { attempt } from './say.mjs';

const SCHEMA = `generator client {
  provider        = "prisma-client-js"
  output          = "./client"
  previewFeatures = ["relationJoins"]
}
datasource db {
  provider = "postgresql"
}
enum order_state {
  open
  paid
  sent
}
model customers {
  id         Int      @id @default(autoincrement())
  name       String
  email      String?  @unique
  notes      String?
  created_at DateTime @default(now()) @db.Timestamptz
  orders     orders[]
}
model orders {
  id          BigInt        @id @default(autoincrement())
  customer_id Int
  state       order_state   @default(open)
  total       Decimal       @default(0) @db.Decimal(12, 2)
  details     Json          @default("{}")
  customer    customers     @relation(fields: [customer_id], references: [id])
  lines       order_lines[]
}
model order_lines {
  order_id   BigInt
  product_id Int
  quantity   Int
  order      orders   @relation(fields: [order_id], references: [id])
  product    products @relation(fields: [product_id], references: [id])

  @@id([order_id, product_id])
}
model products {
  id    Int           @id @default(autoincrement())
  sku   String        @unique @db.VarChar(20)
  title String
  price Decimal       @db.Decimal(10, 2)
  stock Int           @default(0)
  lines order_lines[]
}
`;

// The generated client imports what is installed beside this program.
const directory = join(import.meta.dirname, 'with-prisma');
mkdirSync(directory, { recursive: true });
writeFileSync(join(directory, 'schema.prisma'), SCHEMA);
const require = createRequire(import.meta.url);
const cli = join(dirname(require.resolve('prisma/package.json')), 'build/index.js');
execFileSync(process.execPath, [cli, 'generate', '--schema', 'schema.prisma'], {
  cwd: directory,
  stdio: ['ignore', 'ignore', 'inherit'],
  // Not used for this; without a file there the command fetches one.
  env: {
    ...process.env,
    CHECKPOINT_DISABLE: '1',
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
  },
});
const { PrismaClient } = require(join(directory, 'client'));
const db = new PrismaClient({
  adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }),
});

await attempt('find', () => db.customers.findUnique({ where: { id: 2 } }));
await attempt('find many', () =>
  db.customers.findMany({ where: { id: { lt: 4 } }, orderBy: { id: 'asc' } }),
);
for (const relationLoadStrategy of ['join', 'query']) {
  await attempt(`many, by ${relationLoadStrategy}`, () =>
    db.customers.findMany({
      relationLoadStrategy,
      where: { id: { lt: 3 } },
      orderBy: { id: 'asc' },
      include: { orders: { orderBy: { id: 'asc' }, take: 2 } },
    }),
  );
  await attempt(`one, by ${relationLoadStrategy}`, () =>
    db.orders.findFirst({
      relationLoadStrategy,
      where: { id: 3 },
      include: { customer: true, lines: { include: { product: true } } },
    }),
  );
}
await attempt('lookup', () =>
  db.customers.findUnique({ where: { email: 'customer3@shop.example' }, select: { id: true } }),
);
await attempt('count', () => db.orders.count({ where: { state: 'open' } }));
await attempt('some', () =>
  db.customers.findMany({
    where: { orders: { some: { total: { gt: 80 } } } },
    select: { id: true },
    orderBy: { id: 'asc' },
  }),
);
await attempt('aggregate', () => db.orders.aggregate({ _sum: { total: true }, _count: true }));
await attempt('group by', () =>
  db.orders.groupBy({ by: ['state'], _count: true, orderBy: { state: 'asc' } }),
);
await attempt('create', () =>
  db.products.create({ data: { sku: 'R-1', title: 'New', price: 9.5 } }).then(({ sku }) => sku),
);
await attempt('create with relations', () =>
  db.orders
    .create({
      data: { customer_id: 2, total: 3, lines: { create: [{ product_id: 1, quantity: 2 }] } },
      include: { lines: true },
    })
    .then(({ lines }) => lines.length),
);
await attempt('create many', () =>
  db.products.createMany({ data: [1, 2].map((n) => ({ sku: `R-1${n}`, title: 'x', price: n })) }),
);
await attempt('update', () => db.orders.update({ where: { id: 5 }, data: { state: 'sent' } }));
await attempt('update a customer', () =>
  db.customers.update({ where: { id: 5 }, data: { name: 'Renamed' } }),
);
await attempt('save what a detector found', async () => {
  const { notes } = await db.customers.findUnique({ where: { id: 7 } });
  await db.customers.update({ where: { id: 7 }, data: { notes: `${notes}!` } });
  return 'ok';
});
await attempt('upsert', () =>
  db.products
    .upsert({
      where: { sku: 'R-1' },
      create: { sku: 'R-1', title: 'x', price: 1 },
      update: { stock: { increment: 1 } },
    })
    .then(({ stock }) => stock),
);
await attempt('transaction', () =>
  db.$transaction(async (inside) => {
    await inside.products.update({ where: { id: 2 }, data: { stock: 3 } });
    return inside.products.findUnique({ where: { id: 2 } });
  }),
);
await attempt('rolled back', () =>
  db.$transaction([
    db.products.update({ where: { id: 3 }, data: { stock: 3 } }),
    db.products.create({ data: { sku: 'SKU-1', title: 'twice', price: 1 } }),
  ]),
);
await attempt('foreign key', () => db.orders.create({ data: { customer_id: 999 } }));
await attempt('raw', () => db.$queryRaw`SELECT id, email FROM customers WHERE id = ${3}`);
await attempt('delete', () => db.products.deleteMany({ where: { sku: { startsWith: 'R-' } } }));
await db.$disconnect();
