/** The way to a store over TLS, with a real server and certificates: what is trusted, and what is not. */
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority, issueServerCertificate } from '../../../src/certificates.ts';
import type { EmbeddedPostgres } from '../../../src/demo/embedded-postgres.ts';
import type { PostgresStoreConfig } from '../../../src/gateway/base/config.ts';
import { openStore } from '../../../src/gateway/start/open-store.ts';
import { sql } from '../../../src/gateway/store/store.ts';
import { startTestPostgres } from '../../postgres-template.ts';
import { waitFor } from '../../wait-for.ts';
import { collectLog } from '../collect-log.ts';

const IS_TLS = sql('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
const ca = createCertificateAuthority();
const otherCa = createCertificateAuthority();

let server: EmbeddedPostgres;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-store-tls-'));
  writeFileSync(join(directory, 'ca.pem'), ca.certificate);
  writeFileSync(join(directory, 'other.pem'), otherCa.certificate);
  server = await startTestPostgres();
  writeFileSync(join(directory, 'password'), server.password, { mode: 0o600 });
  // A name only, no address: "127.0.0.1" is the same server, and another name.
  const issued = issueServerCertificate(ca, { names: ['localhost'], ips: [] });
  writeFileSync(join(server.dataDirectory, 'server.crt'), issued.certificate);
  writeFileSync(join(server.dataDirectory, 'server.key'), issued.privateKey, { mode: 0o600 });
  const { uid, gid } = statSync(server.dataDirectory);
  for (const file of ['server.crt', 'server.key']) {
    chownSync(join(server.dataDirectory, file), uid, gid);
  }
  const admin = new pg.Client({ connectionString: server.url() });
  await admin.connect();
  await admin.query(`CREATE DATABASE hoop TEMPLATE template0 ENCODING 'UTF8'`);
  await admin.query('ALTER SYSTEM SET ssl = on');
  await admin.query('SELECT pg_reload_conf()');
  await waitFor(async () => expect((await admin.query('SHOW ssl')).rows).toEqual([{ ssl: 'on' }]));
  await admin.end();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

async function isTls(
  mode: PostgresStoreConfig['tls']['mode'],
  ca: string | undefined,
  host: string,
) {
  const postgres: PostgresStoreConfig = {
    ...{ host, port: server.port, database: 'hoop' },
    login: {
      user: server.user,
      password: { from: 'file', path: join(directory, 'password') },
      clientCertificate: undefined,
      privateKeyFile: undefined,
    },
    tls: { mode, caFile: ca === undefined ? undefined : join(directory, ca) },
  };
  const config = { postgres, endSessionsAfterSeconds: 60 };
  const dataDir = mkdtempSync(join(directory, 'data-'));
  await using store = await openStore({ config, dataDir, env: {}, log: collectLog().log });
  return (await store.get(IS_TLS))?.['ssl'];
}

describe('TLS to the store', () => {
  test.each([
    ['verify-full', 'ca.pem', 'localhost'],
    ['verify-ca', 'ca.pem', '127.0.0.1'],
    ['require', undefined, '127.0.0.1'],
  ] as const)('%s (%s) opens it at %s', async (mode, file, host) => {
    expect(await isTls(mode, file, host)).toBe(true);
  });

  test.each([
    ['verify-full', 'ca.pem', '127.0.0.1'],
    ['verify-full', 'other.pem', 'localhost'],
    ['verify-full', undefined, 'localhost'],
    ['verify-ca', 'other.pem', 'localhost'],
    ['require', 'other.pem', 'localhost'],
  ] as const)('%s (%s) refuses it at %s', async (mode, file, host) => {
    await expect(isTls(mode, file, host)).rejects.toMatchObject({
      code: 'HOOP_STORE_UNAVAILABLE',
    });
  });
});
