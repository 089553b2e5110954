import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll } from 'vitest';
import {
  LocalPort,
  type LocalPortOptions,
} from '../../../../src/connectors/postgres/client/local-port.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import { Secret } from '../../../../src/secret.ts';
import { LocalListener } from '../../../../src/tunnel/local-listener.ts';
import type { RefusalReason } from '../../../../src/tunnel/local-refusal.ts';
import { startTestPostgres } from '../../../postgres-template.ts';

export const PASSWORD = 'c2Vzc2lvbi1wYXNzd29yZA';
export const USER = 'postgres';

/** A local port with, in the gateway's place, a real server that asks for no password. */
export interface LocalBench extends AsyncDisposable {
  readonly port: LocalPort;
  readonly tunnels: readonly Socket[];
  readonly refusals: readonly RefusalReason[];
}

/** One server for a test file, many ports. */
export function localBench(): (
  options?: Partial<Omit<LocalPortOptions, 'listener'>>,
) => Promise<LocalBench> {
  let server: EmbeddedPostgres | undefined;
  beforeAll(async () => {
    server = await startTestPostgres({ hba: 'host all all 127.0.0.1/32 trust\n' });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });
  return async (options = {}) => {
    const tunnels: Socket[] = [];
    const refusals: RefusalReason[] = [];
    const port = new LocalPort({
      listener: await LocalListener.open({ type: 'tcp', port: 0 }),
      user: USER,
      password: new Secret(PASSWORD),
      openTunnel: async () => {
        const socket = connect({ host: server?.host, port: server?.port ?? 0, noDelay: true });
        await once(socket, 'connect');
        tunnels.push(socket);
        return socket;
      },
      onRefused: (reason) => refusals.push(reason),
      ...options,
    });
    return { port, tunnels, refusals, [Symbol.asyncDispose]: () => port.close() };
  };
}
