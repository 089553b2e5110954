/**
 * How many files of src a statement, a row and an event pass in the gateway: how much somebody reads
 * who wants to follow one of them.
 *
 *   npx node tools/passage.ts [--json]
 *
 * A gateway in this process, and a `hoop connect` beside it in another, with a real PostgreSQL behind.
 * V8's precise coverage says which files have a function that was called:
 *
 * - statement: from before the client sends a simple Query until the server runs it, which the server
 *   itself says (pg_stat_activity);
 * - row: from when one row has come to the client until the next has, a row that is masked. Between
 *   them nothing else happens: the server sleeps for each, and each fills its output buffer.
 * - event: the files on the stack when the decision about the statement is put with what waits to be
 *   written, from where the engine tells it, and those that hand it from there to the segment. Who only
 *   says when it is written (a turn that ends, bytes that follow) is not among them.
 *
 * The connection is warm, so what only a first statement needs does not count. What the gateway does
 * meanwhile by itself (timers, cuts, the poll of the policy) does not, either: a function counts when
 * it is called in every round, and not while nobody asks for anything; a file, when one of its does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/demo/embedded-postgres.ts';
import { childEnvironment } from '../src/demo/hoop-process.ts';
import { SegmentWriter } from '../src/recording/write/segment-writer.ts';
import { WaitingRecords } from '../src/recording/write/waiting-records.ts';
import { type GatewayBench, startGatewayBench } from '../test/gateway/gateway-bench.ts';

const ROUNDS = 5;
/** Not counted: what is loaded, compiled or cached with the first statements. */
const WARM_UP = 2;
/** Long enough for what the gateway does each second. */
const IDLE_MS = 3000;
/** Longer than the server's output buffer, so that each row leaves at once. */
const ROW_BYTES = 16_384;
const STATEMENT = `SELECT email, repeat('x', ${ROW_BYTES}), pg_sleep(1) FROM customers`;

const source = new URL('../src/', import.meta.url).href;

/** Between what waits and the segment. */
const WRITERS = new Set(['recording/write/session-writer.ts', 'recording/write/segment-writer.ts']);

type Functions = ReadonlySet<string>;

class Coverage implements Disposable {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post('Profiler.enable');
    await this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  }

  /** @returns functions of src that were called since the last time, as `FILE NAME:OFFSET`. */
  async take(): Promise<Functions> {
    const { result } = await this.#session.post('Profiler.takePreciseCoverage');
    const called = new Set<string>();
    for (const { url, functions } of result) {
      if (!url.startsWith(source)) continue;
      for (const { functionName, ranges } of functions) {
        const [range] = ranges;
        if (range === undefined || range.count === 0) continue;
        called.add(`${url.slice(source.length)} ${functionName}:${range.startOffset}`);
      }
    }
    return called;
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}

/** The files of src on the stack, innermost first. */
function filesOnStack(): readonly string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 200;
  const { stack = '' } = new Error('here');
  Error.stackTraceLimit = limit;
  const found = [...stack.matchAll(/file:\/\/[^\s)]*?\.ts(?=:\d)/g)].map(([url]) => url);
  const inSource = found.filter((url) => url.startsWith(source));
  return inSource.map((url) => url.slice(source.length));
}

/** Who hands a decision on: from the engine to what waits, and from there to the segment. */
class EventPassage {
  readonly #files = new Set<string>();

  constructor() {
    const files = this.#files;
    const told = WaitingRecords.prototype.event;
    WaitingRecords.prototype.event = function event(text) {
      if (text.includes('"type":"decision"')) {
        const stack = filesOnStack();
        // What led to the decision is the statement's way, not the event's.
        const teller = stack.findLastIndex((file) => file.endsWith('audit.ts'));
        for (const file of stack.slice(0, teller + 1)) files.add(file);
        files.add('recording/write/waiting-records.ts');
      }
      told.call(this, text);
    };
    const written = SegmentWriter.prototype.append;
    SegmentWriter.prototype.append = function append(type, body, records) {
      if (type === 'event' || type === 'group') {
        const stack = filesOnStack();
        const outside = stack.findIndex((file) => !WRITERS.has(file));
        for (const file of stack.slice(0, outside)) files.add(file);
        files.add('recording/write/segment-writer.ts');
      }
      return written.call(this, type, body, records);
    };
  }

  get files(): ReadonlySet<string> {
    return this.#files;
  }
}

/** @returns the files of what was called in every round, and not while nothing was asked for. */
function filesOf(rounds: readonly Functions[], idle: Functions): readonly string[] {
  const [first = new Set<string>(), ...others] = rounds;
  const called = [...first].filter(
    (name) => !idle.has(name) && others.every((other) => other.has(name)),
  );
  return [...new Set(called.map((name) => name.slice(0, name.indexOf(' '))))].sort();
}

/** `hoop connect prod-db` as a process of its own: what it runs does not count. */
async function connect(bench: GatewayBench, stack: AsyncDisposableStack): Promise<URL> {
  await bench.client('engineer');
  // From src, so that nothing has to be built first; the word stands where the program's file would.
  const start = `import(${JSON.stringify(`${source}main.ts`)}).then(({ main }) => main())`;
  const args = ['-e', start, 'hoop', 'connect', 'prod-db', '--json'];
  const child: ChildProcess = spawn(process.execPath, args, {
    env: { ...childEnvironment({ home: '' }), ...bench.environment('engineer') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.defer(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  });
  if (child.stdout === null) throw new Error('the child has no output');
  for await (const line of createInterface(child.stdout)) {
    const said: unknown = JSON.parse(line);
    if (typeof said === 'object' && said !== null && 'url' in said) return new URL(`${said.url}`);
  }
  throw new Error('hoop connect ended without a port');
}

async function serverSleeps(admin: pg.Client): Promise<void> {
  const query = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  while ((await admin.query(query)).rows.length === 0);
}

interface Round {
  readonly statement: Functions;
  readonly row: Functions;
}

async function round(client: pg.Client, admin: pg.Client, coverage: Coverage): Promise<Round> {
  // What is known of the catalog is of now, as it is where statements follow one another.
  await client.query('SELECT email FROM customers');
  await coverage.take();
  const query = client.query(new pg.Query(STATEMENT));
  const rows = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  let seen = 0;
  query.on('row', () => rows[seen++]?.resolve());
  const ended = once(query, 'end');
  await serverSleeps(admin);
  const statement = await coverage.take();
  await rows[0]?.promise;
  // The one that is on its way to the recording's disk when the client has it.
  await serverSleeps(admin);
  await coverage.take();
  await rows[1]?.promise;
  await serverSleeps(admin);
  const row = await coverage.take();
  await ended;
  return { statement, row };
}

async function main(): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const coverage = stack.use(new Coverage());
  await coverage.start();
  const event = new EventPassage();
  const postgres: EmbeddedPostgres = stack.use(await startEmbeddedPostgres({}));
  const { host, port, password } = postgres;
  const admin = new pg.Client({ host, port, user: 'postgres', password, database: 'postgres' });
  await admin.connect();
  stack.defer(() => admin.end());
  await admin.query(`CREATE TABLE customers (email text);
    INSERT INTO customers SELECT 'a' || i || '@acme.example' FROM generate_series(1, 4) AS i`);
  const bench = stack.use(await startGatewayBench({ target: postgres }));
  const client = new pg.Client({ connectionString: (await connect(bench, stack)).href });
  await client.connect();
  stack.defer(() => client.end());
  for (let count = 0; count < WARM_UP; count += 1) await round(client, admin, coverage);
  const rounds: Round[] = [];
  for (let count = 0; count < ROUNDS; count += 1) {
    rounds.push(await round(client, admin, coverage));
  }
  await coverage.take();
  await delay(IDLE_MS);
  const idle = await coverage.take();
  const passed = {
    statement: filesOf(
      rounds.map(({ statement }) => statement),
      idle,
    ),
    row: filesOf(
      rounds.map(({ row }) => row),
      idle,
    ),
    event: [...event.files].sort(),
  };
  if (process.argv.includes('--json')) {
    process.stdout.write(`${JSON.stringify({ v: 1, passed }, undefined, 2)}\n`);
    return;
  }
  for (const [what, files] of Object.entries(passed)) {
    process.stdout.write(`${what}: ${files.length} files\n`);
    for (const file of files) process.stdout.write(`  ${file}\n`);
  }
}

await main();
