/** The client's check of the policy that its gateway enforces, with what was pinned at login. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { Home } from '../home.ts';
import {
  type ClientPolicy,
  verifyAcceptedCommit,
  verifyPolicyCommit,
} from '../policy/repo/client-policy.ts';

export interface GatewayPolicyOptions {
  readonly home: Home;
  /** Base URL. */
  readonly gateway: string;
  readonly pin: {
    readonly allowedSigners: string;
    readonly policyBranch: string;
    readonly policyRepository?: string | undefined;
  };
  readonly client: { policyBundle(signal: AbortSignal): Promise<Uint8Array> };
  /** What the gateway says is in force. */
  readonly reply: { readonly commit: string };
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

/** @throws HoopError HOOP_POLICY_UNSIGNED, _SIGNER, _REWOUND, _MISMATCH, _FETCH */
export function verifyGatewayPolicy(options: GatewayPolicyOptions): Promise<ClientPolicy> {
  const { home, gateway, pin, client, reply, env, signal } = options;
  return verifyPolicyCommit({
    dir: gatewayPolicyDirectory(home, gateway),
    repository: pin.policyRepository,
    branch: pin.policyBranch,
    allowedSigners: pin.allowedSigners,
    commit: reply.commit,
    bundle: (bundleSignal) => client.policyBundle(bundleSignal),
    env,
    signal,
  });
}

/**
 * The policy that this gateway enforced last, as `verifyGatewayPolicy` would verify it.
 * @returns undefined when there is none, or it is no longer good: the whole check will say why.
 */
export async function verifyLastPolicy(
  options: Omit<GatewayPolicyOptions, 'client' | 'reply'>,
): Promise<ClientPolicy | undefined> {
  const { home, gateway, pin, env, signal } = options;
  try {
    return await verifyAcceptedCommit({
      dir: gatewayPolicyDirectory(home, gateway),
      repository: pin.policyRepository,
      branch: pin.policyBranch,
      allowedSigners: pin.allowedSigners,
      env,
      signal,
    });
  } catch {
    return undefined;
  }
}

/** One per gateway: their policies have nothing to do with each other. */
export function gatewayPolicyDirectory(home: Home, gateway: string): string {
  const name = createHash('sha256').update(gateway).digest('hex').slice(0, 16);
  return join(home.state, 'policy', name);
}
