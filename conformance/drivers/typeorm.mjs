import 'reflect-metadata';
import typeorm from 'typeorm';
import { attempt } from './say.mjs';

const { DataSource, EntitySchema } = typeorm;
const A = new EntitySchema({
  name: 'A',
  tableName: 'a',
  schema: 'by_typeorm',
  columns: {
    id: { type: Number, primary: true, generated: true },
    name: { type: String, unique: true },
    j: { type: 'jsonb', nullable: true },
    at: { type: 'timestamptz', nullable: true },
  },
});
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const source = new DataSource({
  type: 'postgres',
  host: PGHOST,
  port: Number(PGPORT),
  username: PGUSER,
  password: PGPASSWORD,
  database: PGDATABASE,
  schema: 'by_typeorm',
  entities: [A],
  installExtensions: false,
});
await attempt('connect', () => source.initialize().then(() => 'ok'));
await attempt('schema', () => source.query('CREATE SCHEMA IF NOT EXISTS by_typeorm'));
await attempt('synchronize', () => source.synchronize().then(() => 'ok'));
await attempt('synchronize again', () => source.synchronize().then(() => 'ok'));
const a = source.getRepository('A');
await attempt('save', () => a.save([{ name: 'x', j: { k: 1 }, at: new Date(0) }, { name: 'y' }]));
await attempt('duplicate', () => a.insert({ name: 'x' }));
await attempt('find', () => a.find({ order: { id: 'ASC' } }));
await attempt('builder', () =>
  a.createQueryBuilder('a').where('a.name = :name', { name: 'x' }).getManyAndCount(),
);
await attempt('transaction', () =>
  source.transaction(async (manager) => {
    await manager.update('A', { name: 'y' }, { name: 'z' });
    return manager.find('A', { order: { id: 'ASC' } });
  }),
);
await attempt('rolled back', () =>
  source.transaction(async (manager) => {
    await manager.clear('A').catch(({ message }) => message);
    throw new Error('no');
  }),
);
await attempt('count', () => a.count());
await attempt('drop', () => source.query('DROP SCHEMA by_typeorm CASCADE'));
await source.destroy();
