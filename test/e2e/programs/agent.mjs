// An agent's loop with a stock driver that knows nothing of hoop: think, query, read, correct itself.
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 3 });
const counts = await Promise.all(
  ['customers', 'orders', 'customers'].map(async (table) => {
    const { rows } = await pool.query(`SELECT count(*)::int AS n FROM ${table}`);
    return rows[0].n;
  }),
);
process.stdout.write(`counts ${counts.every((n) => n > 0)}\n`);
try {
  await pool.query('SELECT * FROM customers WHERE emial = $1', ['a@example.com']);
} catch (error) {
  process.stdout.write(`mistake ${error.code}\n`);
}
const client = await pool.connect();
await client.query('BEGIN READ ONLY');
const { rows } = await client.query('SELECT email FROM customers ORDER BY id LIMIT $1', [2]);
await client.query('COMMIT');
client.release();
process.stdout.write(`emails ${rows.length}\n`);
await pool.end();
