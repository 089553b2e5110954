import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { RawCarrier } from '../../src/carrier/raw-carrier.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { WebSocketCarrier } from '../../src/carrier/web-socket-carrier.ts';
import { webSocketPair } from './web-socket-pair.ts';

export const CARRIERS = ['raw', 'websocket'] as const;
export type CarrierKind = (typeof CARRIERS)[number];

export interface CarrierPair extends AsyncDisposable {
  readonly client: StreamCarrier;
  readonly server: StreamCarrier;
}

/** Two ends of a real connection on loopback, with one carrier or the other. */
export async function carrierPair(kind: CarrierKind): Promise<CarrierPair> {
  if (kind === 'raw') {
    return rawPair();
  }
  const pair = await webSocketPair();
  return {
    client: new WebSocketCarrier(pair.client),
    server: new WebSocketCarrier(pair.server),
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

/** The same, with the client's socket for bytes that no carrier would send. */
export async function rawPair(): Promise<CarrierPair & { readonly socket: Socket }> {
  const listener = createServer({ allowHalfOpen: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [[accepted]] = await Promise.all([once(listener, 'connection'), once(socket, 'connect')]);
  const carry = (end: Socket): RawCarrier => {
    const carrier = new RawCarrier({ socket: end, endWithinMs: 10_000 });
    end.on('data', (bytes: Buffer) => carrier.receive(bytes));
    return carrier;
  };
  return {
    socket,
    client: carry(socket),
    server: carry(accepted as Socket),
    async [Symbol.asyncDispose]() {
      socket.destroy();
      (accepted as Socket).destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}
