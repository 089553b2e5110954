/**
 * `npm run bench`: the same work through several lanes, in turn, in one run, as ratios.
 *
 *   direct      the client straight to PostgreSQL
 *   ssh -L      a real sshd on loopback (where one is installed)
 *   hoop        gateway and CLI, policy enforced, encrypted two-sided recording; strict policy
 *               without masks in reach ("allow") and with masks in reach ("masked")
 *
 * Figures depend on the machine; the ratios are what counts. Options: --rounds N, --seconds N,
 * --megabytes N, --only pgbench|latency|bulk|start|memory, --lane NAME (may be repeated), --cold
 * (memory is not touched before bulk rows: see README.md), --json.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Demo, startDemo } from '../src/demo/demo.ts';
import { type HoopService, runHoop, startHoop } from '../src/demo/hoop-process.ts';
import { connectAdmin } from '../src/demo/sample-target.ts';
import { findPgbench, runPgbench } from './pgbench.ts';
import { RawClient } from './raw-client.ts';
import { startSshForward } from './ssh-forward.ts';
import { median, percentile } from './statistics.ts';
import { warmMemory } from './warm-memory.ts';

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    megabytes: { type: 'string', default: '512' },
    only: { type: 'string' },
    lane: { type: 'string', multiple: true },
    cold: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(flags.rounds);
const ROW_BYTES = 1000;
const LATENCY_QUERIES = 2000;
const STREAMED_FOR_MEMORY_BYTES = 1 << 30;
/** A gateway's default; each look starts five processes of git. */
const POLICY_POLL_SECONDS = 5;
/** The slow reader takes this much and then stops for a while. */
const READ_BEFORE_PAUSE_BYTES = 64e6;
const PAUSE_MS = 5000;

interface Lane {
  readonly name: string;
  readonly url: string;
}

interface Figure {
  readonly work: string;
  readonly unit: string;
  /** false: less is better, and the ratio is turned round so that 1 is always "as good". */
  readonly moreIsBetter: boolean;
  readonly byLane: Map<string, number[]>;
}

const figures: Figure[] = [];
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const say = (text: string): void => {
  process.stderr.write(`bench: ${text}\n`);
};
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interrupted.abort(new Error(signal)));
}

const policyDirectory = writePolicy();
try {
  await using demo = await startDemo({
    policy: policyDirectory,
    pollSeconds: POLICY_POLL_SECONDS,
    note: say,
    signal: interrupted.signal,
  });
  await prepare(demo);
  const memory = await measure(demo);
  report(memory);
} finally {
  rmSync(policyDirectory, { recursive: true, force: true });
}

async function measure(demo: Demo): Promise<Record<string, number>> {
  await using stack = new AsyncDisposableStack();
  const direct = new URL(demo.target.adminUrl);
  direct.username = demo.target.user;
  direct.password = demo.target.password;
  const lanes: Lane[] = [{ name: 'direct', url: direct.href }];
  const forward = await startSshForward(demo.target.port);
  if (forward) {
    stack.use(forward);
    const url = new URL(direct);
    url.port = String(forward.port);
    lanes.push({ name: 'ssh -L', url: url.href });
  } else {
    say(
      'no sshd installed: the lane "ssh -L" is missing (on Debian: apt-get install openssh-server)',
    );
  }
  const services: HoopService[] = [];
  for (const [name, target] of [
    ['hoop allow', 'bench-allow'],
    ['hoop masked', 'bench-masked'],
  ] as const) {
    const service = stack.use(
      await startHoop(['connect', target, '--json'], 'listening', {
        home: demo.homes['engineer'] ?? '',
        signal: interrupted.signal,
      }),
    );
    services.push(service);
    lanes.push({ name, url: String(service.ready['url']) });
  }
  // First: what a process holds after other work would count as well.
  const memory = wants('memory') ? await memoryWhileStreaming(demo, lanes, services) : {};
  const wanted = lanes.filter(({ name }) => flags.lane?.includes(name) ?? true);
  if (wants('pgbench')) {
    await pgbench(wanted);
  }
  if (wants('latency')) {
    await latency(wanted);
  }
  if (wants('bulk')) {
    await bulk(wanted);
  }
  if (wants('start')) {
    await timeToFirstRow(demo, direct.href);
  }
  // Awaited here: the sessions are closed when this function returns.
  const gateway = demo.gatewayProcess().processId;
  return { ...memory, 'gateway, peak RSS of this whole run (MB)': megabytes(gateway, 'VmHWM') };
}

function wants(part: string): boolean {
  return flags.only === undefined || flags.only === part;
}

async function pgbench(lanes: readonly Lane[]): Promise<void> {
  const program = findPgbench();
  if (!program) {
    say(
      'pgbench is not installed (on Debian: apt-get install postgresql-contrib); those rows are missing',
    );
    return;
  }
  for (const mode of ['simple', 'prepared'] as const) {
    for (const clients of [1, 8]) {
      const figure = newFigure(
        `pgbench -S ${mode}, ${clients} client${clients > 1 ? 's' : ''}`,
        'tps',
        true,
      );
      for (let round = 0; round < rounds; round += 1) {
        for (const lane of lanes) {
          const result = await runPgbench(program, {
            url: lane.url,
            mode,
            clients,
            seconds: Number(flags.seconds),
          });
          add(figure, lane, result.tps);
        }
      }
      say(line(figure));
    }
  }
}

async function latency(lanes: readonly Lane[]): Promise<void> {
  const p50 = newFigure('one-row query, p50', 'µs', false);
  const p99 = newFigure('one-row query, p99', 'µs', false);
  for (let round = 0; round < rounds; round += 1) {
    for (const lane of lanes) {
      const client = await RawClient.connect(lane.url);
      const times: number[] = [];
      for (let i = 0; i < LATENCY_QUERIES; i += 1) {
        const start = performance.now();
        await client.query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${1 + (i % 1000)}`);
        times.push((performance.now() - start) * 1000);
      }
      client.close();
      add(p50, lane, percentile(times.slice(200), 50));
      add(p99, lane, percentile(times.slice(200), 99));
    }
  }
  say(line(p50));
  say(line(p99));
}

async function bulk(lanes: readonly Lane[]): Promise<void> {
  const rows = Math.ceil((Number(flags.megabytes) * 1e6) / ROW_BYTES);
  const select = `SELECT g, repeat('x', ${ROW_BYTES}) FROM generate_series(1, ${rows}) g`;
  const works = [
    { name: `COPY OUT, ${flags.megabytes} MB`, sql: `COPY (${select}) TO STDOUT`, masked: false },
    { name: `SELECT, ${flags.megabytes} MB`, sql: select, masked: true },
  ];
  for (const work of works) {
    const figure = newFigure(work.name, 'MB/s', true);
    for (let round = 0; round < rounds; round += 1) {
      // COPY is refused while masks are in reach, so that lane has no figure there.
      for (const lane of lanes.filter(({ name }) => work.masked || name !== 'hoop masked')) {
        const client = await RawClient.connect(lane.url);
        if (!flags.cold) {
          await warmMemory(interrupted.signal);
        }
        const start = performance.now();
        const bytes = await client.query(work.sql);
        add(figure, lane, bytes / 1e6 / ((performance.now() - start) / 1000));
        client.close();
      }
    }
    say(line(figure));
  }
}

async function timeToFirstRow(demo: Demo, direct: string): Promise<void> {
  const figure = newFigure('start of the command to first row', 'ms', false);
  const home = demo.homes['engineer'] ?? '';
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    execFileSync('psql', ['-X', '-At', '-c', 'SELECT 1', direct], { stdio: 'ignore' });
    add(figure, { name: 'direct', url: '' }, performance.now() - start);
    let first = 0;
    const begin = performance.now();
    await runHoop(
      ['connect', 'bench-allow', '--', 'sh', '-c', 'psql -X -At -c "SELECT 1" && date +%s%N >&2'],
      {
        home,
        onStderr: (text) => {
          if (/^\d{19}$/.test(text)) {
            first = performance.now();
          }
        },
      },
    );
    add(figure, { name: 'hoop allow', url: '' }, first - begin);
  }
  say(line(figure));
}

/** Resident memory of both ends over one more gigabyte, and while the reader pauses; MB. */
async function memoryWhileStreaming(
  demo: Demo,
  lanes: readonly Lane[],
  services: readonly HoopService[],
): Promise<Record<string, number>> {
  const lane = lanes.find(({ name }) => name === 'hoop allow');
  const service = services[0];
  if (!lane || !service) {
    return {};
  }
  const gateway = demo.gatewayProcess().processId;
  const rows = Math.ceil(STREAMED_FOR_MEMORY_BYTES / ROW_BYTES);
  const sql = `SELECT g, repeat('x', ${ROW_BYTES}) FROM generate_series(1, ${rows}) g`;
  const client = await RawClient.connect(lane.url);
  await client.query(sql);
  client.close();
  const slow = await RawClient.connect(lane.url);
  await slow.readSome(sql, READ_BEFORE_PAUSE_BYTES);
  const before = megabytes(gateway, 'VmRSS');
  await sleep(PAUSE_MS);
  const growth = megabytes(gateway, 'VmRSS') - before;
  slow.close();
  return {
    'gateway, peak RSS from its start until 1 GB was streamed (MB)': megabytes(gateway, 'VmHWM'),
    'CLI, peak RSS from its start until 1 GB was streamed (MB)': megabytes(
      service.processId,
      'VmHWM',
    ),
    'gateway, RSS gained while a reader pauses for 5 s in mid-result (MB)': growth,
  };
}

function megabytes(processId: number, what: 'VmRSS' | 'VmHWM'): number {
  const text = readFileSync(`/proc/${processId}/status`, 'utf8');
  const kilobytes = new RegExp(`${what}:\\s+(\\d+) kB`).exec(text)?.[1];
  return Math.round(Number(kilobytes ?? 0) / 1000);
}

function newFigure(work: string, unit: string, moreIsBetter: boolean): Figure {
  const figure = { work, unit, moreIsBetter, byLane: new Map<string, number[]>() };
  figures.push(figure);
  return figure;
}

function add(figure: Figure, lane: Lane, value: number): void {
  const values = figure.byLane.get(lane.name) ?? [];
  values.push(value);
  figure.byLane.set(lane.name, values);
}

/** 1 = as good as the other lane; above 1 = better. */
function ratio(figure: Figure, lane: string, against: string): number | undefined {
  const mine = figure.byLane.get(lane);
  const theirs = figure.byLane.get(against);
  if (!mine || !theirs) {
    return undefined;
  }
  return figure.moreIsBetter ? median(mine) / median(theirs) : median(theirs) / median(mine);
}

function line(figure: Figure): string {
  const lanes = [...figure.byLane].map(([lane, all]) => `${lane} ${format(median(all))}`);
  return `${figure.work} (${figure.unit}): ${lanes.join(', ')}`;
}

function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

function report(memory: Record<string, number>): void {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: root,
    encoding: 'utf8',
  }).trim();
  if (flags.json) {
    const results = figures.map((figure) => ({
      ...figure,
      byLane: Object.fromEntries(figure.byLane),
    }));
    process.stdout.write(
      `${JSON.stringify({ v: 1, commit, node: process.version, cold: flags.cold, figures: results, memory })}\n`,
    );
    return;
  }
  const lanes = ['direct', 'ssh -L', 'hoop allow', 'hoop masked'];
  const cell = (value: number | undefined): string =>
    value === undefined ? '–' : value.toFixed(2);
  const lines = [
    `commit ${commit}, Node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model ?? '?'}), ${rounds} rounds, medians, ${flags.cold ? 'cold' : 'warm'} memory`,
    '',
    `| work | unit | ${lanes.join(' | ')} | hoop allow / ssh -L | hoop allow / direct |`,
    `|---|---|${lanes.map(() => '---:|').join('')}---:|---:|`,
    ...figures.map((figure) => {
      const values = lanes.map((lane) => {
        const all = figure.byLane.get(lane);
        return all ? format(median(all)) : '–';
      });
      return `| ${figure.work} | ${figure.unit} | ${values.join(' | ')} | ${cell(ratio(figure, 'hoop allow', 'ssh -L'))} | ${cell(ratio(figure, 'hoop allow', 'direct'))} |`;
    }),
    '',
    ...Object.entries(memory).map(([name, value]) => `${name}: ${value}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function prepare(demo: Demo): Promise<void> {
  const admin = await connectAdmin(demo.target.adminUrl);
  await admin.query(`
    CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
    INSERT INTO pgbench_accounts SELECT g, 1, 0, '' FROM generate_series(1, 100000) g;
    CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
    INSERT INTO pgbench_branches VALUES (1, 0, '');
    CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    GRANT ALL ON ALL TABLES IN SCHEMA public TO ${demo.target.user};
    ANALYZE`);
  await admin.end();
}

function writePolicy(): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-policy-'));
  for (const folder of ['targets', 'policies']) {
    mkdirSync(join(directory, folder));
  }
  writeFileSync(join(directory, 'hoop.yaml'), 'version: 1\norg: bench\nidentityProviders: []\n');
  for (const name of ['bench-allow', 'bench-masked']) {
    const lines = [
      `name: ${name}`,
      'kind: postgres',
      'database: shop',
      'credential: prod-db',
      'recording: full',
    ];
    writeFileSync(join(directory, 'targets', `${name}.yaml`), `${lines.join('\n')}\n`);
  }
  const rules =
    "rules:\n  - name: read\n    allow: { verbs: [select, copy], relations: ['public.*'] }\n";
  const who = 'who: { groups: [engineering] }\n';
  writeFileSync(
    join(directory, 'policies', 'allow.yaml'),
    `name: allow\n${who}targets: { names: [bench-allow] }\n${rules}`,
  );
  writeFileSync(
    join(directory, 'policies', 'masked.yaml'),
    `name: masked\n${who}targets: { names: [bench-masked] }\nmasks:\n  - { column: public.customers.card_number, mask: full }\n${rules}`,
  );
  return directory;
}
