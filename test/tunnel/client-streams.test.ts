import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WebSocketCarrier } from '../../src/carrier/web-socket-carrier.ts';
import { ClientStreams } from '../../src/tunnel/client-streams.ts';
import { webSocketPair } from '../gateway/web-socket-pair.ts';
import { RecordingBench, SessionPair } from '../recording/session-pair.ts';

let bench: RecordingBench;
beforeEach(async () => {
  bench = await RecordingBench.create();
});
afterEach(() => bench[Symbol.asyncDispose]());

test('a stream that cannot be recorded is cut off at once, not left open at the gateway', async () => {
  await using sockets = await webSocketPair();
  const pair = await SessionPair.open(bench);
  const streams = new ClientStreams({
    session: pair.session,
    recording: pair.client,
    openCarrier: async () => new WebSocketCarrier(sockets.client),
    tell: () => undefined,
    reason: () => undefined,
  });
  await pair.end();
  const cutOff = once(sockets.server, 'close');
  await expect(streams.open('postgres', AbortSignal.timeout(5000))).rejects.toThrow();
  await cutOff;
  await streams.closed();
});
