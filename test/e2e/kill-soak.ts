/**
 * kill -9 of a gateway at random moments, while statements run through it and some of them wait for an
 * approval. After each restart: what the target did is in a recording, each recording verifies or says
 * why it is one-sided, the index says of each session what its recording says, and no approval was used
 * twice.
 *
 *     npm run soak:kill -- --rounds 100 --seed 7 --store postgres
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { randomOf } from '../../conformance/fuzz/random.ts';
import { startDemo } from '../../src/demo/demo.ts';
import { startEmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';
import { logInDemo } from '../log-in-demo.ts';
import { Bench, type Connection } from './demo-bench.ts';

const CLIENTS = 3;
/** Of a round, from the first statement on. */
const LONGEST_MS = 8000;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10' },
    seed: { type: 'string', default: '1' },
    minutes: { type: 'string', default: '600' },
    store: { type: 'string', default: 'sqlite' },
  },
});
const random = randomOf(Number(values.seed));

interface Round {
  readonly session: string;
  /** Marks of what was sent, in statements that need nobody. */
  readonly sent: number;
}

function writePolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-kill-'));
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
  mkdirSync(join(directory, 'targets'));
  mkdirSync(join(directory, 'policies'));
  write(
    'hoop.yaml',
    'version: 1\norg: soak\nidentityProviders: []\nroles:\n  auditor: { groups: [auditors] }\n  approver: { groups: [approvers] }\n',
  );
  write(
    'targets/prod-db.yaml',
    'name: prod-db\nkind: postgres\ndatabase: shop\ncredential: prod-db\nrecording: full\n',
  );
  write(
    'policies/soak.yaml',
    `name: soak
who: { groups: [engineering] }
targets: { names: [prod-db] }
rules:
  - name: work
    allow: { verbs: [select, insert], relations: ['public.kill_lines'] }
  - name: held
    approve: { verbs: [insert], relations: ['public.kill_held'], approvers: [dba], timeout: 60s }
`,
  );
  return directory;
}

const policy = writePolicy();
let failures = 0;
function check(what: string, isTrue: boolean, seen: unknown): void {
  if (isTrue) return;
  failures += 1;
  process.exitCode = 1;
  process.stdout.write(`FAIL ${what}: ${String(seen)}\n`);
}

/** Goes on until the connection breaks. @returns how many it sent */
async function work(url: string, round: number, client: number): Promise<number> {
  const connection = new pg.Client({ connectionString: url });
  connection.on('error', () => undefined);
  let sent = 0;
  try {
    await connection.connect();
    for (;;) {
      sent += 1;
      await connection.query(
        `INSERT INTO public.kill_lines VALUES ('k${round}.${client}.${sent}.')`,
      );
    }
  } catch {
    return sent;
  }
}

/** One after the other, each of which somebody has to approve. */
async function held(url: string, round: number): Promise<void> {
  const connection = new pg.Client({ connectionString: url });
  connection.on('error', () => undefined);
  try {
    await connection.connect();
    for (let count = 0; ; count += 1) {
      await connection.query(`INSERT INTO public.kill_held VALUES ('h${round}.${count}.')`);
    }
  } catch {
    // The gateway has gone.
  }
}

async function approveAll(bench: Bench, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    const listed = await bench.hoop('dba', 'approvals', 'list', '--json');
    const ids = [...listed.stdout.matchAll(/"id": ?"([a-z0-9]+)"/g)].map(([, id]) => String(id));
    for (const id of ids) await bench.hoop('dba', 'approvals', 'approve', id);
    if (ids.length === 0) await sleep(100);
  }
}

async function playRound(bench: Bench, round: number): Promise<Round> {
  const connection: Connection = await bench.connect('engineer');
  const stop = new AbortController();
  const approving = approveAll(bench, stop.signal);
  const working = Promise.all(
    Array.from({ length: CLIENTS }, (_, client) => work(connection.url, round, client)),
  );
  const holding = held(connection.url, round);
  await sleep(random.below(LONGEST_MS));
  bench.demo.gatewayProcess().kill('SIGKILL');
  stop.abort();
  const sent = (await working).reduce((sum, one) => sum + one, 0);
  await holding;
  await approving;
  await connection.service.exited;
  return { session: connection.session, sent };
}

async function rowsOf(admin: pg.Client, table: string, like: string): Promise<string[]> {
  const sql = `SELECT line FROM public.${table} WHERE line LIKE $1`;
  return (await admin.query(sql, [like])).rows.map(({ line }) => String(line));
}

interface Shown {
  readonly state: string;
  readonly endReason?: string;
  readonly statements: number;
}

async function checkRound(bench: Bench, admin: pg.Client, round: number, played: Round) {
  const { session } = played;
  // The client's half goes up with whatever it does next.
  await bench.psql('engineer', 'SELECT 1 FROM kill_lines LIMIT 1');
  const verified = await bench.hoop('engineer', 'sessions', 'verify', session);
  const isSaid = verified.exitCode === 2 && /one-sided|interim|gateway only/.test(verified.stdout);
  check(
    `${session} verifies`,
    verified.exitCode === 0 || isSaid,
    verified.stdout + verified.stderr,
  );
  const replay = await bench.hoop('engineer', 'sessions', 'replay', session, '--json');
  check(`${session} can be replayed`, replay.exitCode === 0, replay.stderr);
  const lines = replay.stdout.trim().split('\n');
  const entries: { type?: string; decisions?: unknown[] }[] = lines.map((line) => JSON.parse(line));
  const inserted = await rowsOf(admin, 'kill_lines', `k${round}.%`);
  const released = await rowsOf(admin, 'kill_held', `h${round}.%`);
  for (const mark of [...inserted, ...released]) {
    check(`${session} has ${mark}`, replay.stdout.includes(`'${mark}'`), 'not in the recording');
  }
  check(`${session} releases once`, new Set(released).size === released.length, released);
  const { stdout } = await bench.hoop('engineer', 'sessions', 'show', session, '--json');
  const shown = JSON.parse(stdout).session as Shown;
  check(`${session} has ended`, shown.state !== 'live', stdout);
  // The last ones may have come and not have been decided: they went nowhere.
  const statements = entries.filter(({ decisions }) => (decisions?.length ?? 0) > 0).length;
  check(
    `${session} has the statements of its recording in the index`,
    shown.statements === statements,
    `${shown.statements} and ${statements}\n${replay.stdout}`,
  );
  const state = verified.exitCode === 0 ? 'two-sided' : 'said to be one-sided';
  process.stdout.write(
    `ok   round ${round}: ${state}, ${shown.state}, ${statements} statements, ${inserted.length} of ${played.sent} done, ${released.length} released\n`,
  );
}

/** A server for what the gateway keeps, and the lines of its configuration that name it. */
async function startStore(directory: string) {
  if (values.store !== 'postgres') return undefined;
  const server = await startEmbeddedPostgres();
  const { host, port, user, password } = server;
  const first = new pg.Client({ connectionString: server.url() });
  await first.connect();
  await first.query(`CREATE DATABASE hoop TEMPLATE template0 ENCODING 'UTF8'`);
  await first.end();
  writeFileSync(join(directory, 'store-password'), password, { mode: 0o600 });
  const gatewayConfig = [
    'store:',
    `  url: postgres://${host}:${port}/hoop`,
    `  user: ${user}`,
    `  password: { file: ${join(directory, 'store-password')} }`,
    '  tls: { mode: disable }',
  ];
  return { gatewayConfig, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

const secrets = mkdtempSync(join(tmpdir(), 'hoop-kill-store-'));
try {
  await using store = await startStore(secrets);
  const signal = new AbortController().signal;
  const demo = await startDemo({
    ...(store === undefined ? {} : { gatewayConfig: store.gatewayConfig }),
    ...{ policy, logIn: logInDemo, note: () => undefined, signal },
  });
  await using bench = new Bench(demo);
  const admin = new pg.Client({ connectionString: demo.target.adminUrl });
  // Its server ends with the demo.
  admin.on('error', () => undefined);
  await admin.connect();
  await admin.query(`CREATE TABLE public.kill_lines (line text);
    CREATE TABLE public.kill_held (line text);
    GRANT ALL ON public.kill_lines, public.kill_held TO ${demo.target.user}`);
  const untilMs = Date.now() + Number(values.minutes) * 60_000;
  let rounds = 0;
  for (; rounds < Number(values.rounds) && Date.now() < untilMs; rounds += 1) {
    const played = await playRound(bench, rounds).catch((error: unknown) => error);
    await demo.restartGateway();
    if (played instanceof Error) check(`round ${rounds} can be played`, false, played);
    else await checkRound(bench, admin, rounds, played as Round);
  }
  await admin.end();
  process.stdout.write(`${rounds} rounds, ${failures} failures\n`);
} finally {
  rmSync(policy, { recursive: true, force: true });
  rmSync(secrets, { recursive: true, force: true });
}
