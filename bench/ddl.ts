/**
 * `node bench/ddl.ts` (after `npm run build`): loops of a few statements on a warm connection to a
 * database with many relations, straight to PostgreSQL and through hoop in turn, where rules restrict
 * and columns are masked: DDL, writes that fire triggers, texts that no cache knows, many statements
 * in one text, many masked rows. Medians of a loop, their ratio, CPU and memory of the gateway.
 * Options: --relations N, --loops N, --rounds N, --lane NAME and --only TEXT (may be repeated).
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Demo, startDemo } from '../src/demo/demo.ts';
import { startHoop } from '../src/demo/hoop-process.ts';
import { connectAdmin } from '../src/demo/sample-target.ts';
import { RawClient } from './raw-client.ts';
import { median } from './statistics.ts';

const { values: flags } = parseArgs({
  options: {
    relations: { type: 'string', default: '500' },
    loops: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    lane: { type: 'string', multiple: true },
    only: { type: 'string', multiple: true },
  },
});
const loops = Number(flags.loops);

const ROWS = 30_000;
const CARDS = 4 * 1024 * 1024;

/** Everything that a loop runs; _N and NUMBER are another number each time. */
const WORKS: Readonly<Record<string, readonly string[]>> = {
  'CREATE, INSERT, SELECT, DROP': [
    'CREATE TABLE public.made_N (id int, v text)',
    "INSERT INTO public.made_N VALUES (1, 'x')",
    'SELECT v FROM public.made_N',
    'DROP TABLE public.made_N',
  ],
  'with a key, in a transaction': [
    'BEGIN',
    'CREATE TABLE public.made_N (id serial PRIMARY KEY, v text NOT NULL)',
    "INSERT INTO public.made_N (v) VALUES ('x')",
    'SELECT v FROM public.made_N',
    'DROP TABLE public.made_N',
    'COMMIT',
  ],
  'ALTER TABLE back and forth': [
    'ALTER TABLE public.filler_1 ADD COLUMN more int',
    'SELECT more FROM public.filler_1',
    'ALTER TABLE public.filler_1 DROP COLUMN more',
    'SELECT a FROM public.filler_1',
  ],
  'CREATE TEMP TABLE': ['CREATE TEMP TABLE made_N (id int, v text)'],
  'a write that fires a trigger': ["UPDATE public.touched SET v = 'x' WHERE id = 1"],
  'a write that an audit trigger records': ["UPDATE public.audited SET v = 'x' WHERE id = 1"],
  'a write without a trigger': ["UPDATE public.plain SET v = 'x' WHERE id = 1"],
  'a known text': ["SELECT v FROM public.plain WHERE v = 'name_1'"],
  'a new string literal': ["SELECT v FROM public.plain WHERE v = 'name_N'"],
  'a new string literal to write': ["UPDATE public.plain SET v = 'name_N' WHERE id = 1"],
  'a new integer literal': ['SELECT v FROM public.plain WHERE id = NUMBER'],
  '500 statements in one text': [
    Array.from({ length: 500 }, (_, at) => `SELECT v FROM public.plain WHERE id = ${at}`).join(';'),
  ],
  [`${ROWS} hashed rows`]: ['SELECT id, token FROM public.people'],
  '4 MB of card numbers': ['SELECT numbers FROM public.cards'],
};
/** Loops of these take long. */
const FEWER: ReadonlySet<string> = new Set([
  '500 statements in one text',
  `${ROWS} hashed rows`,
  '4 MB of card numbers',
]);
const FEW = 10;

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('SIGINT')));
const say = (text: string): void => {
  process.stderr.write(`bench: ${text}\n`);
};

const policy = writePolicy();
try {
  await using demo = await startDemo({
    policy,
    pollSeconds: 5,
    note: say,
    signal: interrupted.signal,
  });
  await prepare(demo);
  await measure(demo);
} finally {
  rmSync(policy, { recursive: true, force: true });
}

async function measure(demo: Demo): Promise<void> {
  const direct = new URL(demo.target.adminUrl);
  direct.username = demo.target.user;
  direct.password = demo.target.password;
  await using hoop = await startHoop(['connect', 'bench', '--json'], 'listening', {
    home: demo.homes['engineer'] ?? '',
    signal: interrupted.signal,
  });
  const lanes = [
    { name: 'direct', url: direct.href },
    { name: 'hoop', url: String(hoop.ready['url']) },
  ].filter(({ name }) => flags.lane?.includes(name) ?? true);
  const gateway = demo.gatewayProcess().processId;
  let number = 0;
  const works = Object.entries(WORKS).filter(
    ([work]) => flags.only?.some((text) => work.includes(text)) ?? true,
  );
  for (const [work, texts] of works) {
    const count = FEWER.has(work) ? Math.min(loops, FEW) : loops;
    const times = new Map<string, number[]>();
    const loop = async (client: RawClient): Promise<number> => {
      number += 1;
      const start = performance.now();
      for (const text of texts) {
        await client.query(text.replaceAll('_N', `_${number}`).replaceAll('NUMBER', `${number}`));
      }
      return performance.now() - start;
    };
    const clients = await Promise.all(
      lanes.map(async ({ name, url }) => ({ name, client: await RawClient.connect(url) })),
    );
    for (const { client } of clients) {
      for (let at = 0; at < count / 4; at += 1) await loop(client);
    }
    let spent = 0;
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      for (const { name, client } of clients) {
        const cpu = processorMs(gateway);
        for (let at = 0; at < count; at += 1) {
          times.set(name, [...(times.get(name) ?? []), await loop(client)]);
        }
        if (name === 'hoop') spent += processorMs(gateway) - cpu;
      }
    }
    for (const { client } of clients) client.close();
    const medians = [...times].map(([name, all]) => [name, median(all)] as const);
    const [direct = 0, hoop = 0] = medians.map(([, time]) => time);
    const figures = medians.map(([name, time]) => `${name} ${time.toFixed(2)}`).join(', ');
    const each = spent / count / Number(flags.rounds);
    say(
      `${work}, ms a loop: ${figures}, ${(hoop / direct).toFixed(1)} times; CPU of the gateway ${each.toFixed(2)}; its memory now ${memoryMb(gateway, 'VmRSS')}, peak ${memoryMb(gateway, 'VmHWM')} MB`,
    );
  }
}

function memoryMb(processId: number, what: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${processId}/status`, 'utf8');
  return Math.round(Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0) / 1000);
}

/** utime and stime of /proc/PID/stat, which count in hundredths of a second. */
function processorMs(processId: number): number {
  const fields = readFileSync(`/proc/${processId}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function prepare(demo: Demo): Promise<void> {
  const admin = await connectAdmin(demo.target.adminUrl);
  for (let index = 0; index < Number(flags.relations); index += 1) {
    await admin.query(
      `CREATE TABLE filler_${index} (id serial PRIMARY KEY, a text NOT NULL, b int DEFAULT 3, c timestamptz, d numeric, e text)`,
    );
    await admin.query(`ALTER TABLE filler_${index} OWNER TO ${demo.target.user}`);
    if (index % 10 === 1) {
      await admin.query(`CREATE VIEW seen_${index} AS SELECT a, b, c FROM filler_${index - 1}`);
    }
  }
  const { user } = demo.target;
  await admin.query(`
    CREATE TABLE plain (id int PRIMARY KEY, v text);
    INSERT INTO plain SELECT g, 'name_' || g FROM generate_series(1, 500) g;
    CREATE TABLE touched (id int PRIMARY KEY, v text, at timestamptz);
    INSERT INTO touched VALUES (1);
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN NEW.at := now(); RETURN NEW; END $$;
    CREATE TRIGGER touch BEFORE UPDATE ON touched FOR EACH ROW EXECUTE FUNCTION touch();
    CREATE TABLE audited (id int PRIMARY KEY, v text);
    INSERT INTO audited VALUES (1);
    CREATE TABLE trail (op text, at timestamptz, id int, v text);
    CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF TG_OP = 'DELETE' THEN INSERT INTO trail SELECT 'D', now(), OLD.*; RETURN OLD; END IF;
      INSERT INTO trail VALUES (TG_OP, now(), NEW.id, NEW.v);
      RETURN NULL; END $$;
    CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON audited
      FOR EACH ROW EXECUTE FUNCTION audit();
    CREATE TABLE people (id int PRIMARY KEY, token text);
    INSERT INTO people SELECT g, md5(g::text) FROM generate_series(1, ${ROWS}) g;
    CREATE TABLE cards AS SELECT g AS id, repeat('4111 1111 1111 1111 ', 50) AS numbers
      FROM generate_series(1, ${CARDS / 1000}) g`);
  for (const table of ['plain', 'touched', 'audited', 'trail', 'people', 'cards']) {
    await admin.query(`ALTER TABLE ${table} OWNER TO ${user}`);
  }
  await admin.query(`GRANT CREATE ON SCHEMA public TO ${demo.target.user}`);
  await admin.end();
}

function writePolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-policy-'));
  for (const folder of ['targets', 'policies']) mkdirSync(join(directory, folder));
  const write = (path: string, value: unknown): void =>
    // JSON is YAML.
    writeFileSync(join(directory, path), JSON.stringify(value));
  write('hoop.yaml', { version: 1, org: 'bench', identityProviders: [] });
  write('targets/bench.yaml', {
    name: 'bench',
    kind: 'postgres',
    database: 'shop',
    credential: 'prod-db',
    recording: 'full',
  });
  const verbs = ['select', 'insert', 'update', 'create table', 'drop table', 'alter table'];
  write('policies/change.yaml', {
    name: 'change',
    who: { groups: ['engineering'] },
    targets: { names: ['bench'] },
    masks: [
      { column: 'public.customers.card_number', mask: 'full' },
      { column: 'public.people.token', mask: 'hash' },
    ],
    detectors: ['card'],
    rules: [{ name: 'change', allow: { verbs, relations: ['public.*', 'pg_temp.*'] } }],
  });
  return directory;
}
