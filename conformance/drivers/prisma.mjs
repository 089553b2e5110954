import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { PrismaPg } from '@prisma/adapter-pg';
import { attempt } from './say.mjs';

const require = createRequire(import.meta.url);
const cli = require.resolve('prisma/build/index.js');
const env = {
  ...process.env,
  CHECKPOINT_DISABLE: '1',
  NO_COLOR: '1',
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
};
/** What the command says, without ports and times. */
const prisma = (args, mayFail = false) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], {
    env,
    encoding: 'utf8',
  });
  const said = `${stdout}${stderr}`
    .replaceAll(/127\.0\.0\.1:\d+/g, 'SERVER')
    .replaceAll(/\b\d+(\.\d+)?(ms|s)\b/g, 'TIME');
  // Where the command cannot work at all, every lane would say the same.
  if (status !== 0 && !mayFail) process.exitCode = 1;
  return { status, said: said.trim().split('\n') };
};
const migration = [
  'migrate',
  'diff',
  '--from-empty',
  '--to-schema-datamodel',
  'schema.prisma',
  '--script',
];

rmSync('migrations', { recursive: true, force: true });
execFileSync(process.execPath, [cli, 'generate'], { env, stdio: 'ignore' });
await attempt('migrate deploy', () => {
  mkdirSync('migrations/1_first', { recursive: true });
  writeFileSync('migrations/migration_lock.toml', 'provider = "postgresql"\n');
  writeFileSync(
    'migrations/1_first/migration.sql',
    execFileSync(process.execPath, [cli, ...migration], { env }),
  );
  return prisma(['migrate', 'deploy']);
});
await attempt('migrate status', () => prisma(['migrate', 'status']));
await attempt('migrate again', () => prisma(['migrate', 'deploy']));
await attempt('db pull', () => prisma(['db', 'pull', '--print']));
await attempt('db push', () => prisma(['db', 'push', '--skip-generate', '--accept-data-loss']));
await attempt('db execute', () => {
  writeFileSync('failing.sql', 'SELECT 1; SELECT nothing FROM nowhere;');
  return prisma(['db', 'execute', '--schema', 'schema.prisma', '--file', 'failing.sql'], true);
});

const { PrismaClient, Prisma } = require('@prisma/client');
const db = new PrismaClient({
  adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }),
});
const author = {
  email: 'é@example.com',
  tags: ['a', 'b'],
  raw: Buffer.from([0, 255]),
  data: { k: [1] },
};
await attempt('create', () =>
  db.author.create({ data: { ...author, balance: '1.50', big: 2n ** 60n, born: new Date(0) } }),
);
await attempt('create many', () =>
  db.author.createMany({
    data: Array.from({ length: 300 }, (_, i) => ({ email: `${i}`, level: i % 2 ? 'high' : 'low' })),
  }),
);
await attempt('nested', () =>
  db.author.update({
    where: { id: 1 },
    data: {
      posts: {
        create: [
          {
            title: 'one',
            topics: { connectOrCreate: { where: { name: 't' }, create: { name: 't' } } },
          },
          { title: 'two' },
        ],
      },
    },
    select: { posts: { select: { title: true, topics: true }, orderBy: { title: 'asc' } } },
  }),
);
await attempt('filter', () =>
  db.author.findMany({
    where: {
      OR: [
        { posts: { some: { title: { contains: 'ON', mode: 'insensitive' } } } },
        { tags: { has: 'b' } },
      ],
    },
    include: { _count: { select: { posts: true } } },
  }),
);
await attempt('json filter', () =>
  db.author.findMany({ where: { data: { path: ['k', '0'], equals: 1 } } }),
);
await attempt('many keys', () =>
  db.author.count({ where: { id: { in: Array.from({ length: 5000 }, (_, i) => i) } } }),
);
await attempt('pages', () =>
  db.author.findMany({
    orderBy: { id: 'desc' },
    cursor: { id: 100 },
    skip: 1,
    take: 2,
    select: { id: true },
  }),
);
await attempt('group', () =>
  db.author.groupBy({ by: ['level'], _count: true, _max: { id: true }, orderBy: { level: 'asc' } }),
);
await attempt('upsert', () =>
  db.topic.upsert({ where: { name: 't' }, create: { name: 't' }, update: { name: 'u' } }),
);
await attempt('duplicate', () => db.author.create({ data: { email: '1' } }));
await attempt('foreign key', () => db.post.create({ data: { title: 'x', authorId: 99999 } }));
await attempt('restricted', () => db.author.delete({ where: { id: 1 } }));
await attempt('too long', () => db.post.create({ data: { title: 'x'.repeat(30), authorId: 1 } }));
await attempt('not found', () => db.author.update({ where: { id: 99999 }, data: { tags: [] } }));
await attempt(
  'raw',
  () => db.$queryRaw`SELECT ${1}::int + 1 AS v, ${'x'}::text AS t, ${new Date(0)} AS d`,
);
await attempt(
  'raw list',
  () =>
    db.$queryRaw`SELECT id FROM by_prisma."Author" WHERE id IN (${Prisma.join([1, 2])}) ORDER BY id`,
);
await attempt('raw error', () => db.$queryRaw`SELECT nothing FROM by_prisma."Author"`);
await attempt('raw syntax', () => db.$queryRawUnsafe('SELEC 1'));
await attempt(
  'execute',
  () =>
    db.$executeRaw`UPDATE by_prisma."Author" SET tags = array_append(tags, ${'c'}) WHERE id < ${10}`,
);
await attempt('batch', () =>
  db.$transaction([db.topic.create({ data: { name: 'v' } }), db.topic.count()]),
);
await attempt('batch rolled back', () =>
  db.$transaction([
    db.topic.create({ data: { name: 'w' } }),
    db.topic.create({ data: { name: 'w' } }),
  ]),
);
await attempt('transaction', () =>
  db.$transaction(
    async (tx) => {
      await tx.post.updateMany({ data: { views: { increment: 3 } } });
      return tx.post.aggregate({ _sum: { views: true } });
    },
    { isolationLevel: 'Serializable' },
  ),
);
await attempt('transaction rolled back', () =>
  db.$transaction(async (tx) => {
    await tx.post.deleteMany();
    throw new Error('no');
  }),
);
await attempt('transaction failed', () =>
  db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT 1/0`.catch(() => undefined);
    return tx.topic.count();
  }),
);
await attempt('many at once', () =>
  Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      db.author.findUnique({ where: { id: i + 1 }, select: { id: true } }),
    ),
  ),
);
await attempt('after', () => db.topic.findMany({ orderBy: { name: 'asc' } }));
await db.$executeRawUnsafe('DROP SCHEMA by_prisma CASCADE');
await db.$disconnect();
