/** How streams begin and end: startup, cancel, both sides leaving, and who waits for whom. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { PostgresTarget } from '../../../../src/connectors/postgres/gateway/types.ts';
import { decodeBackendKeyData } from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import {
  encodeCancelRequest,
  encodeStartupMessage,
} from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { HoopError } from '../../../../src/errors.ts';
import { errorFields } from '../../../../src/gateway/base/log.ts';
import { encodeCancelPosition } from '../../../../src/protocol/carrier/cancel-position.ts';
import { Secret } from '../../../../src/secret.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import {
  type Bench,
  type Script,
  type ScriptedStatement,
  startBench,
  testGrant,
} from './engine-bench.ts';
import {
  bind,
  errors,
  execute,
  letters,
  message,
  parse,
  query,
  RawClient,
  type Received,
  report,
  rows,
  sync,
  terminate,
} from './raw-client.ts';
import { hostAt, testTarget } from './test-target.ts';

/** https://www.postgresql.org/docs/current/protocol-message-formats.html */
const CANCEL_REQUEST_CODE = 80877102;

const { target, sql, server, direct } = testTarget();

/** Backends that run a statement with this mark. */
const running = async (mark: string): Promise<number> => {
  const [row] = await sql(
    `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${mark}%' AND pid <> pg_backend_pid()`,
  );
  return Number(row?.[0]);
};

const untilRunning = async (mark: string, count: number): Promise<void> => {
  await expect.poll(() => running(mark)).toBe(count);
};

/** A statement of the target that ends when it is told to, and no sooner. */
async function holdStatements(): Promise<{ held: string; release: () => Promise<void> }> {
  const holder = await direct();
  await holder.ask([query('SELECT pg_advisory_lock(4711)')]);
  return {
    held: "SELECT pg_advisory_lock(4711), 'done'",
    release: () => holder[Symbol.asyncDispose](),
  };
}

function notices(received: readonly Received[]): Record<string, string>[] {
  return received.filter(({ type }) => type === 'N').map(({ body }) => report(body));
}

function keyOf(client: RawClient): { processId: number; secretKey: Uint8Array } {
  const key = client.received.find(({ type }) => type === 'K');
  return decodeBackendKeyData(key?.body ?? Buffer.alloc(0));
}

async function cancel(
  bench: Bench,
  key: { processId: number; secretKey: Uint8Array },
): Promise<void> {
  const socket = connect(bench.port, '127.0.0.1');
  socket.write(encodeCancelRequest(key));
  socket.resume();
  await once(socket, 'close');
}

interface HeldDecision {
  readonly script: Script;
  /** A statement is there to be decided. */
  readonly asked: Promise<void>;
  readonly decide: () => void;
}

function heldDecision(outcome: ScriptedStatement = {}): HeldDecision {
  const thinking = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const script = async (): Promise<ScriptedStatement> => {
    asked.resolve();
    await thinking.promise;
    return outcome;
  };
  return { script, asked: asked.promise, decide: thinking.resolve };
}

describe('startup', () => {
  test('gives what the server reports and a cancel key of the gateway', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port, { application_name: 'abc' });
    const reported = client.received
      .filter(({ type }) => type === 'S')
      .map(({ body }) => body.toString().split('\0').slice(0, 2).join('='));
    expect(reported).toContain('application_name=abc');
    expect(reported).toContain('standard_conforming_strings=on');
    const { processId, secretKey } = keyOf(client);
    expect(secretKey).toHaveLength(4);
    const [row] = rows(await client.ask([query('SELECT pg_backend_pid()')]));
    expect(row).toEqual([String(processId)]);
  });

  test.each([
    ['another database', { database: 'other' }, '3D000'],
    ['replication', { replication: 'database' }, '42501'],
    ['another way to read literals', { options: '-c standard_conforming_strings=off' }, '42501'],
    ['another role', { options: '-c role=postgres' }, '42501'],
    ['an encoding that hides quotes', { client_encoding: 'SJIS' }, '42501'],
  ])('with %s is refused', async (_title, parameters, sqlState) => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port, parameters);
    expect(errors(client.received)[0]).toMatchObject({ S: 'FATAL', C: sqlState });
    expect(letters(client.received)).toBe('R E');
    await client.closed();
  });

  test('passes settings of the session on', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port, {
      options: '-c statement_timeout=1234',
      DateStyle: 'German',
    });
    expect(rows(await client.ask([query('SHOW statement_timeout')]))).toEqual([['1234ms']]);
    expect(rows(await client.ask([query('SHOW DateStyle')]))).toEqual([['German, DMY']]);
  });

  test('with a wrong credential names the target and no user', async () => {
    await using bench = await startBench({ target: { ...target(), user: 'nobody_knows' } });
    await using client = await RawClient.open(bench.port);
    const [error] = errors(client.received);
    expect(error).toMatchObject({ S: 'FATAL', M: 'cannot log in to target "test-db"' });
    expect(JSON.stringify(error)).not.toContain('nobody_knows');
  });

  test.each([
    [
      'a parameter that it does not know',
      { nonsense: '1' },
      { C: '42704', M: 'unrecognized configuration parameter "nonsense"' },
    ],
    [
      'the same among the options',
      { options: '-c nonsense=1' },
      { C: '42704', M: 'unrecognized configuration parameter "nonsense"' },
    ],
    [
      'a parameter called as the credential',
      { options: '-c postgres=1' },
      { C: '42704', M: 'unrecognized configuration parameter "postgres"' },
    ],
    [
      'a value that it does not take',
      { DateStyle: 'sideways' },
      { C: '22023', M: 'invalid value for parameter "DateStyle": "sideways"' },
    ],
    [
      'a parameter that only the server may set',
      { options: '-c wal_level=logical' },
      { C: '55P02', M: 'parameter "wal_level" cannot be changed without restarting the server' },
    ],
  ])('that the server refuses for %s ends in its own words', async (_title, parameters, said) => {
    await using bench = await startBench({
      target: target(),
      grant: () => testGrant({ passthrough: true }),
    });
    await using client = await RawClient.open(bench.port, parameters);
    expect(errors(client.received)[0]).toMatchObject({ S: 'FATAL', ...said });
    // As the server has it. Before AuthenticationOk, libpq would try again without TLS.
    expect(letters(client.received)).toBe('R E');
  });

  test('gives what the server notes about it', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port, { application_name: 'x'.repeat(200) });
    expect(notices(client.received)[0]).toMatchObject({ S: 'NOTICE', C: '42622' });
  });

  test('gives what a login trigger says only where it cannot tell of a masked column', async () => {
    await sql(`CREATE FUNCTION tells() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
        RAISE NOTICE 'noted %', current_setting('application_name');
        IF current_setting('application_name') = 'out' THEN RAISE EXCEPTION 'closed at night'; END IF;
      END $$`);
    await sql('CREATE EVENT TRIGGER tells ON login EXECUTE FUNCTION tells()');
    const said = async (masks: readonly string[], application_name: string) => {
      const grant = grantOf({ rules: ['allow *'], masks });
      await using bench = await startBench({ target: target(), grant: () => grant });
      await using client = await RawClient.open(bench.port, { application_name });
      return [...notices(client.received), ...errors(client.received)].map(({ M }) => M);
    };
    const masked = ['public.t.id full'];
    expect(await said([], 'in')).toEqual(['noted in']);
    expect(await said([], 'out')).toEqual(['closed at night']);
    expect(await said(masked, 'in')).toEqual([expect.stringMatching(/^notice text withheld/)]);
    expect((await said(masked, 'out')).join()).not.toContain('night');
    await sql('DROP EVENT TRIGGER tells');
    await sql('DROP FUNCTION tells');
  });

  test('to a database that is not there ends in the words of the server', async () => {
    await using bench = await startBench({ target: { ...target(), database: 'nowhere' } });
    await using client = await RawClient.open(bench.port, { database: 'nowhere' });
    expect(errors(client.received)[0]).toMatchObject({
      C: '3D000',
      M: 'database "nowhere" does not exist',
    });
  });

  test('for which the server has no connection left says so, and not to whom it said so', async () => {
    await sql('CREATE ROLE crowded_role LOGIN CONNECTION LIMIT 0');
    await sql("ALTER ROLE crowded_role PASSWORD 'let-me-in'");
    const credential = { user: 'crowded_role', password: new Secret('let-me-in') };
    // A client that guesses parts of the name, to have them taken for its own words.
    for (const application_name of ['abc', 'crowded', 'role']) {
      await using bench = await startBench({ target: { ...target(), ...credential } });
      await using client = await RawClient.open(bench.port, { application_name });
      await bench.idle();
      const [error] = errors(client.received);
      expect(error).toMatchObject({ C: '53300', M: 'cannot log in to target "test-db"' });
      expect(JSON.stringify(error)).not.toContain('crowded_role');
      expect(errorFields(bench.summaries[0]?.problem)['cause']).toContain(
        'too many connections for role "crowded_role"',
      );
    }
    await sql('DROP ROLE crowded_role');
  });

  test('with a wrong password tells the operator alone what the server said', async () => {
    const wrong = { password: new Secret('wrong-pw') };
    await using bench = await startBench({ target: { ...target(), ...wrong } });
    await using client = await RawClient.open(bench.port);
    await bench.idle();
    const [error] = errors(client.received);
    expect(error).toMatchObject({ C: '08001', M: 'cannot log in to target "test-db"' });
    expect(JSON.stringify(error)).not.toContain('password authentication');
    const logged = JSON.stringify(errorFields(bench.summaries[0]?.problem));
    expect(logged).toContain('password authentication failed for user');
    expect(logged).not.toContain('wrong-pw');
  });

  test('with a target that is not there says so', async () => {
    await using bench = await startBench({ target: { ...target(), hosts: [hostAt(1)] } });
    await using client = await RawClient.open(bench.port);
    expect(errors(client.received)[0]).toMatchObject({ M: 'cannot reach target "test-db"' });
  });

  test('that is not completed in time is closed, without a connection to the target', async () => {
    await using bench = await startBench({ target: target(), startupWithinMs: 50 });
    const socket = connect(bench.port, '127.0.0.1');
    socket.write(Buffer.from('0000002000030000', 'hex'));
    socket.resume();
    await once(socket, 'close');
    await bench.idle();
    expect(bench.summaries).toMatchObject([{ reason: 'the client requested nothing' }]);
  });

  test('tells the operator, and only the operator, where the target is not', async () => {
    const hosts = [{ ...hostAt(1), shown: undefined }];
    await using bench = await startBench({ target: { ...target(), hosts } });
    await using client = await RawClient.open(bench.port);
    await bench.idle();
    expect(JSON.stringify(errors(client.received))).not.toContain('127.0.0.1');
    const [summary] = bench.summaries;
    expect(errorFields(summary?.problem)).toMatchObject({
      code: 'HOOP_TARGET_UNREACHABLE',
      cause: expect.stringContaining('127.0.0.1:1'),
    });
  });

  test('with a long statement right behind it in one packet', async () => {
    await using bench = await startBench({ target: target() });
    const socket = connect(bench.port, '127.0.0.1');
    const client = new RawClient(socket);
    const startup = encodeStartupMessage({
      majorVersion: 3,
      minorVersion: 2,
      parameters: new Map([['user', 'x']]),
    });
    client.send(startup, query(`SELECT length('${'x'.repeat(84_000)}')`));
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    expect(rows(client.received)).toEqual([['84000']]);
    expect(keyOf(client).secretKey).toHaveLength(32);
    socket.destroy();
  });

  test('with rubbish closes', async () => {
    await using bench = await startBench({ target: target() });
    const socket = connect(bench.port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    await bench.idle();
    expect(bench.failures).toEqual([]);
  });
});

describe('cancel', () => {
  test('stops the statement and leaves the connection', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    client.send(query('SELECT pg_sleep(3600) /* sleeper-1 */'));
    await untilRunning('sleeper-1', 1);
    await cancel(bench, keyOf(client));
    // The login's, and the one behind the error, which may come in a chunk of its own.
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    expect(errors(client.received)[0]?.['C']).toBe('57014');
    expect(rows(await client.ask([query('SELECT 1')], 1))).toEqual([['1']]);
    expect(bench.events).toContainEqual({ type: 'cancel', stream: 2, forStream: 1 });
  });

  test('with a wrong key does nothing', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    const { held, release } = await holdStatements();
    client.send(query(`${held} /* sleeper-2 */`));
    await untilRunning('sleeper-2', 1);
    await cancel(bench, { ...keyOf(client), secretKey: Uint8Array.of(1, 2, 3, 4) });
    await release();
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    expect(errors(client.received)).toEqual([]);
    expect(bench.events).toContainEqual({ type: 'cancel', stream: 2, forStream: undefined });
  });

  test('that is on its way to the server does not hit the next statement', async () => {
    const delivery = Promise.withResolvers<void>();
    await using server = await deafToFirstCancel(target(), delivery.promise);
    await using bench = await startBench({ target: server.target });
    await using client = await RawClient.open(bench.port);
    const { held, release } = await holdStatements();
    client.send(query(`${held} /* sleeper-5 */`));
    await untilRunning('sleeper-5', 1);
    const cancelled = cancel(bench, keyOf(client));
    await server.cancelled;
    await release();
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    client.send(query("SELECT pg_sleep(0.5), 'slept'"));
    // A whole login takes longer than a statement that was sent before it.
    await (await RawClient.open(bench.port))[Symbol.asyncDispose]();
    delivery.resolve();
    await cancelled;
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 3);
    expect(errors(client.received)).toEqual([]);
    expect(rows(client.received)).toContainEqual(['', 'slept']);
  });

  test('of a refused statement that has not been refused yet changes nothing', async () => {
    const { script, asked, decide } = heldDecision({ deny: {} });
    await using bench = await startBench({ target: target(), script });
    await using client = await RawClient.open(bench.port);
    client.send(query('DROP TABLE x'));
    await asked;
    const cancelled = cancel(bench, keyOf(client));
    decide();
    await cancelled;
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    expect(errors(client.received)[0]?.['R']).toBe('HOOP_DENIED');
  });
});

interface DeafServer extends AsyncDisposable {
  readonly target: PostgresTarget;
  readonly cancels: number;
  /** The first cancel has come. */
  readonly cancelled: Promise<void>;
}

/**
 * Drops the first cancel, as a server does that has not read the statement yet.
 * @param delivery the first cancel gets through when this resolves
 * @param isReady those behind it get through then: a real server, too, drops one that comes too early
 */
async function deafToFirstCancel(
  behind: PostgresTarget,
  delivery?: Promise<void>,
  isReady: () => Promise<void> = async () => undefined,
): Promise<DeafServer> {
  const sockets = new Set<Socket>();
  const { promise: cancelled, resolve: hear } = Promise.withResolvers<void>();
  let cancels = 0;
  const proxy = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    sockets.add(near.on('error', () => undefined));
    near.once('data', async (first) => {
      const isCancel = first.length >= 8 && first.readUInt32BE(4) === CANCEL_REQUEST_CODE;
      cancels += isCancel ? 1 : 0;
      if (isCancel && cancels === 1) {
        hear();
        if (delivery === undefined) {
          near.destroy();
          return;
        }
        await delivery;
      } else if (isCancel) {
        await isReady();
      }
      const far = connect({ host: '127.0.0.1', port: behind.hosts[0]?.port ?? 0, noDelay: true });
      sockets.add(far.on('error', () => undefined));
      far.write(first);
      near.pipe(far);
      far.pipe(near);
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = proxy.address() as AddressInfo;
  return {
    target: { ...behind, hosts: [hostAt(port)], tls: { ...behind.tls, mode: 'disable' } },
    get cancels() {
      return cancels;
    },
    cancelled,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}

describe('a cancel that says how much had been sent', () => {
  async function cancelBehind(bench: Bench, client: RawClient, sentBytes: number): Promise<void> {
    const socket = connect(bench.port, '127.0.0.1');
    socket.write(
      Buffer.concat([encodeCancelRequest(keyOf(client)), encodeCancelPosition(sentBytes)]),
    );
    socket.resume();
    await once(socket, 'close');
  }

  test('does not hit a statement that was sent later', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    await client.ask([query('SELECT 1')]);
    const sentBytes = client.socket.bytesWritten;
    const { held, release } = await holdStatements();
    client.send(query(`${held} /* sleeper-5 */`));
    await untilRunning('sleeper-5', 1);
    await cancelBehind(bench, client, sentBytes);
    await release();
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 3);
    expect(errors(client.received)).toEqual([]);
  });

  test('hits one that was sent before, and not the one behind it', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    client.send(query('SELECT pg_sleep(3600) /* sleeper-6 */'));
    await untilRunning('sleeper-6', 1);
    const sentBytes = client.socket.bytesWritten;
    const cancelled = cancelBehind(bench, client, sentBytes);
    client.send(query("SELECT pg_sleep(0.2), 'slept'"));
    await cancelled;
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 3);
    expect(errors(client.received)).toMatchObject([{ C: '57014' }]);
    expect(rows(client.received)).toEqual([['', 'slept']]);
  });

  test('waits for a statement that is still being decided', async () => {
    const { script, asked, decide } = heldDecision();
    const delivery = Promise.withResolvers<void>();
    await using server = await deafToFirstCancel(target(), delivery.promise);
    await using bench = await startBench({ target: server.target, script });
    await using client = await RawClient.open(bench.port);
    client.send(query('SELECT pg_sleep(3600) /* sleeper-7 */'));
    await asked;
    const cancelled = cancelBehind(bench, client, client.socket.bytesWritten);
    // A whole login takes longer than a packet that was sent before it.
    await (await RawClient.open(bench.port))[Symbol.asyncDispose]();
    expect(server.cancels).toBe(0);
    decide();
    await server.cancelled;
    await untilRunning('sleeper-7', 1);
    delivery.resolve();
    await cancelled;
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 2);
    expect(errors(client.received)).toMatchObject([{ C: '57014' }]);
    expect(rows(await client.ask([query('SELECT 1')], 1))).toContainEqual(['1']);
  });

  async function cancelWhileDecided(
    statement: string,
    ...behind: readonly Uint8Array[]
  ): Promise<{ readonly client: RawClient; readonly cancels: number }> {
    const { script, asked, decide } = heldDecision();
    await using server = await deafToFirstCancel(target(), undefined, () =>
      untilRunning('sleeper-8', 1),
    );
    await using bench = await startBench({ target: server.target, script });
    await using client = await RawClient.open(bench.port);
    client.send(query(statement));
    const sentBytes = client.socket.bytesWritten;
    await asked;
    const cancelled = cancelBehind(bench, client, sentBytes);
    client.send(...behind);
    // A whole login takes longer than a packet that was sent before it.
    await (await RawClient.open(bench.port))[Symbol.asyncDispose]();
    decide();
    await cancelled;
    await client.until(
      (all) => all.filter(({ type }) => type === 'Z').length === 2 + behind.length,
    );
    return { client, cancels: server.cancels };
  }

  test('is repeated for a statement that nothing stands behind', async () => {
    const { client, cancels } = await cancelWhileDecided('SELECT pg_sleep(3600) /* sleeper-8 */');
    expect(errors(client.received)).toMatchObject([{ C: '57014' }]);
    expect(cancels).toBe(2);
  });

  test('is not repeated where it could hit the statement behind', async () => {
    const behind = query("SELECT pg_sleep(0.2), 'slept'");
    const { client, cancels } = await cancelWhileDecided('SELECT pg_sleep(0.5)', behind);
    expect(errors(client.received)).toEqual([]);
    expect(rows(client.received)).toContainEqual(['', 'slept']);
    expect(cancels).toBe(1);
  });
});

describe('the end of the session', () => {
  test('is said between two messages, and the statement stops', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    client.send(query('SELECT pg_sleep(3600) /* sleeper-3 */'));
    await untilRunning('sleeper-3', 1);
    const reason = new HoopError('HOOP_SESSION_EXPIRED', 'the session has expired');
    bench.session.abort(reason);
    await client.closed();
    expect(errors(client.received)).toMatchObject([
      { S: 'FATAL', C: '57P01', M: 'the session has expired', R: 'HOOP_SESSION_EXPIRED' },
    ]);
    await bench.idle();
    expect(bench.summaries).toMatchObject([{ reason: 'the session has expired' }]);
    await untilRunning('sleeper-3', 0);
  });

  test('in the middle of a large result leaves whole messages only', async () => {
    await using bench = await startBench({ target: target(), closeWithinMs: 300_000 });
    await using client = await RawClient.open(bench.port);
    client.send(query("SELECT repeat('x', 5000000), g FROM generate_series(1, 100) g"));
    await client.until((all) => all.some(({ type }) => type === 'D'));
    bench.session.abort(new HoopError('HOOP_SESSION_REVOKED', 'the session was revoked'));
    await client.closed();
    expect(client.received.at(-1)?.type).toBe('E');
    expect(errors(client.received)[0]).toMatchObject({ S: 'FATAL', R: 'HOOP_SESSION_REVOKED' });
  });
});

describe('a side that leaves', () => {
  test('Terminate ends the backend', async () => {
    await using bench = await startBench({ target: target() });
    const client = await RawClient.open(bench.port, { application_name: 'leaver' });
    client.send(terminate);
    await client.closed();
    await bench.idle();
    expect(
      await sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaver'"),
    ).toEqual([['0']]);
    expect(bench.summaries).toMatchObject([{ reason: 'the client closed the connection' }]);
  });

  test('Terminate behind a statement lets it finish, though nobody reads the answer', async () => {
    await using bench = await startBench({ target: target() });
    await sql('CREATE TABLE finished (a int)');
    const client = await RawClient.open(bench.port);
    client.send(query('INSERT INTO finished SELECT 1 FROM pg_sleep(1.5)'), terminate);
    client.socket.destroySoon();
    await bench.idle();
    expect(await sql('SELECT count(*) FROM finished')).toEqual([['1']]);
  });

  test('a client that is gone takes its running statement with it', async () => {
    await using bench = await startBench({ target: target() });
    const client = await RawClient.open(bench.port);
    client.send(query('SELECT pg_sleep(3600) /* sleeper-4 */'));
    await untilRunning('sleeper-4', 1);
    client.socket.resetAndDestroy();
    await bench.idle();
    await untilRunning('sleeper-4', 0);
    expect(bench.failures).toEqual([]);
  });

  test('a client that closes its half still gets its answers', async () => {
    await using bench = await startBench({ target: target() });
    const socket = connect({ port: bench.port, host: '127.0.0.1', allowHalfOpen: true });
    const client = new RawClient(socket);
    socket.end(
      Buffer.concat([
        encodeStartupMessage({
          majorVersion: 3,
          minorVersion: 0,
          parameters: new Map([['user', 'x']]),
        }),
        query('SELECT 42'),
      ]),
    );
    await client.closed();
    expect(rows(client.received)).toEqual([['42']]);
  });

  test('a target that closes says why itself', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    const { processId } = keyOf(client);
    await sql(`SELECT pg_terminate_backend(${processId})`);
    await client.closed();
    expect(errors(client.received)[0]).toMatchObject({ S: 'FATAL', C: '57P01' });
    await bench.idle();
    expect(bench.summaries).toMatchObject([{ reason: 'the target closed the connection' }]);
  });
});

describe('messages that are not understood', () => {
  const bad: readonly (readonly [string, Uint8Array])[] = [
    ['an unknown type', message('~', Buffer.from('SELECT 1\0'))],
    ['a length below four', Buffer.from('5100000003', 'hex')],
    ['a length of two gigabytes', Buffer.from('517fffffff53454c454354', 'hex')],
    ['a password out of place', message('p', Buffer.from('x\0'))],
  ];
  test.each(bad)('%s ends the connection with a reason', async (_title, bytes) => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    client.send(bytes);
    await client.closed();
    expect(errors(client.received)[0]).toMatchObject({ S: 'FATAL', C: '08P01' });
    await bench.idle();
    expect(bench.failures).toEqual([]);
  });

  const refusedByTarget: readonly (readonly [string, Uint8Array])[] = [
    ['a Query without its zero', message('Q', Buffer.from('SELECT 1'))],
    ['a Query with a zero inside', message('Q', Buffer.from('SELECT 1\0; DROP TABLE x\0'))],
    ['junk after the fields of Parse', message('P', Buffer.from('\0SELECT 1\0\0\0SELECT 2\0'))],
    ['a Describe of neither kind', message('D', Buffer.from('Zx\0'))],
    ['an Execute without its limit', message('E', Buffer.from('\0'))],
  ];
  test.each(refusedByTarget)(
    '%s gets an error of the server, which never sees it',
    async (_title, bytes) => {
      await using bench = await startBench({ target: target() });
      await using client = await RawClient.open(bench.port);
      client.send(bytes, sync);
      // Of the login, of the Sync, and of a Query its own: what came later would answer the next one.
      const ready = bytes[0] === 'Q'.charCodeAt(0) ? 3 : 2;
      await client.until((all) => all.filter(({ type }) => type === 'Z').length >= ready);
      expect(errors(client.received)).toMatchObject([{ S: 'ERROR', C: '08P01' }]);
      expect(rows(await client.ask([query('SELECT 1')]))).toContainEqual(['1']);
      expect(server().log()).not.toContain('DROP TABLE x');
      await bench[Symbol.asyncDispose]();
      expect(bench.failures).toEqual([]);
    },
  );

  test('a Query above the limit is refused before it is collected', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    client.send(Buffer.from('5104100004', 'hex'), Buffer.from('SELECT 1'));
    await client.until((all) => all.some(({ type }) => type === 'E'));
    expect(errors(client.received)).toMatchObject([{ S: 'ERROR', C: '54000' }]);
    client.send(Buffer.alloc(0x4100000 - 'SELECT 1'.length, ' '), query('SELECT 7'));
    await client.until((all) => all.filter(({ type }) => type === 'Z').length === 3);
    expect(rows(client.received)).toEqual([['7']]);
  });
});

test.each(['onEvent', 'onRecorded'])(
  'a recording that cannot be written ends the stream before anything is forwarded (%s)',
  async (step) => {
    let broken = false;
    await using bench = await startBench({
      target: target(),
      [step]: () => {
        if (broken) throw new Error('disk full');
      },
    });
    await using client = await RawClient.open(bench.port);
    await client.ask([query('CREATE TABLE IF NOT EXISTS kept (a int)')]);
    broken = true;
    client.send(query('DROP TABLE kept'));
    await client.closed();
    await bench.idle();
    expect(bench.failures).toMatchObject([{ message: 'disk full' }]);
    expect(await sql("SELECT to_regclass('kept') IS NOT NULL")).toEqual([['t']]);
  },
);

test('a client that does not read holds the target back, not the memory of the gateway', async () => {
  await using bench = await startBench({ target: target() });
  await using client = await RawClient.open(bench.port);
  client.socket.pause();
  client.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 2000000) /* slow-reader */"));
  await untilRunning('slow-reader', 1);
  let waits = '';
  while (waits !== 'ClientWrite') {
    const [row] = await sql(
      "SELECT wait_event FROM pg_stat_activity WHERE query LIKE '%slow-reader%' AND pid <> pg_backend_pid()",
    );
    waits = row?.[0] ?? '';
  }
  // Two gigabytes are waiting at the target, and here no more than what sockets and streams hold.
  expect(process.memoryUsage().rss).toBeLessThan(1_000_000_000);
});

test('a passthrough grant asks nothing and changes nothing', async () => {
  const grant = testGrant({ passthrough: true });
  await using bench = await startBench({
    target: target(),
    grant: () => grant,
    script: () => {
      throw new Error('the policy is not asked');
    },
  });
  await using client = await RawClient.open(bench.port);
  const answers = await client.ask([
    parse('SELECT 1', 's'),
    bind({ statement: 's' }),
    execute(),
    sync,
  ]);
  expect(letters(answers)).toBe('1 2 D C Z');
  expect(letters(await client.ask([query('SET standard_conforming_strings = off')]))).toBe('C Z');
  expect(rows(await client.ask([query("SELECT 'a\\'b'")]))).toEqual([["a'b"]]);
  await client.ask([query('CREATE TEMP TABLE c (a int)')]);
  const from = client.received.length;
  client.send(
    query('COPY c FROM STDIN'),
    message('d', Buffer.from('1\n')),
    message('c', Buffer.alloc(0)),
  );
  await client.until((all) => all.slice(from).some(({ type }) => type === 'Z'));
  const tags = (received: readonly Received[]): string[] =>
    received
      .filter(({ type }) => type === 'C')
      .map(({ body }) => body.toString().replace('\0', ''));
  expect(tags(client.received.slice(from))).toEqual(['COPY 1']);
  const call = Buffer.alloc(14);
  call.writeUInt32BE(2026, 0); // pg_backend_pid, no arguments
  call.writeInt16BE(0, 4);
  const called = await client.ask([
    message('F', Buffer.concat([call.subarray(0, 4), Buffer.alloc(6)])),
  ]);
  expect(letters(called)).toBe('V Z');
  expect(bench.events.filter(({ type }) => type === 'decision').length).toBeGreaterThan(4);
});

test('what was made under a passthrough grant is unknown once the grant is another', async () => {
  let passthrough = true;
  const asked: string[] = [];
  await using bench = await startBench({
    target: target(),
    grant: () => testGrant({ passthrough, generation: String(passthrough) }),
    script: (text) => {
      asked.push(text);
      return text.includes('generate') ? { deny: {} } : undefined;
    },
  });
  await using client = await RawClient.open(bench.port);
  const series = 'SELECT generate_series(1, 9)';
  await client.ask([query(`PREPARE a AS ${series}`)]);
  await client.ask([query('BEGIN')]);
  await client.ask([
    parse(series, 'b'),
    bind({ statement: 'b', portal: 'p' }),
    execute('p', 1),
    sync,
  ]);
  passthrough = false;
  const refused = async (...messages: Uint8Array[]): Promise<string | undefined> => {
    await client.ask([query('SAVEPOINT s')]);
    const [error] = errors(await client.ask([...messages, sync]));
    await client.ask([query('ROLLBACK TO s')]);
    return error?.['C'];
  };
  expect(await refused(execute('p', 1))).toBe('34000');
  expect(await refused(bind({ statement: 'b' }), execute())).toBe('42501');
  expect(await refused(bind({ statement: 'a' }), execute())).toBe('26000');
  expect(asked).toContain(series);
});

test('thousands of messages in one pipeline are all answered', async () => {
  await using bench = await startBench({ target: target() });
  await using client = await RawClient.open(bench.port);
  const many = Array.from({ length: 15_000 }, (_, n) => [parse(`SELECT ${n}`), bind(), execute()]);
  const answers = await client.ask([...many.flat(), sync]);
  expect(rows(answers)).toHaveLength(15_000);
  expect(rows(answers).at(-1)).toEqual(['14999']);
});
