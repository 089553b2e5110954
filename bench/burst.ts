/**
 * What a gateway keeps of a burst: a thousand connections with statements of all kinds, as a test
 * suite makes them, and then nobody. A minute later it should be nearly as small as before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { streamingSelect } from './bulk.ts';
import type { Lane } from './lanes.ts';
import type { Notes } from './memory.ts';
import { residentKilobytes } from './process-figures.ts';
import { RawClient } from './raw-client.ts';

const AT_ONCE = 16;
/** One in so many reads a large result, sends much, writes a long text. */
const LARGE_ONE_IN = 50;
const LARGE_BYTES = 16 << 20;
const COPY_BYTES = 8 << 20;
const LINE_BYTES = 1000;
/** Texts of its own that each connection sends. */
const TEXTS = 20;
const MANY_COLUMNS = 300;
const REST_MS = 60_000;

/** Of processes that have done nothing else yet; MB. */
export async function memoryAfterBurst(
  lane: Lane,
  connections: number,
  say: (text: string) => void,
): Promise<Notes> {
  const [gateway = 0] = lane.serverEnd;
  const [cli = 0] = lane.clientEnd;
  const megabytes = (what: 'VmRSS' | 'VmHWM'): readonly [number, number] => [
    Math.round(residentKilobytes(gateway, what) / 1000),
    Math.round(residentKilobytes(cli, what) / 1000),
  ];
  await connection(lane, 0);
  const start = megabytes('VmRSS');
  let next = 1;
  const worker = async (): Promise<void> => {
    for (let number = next; number <= connections; number = next) {
      next += 1;
      await connection(lane, number);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const end = megabytes('VmRSS');
  const peak = megabytes('VmHWM');
  say(`a burst of ${connections} connections: RSS ${start.join('/')} → ${end.join('/')} MB`);
  await sleep(REST_MS);
  const rest = megabytes('VmRSS');
  return Object.fromEntries(
    ['gateway', 'CLI'].flatMap((name, index) => {
      const of = (values: readonly number[]): number => values[index] ?? Number.NaN;
      return [
        [`${name}, RSS before a burst of ${connections} connections (MB)`, of(start)],
        [`${name}, RSS above that at its peak (MB)`, of(peak) - of(start)],
        [`${name}, RSS above that when it ends (MB)`, of(end) - of(start)],
        [`${name}, RSS above that a minute later (MB)`, of(rest) - of(start)],
      ];
    }),
  );
}

/** What one test of a driver does, more or less. */
async function connection({ url }: Lane, number: number): Promise<void> {
  const client = await RawClient.connect(url);
  for (let text = 0; text < TEXTS; text += 1) {
    const sql = `SELECT ${text} AS turn, 'c${number}' AS a${number % 97}_${text}, now()`;
    await (text % 2 === 0 ? client.query(sql) : client.queryBinary(sql));
  }
  await client.query(`SET application_name = 'burst ${number}'; BEGIN; SELECT 1; ROLLBACK`);
  await client.query(
    `SELECT ${Array.from({ length: MANY_COLUMNS }, (_, n) => `g + ${n} AS c${n}`).join(', ')}
       FROM generate_series(1, 20) g`,
  );
  if (number % LARGE_ONE_IN === 0) {
    await client.query(streamingSelect(LARGE_BYTES));
    await client.copyIn('COPY bench_lines FROM STDIN WHERE false', COPY_BYTES, LINE_BYTES);
    await client.query(`SELECT length('${'x'.repeat(1 << 19)}')`);
  }
  client.close();
}
