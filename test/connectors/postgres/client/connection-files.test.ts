import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  connectionUrl,
  writeCaFile,
  writeConnectionFiles,
} from '../../../../src/connectors/postgres/client/connection-files.ts';
import { Secret } from '../../../../src/secret.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'hoop-files-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const FACTS = {
  name: 'prod-db',
  host: '127.0.0.1',
  port: 5433,
  user: 'app',
  database: 'shop',
  password: new Secret('p:w'),
  caFile: undefined,
};

test('the files are for their owner, and the password is found by address and by name', () => {
  const files = writeConnectionFiles(directory, [FACTS]);
  expect(readFileSync(files.passwordFile, 'utf8')).toBe(
    '127.0.0.1:5433:*:*:p\\:w\nlocalhost:5433:*:*:p\\:w\n',
  );
  expect(readFileSync(files.serviceFile, 'utf8')).not.toContain('sslmode');
  expect(connectionUrl(FACTS)).toBe('postgresql://app:p%3Aw@127.0.0.1:5433/shop');
  for (const file of Object.values(files)) {
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
});

test('with TLS the service file and the URL ask for verify-full and name the CA', () => {
  const caFile = writeCaFile(directory, 'the CA\n');
  expect(statSync(caFile).mode & 0o777).toBe(0o600);
  const facts = { ...FACTS, caFile };
  const files = writeConnectionFiles(directory, [facts]);
  expect(readFileSync(files.serviceFile, 'utf8')).toContain(
    `sslmode=verify-full\nsslrootcert=${caFile}\n`,
  );
  expect(connectionUrl(facts)).toContain(
    `?sslmode=verify-full&sslrootcert=${encodeURIComponent(caFile)}`,
  );
  expect(() => writeCaFile(directory, 'another')).toThrow('EEXIST');
});
