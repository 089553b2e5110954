/** `hoop logout` in a job: ends the login that its commands share. */

import type { GatewayClient } from '../../client/gateway-client.ts';
import type { Home } from '../../home.ts';
import { findWorkload, identityChoice, openContext } from './find-workload.ts';
import { workloadAudience } from './workload-audience.ts';
import { hasWorkloadState } from './workload-state.ts';
import { WorkloadTokens } from './workload-tokens.ts';

interface WorkloadLogout {
  readonly home: Home;
  /** Base URL. */
  readonly gateway: string;
  readonly client: GatewayClient;
  readonly env: NodeJS.ProcessEnv;
  /** Also those of other jobs with this subject. */
  readonly all: boolean;
  readonly signal: AbortSignal;
}

/**
 * @returns false when there was none
 * @throws HoopError HOOP_UNREACHABLE and others of the gateway; then the login is still kept
 */
export async function logoutWorkload(options: WorkloadLogout): Promise<boolean> {
  const { home, gateway, client, env, all, signal } = options;
  // Platforms are not looked for, some over the network, where no workload has ever logged in.
  if (!hasWorkloadState(home)) {
    return false;
  }
  const choice = identityChoice(env);
  const { chosen } = await findWorkload(openContext(env, gateway), {
    signal,
    ...(choice === undefined ? {} : { only: [choice] }),
  });
  if (chosen === undefined) {
    return false;
  }
  const notNow = (): never => {
    throw new TypeError('a logout asks for no tokens');
  };
  const tokens = new WorkloadTokens({
    home,
    gateway,
    chosen,
    audience: workloadAudience(gateway, env),
    exchange: notNow,
    refresh: notNow,
    clock: Date.now,
  });
  return tokens.logout((handle, key) => client.logout(handle, key, signal, { all }), signal);
}
