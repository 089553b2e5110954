/** What keeps a database from being the store, in the words of `hoop gateway check` and of a start. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import { parseGatewayConfig } from '../../../src/gateway/base/config.ts';
import { openNodeId } from '../../../src/gateway/nodes/node-id.ts';
import { checkStore, openStore, rememberDatabase } from '../../../src/gateway/start/open-store.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { collectLog } from '../collect-log.ts';

const PASSWORD = 'p4ss-of-the-store';
let server: EmbeddedPostgres;
let directory: string;
const log = collectLog();

async function admin(database: string, ...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  server = await startTestPostgres();
  directory = await mkdtemp(join(tmpdir(), 'hoop-usable-'));
  await admin('postgres', `CREATE ROLE hoop LOGIN PASSWORD '${PASSWORD}'`);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

const CONFIG = `version: 1
name: gw
listen: 127.0.0.1:0
tls: { cert: c.pem, key: k.pem }
dataDir: data
policy: { repository: policy, allowedSigners: signers }
`;

function options(section: string, env: NodeJS.ProcessEnv = { STORE: PASSWORD }) {
  const config = parseGatewayConfig(`${CONFIG}${section}`, join(directory, 'gateway.yaml'));
  return { config: config.store, dataDir: directory, env, log: log.log };
}

const at = (database: string, more = 'tls: { mode: disable }', port = server.port): string =>
  `store: { url: "postgres://127.0.0.1:${port}/${database}", user: hoop, password: { env: STORE }, ${more} }\n`;

async function made(database: string, ...statements: string[]): Promise<string> {
  await admin(
    'postgres',
    `CREATE DATABASE ${database} OWNER hoop TEMPLATE template0 ENCODING 'UTF8'`,
  );
  await admin(database, ...statements);
  return database;
}

/** Check and start say the same. */
async function refusal(
  section: string,
  env?: NodeJS.ProcessEnv,
): Promise<Error & { code: string }> {
  const error = await checkStore(options(section, env)).catch((reason: unknown) => reason);
  await expect(openStore(options(section, env))).rejects.toThrow((error as Error).message);
  expect(JSON.stringify([error, (error as Error).message])).not.toContain(PASSWORD);
  return error as Error & { code: string };
}

describe('a store in PostgreSQL', () => {
  test('will be created at the first start, and checked without a change', async () => {
    const section = at(await made('fresh'));
    expect(await checkStore(options(section))).toMatch(
      /^PostgreSQL \d+.*\/fresh, no TLS, empty: its tables will be created at the first start$/,
    );
    expect(await checkStore(options(section))).toContain('empty');
    await using _ = await openStore(options(section));
    expect(await checkStore(options(section))).toMatch(/version \d+$/);
    expect(await checkStore(options(''))).toBe('SQLite in the data directory');
  });

  test('is the one that the gateway began with: nothing is made in another', async () => {
    const database = await made('elsewhere');
    const other = {
      code: 'HOOP_CONFIG',
      message: 'the gateway has kept its state in another database so far',
    };
    rememberDatabase(directory);
    try {
      expect(await refusal('')).toMatchObject(other);
      expect(await refusal(at(database))).toMatchObject(other);
      expect(existsSync(join(directory, 'node-id'))).toBe(false);
      await rm(join(directory, 'has-database'));
      expect(await checkStore(options(at(database)))).toContain('empty');
      await using _ = await openStore(options(at(database)));
      rememberDatabase(directory);
      expect(await refusal(at(database))).toMatchObject(other);
      await admin(
        database,
        `INSERT INTO nodes VALUES ('${openNodeId(directory)}', 1, 'taken over', 0, 'here', NULL, '1', 'n')`,
      );
      expect(await checkStore(options(at(database)))).toContain('version');
      await using _again = await openStore(options(at(database)));
    } finally {
      await rm(join(directory, 'has-database'), { force: true });
    }
  });

  test('takes its password from a file, and the next one without a restart', async () => {
    await made('rotated');
    const file = join(directory, 'store.password');
    await writeFile(file, `${PASSWORD}\n`, { mode: 0o600 });
    const section = at('rotated').replace('{ env: STORE }', '{ file: store.password }');
    await using store = await openStore(options(section, {}));
    await store.checkWritable();
    await admin('postgres', `ALTER ROLE hoop PASSWORD 'another'`);
    await writeFile(file, 'another\n');
    await admin(
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'rotated'`,
    );
    await expect
      .poll(() =>
        store.checkWritable().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    await admin('postgres', `ALTER ROLE hoop PASSWORD '${PASSWORD}'`);
  });

  test.each([
    [
      'another password',
      () => at('postgres'),
      { STORE: 'wrong' },
      'HOOP_CONFIG',
      'refuses the password',
    ],
    ['no password', () => at('postgres'), {}, 'HOOP_CONFIG', 'environment variable STORE'],
    ['no such database', () => at('nowhere'), undefined, 'HOOP_CONFIG', 'no such database'],
    [
      'nobody there',
      () => at('x', 'tls: { mode: disable }', 1),
      undefined,
      'HOOP_STORE_UNAVAILABLE',
      'cannot reach',
    ],
    ['no TLS there', () => at('postgres', ''), undefined, 'HOOP_STORE_UNAVAILABLE', 'cannot reach'],
  ] as const)('%s is said', async (_, section, env, code, text) => {
    const error = await refusal(section(), env);
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
  });

  test('a role without rights, another encoding, a standby and somebody else’s tables are said', async () => {
    await made(
      'closed',
      'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
      'REVOKE ALL ON SCHEMA public FROM hoop',
    );
    await admin('postgres', 'ALTER DATABASE closed OWNER TO postgres');
    expect((await refusal(at('closed'))).message).toBe(
      'the role of the store may not create tables',
    );
    await admin('postgres', 'REVOKE CONNECT ON DATABASE closed FROM PUBLIC');
    expect((await refusal(at('closed'))).message).toContain('does not let this role in');

    await admin(
      'postgres',
      `CREATE DATABASE latin OWNER hoop TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`,
    );
    expect((await refusal(at('latin'))).message).toBe('the database of the store is not in UTF8');

    await made('resting', 'ALTER DATABASE resting SET default_transaction_read_only = on');
    const resting = await refusal(at('resting'));
    expect(resting).toMatchObject({ code: 'HOOP_STORE_UNAVAILABLE' });
    expect(resting.message).toBe('the gateway’s store cannot be written');

    await made('theirs', 'CREATE TABLE sessions (id int)');
    expect((await refusal(at('theirs'))).message).toBe(
      'the database of the store belongs to something else',
    );

    await made('shared');
    await using _ = await openStore(options(at('shared')));
    await admin('shared', 'ALTER TABLE blocks OWNER TO postgres');
    expect((await refusal(at('shared'))).message).toBe(
      'the role of the store lacks rights on its tables',
    );
  });

  test('a data directory that has a SQLite store is not left for it', async () => {
    await made('second');
    await writeFile(join(directory, 'index.sqlite'), '');
    try {
      expect((await refusal(at('second'))).message).toContain('has kept its state in');
    } finally {
      await rm(join(directory, 'index.sqlite'));
    }
  });
});

test.each([
  [
    'store: { url: "postgres://hoop:secret-word@db/hoop", user: hoop }',
    /"store.url": expected postgres/,
  ],
  ['store: { url: "postgres://a,b/hoop", user: hoop }', /expected postgres/],
  ['store: { url: "postgres://db/hoop?sslmode=disable", user: hoop }', /expected postgres/],
  ['store: { url: "mysql://db/hoop", user: hoop }', /expected postgres/],
  ['store: { url: "postgres://db", user: hoop }', /expected postgres/],
  ['store: { url: "postgres://db/hoop" }', /url and user must be set together/],
  ['store: { password: { env: X } }', /need a url/],
  [
    'store: { url: "postgres://db/hoop", user: hoop, password: typed }',
    /never the password itself/,
  ],
  ['store: { url: "postgres://db/hoop", user: hoop, tls: { mode: verify-ca } }', /your own CA/],
])('%s is refused', (section, message) => {
  expect(() => options(section)).toThrow(message);
  expect(() => options(section)).not.toThrow(/secret-word/);
});

test('a port may be left out, and the name of a database be spelt as in a URL', () => {
  const section = 'store: { url: "postgresql://[::1]/a%2Fb", user: hoop }';
  expect(options(section).config).toEqual({
    postgres: {
      host: '::1',
      port: 5432,
      database: 'a/b',
      login: {
        user: 'hoop',
        password: undefined,
        clientCertificate: undefined,
        privateKeyFile: undefined,
      },
      tls: { mode: 'verify-full', caFile: undefined },
    },
    endSessionsAfterSeconds: 60,
  });
});
