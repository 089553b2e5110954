/**
 * What gateway and CLI need for clients and servers that are slow, and for values that are large:
 * a fixed amount for each stream, whatever is on its way. Measured at the real processes.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Lanes, openLanes } from '../../conformance/protocol/lanes.ts';
import {
  copyDone,
  encode,
  execute,
  framed,
  type Message,
  parse,
  query,
  sync,
} from '../../conformance/protocol/messages.ts';
import { WireClient } from '../../conformance/protocol/wire-client.ts';
import { logInDemo } from '../log-in-demo.ts';
import { demoTemplate } from '../postgres-template.ts';

const MIB = 1024 * 1024;
const STREAMS = 32;
/** Of each stream in each process, all of its buffers: docs/gateway.md. */
const STREAM_BYTES = 4 * MIB;
/** Garbage of a process that has just moved a few hundred megabytes. */
const SLACK_BYTES = 64 * MIB;
const VALUE_BYTES = 160 * MIB;
/** Bytes pass two processes that record, encrypt and hash them, on two cores, beside other tests. */
const PATIENCE_MS = 300_000;

let lanes: Lanes;
beforeAll(async () => {
  lanes = await openLanes({
    template: await demoTemplate(),
    logIn: logInDemo,
    signal: new AbortController().signal,
  });
  await lanes.admin(`CREATE TABLE slow (v text);
    CREATE FUNCTION wait_for_it() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$;
    CREATE TRIGGER wait BEFORE INSERT ON slow FOR EACH ROW EXECUTE FUNCTION wait_for_it();
    GRANT ALL ON slow TO ${lanes.demo.target.user}`);
  // Heaps and threads have their normal size before anything is measured.
  await using client = await WireClient.open(lanes.hoop.strict);
  await answered(client, query("SELECT repeat('x', 1000) FROM generate_series(1, 50000)"));
});
afterAll(async () => {
  await lanes[Symbol.asyncDispose]();
});

async function answered(client: WireClient, ...messages: readonly Message[]): Promise<void> {
  const ready = client.count('Z');
  for (const message of messages) client.write(encode(message));
  await client.until(() => client.count('Z') > ready, PATIENCE_MS);
}

function processes(): { readonly gateway: number; readonly cli: number } {
  const { demo, services } = lanes;
  return { gateway: demo.gatewayProcess().processId, cli: services.strict.processId };
}

/** Bytes, of /proc/PID/status. */
function memory(processId: number, what: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${processId}/status`, 'latin1');
  return Number(new RegExp(`${what}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
}

/** @returns by how much each process has grown at its peak while `work` was done, in bytes. */
async function growth(work: () => Promise<void>): Promise<{ gateway: number; cli: number }> {
  const { gateway, cli } = processes();
  const before = [gateway, cli].map((processId) => {
    // https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html: the peak begins anew.
    writeFileSync(`/proc/${processId}/clear_refs`, '5');
    return memory(processId, 'VmRSS');
  });
  await work();
  const [gatewayBefore = 0, cliBefore = 0] = before;
  return {
    gateway: memory(gateway, 'VmHWM') - gatewayBefore,
    cli: memory(cli, 'VmHWM') - cliBefore,
  };
}

async function open(count: number): Promise<AsyncDisposable & { clients: WireClient[] }> {
  const stack = new AsyncDisposableStack();
  const clients = await Promise.all(
    Array.from({ length: count }, () => WireClient.open(lanes.hoop.strict)),
  );
  for (const client of clients) stack.use(client);
  return { clients, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** As fast as it is taken. */
async function pour(client: WireClient, length: number): Promise<void> {
  const piece = Buffer.alloc(256 * 1024, 'x');
  for (let left = length; left > 0; left -= piece.length) {
    if (!client.socket.write(piece.subarray(0, left))) await once(client.socket, 'drain');
  }
}

/** Type and length of a message whose body follows in pieces. */
function head(type: string, bodyLength: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.write(type, 'latin1');
  bytes.writeInt32BE(bodyLength + 4, 1);
  return bytes;
}

// First: what streams leave behind as garbage could hold a value unseen.
describe('a value of 160 MB that nobody reads passes without being kept', () => {
  const bound = VALUE_BYTES / 2;
  const text = `repeat('x', ${VALUE_BYTES})`;

  async function passes(play: (client: WireClient) => Promise<void>): Promise<WireClient> {
    const client = await WireClient.open(lanes.hoop.strict);
    const grown = await growth(() => play(client));
    await client[Symbol.asyncDispose]();
    expect(grown.gateway).toBeLessThan(bound);
    expect(grown.cli).toBeLessThan(bound);
    expect(client.count('E')).toBe(0);
    return client;
  }

  test(
    'in a row',
    async () => {
      const client = await passes((one) => answered(one, query(`SELECT ${text}`)));
      const [row] = client.received.filter(({ type }) => type === 'D');
      expect(row?.digest).toMatch(new RegExp(`^${VALUE_BYTES + 6} bytes `));
    },
    PATIENCE_MS,
  );

  test(
    'in copy data that come',
    async () => {
      const client = await passes((one) => answered(one, query(`COPY (SELECT ${text}) TO STDOUT`)));
      const [data] = client.received.filter(({ type }) => type === 'd');
      expect(data?.digest).toMatch(new RegExp(`^${VALUE_BYTES + 1} bytes `));
    },
    PATIENCE_MS,
  );

  test(
    'in copy data that go',
    async () => {
      const client = await passes(async (one) => {
        one.write(encode(query('CREATE TEMP TABLE big (v text); COPY big FROM STDIN')));
        await one.until(() => one.count('G') > 0);
        one.write(head('d', VALUE_BYTES + 1));
        await pour(one, VALUE_BYTES);
        one.write(Buffer.from('\n'));
        await answered(one, copyDone);
      });
      expect(client.received.some(({ body }) => String(body) === 'COPY 1\0')).toBe(true);
    },
    PATIENCE_MS,
  );

  test(
    'in a parameter',
    async () => {
      const client = await passes(async (one) => {
        one.write(encode(parse('SELECT length($1::text)')));
        const names = Buffer.from([0, 0, 0, 0, 0, 1]);
        const length = Buffer.alloc(4);
        length.writeInt32BE(VALUE_BYTES);
        const formats = Buffer.alloc(2);
        one.write(head('B', names.length + length.length + VALUE_BYTES + formats.length));
        one.write(Buffer.concat([names, length]));
        await pour(one, VALUE_BYTES);
        one.write(formats);
        await answered(one, execute(), sync);
      });
      const [row] = client.received.filter(({ type }) => type === 'D');
      expect(String(row?.body.subarray(6))).toBe(String(VALUE_BYTES));
    },
    PATIENCE_MS,
  );
});

describe(`${STREAMS} streams that stand still`, () => {
  const bound = STREAMS * STREAM_BYTES + SLACK_BYTES;

  test(
    'because clients do not read take a bounded amount of memory',
    async () => {
      await using opened = await open(STREAMS);
      const ids = opened.clients.map(({ cancelKey }) => cancelKey.processId);
      const grown = await growth(async () => {
        for (const client of opened.clients) {
          client.socket.pause();
          // A gigabyte for each of them.
          client.write(encode(query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)")));
        }
        const waiting = `SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE wait_event = 'ClientWrite' AND pid IN (${ids})`;
        await expect
          .poll(() => lanes.admin(waiting), { timeout: PATIENCE_MS, interval: 100 })
          .toEqual([{ n: STREAMS }]);
      });
      expect(grown.gateway).toBeLessThan(bound);
      expect(grown.cli).toBeLessThan(bound);
    },
    PATIENCE_MS,
  );

  test(
    'because the server does not read take a bounded amount of memory, and go on when it does',
    async () => {
      await using opened = await open(STREAMS);
      const holder = await WireClient.open(lanes.direct);
      await answered(holder, query('SELECT pg_advisory_lock(7)'));
      const line = Buffer.from(
        framed('d', Buffer.concat([Buffer.alloc(MIB, 'y'), Buffer.from('\n')])),
      );
      const taken = (): number =>
        opened.clients.reduce((sum, { socket }) => sum + socket.bytesWritten, 0);
      const stop = new AbortController();
      let writers: Promise<void>[] = [];
      const grown = await growth(async () => {
        writers = opened.clients.map(async (client) => {
          client.write(encode(query('COPY slow FROM STDIN')));
          await client.until(() => client.count('G') > 0);
          for (let count = 0; count < 64 && !stop.signal.aborted; count += 1) {
            if (!client.socket.write(line)) {
              await once(client.socket, 'drain', { signal: stop.signal }).catch(() => undefined);
            }
          }
        });
        let before = -1;
        await expect
          .poll(
            () => {
              const stands = taken() === before && before > STREAMS * line.length;
              before = taken();
              return stands;
            },
            { timeout: PATIENCE_MS, interval: 1000 },
          )
          .toBe(true);
      });
      // Two gigabytes have been offered; what was taken is in the kernel, on the way and here.
      expect(taken()).toBeLessThan(STREAMS * 40 * MIB);
      expect(grown.gateway).toBeLessThan(bound);
      expect(grown.cli).toBeLessThan(bound);
      stop.abort();
      await Promise.all(writers);
      await holder[Symbol.asyncDispose]();
      await Promise.all(opened.clients.map((client) => answered(client, copyDone)));
      expect(opened.clients.map((client) => client.count('E'))).toEqual(Array(STREAMS).fill(0));
    },
    PATIENCE_MS,
  );
});
