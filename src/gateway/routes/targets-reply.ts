/** What `GET /v1/targets` answers. */

import { API_VERSION } from '../../api/http.ts';
import type { TargetsReply } from '../../api/targets.ts';
import type { Principal } from '../../policy/types.ts';
import {
  describeAgentRules,
  describeRules,
  maskedColumns,
} from '../../policy/words/describe-grant.ts';
import type { GatewayPolicy } from '../base/gateway-policy.ts';
import type { PolicyHistory } from '../index/policy-history.ts';
import { limitsReply } from '../sessions/session-reply.ts';

export async function targetsReply(
  {
    policy,
    history,
  }: {
    readonly policy: Pick<GatewayPolicy, 'inForce' | 'granted'>;
    readonly history: Pick<PolicyHistory, 'at'>;
  },
  who: Principal,
): Promise<TargetsReply> {
  const { commit } = policy.inForce();
  const period = await history.at(commit, Number.MAX_SAFE_INTEGER);
  return {
    v: API_VERSION,
    commit,
    ...(period === undefined ? {} : { inForceSince: new Date(period.sinceMs).toISOString() }),
    targets: policy.granted(who).map(({ target, grant }) => ({
      name: target.name,
      kind: target.kind,
      ...(target.description === undefined ? {} : { description: target.description }),
      ...(target.database === undefined ? {} : { database: target.database }),
      labels: { ...target.labels },
      rules: describeRules(grant),
      ...(grant.agent === undefined ? {} : { agentRules: describeAgentRules(grant) }),
      masked: maskedColumns(grant),
      detectors: [...grant.detectors],
      requireReason: grant.requireReason,
      ...(grant.terminal === undefined ? {} : { terminal: grant.terminal }),
      limits: limitsReply(grant),
    })),
  };
}
