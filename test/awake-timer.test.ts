import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { AwakeTimer } from '../src/awake-timer.ts';
import { ControlChannel } from '../src/tunnel/control-channel.ts';
import { webSocketPair } from './gateway/web-socket-pair.ts';

/** The process gets no time at all, as when the machine sleeps. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

function listen(socket: WebSocket, silenceMs: number) {
  const lost = Promise.withResolvers<void>();
  const channel = new ControlChannel(
    socket,
    { onMessage: () => undefined, onEvidence: () => undefined, onLost: () => lost.resolve() },
    silenceMs,
  );
  return { channel, lost: lost.promise };
}

test('a timer does not count time in which its process stood still', async () => {
  let isDue = false;
  using timer = new AwakeTimer(120, () => {
    isDue = true;
  });
  standStill(300);
  await nextTurn();
  expect(isDue).toBe(false);
  timer.restart();
});

test('a timer that nobody stops comes', async () => {
  await new Promise<void>((resolve) => new AwakeTimer(30, resolve));
});

test('a client that stood still does not take the gateway for silent', async () => {
  await using pair = await webSocketPair();
  const { channel, lost } = listen(pair.client, 600);
  const cell = { isLost: false };
  void lost.then(() => {
    cell.isLost = true;
  });
  // Comes while the client stands still, and is there to be read when it wakes.
  pair.server.ping();
  standStill(900);
  await once(pair.client, 'ping');
  expect(cell.isLost).toBe(false);
  channel.close();
});

test('a gateway that says nothing is lost', async () => {
  await using pair = await webSocketPair();
  const { lost } = listen(pair.client, 60);
  await lost;
});
