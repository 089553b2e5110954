/** What is checked of a session request before anything is made for it. */

import type { SessionRequest } from '../../api/sessions.ts';
import { HoopError, ProtocolError } from '../../errors.ts';
import { actorName } from '../../policy/actor-name.ts';
import type { PolicyTarget } from '../../policy/policy.ts';
import { requestable } from '../../policy/requestable.ts';
import type { Grant, Principal } from '../../policy/types.ts';
import { requestCommand } from '../../policy/words/request-command.ts';
import { checkProof } from '../../recording/keys/proof-of-possession.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import { isBlank } from '../base/plain-text.ts';
import type { Authenticated } from '../identity/identity.ts';
import { agentUnknown } from '../runs/run-agent.ts';
import type { SessionNonces } from './session-nonces.ts';

const KEY_BYTES = 32;
const CLIENT_NONCE_BYTES = 16;

/** Shape, nonce, proof. @returns the session key. @throws HOOP_PROTOCOL, HOOP_PROOF_INVALID, HOOP_STORE_UNAVAILABLE */
export async function checkSessionRequest(
  nonces: SessionNonces,
  who: Authenticated,
  request: SessionRequest,
): Promise<Uint8Array> {
  const clientKey = Buffer.from(request.clientKey, 'base64');
  const clientNonce = Buffer.from(request.clientNonce, 'base64');
  if (clientKey.length !== KEY_BYTES || clientNonce.length !== CLIENT_NONCE_BYTES) {
    throw new ProtocolError('the session request has a key or nonce of the wrong length');
  }
  // The nonce is spent even when the proof is wrong: no second guess with it.
  if (!(await nonces.use(who.family, request.serverNonce))) {
    throw new HoopError('HOOP_PROOF_INVALID', 'the session request has no valid server nonce', {
      hint: 'Fetch the policy again: the reply has a new nonce.',
    });
  }
  const { proof, ...hello } = request;
  const input = { hello, serverNonce: request.serverNonce, exporter: new Uint8Array() };
  if (!checkProof(clientKey, input, proof)) {
    throw new HoopError('HOOP_PROOF_INVALID', 'the proof does not match the session key');
  }
  return clientKey;
}

/** @throws HOOP_POLICY_MISSING, HOOP_POLICY_MISMATCH, HOOP_ACCESS_DENIED, HOOP_CONFIG */
export function authorizeSession(
  policy: GatewayPolicy,
  who: Authenticated,
  request: SessionRequest,
): { readonly target: PolicyTarget; readonly grant: Grant } {
  const { commit } = policy.inForce();
  if (request.policyCommit !== undefined && request.policyCommit !== commit) {
    throw new HoopError('HOOP_POLICY_MISMATCH', 'another policy commit has taken effect', {
      hint: 'Fetch and verify the policy again, then ask again.',
    });
  }
  const { principal } = who;
  const found = policy.grant(principal, request.target);
  if (found === undefined) {
    throw noAccess(policy, who, request.target);
  }
  if (found.grant.requireReason && isBlank(request.reason ?? who.run?.reason)) {
    throw new HoopError('HOOP_ACCESS_DENIED', `target "${request.target}" needs a reason`, {
      detail: `Policy commit ${commit.slice(0, 12)} requires a reason for each session.`,
      hint: 'Give it with --reason TEXT.',
    });
  }
  return found;
}

function noAccess(
  policy: GatewayPolicy,
  { principal, run }: Pick<Authenticated, 'principal' | 'run'>,
  target: string,
): HoopError {
  const inForce = policy.inForce();
  if (principal.targets !== undefined && !principal.targets.includes(target)) {
    return new HoopError('HOOP_ACCESS_DENIED', `no access to target "${target}" in this run`, {
      detail: `It was started for ${principal.targets.join(', ')}, and nothing inside it reaches another target.`,
      hint: 'Whoever starts the run chooses its targets: `hoop run --target NAME`.',
    });
  }
  const commit = `Policy commit ${inForce.commit.slice(0, 12)}`;
  const { agent: name, ...alone } = principal;
  if (name === undefined) {
    return new HoopError('HOOP_ACCESS_DENIED', `no access to target "${target}"`, {
      detail: `${commit} gives ${principal.name} no access there, or there is no such target.`,
      hint: isRequestable(policy, principal, target)
        ? askingHint(principal, target, run !== undefined)
        : 'See what you can reach with `hoop targets`.',
    });
  }
  const agent = inForce.policy.agents.get(name);
  if (agent === undefined) {
    return agentUnknown([...inForce.policy.agents.values()], alone);
  }
  // What the principal alone has is not asked of an agent's own login: nobody stands behind it.
  const isAgents = principal.isAgent !== true && policy.grant(alone, target) !== undefined;
  return new HoopError(
    'HOOP_ACCESS_DENIED',
    `no access to target "${target}" for ${actorName(principal)}`,
    {
      detail: isAgents
        ? `${commit} gives ${principal.name} access there, but not agent ${name} (${agent.file}).`
        : `${commit} gives ${principal.name} no access there, or there is no such target.`,
      hint: principal.isAgent
        ? 'See what you can reach with `hoop targets`.'
        : 'See what both may reach with `hoop targets` in the run.',
    },
  );
}

/** The login of a run may not ask: what it could do with more is decided by whoever it works for. */
function askingHint({ name }: Principal, target: string, inRun: boolean): string {
  const command = `\`${requestCommand(target)}\``;
  return inRun
    ? `${name} can request it, outside the run: ${command}.`
    : `Request it: \`hoop access list\` shows how, then ${command}.`;
}

function isRequestable(policy: GatewayPolicy, principal: Principal, target: string): boolean {
  return requestable(policy.inForce().policy, principal).some((one) => one.target === target);
}
