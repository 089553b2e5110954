import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import type { ToGateway } from '../../../src/api/control.ts';
import { SessionControl } from '../../../src/gateway/sessions/session-control.ts';
import { webSocketPair } from '../web-socket-pair.ts';

function attach(socket: WebSocket, pingEveryMs?: number) {
  const messages: ToGateway[] = [];
  const evidence: string[] = [];
  const errors: string[] = [];
  const { promise: lost, resolve } = Promise.withResolvers<'closed' | 'silent'>();
  const control = new SessionControl(
    socket,
    {
      onMessage: (message) => messages.push(message),
      onEvidence: (bytes) => evidence.push(Buffer.from(bytes).toString()),
      onProtocolError: (error) => errors.push(error.message),
      onLost: resolve,
    },
    pingEveryMs,
  );
  return { control, messages, evidence, errors, lost };
}

test('text is signalling, binary is stream 0', async () => {
  await using pair = await webSocketPair();
  const { messages, evidence, errors } = attach(pair.server);
  pair.client.send(JSON.stringify({ type: 'close' }));
  pair.client.send(Buffer.from('{"type":"x"}\n'));
  pair.client.send('nonsense');
  pair.client.send(JSON.stringify({ type: 'unknown' }));
  pair.client.send(JSON.stringify({ type: 'cut', cut: { epoch: -1 } }));
  pair.client.close();
  await once(pair.server, 'close');
  expect(messages).toEqual([{ type: 'close' }]);
  expect(evidence).toEqual(['{"type":"x"}\n']);
  expect(errors).toHaveLength(3);
});

test('messages to the client keep their order and kind', async () => {
  await using pair = await webSocketPair();
  const { control } = attach(pair.server);
  const got: [string, boolean][] = [];
  pair.client.on('message', (data, isBinary) => got.push([String(data), isBinary]));
  control.sendEvidence(Buffer.from('line\n'));
  control.send({ type: 'closing', reason: 'closed', message: 'm' });
  control.send({ type: 'closed' });
  control.close();
  await once(pair.client, 'close');
  expect(got).toEqual([
    ['line\n', true],
    ['{"type":"closing","reason":"closed","message":"m"}', false],
    ['{"type":"closed"}', false],
  ]);
});

test('a client that closes is lost, and nothing can be sent any more', async () => {
  await using pair = await webSocketPair();
  const { control, lost } = attach(pair.server);
  pair.client.close();
  expect(await lost).toBe('closed');
  control.send({ type: 'closed' });
});

test('a client that answers pings stays', async () => {
  await using pair = await webSocketPair();
  const { control } = attach(pair.server, 5);
  for (let pings = 0; pings < 6; pings += 1) {
    await once(pair.client, 'ping');
  }
  expect(pair.server.readyState).toBe(pair.server.OPEN);
  control.terminate();
});

test('a client that is silent over two pings is lost as silent', async () => {
  await using pair = await webSocketPair();
  const { lost } = attach(pair.server, 5);
  // As behind a partition: the socket is open, nothing comes back.
  pair.client.pause();
  expect(await lost).toBe('silent');
});
