import { DataTypes, Sequelize } from 'sequelize';
import { attempt } from './say.mjs';

const db = new Sequelize(process.env.DATABASE_URL, { logging: false, pool: { max: 3 } });
const A = db.define(
  'a',
  { name: { type: DataTypes.STRING, unique: true }, j: DataTypes.JSONB, n: DataTypes.DECIMAL },
  { schema: 'by_sequelize', timestamps: false },
);
const B = db.define(
  'b',
  { v: DataTypes.ENUM('one', 'two') },
  { schema: 'by_sequelize', timestamps: false },
);
A.hasMany(B);
B.belongsTo(A);
const plain = (rows) => rows.map((row) => row.get({ plain: true }));
await attempt('authenticate', () => db.authenticate());
await attempt('schema', () => db.createSchema('by_sequelize').then(() => 'ok'));
await attempt('sync', () => db.sync().then(() => 'ok'));
await attempt('sync again', () => db.sync({ alter: true }).then(() => 'ok'));
await attempt('create', () =>
  A.create({ name: 'x', j: { k: 1 }, n: '1.5' }).then((row) => row.get()),
);
await attempt('bulk', () => A.bulkCreate([{ name: 'y' }, { name: 'w' }]).then(plain));
await attempt('duplicate', () => A.create({ name: 'x' }));
await attempt('find or create', () =>
  A.findOrCreate({ where: { name: 'q' } }).then(([row, made]) => [row.get(), made]),
);
await attempt('related', () =>
  B.create({ v: 'two', aId: 1 })
    .then(() => A.findAll({ include: B, order: ['id'] }))
    .then(plain),
);
await attempt('wrong value', () => B.create({ v: 'three' }));
await attempt('upsert', () => A.upsert({ name: 'x', n: '2.5' }).then(([row]) => row.get()));
await attempt('transaction', () =>
  db.transaction(async (transaction) => {
    await A.update({ n: '9' }, { where: { name: 'y' }, transaction });
    return A.count({ where: { n: '9' }, transaction });
  }),
);
await attempt('rolled back', () =>
  db.transaction(async (transaction) => {
    await B.destroy({ where: {}, transaction });
    throw new Error('no');
  }),
);
await attempt('count', () => B.count());
await attempt('drop', () => db.dropSchema('by_sequelize').then(() => 'ok'));
await db.close();
