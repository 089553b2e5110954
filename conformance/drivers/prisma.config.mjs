import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';

// The type "char" and name, which columns of the catalog have.
const UNKNOWN = new Map([
  [18, 1042],
  [19, 25],
]);
/** The adapter does not know these types. */
class Client extends pg.Client {
  constructor(config) {
    super(config);
    this.connection.prependListener('rowDescription', ({ fields }) => {
      for (const field of fields) {
        field.dataTypeID = UNKNOWN.get(field.dataTypeID) ?? field.dataTypeID;
      }
    });
  }
}

/** The schema engine as WebAssembly: the other one is a download of its own. */
export default {
  schema: 'schema.prisma',
  migrations: { path: 'migrations' },
  engine: 'js',
  experimental: { adapter: true },
  adapter: async () => new PrismaPg({ connectionString: process.env.DATABASE_URL, Client }),
};
