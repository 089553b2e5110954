/**
 * A server, reached directly and through the real gateway and CLI: under a grant that lets anything
 * pass, under one that parses and allows everything, and under one that denies a relation.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Demo, type DemoOptions, startDemo } from '../../src/demo/demo.ts';
import { type HoopService, startHoop } from '../../src/demo/hoop-process.ts';
import { connectAdmin } from '../../src/demo/sample-target.ts';
import type { WireAddress } from './wire-client.ts';

export const LANES = ['anything', 'strict', 'denying'] as const;
export type Lane = (typeof LANES)[number];

/** What scripts may use; the same before each play. */
export const SCHEMA = `
  CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> ''), n numeric);
  CREATE TABLE parent (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE hoop_forbidden (id int);
  CREATE FUNCTION noisy(what text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'heard %', what; RETURN what; END $$;
  CREATE FUNCTION failing() RETURNS int LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no' USING HINT = 'never', DETAIL = 'not now'; END $$;`;
const RESET = `DELETE FROM t; DELETE FROM parent;
  INSERT INTO t SELECT g, 'v' || g, g / 4.0 FROM generate_series(1, 40) g;`;

export interface Lanes extends AsyncDisposable {
  readonly demo: Demo;
  readonly direct: WireAddress;
  readonly hoop: Readonly<Record<Lane, WireAddress>>;
  readonly services: Readonly<Record<Lane, HoopService>>;
  /** Runs SQL as superuser, past hoop. */
  admin(sql: string): Promise<readonly Readonly<Record<string, unknown>>[]>;
  /** Puts the data back to what it was at the beginning. */
  reset(): Promise<void>;
}

export async function openLanes(options: {
  readonly signal: AbortSignal;
  /** Of the server: see `startDemo`. */
  readonly template?: string;
  readonly logIn?: NonNullable<DemoOptions['logIn']>;
}): Promise<Lanes> {
  const policy = writePolicy();
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(policy, { recursive: true, force: true }));
  const demo = stack.use(
    await startDemo({ ...options, policy, pollSeconds: 5, note: () => undefined }),
  );
  let admin: Awaited<ReturnType<typeof connectAdmin>> | undefined;
  stack.defer(() => admin?.end());
  const run = async (sql: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    if (admin === undefined) {
      admin = await connectAdmin(demo.target.adminUrl);
      // Whoever makes the server close all connections goes on with the next one.
      admin.on('error', () => {
        admin = undefined;
      });
    }
    const result: object = await admin.query(sql);
    return 'rows' in result && Array.isArray(result.rows) ? result.rows : [];
  };
  await run(`${SCHEMA} GRANT ALL ON ALL TABLES IN SCHEMA public TO ${demo.target.user};
    GRANT CREATE ON SCHEMA public TO ${demo.target.user}`);
  const services: Partial<Record<Lane, HoopService>> = {};
  const hoop: Partial<Record<Lane, WireAddress>> = {};
  for (const lane of LANES) {
    const service = stack.use(
      await startHoop(['connect', lane, '--json'], 'listening', {
        home: demo.homes['engineer'] ?? '',
        signal: options.signal,
      }),
    );
    services[lane] = service;
    hoop[lane] = addressOf(new URL(String(service.ready['url'])));
  }
  const direct = new URL(demo.target.adminUrl);
  direct.username = demo.target.user;
  direct.password = demo.target.password;
  const owned = stack.move();
  return {
    demo,
    direct: addressOf(direct),
    hoop: complete(hoop),
    services: complete(services),
    admin: run,
    reset: async () => {
      await run(RESET);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function complete<T>(found: Partial<Record<Lane, T>>): Record<Lane, T> {
  const { anything, strict, denying } = found;
  if (anything === undefined || strict === undefined || denying === undefined) {
    throw new TypeError('every lane has been opened');
  }
  return { anything, strict, denying };
}

function addressOf(url: URL): WireAddress {
  return {
    host: url.hostname,
    port: Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: url.pathname.slice(1),
  };
}

function writePolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-differential-policy-'));
  for (const folder of ['targets', 'policies']) mkdirSync(join(directory, folder));
  const write = (path: string, ...lines: readonly string[]): void =>
    writeFileSync(join(directory, path), `${lines.join('\n')}\n`);
  write('hoop.yaml', 'version: 1', 'org: differential', 'identityProviders: []');
  for (const lane of LANES) {
    write(
      `targets/${lane}.yaml`,
      `name: ${lane}`,
      'kind: postgres',
      'database: shop',
      'credential: prod-db',
      'recording: full',
    );
    write(
      `policies/${lane}.yaml`,
      `name: ${lane}`,
      'who: { groups: [engineering] }',
      `targets: { names: [${lane}] }`,
      'limits: { maxConnections: 100 }',
      ...RULES[lane],
    );
  }
  return directory;
}

const ALLOW = [
  'rules:',
  '  - { name: all, allow: { verbs: ["*"] } }',
  '  - { name: functions, allow: { functions: ["public.*", "pg_catalog.*"] } }',
  // Not in "*": what runs code must be named.
  '  - { name: code, allow: { verbs: [do, call, create function] } }',
];
const RULES: Readonly<Record<Lane, readonly string[]>> = {
  anything: ['statements: anything'],
  strict: ALLOW,
  denying: [
    ...ALLOW,
    '  - { name: forbidden, deny: { verbs: [select], relations: [public.hoop_forbidden] } }',
  ],
};
