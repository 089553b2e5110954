import { DataTypes, Sequelize } from 'sequelize';
import { attempt } from './say.mjs';

const db = new Sequelize(process.env.DATABASE_URL, { dialect: 'postgres', logging: false });
const plain = { timestamps: false };
const Customer = db.define(
  'Customer',
  { name: DataTypes.TEXT, email: DataTypes.TEXT, notes: DataTypes.TEXT },
  { ...plain, tableName: 'customers' },
);
const Order = db.define(
  'Order',
  { total: DataTypes.DECIMAL, state: DataTypes.TEXT },
  { ...plain, tableName: 'orders' },
);
const Product = db.define(
  'Product',
  {
    sku: DataTypes.TEXT,
    title: DataTypes.TEXT,
    price: DataTypes.DECIMAL,
    stock: DataTypes.INTEGER,
  },
  { ...plain, tableName: 'products' },
);
Customer.hasMany(Order, { foreignKey: 'customer_id', as: 'orders' });
Order.belongsTo(Customer, { foreignKey: 'customer_id', as: 'customer' });
const Task = db.define(
  'Task',
  {
    name: { type: DataTypes.STRING, unique: true },
    level: { type: DataTypes.ENUM('low', 'high'), defaultValue: 'low' },
    data: DataTypes.JSONB,
  },
  { schema: 'scratch', timestamps: false, indexes: [{ fields: ['level'] }] },
);
await attempt('authenticate', () => db.authenticate().then(() => 'ok'));
// The type made before: Sequelize sees it, and sends no DO block.
await attempt('type', () =>
  db.query(`CREATE TYPE scratch."enum_Tasks_level" AS ENUM ('low', 'high')`).then(() => 'ok'),
);
await attempt('sync', () => Task.sync().then(() => 'ok'));
const Label = db.define(
  'Label',
  { color: DataTypes.ENUM('red', 'blue') },
  { schema: 'scratch', timestamps: false },
);
await attempt('sync with a type', () => Label.sync().then(() => 'ok'));
await attempt('sync again', () => Task.sync({ alter: true }).then(() => 'ok'));
await attempt('tables', () =>
  db
    .getQueryInterface()
    .showAllTables()
    .then((all) => all.map(({ tableName }) => tableName).sort()),
);
await attempt('describe', () => db.getQueryInterface().describeTable('orders'));
await attempt('find', () => Customer.findByPk(2));
await attempt('include', () =>
  Customer.findAll({
    where: { id: [1, 2] },
    include: 'orders',
    order: ['id', [{ model: Order, as: 'orders' }, 'id', 'ASC']],
  }),
);
await attempt('include separately', () =>
  Order.findAll({ include: 'customer', limit: 2, order: ['id'] }),
);
await attempt('lookup', () => Customer.count({ where: { email: 'customer2@shop.example' } }));
await attempt('find and count', () =>
  Order.findAndCountAll({ where: { state: 'open' }, limit: 2, order: ['id'] }).then(
    ({ count }) => count,
  ),
);
await attempt('create', () => Task.create({ name: 'a', data: { k: 1 } }));
await attempt('bulk create', () =>
  Task.bulkCreate([{ name: 'b' }, { name: 'c' }]).then((rows) => rows.length),
);
await attempt('upsert', () => Task.upsert({ name: 'a', level: 'high' }).then(([row]) => row));
await attempt('create an order', () =>
  Order.create({ customer_id: 3, total: 2 }).then((order) => order.customer_id),
);
await attempt('save one field', () =>
  Customer.findByPk(5).then((one) => one.update({ name: 'Renamed' })),
);
await attempt('save what a detector found', () =>
  Customer.findByPk(7).then((one) => {
    one.notes = `${one.notes}!`;
    return one.save();
  }),
);
await attempt('increment', () =>
  Product.increment('stock', { by: 2, where: { id: 1 } }).then(() => Product.findByPk(1)),
);
await attempt('duplicate', () => Task.create({ name: 'a' }));
await attempt('missing table', () => db.query('SELECT * FROM nowhere'));
await attempt('transaction', () =>
  db.transaction(async (transaction) => {
    await Task.destroy({ where: { name: 'b' }, transaction });
    return Task.count({ transaction });
  }),
);
await attempt('drop', () => Task.drop().then(() => 'ok'));
await db.close();
