/** Large transfers: throughput, and the CPU time that each end of a lane spends on a gigabyte. */
import { PEOPLE } from './bench-data.ts';
import { cpuName, type Figures } from './figures.ts';
import type { Lane } from './lanes.ts';
import type { BenchOptions, Work } from './options.ts';
import { cpuSeconds, knowsProcesses, settle } from './process-figures.ts';
import { RawClient } from './raw-client.ts';
import { warmMemory } from './warm-memory.ts';

/** Of the one text column of COPY OUT, SELECT and COPY IN. */
const VALUE_BYTES = 1000;
const COLUMNS = 'id, full_name, email, card_number, city, created_at, balance, note';

interface BulkWork {
  readonly work: Work;
  readonly name: string;
  /** COPY OUT is refused while masks are in reach, so that lane has no figure there. */
  readonly masked: boolean;
  /** @returns bytes that crossed. */
  run(client: RawClient): Promise<number>;
  /** Bytes that all lanes are said to carry: masked values are shorter, which is no merit. */
  readonly bytes?: number;
}

export interface BulkContext {
  readonly options: BenchOptions;
  readonly lanes: readonly Lane[];
  readonly figures: Figures;
  readonly directUrl: string;
  readonly signal: AbortSignal;
}

/** Bytes of a result per row, for other measurements that stream. */
export function streamingSelect(bytes: number): string {
  return `SELECT g, repeat('x', ${VALUE_BYTES}) FROM generate_series(1, ${Math.ceil(bytes / VALUE_BYTES)}) g`;
}

export async function bulk(context: BulkContext): Promise<void> {
  for (const work of await bulkWorks(context)) {
    if (context.options.works.includes(work.work)) {
      await measure(work, context);
    }
  }
}

async function bulkWorks({ options, directUrl }: BulkContext): Promise<readonly BulkWork[]> {
  const bytes = options.megabytes * 1e6;
  const size = `${options.megabytes} MB`;
  const select = streamingSelect(bytes);
  return [
    {
      work: 'copy-out',
      name: `COPY OUT, ${size}`,
      masked: false,
      run: (client) => client.query(`COPY (${select}) TO STDOUT`),
    },
    {
      work: 'select',
      name: `SELECT, ${size}`,
      masked: true,
      run: (client) => client.query(select),
    },
    {
      work: 'copy-in',
      name: `COPY IN, ${size}`,
      masked: true,
      // No row is kept: the server's work on its table would hide the lanes' differences.
      run: (client) => client.copyIn('COPY bench_lines FROM STDIN WHERE false', bytes, VALUE_BYTES),
    },
    await eightColumns('text', bytes, directUrl),
    await eightColumns('binary', bytes, directUrl),
  ];
}

/** Eight columns, two of which are masked in the lane "hoop masked" and in no other. */
async function eightColumns(
  format: 'text' | 'binary',
  bytes: number,
  directUrl: string,
): Promise<BulkWork> {
  const run = (client: RawClient, sql: string): Promise<number> =>
    format === 'text' ? client.query(sql) : client.queryBinary(sql);
  const client = await RawClient.connect(directUrl);
  const once = await run(client, `SELECT ${COLUMNS} FROM bench_people`);
  client.close();
  const times = Math.max(1, Math.round(bytes / once));
  const rows = Math.round((times * PEOPLE) / 1000);
  const sql = `SELECT ${COLUMNS} FROM generate_series(1, ${times}), bench_people`;
  return {
    work: 'columns',
    name: `SELECT of 8 columns, ${format}, ${rows}k rows`,
    masked: true,
    run: (connected) => run(connected, sql),
    bytes: times * once,
  };
}

async function measure(work: BulkWork, { options, lanes, figures, signal }: BulkContext) {
  const wanted = lanes.filter(({ name }) => work.masked || name !== 'hoop masked');
  for (let round = 0; round < options.rounds; round += 1) {
    for (const lane of wanted) {
      await transfer(work, lane, { figures, cold: options.cold, signal });
    }
  }
  figures.tell(work.name, ...ENDS.map(([end]) => cpuName(work.name, end)));
}

const ENDS = [
  ['client end', 'clientEnd'],
  ['server end', 'serverEnd'],
] as const;

async function transfer(
  work: BulkWork,
  lane: Lane,
  context: { readonly figures: Figures; readonly cold: boolean; readonly signal: AbortSignal },
): Promise<void> {
  const { figures } = context;
  context.signal.throwIfAborted();
  const client = await RawClient.connect(lane.url);
  if (!context.cold) {
    await warmMemory(context.signal);
  }
  const ends = ENDS.filter(([, end]) => knowsProcesses() && lane[end].length > 0);
  const before = ends.map(([, end]) => cpuSeconds(lane[end]));
  const start = performance.now();
  const crossed = await work.run(client);
  const seconds = (performance.now() - start) / 1000;
  const bytes = work.bytes ?? crossed;
  figures.add(
    { work: work.name, unit: 'MB/s', moreIsBetter: true },
    lane.name,
    bytes / 1e6 / seconds,
  );
  await settle(ends.flatMap(([, end]) => lane[end]));
  for (const [index, [name, end]] of ends.entries()) {
    const spent = cpuSeconds(lane[end]) - (before[index] ?? 0);
    const what = { work: cpuName(work.name, name), unit: 's/GB', moreIsBetter: false };
    figures.add(what, lane.name, spent / (bytes / 1e9));
  }
  client.close();
}
