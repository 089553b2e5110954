/** The policy in force, and what people are given, kept from or wait for beside it. */
import { HoopError } from '../../errors.ts';
import { policyConnectors } from '../../policy/connector.ts';
import type { PolicyInForce } from '../../policy/repo.ts';
import { AccessGrants } from '../access/access-grants.ts';
import { AccessRequests } from '../access/access-requests.ts';
import { ApprovalStore } from '../approvals/approval-store.ts';
import { Approvals } from '../approvals/approvals.ts';
import { reconsiderStatements } from '../approvals/policy-standing.ts';
import { SealedJson } from '../approvals/sealed-json.ts';
import { GatewayPolicy } from '../base/gateway-policy.ts';
import { errorFields } from '../base/log.ts';
import { Blocks } from '../blocks/blocks.ts';
import type { GatewaySource } from '../connector.ts';
import { PolicyHistory } from '../index/policy-history.ts';
import { PolicyHead } from '../nodes/policy-head.ts';
import type { GatewayData, Opening } from './open-data.ts';

export async function openPolicy(
  { config, env, clock, log, opened }: Opening,
  { directory, kept: store, events, allowedSigners, secrets, node }: GatewayData,
  sources: readonly GatewaySource[],
  signal: AbortSignal,
) {
  const access = opened.use(await AccessGrants.open({ store, events, clock, log }));
  const blocks = await Blocks.open({
    store,
    events,
    agents: () => new Set(policy.current()?.policy.agents.keys()),
    clock,
    log,
  });
  const policy = await GatewayPolicy.open(
    {
      directory: directory.policy,
      repository: config.policy.repository,
      branch: config.policy.branch,
      allowedSigners,
      pollSeconds: config.policy.pollSeconds,
      env,
      connectors: await policyConnectors(sources),
      temporary: (principal, target) => access.active(principal, target),
      isBlocked: (principal, target) => blocks.find(principal, target) !== undefined,
      onRefused(problem, commit) {
        if (!(problem instanceof HoopError)) return;
        const { code } = problem;
        events.tellLimited('policy', `${code} ${commit}`, { type: 'policy.refused', code, commit });
      },
      log,
    },
    signal,
  );
  const first = policy.current();
  /** Of the commit that is in force now, and of each that comes. */
  const followPolicy = (follow: (inForce: PolicyInForce) => void): void => {
    policy.onChange(follow);
    if (first !== undefined) {
      follow(first);
    }
  };
  // Before the sessions hear of a commit: what it no longer gives has ended by then.
  followPolicy(({ policy }) => access.policyChanged(policy));
  const approvals = opened.use(
    await Approvals.open({
      node: node.owner.id,
      store: new ApprovalStore(store, new SealedJson(secrets.approvals)),
      isAgent: (someone) => policy.isAgent(someone),
      isBlocked: (someone, target) => blocks.find(someone, target) !== undefined,
      events,
      log,
      clock,
    }),
  );
  // What was asked for counts: the binding has the terms, and is compared when it is used.
  await approvals.handle('statement', { needs: ({ needs }) => needs });
  await approvals.handle('command', { needs: ({ needs }) => needs });
  const reconsider = (): void => {
    reconsiderStatements(approvals, policy).catch((error: unknown) =>
      log.error('approval.reconsider_failed', errorFields(error)),
    );
  };
  followPolicy(reconsider);
  const accessRequests = await AccessRequests.open({ policy, access, approvals, clock, log });
  const policyHead = new PolicyHead({
    store,
    repository: config.policy.repository,
    branch: config.policy.branch,
    current: () => policy.current()?.commit,
    follows: (commit, ancestor) => policy.follows(commit, ancestor, signal),
    clock,
  });
  followPolicy(() => {
    policyHead.isNewest().then(
      (isNewest) => {
        if (!isNewest) log.error('policy.behind', { commit: policy.current()?.commit });
      },
      (error: unknown) => log.error('policy.head_failed', errorFields(error)),
    );
  });
  const history = new PolicyHistory(store, clock, events);
  followPolicy((next) => {
    history
      .inForce(next)
      .catch((error: unknown) => log.error('policy.history_failed', errorFields(error)));
  });
  return {
    policy,
    first,
    followPolicy,
    reconsider,
    access,
    blocks,
    approvals,
    accessRequests,
    policyHead,
    history,
  };
}

export type OpenPolicy = Awaited<ReturnType<typeof openPolicy>>;
