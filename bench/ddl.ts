/**
 * `node bench/ddl.ts` (after `npm run build`): a loop of CREATE TABLE, INSERT, SELECT, DROP on a
 * database with many relations, straight to PostgreSQL and through hoop, where rules restrict and a
 * column is masked; and what memory the gateway takes over many of them.
 * Options: --relations N, --loops N, --rounds N, --lane NAME (may be repeated).
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
  },
});
const loops = Number(flags.loops);

/** Everything that a loop runs; N is another number each time. */
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
};

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
  for (const [work, texts] of Object.entries(WORKS)) {
    const times = new Map<string, number[]>();
    const cpu = processorMs(gateway);
    for (let round = 0; round < Number(flags.rounds); round += 1) {
      for (const { name, url } of lanes) {
        const client = await RawClient.connect(url);
        await client.query('SELECT 1');
        const start = performance.now();
        for (let loop = 0; loop < loops; loop += 1) {
          number += 1;
          for (const text of texts) await client.query(text.replace('_N', `_${number}`));
        }
        times.set(name, [...(times.get(name) ?? []), (performance.now() - start) / loops]);
        client.close();
      }
    }
    const figures = [...times].map(([name, all]) => `${name} ${median(all).toFixed(2)}`).join(', ');
    const spent = (processorMs(gateway) - cpu) / loops / Number(flags.rounds);
    say(
      `${work}, ms a loop: ${figures}; CPU of the gateway ${spent.toFixed(2)}; its memory now ${memoryMb(gateway, 'VmRSS')}, peak ${memoryMb(gateway, 'VmHWM')} MB`,
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
  const verbs = ['select', 'insert', 'create table', 'drop table', 'alter table'];
  write('policies/change.yaml', {
    name: 'change',
    who: { groups: ['engineering'] },
    targets: { names: ['bench'] },
    masks: [{ column: 'public.customers.card_number', mask: 'full' }],
    rules: [{ name: 'change', allow: { verbs, relations: ['public.*'] } }],
  });
  return directory;
}
