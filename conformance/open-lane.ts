/** A lane from nothing: a cluster of its own and, for hoop, a demo stack and `hoop connect` before it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startDemo } from '../src/demo/demo.ts';
import { startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';
import { type HoopService, startHoop } from '../src/demo/hoop-process.ts';
import { openTarget } from '../src/demo/sample-target.ts';
import { NAMEABLE_SQL, TARGET, writePolicy } from './policies.ts';
import type { Lane, LaneName, ServerInstallation } from './suite.ts';

export const DATABASE = 'regression';
/** On every lane under the same name: it shows up in outputs. */
export const ROLE = 'conformance';

export interface OpenLane extends AsyncDisposable {
  readonly lane: Lane;
  readonly adminUrl: string;
  /** HOOP_HOME of who may connect; undefined on the lane without hoop. */
  readonly home: string | undefined;
  /** Calls the listener with what the server writes to its log, until it is disposed of. */
  onServerLog(listener: (text: string) => void): Disposable;
  /** Makes the database of the suites anew. */
  resetDatabase(): Promise<void>;
  /** On the lanes through hoop a session of its own; else the lane itself. */
  openSession(): Promise<LaneSession>;
}

interface LaneSession extends AsyncDisposable {
  readonly lane: Lane;
  /** Of the recording; undefined on the lane without hoop. */
  readonly id: string | undefined;
}

export interface LaneOptions {
  readonly name: LaneName;
  readonly server: ServerInstallation;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
  /** What ROLE is; default: as pg_regress runs, a superuser. */
  readonly attributes?: 'SUPERUSER REPLICATION' | 'NOSUPERUSER';
  /** A policy in place of that of the suites, for the strict lane. */
  readonly strictPolicy?: string;
}

export async function openLane(options: LaneOptions): Promise<OpenLane> {
  await using stack = new AsyncDisposableStack();
  const listeners = new Set<(text: string) => void>();
  const server = stack.use(
    await startEmbeddedPostgres({
      native: options.server.root,
      // As pg_regress sets up an instance of its own, and room for its parallel groups.
      settings: {
        ...{ max_prepared_transactions: '2', max_connections: '120', log_line_prefix: '%p ' },
      },
      onLog: (text) => {
        for (const listener of listeners) listener(text);
      },
      signal: options.signal,
    }),
  );
  const password = randomBytes(18).toString('base64url');
  await runAdmin(server.url(), [
    `CREATE ROLE ${ROLE} LOGIN ${options.attributes ?? 'SUPERUSER REPLICATION'} PASSWORD '${password}'`,
  ]);
  await createDatabase(server.url());
  const admin = new URL(server.url(DATABASE));
  const own = { user: ROLE, password };
  const { lane, home, openSession } =
    options.name === 'direct'
      ? await direct(stack, options, server.url(), { ...own, port: server.port })
      : await throughHoop(stack, options, options.name, server.url(), own);
  const owned = stack.move();
  return {
    lane,
    adminUrl: admin.href,
    home,
    openSession,
    onServerLog: (listener) => {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    resetDatabase: async () => {
      await endPreparedTransactions(admin.href);
      await createDatabase(server.url());
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function direct(
  stack: AsyncDisposableStack,
  { name, signal }: LaneOptions,
  postgres: string,
  own: { readonly user: string; readonly password: string; readonly port: number },
): Promise<Opened> {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-conformance-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  // The demo leaves its sample database and role in the cluster, which suites can see.
  stack.use(await openTarget({ postgres, directory, signal }));
  const lane = toLane(name, { ...own, host: '127.0.0.1' });
  return {
    lane,
    home: undefined,
    openSession: async () => ({
      lane,
      id: undefined,
      [Symbol.asyncDispose]: async () => undefined,
    }),
  };
}

type Opened = Pick<OpenLane, 'lane' | 'home' | 'openSession'>;

async function throughHoop(
  stack: AsyncDisposableStack,
  { signal, say, strictPolicy }: LaneOptions,
  name: 'passthrough' | 'strict',
  postgres: string,
  own: { readonly user: string; readonly password: string },
): Promise<Opened> {
  const policy =
    name === 'strict' && strictPolicy ? strictPolicy : await suitePolicy(stack, postgres, name);
  const demo = stack.use(
    await startDemo({
      policy,
      postgres,
      credentials: { [TARGET]: own },
      note: (text) => say(`${name}: ${text}`),
      signal,
    }),
  );
  const home = demo.homes['engineer'] ?? '';
  const connect = (): Promise<HoopService> =>
    startHoop(['connect', TARGET, '--json'], 'listening', { home, signal });
  const session = stack.use(await connect());
  let isClosing = false;
  stack.defer(() => {
    isClosing = true;
  });
  // From then on every case differs, and only this says why.
  void Promise.race([session.exited, demo.gatewayProcess().exited]).then(() => {
    if (isClosing) return;
    say(`${name}: hoop has ended: ${session.log()}\ngateway: ${demo.gatewayProcess().log()}`);
  });
  return {
    lane: laneOf(name, session),
    home,
    openSession: async () => {
      const own = await connect();
      const id = String(own.ready['session']);
      return {
        lane: laneOf(name, own),
        id,
        [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
      };
    },
  };
}

async function suitePolicy(
  stack: AsyncDisposableStack,
  postgres: string,
  name: 'passthrough' | 'strict',
): Promise<string> {
  const rows = await runAdmin(postgres, [NAMEABLE_SQL]);
  const named = (kind: string): string[] =>
    rows.filter((row) => row['kind'] === kind).map(({ name }) => String(name));
  const nameable = { settings: named('setting'), functions: named('function') };
  const policy = writePolicy(name, DATABASE, nameable);
  stack.defer(() => rmSync(policy, { recursive: true, force: true }));
  return policy;
}

function laneOf(name: LaneName, { ready }: HoopService): Lane {
  const { user, password, host, port } = ready;
  const at = { user: String(user), password: String(password), host: String(host) };
  return toLane(name, { ...at, port: Number(port) });
}

function toLane(
  name: LaneName,
  at: { readonly user: string; readonly password: string; readonly host: string; port: number },
): Lane {
  const { user, password, host, port } = at;
  const url = `postgresql://${user}:${encodeURIComponent(password)}@${host}:${port}/${DATABASE}`;
  return { name, host, port, user, password, database: DATABASE, url };
}

/** A suite may leave one, and a database with one cannot be dropped. */
async function endPreparedTransactions(database: string): Promise<void> {
  const left = await runAdmin(database, [
    'SELECT gid FROM pg_prepared_xacts WHERE database = current_database()',
  ]);
  for (const { gid } of left) {
    await runAdmin(database, [`ROLLBACK PREPARED ${pg.escapeLiteral(String(gid))}`]);
  }
}

/** As pg_regress makes it. */
async function createDatabase(postgres: string): Promise<void> {
  const settings = [
    "lc_messages TO 'C'",
    "lc_monetary TO 'C'",
    "lc_numeric TO 'C'",
    "lc_time TO 'C'",
    'bytea_output TO hex',
    "timezone_abbreviations TO 'Default'",
  ];
  await runAdmin(postgres, [
    `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`,
    `CREATE DATABASE ${DATABASE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'`,
    ...settings.map((setting) => `ALTER DATABASE ${DATABASE} SET ${setting}`),
  ]);
}

/** @returns the rows of the last statement. */
export async function runAdmin(
  url: string,
  statements: readonly string[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    let rows: readonly Readonly<Record<string, unknown>>[] = [];
    for (const statement of statements) rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}
