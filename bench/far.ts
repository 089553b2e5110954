/** What a link of 40 ms leaves of each lane: round trips that it adds, and windows that it fills. */
import { LINK_TITLE } from './delayed-link.ts';
import type { Figures } from './figures.ts';
import type { Lane } from './lanes.ts';
import type { BenchOptions } from './options.ts';
import { RawClient } from './raw-client.ts';
import { percentile } from './statistics.ts';

const STATEMENTS = 200;
/** Not counted: caches fill, windows grow. */
const FIRST_STATEMENTS = 20;
const FIRST_MEGABYTES = 32;
const LINE_BYTES = 1000;

export interface FarContext {
  readonly options: BenchOptions;
  readonly lanes: readonly Lane[];
  readonly figures: Figures;
  readonly signal: AbortSignal;
}

const ROW = { work: `${LINK_TITLE}one-row query, p50`, unit: 'ms', moreIsBetter: false };
const SERIES = {
  work: `${LINK_TITLE}${STATEMENTS} statements, one after the other`,
  unit: 's',
  moreIsBetter: false,
};
const LOGIN = { work: `${LINK_TITLE}login on an open port`, unit: 'ms', moreIsBetter: false };

export async function farStatements({ options, lanes, figures, signal }: FarContext) {
  for (let round = 0; round < options.rounds; round += 1) {
    for (const lane of lanes) {
      signal.throwIfAborted();
      const opening = performance.now();
      const client = await RawClient.connect(lane.url);
      figures.add(LOGIN, lane.name, performance.now() - opening);
      await statements(client, FIRST_STATEMENTS);
      const times = await statements(client, STATEMENTS);
      client.close();
      const total = times.reduce((sum, one) => sum + one, 0);
      figures.add(ROW, lane.name, percentile(times, 50));
      figures.add(SERIES, lane.name, total / 1000);
    }
  }
  figures.tell(LOGIN.work, ROW.work, SERIES.work);
}

/** @returns ms. */
async function statements(client: RawClient, count: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const start = performance.now();
    await client.query(`SELECT abalance FROM pgbench_accounts WHERE aid = ${1 + index}`);
    times.push(performance.now() - start);
  }
  return times;
}

export async function farBulk({ options, lanes, figures, signal }: FarContext): Promise<void> {
  const { megabytes } = options;
  const works = [
    [`${LINK_TITLE}COPY OUT, ${megabytes} MB`, copyOut],
    [`${LINK_TITLE}COPY IN, ${megabytes} MB`, copyIn],
  ] as const;
  for (const [work, run] of works) {
    for (let round = 0; round < options.rounds; round += 1) {
      for (const lane of lanes) {
        signal.throwIfAborted();
        const client = await RawClient.connect(lane.url);
        await run(client, FIRST_MEGABYTES);
        const start = performance.now();
        const bytes = await run(client, megabytes);
        const rate = bytes / 1000 / (performance.now() - start);
        client.close();
        figures.add({ work, unit: 'MB/s', moreIsBetter: true }, lane.name, rate);
      }
    }
    figures.tell(work);
  }
}

function copyOut(client: RawClient, megabytes: number): Promise<number> {
  const rows = (megabytes * 1e6) / LINE_BYTES;
  return client.query(
    `COPY (SELECT g, repeat('x', ${LINE_BYTES}) FROM generate_series(1, ${rows}) g) TO STDOUT`,
  );
}

function copyIn(client: RawClient, megabytes: number): Promise<number> {
  return client.copyIn('COPY bench_lines FROM STDIN WHERE false', megabytes * 1e6, LINE_BYTES);
}
