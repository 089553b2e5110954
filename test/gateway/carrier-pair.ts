import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { ByteBudget } from '../../src/byte-budget.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { StreamConnection } from '../../src/carrier/stream-connection.ts';
import { WebSocketCarrier } from '../../src/carrier/web-socket-carrier.ts';
import { webSocketPair } from './web-socket-pair.ts';

export const CARRIERS = ['multiplexed', 'websocket'] as const;
export type CarrierKind = (typeof CARRIERS)[number];

export interface CarrierPair extends AsyncDisposable {
  readonly client: StreamCarrier;
  readonly server: StreamCarrier;
}

/** Two ends of a real connection on loopback, with one carrier or the other. */
export async function carrierPair(kind: CarrierKind): Promise<CarrierPair> {
  if (kind === 'multiplexed') {
    const pair = await connectionPair();
    return { ...(await pair.open(1)), [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
  }
  const pair = await webSocketPair();
  return {
    client: new WebSocketCarrier(pair.client),
    server: new WebSocketCarrier(pair.server),
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

export interface ConnectionPair extends AsyncDisposable {
  readonly client: StreamConnection;
  readonly server: StreamConnection;
  /** Below them, for bytes that no connection would send. */
  readonly socket: Socket;
  readonly accepted: Socket;
  /** What the server says to the next stream: undefined accepts it. */
  refusal: Uint8Array | undefined;
  /** Kinds that were asked for. */
  readonly kinds: readonly string[];
  open(stream: number): Promise<{ readonly client: StreamCarrier; readonly server: StreamCarrier }>;
}

/**
 * Two ends of a connection for streams on loopback, without TLS.
 * @param windows of the server's end
 */
export async function connectionPair(
  endWithinMs = 10_000,
  windows?: ByteBudget,
): Promise<ConnectionPair> {
  const listener = createServer({ allowHalfOpen: true });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [[first]] = await Promise.all([once(listener, 'connection'), once(socket, 'connect')]);
  const accepted = first as Socket;
  const carriers = new Map<number, StreamCarrier>();
  const kinds: string[] = [];
  const client = new StreamConnection({ socket, endWithinMs });
  const server = new StreamConnection({
    socket: accepted,
    endWithinMs,
    ...(windows === undefined ? {} : { windows }),
    onOpen: (wanted) => {
      kinds.push(wanted.kind);
      if (pair.refusal !== undefined) {
        wanted.refuse(pair.refusal);
        return;
      }
      carriers.set(wanted.stream, wanted.accept());
    },
  });
  socket.on('data', (bytes: Buffer) => client.receive(bytes));
  accepted.on('data', (bytes: Buffer) => server.receive(bytes));
  const pair: ConnectionPair = {
    client,
    server,
    socket,
    accepted,
    refusal: undefined,
    kinds,
    async open(stream) {
      const carrier = await client.open(stream, 'postgres', new AbortController().signal);
      carrier.resume();
      const other = carriers.get(stream);
      if (other === undefined) {
        throw new Error('the server has not accepted it');
      }
      return { client: carrier, server: other };
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
      accepted.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
  return pair;
}
