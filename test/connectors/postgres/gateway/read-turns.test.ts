import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ReadTurns } from '../../../../src/connectors/postgres/gateway/wire/relay.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import { emptyCatalog } from '../policy/empty-catalog.ts';
import { type BenchOptions, startBench, testGrant } from './engine-bench.ts';
import { letters, message, query, RawClient } from './raw-client.ts';
import { targetOf } from './test-target.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A stream that has a hundred chunks to say at once, each of which takes so long. */
function flood(msPerChunk: number) {
  let nowMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  const socket = new PassThrough({ objectMode: true, highWaterMark: 1000 });
  const turns = new ReadTurns(socket, 4);
  const seen = { chunks: [] as number[], inTurn: 0, most: 0 };
  socket.on('data', (chunk: number) => {
    turns.chunk();
    seen.chunks.push(chunk);
    seen.inTurn += 1;
    seen.most = Math.max(seen.most, seen.inTurn);
    setImmediate(() => {
      seen.inTurn = 0;
    });
    nowMs += msPerChunk;
  });
  for (let chunk = 0; chunk < 100; chunk++) socket.write(chunk);
  return { turns, seen };
}

const ALL = Array.from({ length: 100 }, (_, at) => at);

test('what takes long is read in many turns, in its order', async () => {
  const { seen } = flood(3);
  while (seen.chunks.length < 100) await nextTurn();
  expect(seen.chunks).toEqual(ALL);
  expect(seen.most).toBeLessThanOrEqual(3);
});

test('what takes no time is read at once', async () => {
  const { seen } = flood(0);
  await nextTurn();
  expect(seen.chunks).toEqual(ALL);
});

test('the end of a turn does not go over the head of a client that reads slowly', async () => {
  const { turns, seen } = flood(3);
  const goOn = turns.pause();
  const before = seen.chunks.length;
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect(seen.chunks.length).toBe(before);
  goOn();
  while (seen.chunks.length < 100) await nextTurn();
  expect(seen.chunks).toEqual(ALL);
});

/** A target that lets everybody in and answers each Query with the same bytes, in one write. */
async function answering(answer: Uint8Array) {
  const server = createServer((socket) => {
    let isIn = false;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      const type = isIn ? chunk.toString('latin1', 0, 1) : '';
      if (type === 'Q') socket.write(answer);
      // The gateway asks where names are looked up.
      if (type === 'P') socket.write(Buffer.concat([REFUSED, READY]));
      if (!isIn) socket.write(Buffer.concat([AUTHENTICATED, ...SETTINGS.map(setting), READY]));
      isIn = true;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address with a port.
  const { port } = server.address() as AddressInfo;
  return {
    target: targetOf({ port, user: 'postgres', password: 'x' }, { tls: { ...PLAIN } }),
    [Symbol.dispose]: () => void server.close(),
  };
}

const PLAIN = {
  mode: 'disable',
  ca: undefined,
  negotiation: 'postgres',
  channelBinding: 'prefer',
} as const;
const SETTINGS = [
  'server_version 18.0',
  'server_encoding UTF8',
  'client_encoding UTF8',
  'standard_conforming_strings on',
];
const AUTHENTICATED = message('R', Buffer.alloc(4));
const REFUSED = message('E', Buffer.from('SERROR\0VERROR\0C0A000\0Mno\0\0'));
const READY = message('Z', Buffer.from('I'));
const text = (type: string, body: string): Uint8Array => message(type, Buffer.from(`${body}\0`));
const setting = (named: string): Uint8Array => text('S', named.replace(' ', '\0'));
const column = Buffer.alloc(18);

describe('what the target says at once', () => {
  /** @returns what came, and the most decisions and results that were told of in one turn */
  async function answered(answer: Uint8Array, options: Partial<BenchOptions> = {}) {
    using server = await answering(answer);
    const most = { decision: 0, result: 0 };
    const inTurn = { decision: 0, result: 0 };
    await using bench = await startBench({
      target: server.target,
      onEvent: ({ type }) => {
        if (type !== 'decision' && type !== 'result') return;
        inTurn[type] += 1;
        most[type] = Math.max(most[type], inTurn[type]);
        setImmediate(() => {
          inTurn[type] = 0;
        });
      },
      ...options,
    });
    await using client = await RawClient.open(bench.port);
    client.received.length = 0;
    // Each look at the clock takes as long as what is done in between.
    let nowMs = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => {
      nowMs += 0.2;
      return nowMs;
    });
    client.send(query('select'));
    await client.until((all) => all.some(({ type }) => type === 'Z'));
    return { received: client.received, most };
  }

  test('is dealt with in many turns, in its order', async () => {
    const tags = Array.from({ length: 2000 }, (_, at) => `SELECT ${at}`);
    const completes = Buffer.concat(tags.map((tag) => text('C', tag)));
    const { received, most } = await answered(Buffer.concat([completes, READY]), {
      script: () => tags.map(() => ({})),
    });
    expect(most.decision).toBe(100);
    expect(most.result).toBeLessThan(50);
    const came = received.filter(({ type }) => type === 'C');
    expect(came.map(({ body }) => body.toString('latin1', 0, body.length - 1))).toEqual(tags);
  });

  test('a text whose decisions are recorded in many turns is decided again if the catalog changes meanwhile', async () => {
    let catalog = emptyCatalog(1);
    const asked: number[] = [];
    const { received } = await answered(Buffer.concat([text('C', 'SELECT 1'), READY]), {
      catalog: {
        current: async () => catalog,
        refresh: async () => catalog,
        lookAnew: async () => catalog,
      },
      script: (_, context) => {
        asked.push(context.catalog.generation);
        catalog = emptyCatalog(2);
        const all = Array.from({ length: 200 }, () => ({}));
        return asked.length === 1 ? all : [...all, { deny: {} }];
      },
    });
    expect(asked).toEqual([1, 2]);
    expect(letters(received)).not.toContain('C');
  });

  test('goes no further than the detectors may look: names of a result, a tag', async () => {
    const names = `${'4111 1111 1111 1111 '.repeat(20_000)}`;
    const described = Buffer.concat([Buffer.from([0, 1]), Buffer.from(`${names}\0`), column]);
    const grant = testGrant({ detectors: ['card'] });
    const answer = [message('T', described), text('C', 'SELECT 0'), READY];
    const { received } = await answered(Buffer.concat(answer), {
      grant: () => grant,
      script: () => ({ masks: [undefined] }),
    });
    expect(received.find(({ type }) => type === 'T')?.body.toString('latin1', 2, 13)).toBe(
      '[withheld]\0',
    );
    const long = Buffer.concat([text('C', 'x'.repeat(2_000_000)), READY]);
    const ended = await answered(long);
    expect(letters(ended.received)).toBe('E');
  });

  test('is of a statement with more names than an event can hold: then nothing of them is known', async () => {
    const long = 'n'.repeat(63);
    const outputs = Array.from({ length: 6000 }, (_, at) => ({
      ...{ name: 'c', kind: 'identity' as const, typeOid: undefined },
      sources: [{ schema: long, name: long, column: `${long}${at}`, oid: 1, attnum: 1 }],
    }));
    const facts: RecordingEvent[] = [];
    const { received } = await answered(Buffer.concat([text('C', 'SELECT 0'), READY]), {
      script: () => ({ outputs, masks: outputs.map(() => undefined) }),
      onEvent: (event) => void (event.type === 'facts' && facts.push(event)),
    });
    expect(facts).toMatchObject([{ clear: [], unknown: ['returned', 'used', 'written'] }]);
    expect(letters(received)).toBe('C Z');
  });
});
