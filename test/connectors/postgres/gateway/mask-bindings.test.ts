/** DDL that goes past the gateway moves names; masks stay with the values. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MaskBindings } from '../../../../src/connectors/postgres/gateway/catalog/mask-bindings.ts';
import {
  maskBindingsPath,
  readMaskBindings,
} from '../../../../src/connectors/postgres/gateway/catalog/mask-bindings-file.ts';
import { TargetCatalogs } from '../../../../src/connectors/postgres/gateway/catalog/target-catalogs.ts';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import { collectLog } from '../../../gateway/collect-log.ts';
import { MaskingGateway, maskedNames } from '../../../gateway/masking-gateway.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { startBench } from './engine-bench.ts';
import { query, RawClient, rows } from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget();
const parser = SqlParser.create();
const directory = mkdtempSync(join(tmpdir(), 'hoop-bindings-'));
afterAll(async () => {
  await parser[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

let files = 0;

function gatewayOf(
  masks: readonly string[],
  options: { path?: string; database?: string } = {},
): MaskingGateway {
  files += 1;
  const { path = maskBindingsPath(join(directory, String(files))), database = 'postgres' } =
    options;
  return new MaskingGateway({ parser, target: { ...target(), database }, masks, path });
}

/** A schema of its own, with `staff (id, token)`, and a gateway that masks the token there. */
async function staff(name: string): Promise<MaskingGateway> {
  await sql(`CREATE SCHEMA ${name}; CREATE TABLE ${name}.staff (id int, token text, note text)`);
  const gateway = gatewayOf([`${name}.staff.token`]);
  expect(await gateway.verdict(`SELECT id, token FROM ${name}.staff`)).toBe('- full');
  expect(gateway.boundTo()).toEqual([]);
  return gateway;
}

describe('a mask stays with the column that it was bound to', () => {
  test('when the column is renamed', async () => {
    await using gateway = await staff('r1');
    await sql('ALTER TABLE r1.staff RENAME COLUMN token TO t2');
    expect(await gateway.verdict('SELECT id, t2 FROM r1.staff')).toBe('- full');
    expect(await gateway.verdict('SELECT s FROM r1.staff s')).toBe('full');
    expect(gateway.boundTo()).toEqual([['unresolved', 'r1.staff.t2']]);
    expect(await gateway.verdict('SELECT id, note FROM r1.staff')).toBe('- -');
  });

  test('when the table is renamed, and moved to another schema', async () => {
    await using gateway = await staff('r2');
    await sql('ALTER TABLE r2.staff RENAME TO people; CREATE SCHEMA r2b');
    await sql('ALTER TABLE r2.people SET SCHEMA r2b');
    expect(await gateway.verdict('SELECT id, token FROM r2b.people')).toBe('- full');
    expect(gateway.boundTo()).toEqual([['unresolved', 'r2b.people.token']]);
  });

  test('when the schema is renamed', async () => {
    await using gateway = await staff('r3');
    await sql('ALTER SCHEMA r3 RENAME TO r3b');
    expect(await gateway.verdict('SELECT token FROM r3b.staff')).toBe('full');
  });

  test('when two tables or two columns swap names: both are masked', async () => {
    await using gateway = await staff('r4');
    await sql(`CREATE TABLE r4.next (id int, token text);
      ALTER TABLE r4.staff RENAME TO old; ALTER TABLE r4.next RENAME TO staff`);
    expect(await gateway.verdict('SELECT a.token, b.token FROM r4.staff a, r4.old b')).toBe(
      'full full',
    );
    expect(gateway.boundTo()).toEqual([['moved', 'r4.old.token']]);
    await sql(`ALTER TABLE r4.staff RENAME COLUMN token TO x;
      ALTER TABLE r4.staff RENAME COLUMN id TO token`);
    expect(await gateway.verdict('SELECT token, x FROM r4.staff')).toBe('full full');
    expect(await gateway.verdict('SELECT token FROM r4.old')).toBe('full');
  });

  test('when that happened while the gateway was not running', async () => {
    await using before = await staff('r5');
    await sql('ALTER TABLE r5.staff RENAME COLUMN token TO t2');
    await using after = gatewayOf(before.masks, { path: before.path });
    expect(await after.verdict('SELECT t2 FROM r5.staff')).toBe('full');
    expect(after.log.text()).toContain('mask.unresolved');
    expect(after.log.text()).toContain('r5.staff.t2');
  });

  test('behind a view, and for what writes and changes it', async () => {
    await using gateway = await staff('r6');
    await sql('CREATE VIEW r6.v AS SELECT id AS a, token AS b FROM r6.staff');
    await sql('ALTER TABLE r6.staff RENAME COLUMN token TO t2');
    expect(await gateway.verdict('SELECT * FROM r6.v')).toBe('- full');
    expect(await gateway.verdict('UPDATE r6.staff SET t2 = $$x$$')).toBe('HOOP_MASKED_WRITE');
    expect(await gateway.verdict('ALTER TABLE r6.staff RENAME TO x')).toBe('HOOP_DENIED');
  });

  test('in partitions, those that come later and those that are detached', async () => {
    await sql(`CREATE SCHEMA r7; CREATE TABLE r7.pay (id int, pan text) PARTITION BY LIST (id);
      CREATE TABLE r7.one (other int, pan text, id int); ALTER TABLE r7.one DROP COLUMN other;
      ALTER TABLE r7.pay ATTACH PARTITION r7.one FOR VALUES IN (1)`);
    await using gateway = gatewayOf(['r7.pay.pan']);
    expect(await gateway.verdict('SELECT pan FROM r7.one')).toBe('full');
    await sql(`ALTER TABLE r7.pay RENAME COLUMN pan TO p;
      CREATE TABLE r7.two PARTITION OF r7.pay FOR VALUES IN (2);
      ALTER TABLE r7.pay DETACH PARTITION r7.one; ALTER TABLE r7.one RENAME COLUMN p TO q`);
    expect(await gateway.verdict('SELECT a.p, b.q, c.p FROM r7.two a, r7.one b, r7.pay c')).toBe(
      'full full full',
    );
    expect(gateway.boundTo()).toEqual([['unresolved', 'r7.pay.p']]);
  });
});

test('when columns swap names, each keeps the stricter of the masks that it has had', async () => {
  await sql('CREATE SCHEMA s1; CREATE TABLE s1.t (a text, b text)');
  await using gateway = gatewayOf(['s1.t.a', 's1.t.b']);
  gateway.kinds = ['full', 'partial'];
  expect(await gateway.verdict('SELECT a, b FROM s1.t')).toBe('full partial');
  await sql(`ALTER TABLE s1.t RENAME COLUMN a TO x; ALTER TABLE s1.t RENAME COLUMN b TO a;
    ALTER TABLE s1.t RENAME COLUMN x TO b`);
  expect(await gateway.verdict('SELECT a, b FROM s1.t')).toBe('full full');
});

test('a column that references one which was renamed stays masked with it', async () => {
  await sql(`CREATE SCHEMA k1; CREATE TABLE k1.people (token text PRIMARY KEY);
    CREATE TABLE k1.visits (who text REFERENCES k1.people)`);
  await using gateway = gatewayOf(['k1.people.token']);
  expect(await gateway.verdict('SELECT who FROM k1.visits')).toBe('full');
  await sql('ALTER TABLE k1.people RENAME COLUMN token TO t2');
  expect(await gateway.verdict('SELECT who FROM k1.visits')).toBe('full');
});

test('a rename by somebody without masks, through the gateway, takes nothing from the masks of others', async () => {
  await using gateway = await staff('h1');
  await sql("INSERT INTO h1.staff VALUES (1, 'hidden-1', 'note')");
  const parts = {
    target: target(),
    policy: createStatementPolicy(parser),
    catalog: gateway.catalogs.source(target()),
  };
  const free = grantOf({ rules: ['allow *'] });
  const masked = grantOf({ rules: ['allow *'], masks: ['h1.staff.token full'] });
  await using owner = await startBench({ ...parts, grant: () => free });
  await using analyst = await startBench({ ...parts, grant: () => masked });
  await using renames = await RawClient.open(owner.port);
  await using reads = await RawClient.open(analyst.port);
  const shown = async (text: string) => rows(await reads.ask([query(text)]));
  const before = await shown('SELECT token, note FROM h1.staff');
  expect(before).toEqual([[expect.not.stringContaining('hidden'), 'note']]);
  await renames.ask([query('BEGIN; ALTER TABLE h1.staff RENAME COLUMN token TO t2; COMMIT')]);
  await renames.ask([query('ALTER TABLE h1.staff RENAME TO people')]);
  expect(await shown('SELECT t2, note FROM h1.people')).toEqual(before);
  expect(rows(await renames.ask([query('SELECT t2 FROM h1.people')]))).toEqual([['hidden-1']]);
});

describe('a mask ends', () => {
  test('with the column: statements go on', async () => {
    await using gateway = await staff('e1');
    await sql('ALTER TABLE e1.staff DROP COLUMN token');
    expect(await gateway.verdict('SELECT * FROM e1.staff')).toBe('- -');
    expect(gateway.boundTo()).toEqual([['unresolved']]);
    await sql('ALTER TABLE e1.staff ADD COLUMN token text');
    expect(await gateway.verdict('SELECT token FROM e1.staff')).toBe('full');
    expect(gateway.boundTo()).toEqual([]);
  });

  test('with the table', async () => {
    await using gateway = await staff('e2');
    await sql('DROP TABLE e2.staff; CREATE TABLE e2.other (token text)');
    expect(await gateway.verdict('SELECT token FROM e2.other')).toBe('-');
    expect(readMaskBindings(gateway.path)).toEqual([]);
  });

  test('with the policy that has it', async () => {
    await using gateway = await staff('e3');
    await sql('ALTER TABLE e3.staff RENAME COLUMN token TO t2');
    expect(await gateway.verdict('SELECT t2 FROM e3.staff')).toBe('full');
    gateway.policyChanged([]);
    expect(readMaskBindings(gateway.path)).toEqual([]);
    gateway.policyChanged(['e3.staff.token']);
    expect(await gateway.verdict('SELECT t2 FROM e3.staff')).toBe('-');
    gateway.policyChanged(['e3.staff.t2']);
    expect(await gateway.verdict('SELECT t2 FROM e3.staff')).toBe('full');
  });
});

test('names that stand for nothing are told once, and only those that stand for something nowhere', async () => {
  await sql('CREATE SCHEMA n1; CREATE TABLE n1.t (v text)');
  await using gateway = gatewayOf(['n1.t.v', 'n1.t.tpyo', 'n1.nothing.v']);
  for (let look = 0; look < 3; look += 1) {
    expect(await gateway.verdict('SELECT v FROM n1.t')).toBe('full');
    await sql(`CREATE TABLE n1.more${look} ()`);
  }
  const told = gateway.log.events.filter(({ event }) => event === 'mask.unresolved');
  expect(told.map(({ column }) => column)).toEqual(['n1.t.tpyo', 'n1.nothing.v']);
  const { bindings } = gateway;
  const catalog = await gateway.catalog();
  bindings.of('other').bind(
    { ...catalog, relation: () => undefined, relationByOid: () => undefined },
    {
      system: 'x',
      database: 1,
      isPrimary: true,
    },
  );
  expect(bindings.alerts().filter(({ target: name }) => name === 'other')).toHaveLength(2);
});

describe('numbers mean something in one database only', () => {
  test('in another one the column is found by the name that it had last', async () => {
    await sql('CREATE DATABASE restored');
    await using gateway = await staff('d1');
    await sql('ALTER TABLE d1.staff RENAME COLUMN token TO t2');
    await gateway.catalog();
    await using other = gatewayOf(gateway.masks, { path: gateway.path, database: 'restored' });
    const { path } = other;
    await using restored = gatewayOf([], { database: 'restored' });
    expect(await restored.verdict('SELECT 1')).toBe('-');
    // As a dump would make it: other numbers, the names of now.
    await using connection = await connectTarget({
      target: { ...target(), database: 'restored' },
      signal: new AbortController().signal,
    });
    await connection.query(
      'CREATE SCHEMA d1; CREATE TABLE d1.filler (a int, b int, c int); CREATE TABLE d1.staff (note text, t2 text)',
    );
    expect(await other.verdict('SELECT note, t2 FROM d1.staff')).toBe('- full');
    expect(await other.verdict('SELECT a, b, c FROM d1.filler')).toBe('- - -');
    const kept = readMaskBindings(path);
    expect(new Set(kept.map(({ database }) => database)).size).toBe(2);
  });

  test('a standby that is behind ends nothing', async () => {
    await using gateway = await staff('d2');
    const catalog = await gateway.catalog();
    const [known] = readMaskBindings(gateway.path);
    const [system = '', database = ''] = known?.database.split('/') ?? [];
    const behind = { ...catalog, relation: () => undefined, relationByOid: () => undefined };
    const place = { system, database: Number(database) };
    gateway.bindings.of('test-db').bind(behind, { ...place, isPrimary: false });
    expect(readMaskBindings(gateway.path)).toEqual([known]);
    gateway.bindings.of('test-db').bind(behind, { ...place, isPrimary: true });
    expect(readMaskBindings(gateway.path)).toEqual([]);
  });
});

describe('what cannot be kept is not relied on', () => {
  test('a disk that cannot be written leaves no catalog to decide with', async () => {
    await sql('CREATE SCHEMA f1; CREATE TABLE f1.t (v text)');
    const bindings = new MaskBindings({
      bindings: [],
      write: () => {
        throw new Error('no space left');
      },
      masked: () => maskedNames(['f1.t.v']),
      log: collectLog().log,
    });
    await using catalogs = new TargetCatalogs(parser, (name) => bindings.of(name));
    await expect(catalogs.source(target()).current()).rejects.toThrow('no space left');
    await expect(catalogs.source(target()).current()).rejects.toThrow('no space left');
  });

  test('a damaged file keeps the gateway from starting', async () => {
    await using gateway = await staff('f2');
    writeFileSync(gateway.path, readFileSync(gateway.path, 'utf8').slice(0, -10));
    expect(() => readMaskBindings(gateway.path)).toThrow(
      expect.objectContaining({ code: 'HOOP_LOCAL_STATE' }),
    );
  });
});
