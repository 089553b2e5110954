import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { loadModule, parse } from 'libpg-query';
import { describe, expect, test, vi } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import { TargetCatalogs } from '../../../../src/connectors/postgres/gateway/catalog/target-catalogs.ts';
import { connectTarget } from '../../../../src/connectors/postgres/gateway/target/target-connection.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import {
  decodeStartupMessage,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { Secret } from '../../../../src/secret.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { hostAt, targetOf, testTarget } from './test-target.ts';

test('a query that is never answered does not hold up the end of the gateway', async () => {
  await using postgres = await startTestPostgres();
  await using parser = SqlParser.create();
  // The way to the target: forgets what the target says from the moment it is told to.
  const sockets: Socket[] = [];
  let isSilent = false;
  const asked = Promise.withResolvers<void>();
  const way = createServer((near) => {
    const far = connect(postgres.port, postgres.host);
    sockets.push(near, far);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    far.on('data', (bytes) => !isSilent && near.write(bytes));
    near.on('data', (bytes) => {
      far.write(bytes);
      if (isSilent) {
        asked.resolve();
      }
    });
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  const catalogs = new TargetCatalogs(parser);
  // A TCP server has an address with a port.
  const { port } = way.address() as AddressInfo;
  const source = catalogs.source(targetOf(postgres, { hosts: [hostAt(port)] }));
  await source.current();
  isSilent = true;
  const refresh = source.refresh();
  const refused = expect(refresh).rejects.toMatchObject({ code: 'HOOP_SESSION_ENDED' });
  await asked.promise;
  await catalogs[Symbol.asyncDispose]();
  await refused;
  for (const socket of sockets) {
    socket.destroy();
  }
  way.close();
  await once(way, 'close');
});

/** What PgBouncer does with settings at startup: it refuses them, or `ignore_startup_parameters`. */
async function startPooler(target: number, does: 'refuses' | 'ignores') {
  const refusal = 'SFATAL\0C08P01\0Munsupported startup parameter: search_path\0\0';
  const sockets: Socket[] = [];
  /** Texts of simple queries. */
  const queries: string[] = [];
  let logins = 0;
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    sockets.push(near, far);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
    far.on('data', (bytes) => near.write(bytes));
    near.once('data', (packet) => {
      logins += 1;
      const { parameters } = decodeStartupMessage(packet.subarray(4));
      if (does === 'refuses' && parameters.has('search_path')) {
        const header = Buffer.from([0x45, 0, 0, 0, 4 + refusal.length]);
        near.end(Buffer.concat([header, Buffer.from(refusal)]));
        return;
      }
      const kept = ['user', 'database', 'application_name'];
      const taken = new Map([...parameters].filter(([name]) => kept.includes(name)));
      far.write(encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters: taken }));
      near.on('data', (bytes) => {
        // One message each, as this connection sends them.
        if (bytes[0] === 0x51) queries.push(bytes.subarray(5, -1).toString());
        far.write(bytes);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    // A TCP server has an address with a port.
    port: (server.address() as AddressInfo).port,
    queries,
    logins: () => logins,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test.each(['refuses', 'ignores'] as const)(
  'a pooler that %s settings at startup: names come out qualified all the same',
  async (does) => {
    await using postgres = await startTestPostgres();
    await using parser = SqlParser.create();
    const { signal } = new AbortController();
    await using admin = await connectTarget({ target: targetOf(postgres), signal });
    await admin.query(`CREATE SCHEMA shop; CREATE TABLE shop.people (email text);
    CREATE VIEW shop.seen AS SELECT email FROM shop.people;
    ALTER ROLE CURRENT_USER SET search_path = shop`);
    const pooler = await startPooler(postgres.port, does);
    await using catalogs = new TargetCatalogs(parser);
    const tls = { ...targetOf(postgres).tls, mode: 'disable' } as const;
    const source = catalogs.source(targetOf(postgres, { hosts: [hostAt(pooler.port)], tls }));
    const seen = (await source.current()).relation('shop', 'seen');
    expect(seen?.viewDefinition).toContain('FROM shop.people');
    // The next who gets the connection finds it as it was.
    const settings = /^SET LOCAL statement_timeout = 30000; SET LOCAL lock_timeout = 2000; /;
    expect(pooler.queries.length).toBeGreaterThan(3);
    expect(pooler.queries.filter((sql) => !settings.test(sql))).toEqual([]);
    expect(pooler.queries.filter((sql) => /\bSET (?!LOCAL )\w+ (?:=|TO)/.test(sql))).toEqual([]);
    expect(pooler.logins()).toBe(1);
    await catalogs[Symbol.asyncDispose]();
    await pooler.close();
  },
);

describe('the connection of the catalog', () => {
  const { signal } = new AbortController();
  const { target } = testTarget();

  function connect(database: string) {
    const startup = new Map([['client_encoding', 'UTF8']]);
    return connectTarget({ target: { ...target(), database }, startup, signal });
  }

  test('is cut while all is read: nothing is read on outside of the transaction', async () => {
    await using parser = SqlParser.create();
    await using catalogs = new TargetCatalogs(parser);
    await using admin = await connect('postgres');
    await admin.query(`CREATE SCHEMA shop; CREATE TABLE shop.people (email text);
    CREATE VIEW shop.seen AS SELECT email FROM shop.people;
    ALTER ROLE CURRENT_USER SET search_path = shop`);
    await using locker = await connect('postgres');
    await locker.query('BEGIN; LOCK TABLE shop.people IN ACCESS EXCLUSIVE MODE');
    const source = catalogs.source(target());
    let isOver = false;
    const read = source.current().finally(() => {
      isOver = true;
    });
    const refused = expect(read).rejects.toMatchObject({ code: 'HOOP_TARGET_UNREACHABLE' });
    // It waits for the lock, in the middle.
    const cut = async (): Promise<boolean> => {
      const ended = await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'hoop catalog' AND wait_event_type = 'Lock'`);
      return ended.length > 0 || isOver;
    };
    await expect.poll(cut, { timeout: 60_000 }).toBe(true);
    await locker.query('ROLLBACK');
    await refused;
    const seen = (await source.current()).relation('shop', 'seen');
    expect(seen?.viewDefinition).toContain('FROM shop.people');
  });

  test('is one of several, for credentials and targets: what one of them changes counts for all of that database', async () => {
    await using parser = SqlParser.create();
    await using catalogs = new TargetCatalogs(parser);
    await using admin = await connect('postgres');
    await admin.query(`CREATE ROLE somebody SUPERUSER LOGIN PASSWORD 'x'`);
    const somebody = { user: 'somebody', password: new Secret('x') };
    const places = [{}, somebody, { name: 'same-db' }, { database: 'template1' }];
    const [mine, ...others] = places.map((place) => catalogs.source({ ...target(), ...place }));
    // Nothing is due.
    using clock = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    for (const one of [mine, ...others]) await one?.current();
    await admin.query('CREATE TABLE public.made_by_one (id int)');
    mine?.invalidate?.('relations');
    expect(others.map((one) => one.fresh?.() === undefined)).toEqual([true, true, false]);
    const seen = await others[0]?.current();
    expect(seen?.relation('public', 'made_by_one')).toBeDefined();
    clock.mockRestore();
  });

  test('is ended by the server: a database made anew is another one at once', async () => {
    await using parser = SqlParser.create();
    await using catalogs = new TargetCatalogs(parser);
    await using admin = await connect('postgres');
    const source = catalogs.source({ ...target(), database: 'anew' });
    const make = async (): Promise<void> => {
      await admin.query('CREATE DATABASE anew');
      await using inside = await connect('anew');
      await inside.query('CREATE TABLE public.made (id int)');
    };
    await make();
    // Nothing is due.
    using _ = vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    const before = (await source.current()).relation('public', 'made');
    await admin.query('DROP DATABASE anew WITH (FORCE)');
    await make();
    await expect.poll(() => source.fresh?.()).toBeUndefined();
    const after = (await source.current()).relation('public', 'made');
    expect(after?.oid).toBeGreaterThan(before?.oid ?? 0);
  });

  test('is not taken in by temporary tables of whoever had it before, behind a pooler', async () => {
    await using connection = await connect('postgres');
    await connection.query(`CREATE TABLE public.told (email text DEFAULT 'boss@secret.example');
    CREATE TEMP TABLE pg_attrdef (adrelid oid, adnum int2, adbin pg_node_tree)`);
    await loadModule();
    const mask = { schema: 'public', relation: 'told', column: 'email' };
    const source = openCatalogSource({
      query: (sql) => connection.query(sql),
      parse,
      masks: {
        revision: () => 0,
        bind: (catalog) => {
          const oid = catalog.relation('public', 'told')?.oid ?? 0;
          return [{ mask, oid, attnum: 1, isNamed: true }];
        },
        unread: (relations) => expect(relations).toEqual([]),
      },
    });
    expect((await source.current()).maskTexts).toEqual([{ mask, kind: 'default' }]);
  });

  test.each(['UTF8', 'LATIN1', 'SQL_ASCII'])(
    'reads names beyond ASCII, whatever settings the role has: a database in %s',
    async (encoding) => {
      const name = `in_${encoding.toLowerCase()}`;
      await using parser = SqlParser.create();
      await using catalogs = new TargetCatalogs(parser);
      await using admin = await connect('postgres');
      await admin.query(
        `CREATE DATABASE ${name} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`,
      );
      for (const setting of [
        'client_encoding = LATIN1',
        'idle_in_transaction_session_timeout = 1',
      ]) {
        await admin.query(`ALTER ROLE CURRENT_USER IN DATABASE ${name} SET ${setting}`);
      }
      await using inside = await connect(name);
      await inside.query('CREATE TABLE public."élèves" ("prénom" text)');
      // What is no UTF-8 does not keep the rest from being read.
      if (encoding === 'SQL_ASCII') {
        await inside.query(
          `DO $$ BEGIN EXECUTE 'CREATE TABLE public.' || convert_from('\xe9', 'SQL_ASCII') || '()'; END $$`,
        );
      }
      const catalog = await catalogs.source({ ...target(), database: name }).current();
      expect(catalog.relation('public', 'élèves')?.columns).toMatchObject([{ name: 'prénom' }]);
    },
  );
});
