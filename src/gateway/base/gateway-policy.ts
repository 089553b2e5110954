/**
 * The policy in force on this gateway: polled from its repository, last good commit kept, live
 * sessions told at once. Without a commit in force nothing is allowed.
 */

import type { PolicyReply } from '../../api/targets.ts';
import { HoopError } from '../../errors.ts';
import { agentItself, withOwnAgent } from '../../policy/agents.ts';
import type { PolicyConnector } from '../../policy/connector.ts';
import type { Identified } from '../../policy/match.ts';
import { namesNoGroup } from '../../policy/names-no-group.ts';
import type { Policy } from '../../policy/policy.ts';
import {
  type GrantedTarget,
  grantedTargets,
  principalGrant,
} from '../../policy/principal-grant.ts';
import { GitThread } from '../../policy/repo/git-thread.ts';
import { type PolicyInForce, PolicyRepo } from '../../policy/repo.ts';
import type { Principal, TemporaryGrant } from '../../policy/types.ts';
import { doneOrAborted } from '../../until.ts';
import { errorFields, type Log } from './log.ts';

export interface GatewayPolicyOptions {
  /** Where the clone is kept. */
  readonly directory: string;
  readonly repository: string;
  readonly branch: string;
  /** Text of the OpenSSH allowed-signers file. */
  readonly allowedSigners: string;
  readonly pollSeconds: number;
  readonly env: NodeJS.ProcessEnv;
  readonly connectors: readonly PolicyConnector[];
  /** Temporary grants that hold now. */
  readonly temporary: (principal: Principal, target: string) => readonly TemporaryGrant[];
  /** Somebody's word keeps this principal out of the target, whatever the policy gives. */
  readonly isBlocked: (principal: Principal, target: string) => boolean;
  /** A commit was refused, or none could be fetched; once for each reason. */
  readonly onRefused: (problem: unknown, commit: string | undefined) => void;
  readonly log: Log;
}

/** A first fetch that hangs must not keep the gateway from starting (and from saying so). */
const FIRST_SYNC_WAIT_MS = 15_000;

export class GatewayPolicy {
  readonly #repo: PolicyRepo;
  readonly #git: GitThread;
  readonly #options: GatewayPolicyOptions;
  readonly #listeners = new Set<(inForce: PolicyInForce) => void>();

  private constructor(repo: PolicyRepo, git: GitThread, options: GatewayPolicyOptions) {
    this.#repo = repo;
    this.#git = git;
    this.#options = options;
  }

  static async open(options: GatewayPolicyOptions, signal: AbortSignal): Promise<GatewayPolicy> {
    const { directory: dir, repository, branch, allowedSigners, env, connectors } = options;
    const git = new GitThread();
    const runGit = git.run.bind(git);
    const kept = { dir, repository, branch, allowedSigners, env, connectors, runGit };
    const repo = await PolicyRepo.open(kept, signal);
    const policy = new GatewayPolicy(repo, git, options);
    await doneOrAborted(policy.#firstSync(signal), AbortSignal.timeout(FIRST_SYNC_WAIT_MS));
    return policy;
  }

  async #firstSync(signal: AbortSignal): Promise<void> {
    try {
      const { problem, refused } = await this.#repo.sync(signal);
      if (problem !== undefined) {
        this.#logProblem(problem, refused);
      }
    } catch (error) {
      // Only when the gateway is told to stop while it starts.
      this.#logProblem(error);
    }
    const inForce = this.#repo.current();
    if (inForce !== undefined) {
      this.#changed(inForce);
    }
  }

  /** Polls until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await using _ = this.#git;
    await this.#repo.watch({
      pollSeconds: this.#options.pollSeconds,
      signal,
      onChange: (inForce) => this.#changed(inForce),
      onProblem: (problem, commit) => this.#logProblem(problem, commit),
    });
  }

  /** Called after a new commit has come into force. */
  onChange(listener: (inForce: PolicyInForce) => void): void {
    this.#listeners.add(listener);
  }

  /** Time of the last successful fetch, and the problem with the newest commit if there is one. */
  status(): ReturnType<PolicyRepo['status']> {
    return this.#repo.status();
  }

  current(): PolicyInForce | undefined {
    return this.#repo.current();
  }

  /** @throws HOOP_POLICY_MISSING: without a policy nothing is allowed. */
  inForce(): PolicyInForce {
    const current = this.#repo.current();
    if (current === undefined) {
      throw new HoopError('HOOP_POLICY_MISSING', 'the gateway has no policy in force', {
        detail: this.#repo.status().problem?.message,
        hint: 'An operator can find the reason in the gateway’s log.',
      });
    }
    return current;
  }

  reply(): Omit<PolicyReply, 'sessionNonce'> {
    return this.#repo.reply();
  }

  bundle(signal: AbortSignal): Promise<Uint8Array> {
    return this.#repo.createBundle(signal);
  }

  /** Whether `commit` is known here, and is `ancestor` or comes after it. */
  follows(commit: string, ancestor: string, signal: AbortSignal): Promise<boolean> {
    return this.#repo.follows(commit, ancestor, signal);
  }

  /** undefined: no such target, or nothing on it for this principal; one cannot tell which. */
  grant(principal: Principal, targetName: string): GrantedTarget | undefined {
    const { policy, commit } = this.inForce();
    if (this.#options.isBlocked(principal, targetName)) {
      return undefined;
    }
    const target = policy.targets.get(targetName);
    const grant = principalGrant(
      policy,
      commit,
      principal,
      targetName,
      this.#options.temporary(principal, targetName),
    );
    return target === undefined || grant === undefined ? undefined : { target, grant };
  }

  granted(principal: Principal): readonly GrantedTarget[] {
    const { policy, commit } = this.inForce();
    const { temporary, isBlocked } = this.#options;
    return grantedTargets(policy, commit, principal, (target) =>
      temporary(principal, target),
    ).filter(({ target }) => !isBlocked(principal, target.name));
  }

  identityProviders(): Policy['identityProviders'] {
    return this.#repo.current()?.policy.identityProviders ?? [];
  }

  /** As the policy in force knows this principal: some are agents. */
  withOwnAgent(principal: Principal): Principal {
    const current = this.#repo.current();
    return current === undefined ? principal : withOwnAgent(current.policy, principal);
  }

  /** Whether the policy in force knows the login as an agent's own. */
  isAgent(someone: Identified): boolean {
    const current = this.#repo.current();
    return current !== undefined && agentItself(current.policy, someone) !== undefined;
  }

  workloads(): Policy['workloads'] {
    return this.#repo.current()?.policy.workloads ?? [];
  }

  roles(): Readonly<Record<string, readonly string[]>> {
    const roles = this.#repo.current()?.policy.roles;
    return roles === undefined ? {} : { ...roles };
  }

  /** The policy in force names groups, and none that they have. */
  namesNoGroupOf({ groups }: Principal): boolean {
    const current = this.#repo.current();
    return current !== undefined && namesNoGroup(current.policy, groups);
  }

  #changed(inForce: PolicyInForce): void {
    const { commit, signer } = inForce;
    this.#options.log.info('policy.in_force', { commit, signer });
    for (const listener of this.#listeners) {
      try {
        listener(inForce);
      } catch (error) {
        // One listener must not keep the others from the news, nor end the polling.
        this.#options.log.error('policy.listener_failed', errorFields(error));
      }
    }
  }

  #logProblem(problem: unknown, commit?: string): void {
    this.#options.log.error('policy.problem', { ...errorFields(problem), commit });
    this.#options.onRefused(problem, commit);
  }
}
