/** Floods that need no session, or many connections: what stands open, is asked for, is given up. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { encodeCancelRequest } from '../../src/connectors/postgres/protocol/startup-packet.ts';

export interface NastyFlood {
  readonly name: string;
  /** @returns what came of it */
  readonly run: () => Promise<string>;
}

/** How long what was opened stays so. */
const HELD_MS = 2_000;
const PATIENCE_MS = 20_000;

export interface FloodPlaces {
  /** Of the gateway: https. */
  readonly gateway: string;
  /** Of somebody with a login. */
  readonly home: string;
  /** The local port of a session. */
  readonly localUrl: string;
}

export function nastyFloods({ gateway, home, localUrl }: FloodPlaces): readonly NastyFlood[] {
  const { hostname, port } = new URL(gateway);
  const local = new URL(localUrl);
  const at = { host: hostname, port: Number(port) };
  const tls = { ...at, rejectUnauthorized: false };
  const request = (path: string, more: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n${more}\r\n`;
  const withLogin = async (ask: (api: Client) => Promise<unknown>, count: number) => {
    await using open = await openGateway({ env: { ...process.env, HOOP_HOME: home } });
    return await all(count, async () => {
      await ask(open.client);
    });
  };
  return [
    {
      name: '1,000 connections to the gateway that say nothing',
      run: () => held(1_000, () => connect(at)),
    },
    {
      name: '300 handshakes of TLS that are not finished',
      run: () =>
        held(300, () => {
          const socket = connect(at);
          // The beginning of a ClientHello.
          socket.once('connect', () => socket.write(Buffer.from('160301020001000', 'hex')));
          return socket;
        }),
    },
    {
      name: '200 requests without an end',
      run: () =>
        held(200, () => {
          const socket = connectTls(tls);
          socket.once('secureConnect', () =>
            socket.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n`),
          );
          return socket;
        }),
    },
    {
      name: '20,000 requests without a login on one connection',
      run: async () => {
        const socket = connectTls(tls);
        socket.on('error', () => undefined);
        await once(socket, 'secureConnect');
        socket.resume().write(request('/v1/sessions', 'Authorization: DPoP x\r\n').repeat(20_000));
        await Promise.race([once(socket, 'close'), sleep(5 * HELD_MS)]);
        socket.destroy();
        return 'sent';
      },
    },
    {
      name: '2,000 requests of whoami',
      run: () => withLogin((api) => api.whoami(AbortSignal.timeout(PATIENCE_MS)), 2_000),
    },
    {
      name: '500 lists of sessions',
      run: () => withLogin((api) => api.sessions({}, AbortSignal.timeout(PATIENCE_MS)), 500),
    },
    {
      name: '1,000 cancels of nobody',
      run: () =>
        all(1_000, async () => {
          const socket = connect({ host: local.hostname, port: Number(local.port) });
          socket.on('error', () => undefined);
          socket.end(encodeCancelRequest({ processId: 1, secretKey: new Uint8Array(4) })).resume();
          await Promise.race([once(socket, 'close'), sleep(HELD_MS)]);
          socket.destroy();
        }),
    },
  ];
}

type Client = Awaited<ReturnType<typeof openGateway>>['client'];

async function held(count: number, open: () => Socket): Promise<string> {
  const sockets = Array.from({ length: count }, open);
  for (const socket of sockets) socket.on('error', () => undefined).resume();
  await sleep(HELD_MS);
  const closed = sockets.filter((socket) => socket.destroyed).length;
  for (const socket of sockets) socket.destroy();
  return `${closed} closed`;
}

/** Twenty at a time. */
async function all(count: number, work: () => Promise<void>): Promise<string> {
  let [left, failed] = [count, 0];
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await work().catch(() => {
        failed += 1;
      });
    }
  };
  await Promise.all(Array.from({ length: 20 }, worker));
  return `${failed} failed`;
}
