import { once } from 'node:events';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocketCarrier } from '../../src/carrier/web-socket-carrier.ts';
import { ClientStreams } from '../../src/tunnel/client-streams.ts';
import { webSocketPair } from '../gateway/web-socket-pair.ts';
import { RecordingBench, SessionPair } from '../recording/session-pair.ts';

let bench: RecordingBench;
beforeEach(async () => {
  bench = await RecordingBench.create();
});
afterEach(() => bench[Symbol.asyncDispose]());

/** @param told types of what the gateway is told */
function streamsOver(
  pair: SessionPair,
  carrier: WebSocketCarrier,
  told: string[] = [],
): ClientStreams {
  return new ClientStreams({
    recording: pair.client,
    openCarrier: async () => carrier,
    tell: ({ type }) => told.push(type),
    reason: () => undefined,
  });
}

test('a local client that stands still is told of while there is nothing to confirm', async () => {
  await using sockets = await webSocketPair();
  const pair = await SessionPair.open(bench);
  pair.connected = false;
  const told: string[] = [];
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const carrier = new WebSocketCarrier(sockets.client);
    const streams = streamsOver(pair, carrier, told);
    const stream = await streams.open('postgres', new AbortController().signal);
    stream.on('error', () => undefined);
    vi.advanceTimersByTime(60_000);
    expect(told).toEqual([]);
    carrier.pause();
    vi.advanceTimersByTime(30_000);
    expect(told).toEqual(['caughtUp', 'caughtUp', 'caughtUp']);
    // What has arrived and is in no cut has to be confirmed first.
    pair.client.data(1, 1, [Buffer.from('a row')]);
    vi.advanceTimersByTime(60_000);
    expect(told).toHaveLength(3);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    carrier.terminate();
    await closed;
  } finally {
    vi.useRealTimers();
  }
  await pair.client.close();
  await pair.gateway.close({ reason: 'closed' });
});

test('a stream that cannot be recorded is cut off at once, not left open at the gateway', async () => {
  await using sockets = await webSocketPair();
  const pair = await SessionPair.open(bench);
  const streams = streamsOver(pair, new WebSocketCarrier(sockets.client));
  await pair.end();
  const cutOff = once(sockets.server, 'close');
  await expect(streams.open('postgres', new AbortController().signal)).rejects.toThrow();
  await cutOff;
  await streams.closed();
});

test('a stream that ends when the session is over, because its gateway took nothing more, harms nobody', async () => {
  await using sockets = await webSocketPair();
  const pair = await SessionPair.open(bench);
  const carrier = new WebSocketCarrier(sockets.client);
  const told: string[] = [];
  const streams = streamsOver(pair, carrier, told);
  const stream = await streams.open('postgres', new AbortController().signal);
  stream.on('error', () => undefined);
  streams.over();
  await pair.client.close();
  const gone = streams.closed();
  const closed = once(carrier, 'close');
  carrier.terminate();
  await closed;
  await gone;
  expect(told).toEqual([]);
  await pair.gateway.close({ reason: 'closed' });
});
