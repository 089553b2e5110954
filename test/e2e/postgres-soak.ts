/**
 * What shows only by chance: sessions that are used in bursts and then rest, side by side, by clients
 * that also cancel, stop reading and are killed. No session may end, nothing may be said to be amiss,
 * and each recording must verify. The resting is longer than a side may leave a cut unconfirmed.
 *
 *     npm run soak:postgres -- --minutes 10 --seed 7
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type Random, randomOf } from '../../conformance/fuzz/random.ts';
import { startDemo } from '../../src/demo/demo.ts';
import { Bench, type Connection } from './demo-bench.ts';

const SESSIONS = 4;
/** A side ends the session after 30 s. */
const LONG_REST_MS = 45_000;
const SHORT_REST_MS = 3000;
const BURSTS_BETWEEN_LONG_RESTS = 12;
const MAX_CLIENTS = 8;
const MAX_STATEMENTS = 200;
const LINE = 'x'.repeat(999);

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
});

function check(what: string, isTrue: boolean, seen: unknown): void {
  process.stdout.write(`${isTrue ? 'ok  ' : 'FAIL'} ${what}: ${String(seen)}\n`);
  if (!isTrue) {
    process.exitCode = 1;
  }
}

function writePolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-soak-'));
  const write = (file: string, text: string): void => writeFileSync(join(directory, file), text);
  mkdirSync(join(directory, 'targets'));
  mkdirSync(join(directory, 'policies'));
  write('hoop.yaml', 'version: 1\norg: soak\nidentityProviders: []\n');
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
    allow: { verbs: [select, insert, copy], relations: ['public.*'] }
`,
  );
  return directory;
}

async function statements(url: string, random: Random): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (let left = random.below(MAX_STATEMENTS); left > 0; left -= 1) {
      const length = random.pick([1, 100, 9000, 200_000]);
      const { rows } = await client.query('SELECT repeat($1, $2::int) AS text', ['y', length]);
      if (rows[0]?.text.length !== length) {
        throw new Error(`a value of ${length} characters came as ${rows[0]?.text.length}`);
      }
    }
  } finally {
    await client.end();
  }
}

/** @param kill SIGINT cancels, SIGKILL cuts off, SIGSTOP leaves it standing for a while. */
async function psql(
  url: string,
  sql: string,
  { kill, input }: { readonly kill?: NodeJS.Signals; readonly input?: string } = {},
): Promise<void> {
  const child = spawn('psql', ['-X', '-At', '-c', sql, url], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = once(child, 'close');
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  if (kill !== undefined) {
    await sleep(300);
    child.kill(kill);
  }
  if (kill === 'SIGSTOP') {
    await sleep(2000);
    child.kill('SIGCONT');
  }
  const [status] = await ended;
  if (status !== 0 && (kill === undefined || kill === 'SIGSTOP')) {
    throw new Error(`psql ended with ${status}: ${sql.slice(0, 80)}`);
  }
}

const rows = (count: number): string =>
  `SELECT repeat('x', 1000) FROM generate_series(1, ${count})`;

async function burst(url: string, random: Random): Promise<string> {
  const thousands = 1 + random.below(40);
  const works: readonly (readonly [string, () => Promise<unknown>])[] = [
    [
      'short statements',
      () =>
        Promise.all(
          Array.from({ length: 1 + random.below(MAX_CLIENTS) }, () => statements(url, random)),
        ),
    ],
    [`${thousands} MB of rows`, () => psql(url, rows(thousands * 1000))],
    [`COPY OUT of ${thousands} MB`, () => psql(url, `COPY (${rows(thousands * 1000)}) TO STDOUT`)],
    [
      `COPY IN of ${thousands} MB`,
      () =>
        psql(url, 'COPY soak_lines FROM STDIN WHERE false', {
          input: `${LINE}\n`.repeat(thousands * 1000),
        }),
    ],
    ['a cancelled statement', () => psql(url, 'SELECT pg_sleep(60)', { kill: 'SIGINT' })],
    ['a killed client', () => psql(url, rows(1_000_000), { kill: 'SIGKILL' })],
    ['a reader that stands still', () => psql(url, rows(100_000), { kill: 'SIGSTOP' })],
  ];
  const [name, work] = random.pick(works);
  await work();
  return name;
}

async function use(connection: Connection, random: Random, untilMs: number): Promise<number> {
  let bursts = 0;
  while (Date.now() < untilMs) {
    const name = await burst(connection.url, random).catch((error: unknown) => {
      throw new Error(`session ${connection.session}, burst ${bursts}: ${String(error)}`);
    });
    bursts += 1;
    const isLong = random.below(BURSTS_BETWEEN_LONG_RESTS) === 0;
    process.stdout.write(`     ${connection.session}: ${name}${isLong ? ', then a rest' : ''}\n`);
    await sleep(isLong ? LONG_REST_MS : random.below(SHORT_REST_MS));
  }
  // Whatever the last burst has left unconfirmed ends the session by then.
  await sleep(LONG_REST_MS);
  return bursts;
}

const policy = writePolicy();
try {
  const signal = new AbortController().signal;
  const demo = await startDemo({ policy, note: () => undefined, signal });
  await using bench = new Bench(demo);
  const admin = new pg.Client({ connectionString: demo.target.adminUrl });
  await admin.connect();
  await admin.query(`CREATE UNLOGGED TABLE public.soak_lines (line text);
    GRANT ALL ON public.soak_lines TO ${demo.target.user}`);
  await admin.end();
  const connections = await Promise.all(
    Array.from({ length: SESSIONS }, () => bench.connect('engineer')),
  );
  const untilMs = Date.now() + Number(values.minutes) * 60_000;
  const used = await Promise.allSettled(
    connections.map((connection, index) =>
      use(connection, randomOf(Number(values.seed) * SESSIONS + index), untilMs),
    ),
  );
  for (const [index, connection] of connections.entries()) {
    const result = used[index];
    const seen = result?.status === 'fulfilled' ? `${result.value} bursts` : result?.reason;
    check(`session ${connection.session} lasted`, result?.status === 'fulfilled', seen);
    await connection.close();
    const { exitCode, stdout } = await bench.hoop(
      'engineer',
      ...['sessions', 'verify', connection.session],
    );
    check('both sides signed the same', exitCode === 0, stdout.split('\n')[0]);
  }
  const amiss = demo
    .gatewayProcess()
    .log()
    .split('\n')
    .filter((line) => /"level":"(?:error|warn)"/.test(line));
  check('the gateway has nothing to say', amiss.length === 0, amiss.join('\n') || 'nothing');
} finally {
  rmSync(policy, { recursive: true, force: true });
}
