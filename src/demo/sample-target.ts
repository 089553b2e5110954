/** The database behind the demo's target: an embedded server, or one that the user named. */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoopError } from '../errors.ts';
import { startEmbeddedPostgres } from './embedded-postgres.ts';
import { PEER_PACKAGES } from './peer-packages.ts';
import { SAMPLE_DATABASE, SAMPLE_ROLE, SAMPLE_SCHEMA } from './sample-data.ts';
import type { Watchdog } from './watchdog.ts';

export interface DemoTarget extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The role whose password only the gateway holds. */
  readonly user: string;
  readonly password: string;
  /** Reaches the sample database directly, past the gateway. */
  readonly adminUrl: string;
  /** The embedded server's log, where every statement that arrives is written; else undefined. */
  log(): string | undefined;
}

export interface TargetOptions {
  readonly postgres?: string;
  readonly directory: string;
  /** Another policy brings its own database: no sample data then. */
  readonly policy?: string;
  readonly data?: string;
  /** Of the embedded server: see there. */
  readonly template?: string;
  readonly watchdog?: Watchdog;
  readonly signal: AbortSignal;
}

export async function openTarget(options: TargetOptions): Promise<DemoTarget> {
  if (options.postgres !== undefined) {
    const admin = parseUrl(options.postgres);
    const password = await prepare(options, admin);
    return describe(admin, password, { log: () => undefined, dispose: async () => undefined });
  }
  const server = await startEmbeddedPostgres({
    dataDirectory: join(options.directory, 'postgres'),
    settings: {
      log_statement: 'all',
      log_min_duration_statement: '-1',
      // What goes with the demo need not survive a loss of power.
      ...(options.data === undefined ? { fsync: 'off' } : {}),
    },
    ...(options.template === undefined ? {} : { template: options.template }),
    ...(options.watchdog === undefined ? {} : { watchdog: options.watchdog }),
    signal: options.signal,
  });
  try {
    const admin = new URL(server.url());
    const password = await prepare(options, admin);
    return describe(admin, password, {
      log: server.log,
      dispose: async () => server[Symbol.asyncDispose](),
    });
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^postgres(ql)?:$/.test(url.protocol) || !url.hostname) {
    // The text may hold a password: never repeat it.
    throw new HoopError('HOOP_USAGE', 'the value of --postgres is not a PostgreSQL URL', {
      hint: 'It looks like postgres://user:password@host:port/database.',
    });
  }
  return url;
}

interface Server {
  log(): string | undefined;
  dispose(): Promise<void>;
}

function describe(admin: URL, password: string, server: Server): DemoTarget {
  const sample = new URL(admin);
  sample.pathname = `/${SAMPLE_DATABASE}`;
  return {
    host: admin.hostname,
    port: Number(admin.port || 5432),
    user: SAMPLE_ROLE,
    password,
    adminUrl: sample.href,
    log: server.log,
    [Symbol.asyncDispose]: server.dispose,
  };
}

/** Makes role, database and data, once. @returns the role's password. */
async function prepare(options: TargetOptions, admin: URL): Promise<string> {
  const passwordFile = join(options.directory, 'shop-password');
  if (existsSync(passwordFile)) {
    return readFileSync(passwordFile, 'utf8');
  }
  const password = randomBytes(18).toString('base64url');
  await query(admin, [
    `DO $$ BEGIN CREATE ROLE ${SAMPLE_ROLE} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    `ALTER ROLE ${SAMPLE_ROLE} PASSWORD '${password}'`,
  ]);
  const sample = new URL(admin);
  sample.pathname = `/${SAMPLE_DATABASE}`;
  if (!(await databaseExists(admin))) {
    await query(admin, [`CREATE DATABASE ${SAMPLE_DATABASE}`]);
    await query(sample, [SAMPLE_SCHEMA]);
  }
  writeFileSync(passwordFile, password, { mode: 0o600 });
  return password;
}

async function databaseExists(admin: URL): Promise<boolean> {
  const rows = await query(admin, [
    `SELECT 1 FROM pg_database WHERE datname = '${SAMPLE_DATABASE}'`,
  ]);
  return rows > 0;
}

interface PgClient {
  /** A connection that breaks while idle would otherwise end the process. */
  on(event: 'error', listener: () => void): unknown;
  connect(): Promise<void>;
  query(text: string): Promise<{ readonly rowCount?: number | null }>;
  end(): Promise<void>;
}

/** Runs statements with the `pg` driver, which comes with embedded-postgres. */
async function query(url: URL, statements: readonly string[]): Promise<number> {
  const client = await connectAdmin(url.href);
  try {
    let rows = 0;
    for (const statement of statements) {
      rows = (await client.query(statement)).rowCount ?? 0;
    }
    return rows;
  } finally {
    await client.end();
  }
}

/** A direct connection, past the gateway, for preparing data and for looking at effects. */
export async function connectAdmin(url: string): Promise<PgClient> {
  const Client = loadDriver();
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (cause) {
    const { host } = new URL(url);
    const why = cause instanceof Error ? cause.message : 'unknown reason';
    throw new HoopError(
      'HOOP_TARGET_UNREACHABLE',
      `cannot log in to PostgreSQL at "${host}": ${why}`,
      {
        cause,
      },
    );
  }
  return client;
}

function loadDriver(): new (options: { connectionString: string }) => PgClient {
  try {
    const parent = fileURLToPath(import.meta.resolve('embedded-postgres'));
    return createRequire(parent)('pg').Client;
  } catch (cause) {
    throw new HoopError('HOOP_MISSING_PROGRAM', "the demo's parts are not installed", {
      hint: `Add them with \`${PEER_PACKAGES.command}\`.`,
      cause,
    });
  }
}
