/** A run as `hoop run` asks for it, and a client that has nothing but the run's token. */

import type { TokenReply } from '../../src/api/login.ts';
import type { RunReply, RunRequest } from '../../src/api/runs.ts';
import { type DpopKey, generateDpopKey } from '../../src/client/dpop-key.ts';
import { GatewayClient } from '../../src/client/gateway-client.ts';
import type { GatewayBench } from './gateway-bench.ts';

export interface StartedRun extends AsyncDisposable {
  readonly reply: RunReply;
  readonly key: DpopKey;
  readonly client: GatewayClient;
}

export async function startRun(
  bench: GatewayBench,
  parent: GatewayClient,
  run: Partial<Pick<RunRequest, 'agent' | 'command' | 'reason' | 'targets'>> = {},
): Promise<StartedRun> {
  const key = generateDpopKey();
  const reply = await parent.startRun(key, { command: ['psql'], ...run }, bench.signal);
  const client = clientWith(bench, reply.token, key);
  return { reply, key, client, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
}

/** A client that holds this token and this key, whether or not they belong together. */
export function clientWith(bench: GatewayBench, token: TokenReply, key: DpopKey): GatewayClient {
  const credential = { accessToken: token.access_token, key };
  return new GatewayClient({
    baseUrl: bench.gateway().url,
    ca: bench.ca,
    tokens: { current: async () => credential, renewed: async () => credential },
  });
}
