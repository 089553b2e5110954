/**
 * The client's own look at the policy that the gateway names: the same commit, its signature
 * checked against the signers pinned at first login, and history only going forward.
 */
import { HoopError } from '../../errors.ts';
import { COMMIT_ID, PolicyClone, type Verification } from './policy-clone.ts';
import type { VerifiedCommit } from './verify-commit.ts';

export interface ClientPolicyOptions {
  /** Of hoop's own, one per gateway. The last accepted commit is pinned in it. */
  readonly dir: string;
  /** Where this client may fetch it itself. */
  readonly repository?: string | undefined;
  readonly branch: string;
  /** Text of the allowed-signers file, as pinned. */
  readonly allowedSigners: string;
  /** The commit that the gateway says is in force. */
  readonly commit: string;
  /** Asks the gateway for a git bundle. */
  readonly bundle: (signal: AbortSignal) => Promise<Uint8Array>;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}

const KNOWN: Verification = { isFresh: false };

export interface ClientPolicy extends VerifiedCommit {
  /** Where the commit came from; `local` when it was known already. */
  readonly source: 'local' | 'repository' | 'gateway';
}

/**
 * @throws HoopError HOOP_POLICY_UNSIGNED, HOOP_POLICY_SIGNER, HOOP_POLICY_REWOUND,
 * HOOP_POLICY_MISMATCH (the commit is not in the policy's history), HOOP_POLICY_FETCH
 */
export async function verifyPolicyCommit(options: ClientPolicyOptions): Promise<ClientPolicy> {
  const { commit, signal } = options;
  if (!COMMIT_ID.test(commit)) {
    throw new HoopError('HOOP_GATEWAY_BAD_REPLY', 'the gateway named no policy commit');
  }
  const clone = await PolicyClone.open(options, signal);
  const accepted = await clone.accepted(signal);
  if (accepted === commit) {
    // Verified again: the pinned signers may have changed since.
    return { ...(await clone.verify(commit, KNOWN, signal)), source: 'local' };
  }
  const source = await fetchCommit(clone, options);
  const before = await clone.lastAccepted(signal);
  if (before !== undefined && !(await clone.follows(commit, before, signal))) {
    throw new HoopError('HOOP_POLICY_REWOUND', 'the gateway enforces an older policy than before', {
      detail: `Commit ${commit.slice(0, 12)} does not follow ${before.slice(0, 12)}, which this client has seen in force.`,
      hint: 'Ask whoever runs the gateway; nothing was sent to the target.',
    });
  }
  const isFresh = before !== undefined && before !== commit;
  const repository = source === 'repository' ? options.repository : undefined;
  const verified = await clone.verify(commit, { isFresh, repository }, signal);
  await clone.accept(commit, signal);
  return { ...verified, source };
}

/**
 * The commit that was accepted last, verified again: what the gateway names is mostly this one, and
 * whoever asks for it need not wait for the answer first.
 * @returns undefined when none was accepted yet.
 * @throws as `verifyPolicyCommit`
 */
export async function verifyAcceptedCommit(
  options: Omit<ClientPolicyOptions, 'commit' | 'bundle'>,
): Promise<ClientPolicy | undefined> {
  const { signal } = options;
  const clone = await PolicyClone.open(options, signal);
  const accepted = await clone.accepted(signal);
  return accepted === undefined
    ? undefined
    : { ...(await clone.verify(accepted, KNOWN, signal)), source: 'local' };
}

async function fetchCommit(
  clone: PolicyClone,
  options: ClientPolicyOptions,
): Promise<'repository' | 'gateway'> {
  const { commit, repository, signal } = options;
  if (repository !== undefined) {
    try {
      const tip = await clone.fetch(repository, signal);
      if (await clone.follows(tip, commit, signal)) {
        return 'repository';
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof HoopError) || error.code === 'HOOP_MISSING_PROGRAM') {
        throw error;
      }
      // Not reachable from here, which is common; the bundle is checked in the same way.
    }
  }
  const tip = await clone.fetchBundle(await options.bundle(signal), signal);
  if (!(await clone.follows(tip, commit, signal))) {
    throw new HoopError(
      'HOOP_POLICY_MISMATCH',
      'the gateway names a policy that it does not send',
      {
        detail: `Commit ${commit.slice(0, 12)} is not in the history of the policy branch.`,
      },
    );
  }
  return 'gateway';
}
