/**
 * The policy repository as the gateway sees it: fetched, verified, parsed, and the last good
 * commit kept in force whatever the repository offers afterwards.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { PolicyReply } from '../api/targets.ts';
import { HoopError } from '../errors.ts';
import { isMissing, writeFileAtomic } from '../home.ts';
import type { PolicyConnector } from './connector.ts';
import { isPolicyPath, requirePolicy } from './load-policy.ts';
import type { Policy } from './policy.ts';
import { type CloneOptions, PolicyClone, type Verification } from './repo/policy-clone.ts';
import type { VerifiedCommit } from './repo/verify-commit.ts';

export interface PolicyRepoOptions {
  /** Where hoop keeps it; made if missing. */
  readonly dir: string;
  /** URL or absolute path. */
  readonly repository: string;
  readonly branch: string;
  /** Text of the OpenSSH allowed-signers file. */
  readonly allowedSigners: string;
  readonly env: NodeJS.ProcessEnv;
  /** Of the clone. */
  readonly runGit?: CloneOptions['runGit'];
  readonly maxBytes?: CloneOptions['maxBytes'];
  /** What targets and rules may be about. */
  readonly connectors: readonly PolicyConnector[];
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface PolicyInForce extends VerifiedCommit {
  readonly policy: Policy;
}

export interface SyncResult {
  /** Another commit is in force than before. */
  readonly changed: boolean;
  /** Why the newest commit is not in force, or could not be fetched. */
  readonly problem: HoopError | undefined;
  /** The commit that the problem is about; undefined: none could be fetched. */
  readonly refused?: string | undefined;
}

export interface WatchOptions {
  readonly pollSeconds: number;
  readonly signal: AbortSignal;
  readonly onChange: (inForce: PolicyInForce) => void;
  /** Called when the problem is another one than at the last poll. */
  readonly onProblem: (problem: HoopError, refused: string | undefined) => void;
}

export class PolicyRepo {
  readonly #options: PolicyRepoOptions;
  readonly #clone: PolicyClone;
  readonly #now: () => number;
  #inForce: PolicyInForce | undefined;
  #fetchedAt: Date | undefined;
  #problem: HoopError | undefined;
  #bundle: { commit: string; bytes: Promise<Uint8Array> } | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(options: PolicyRepoOptions, clone: PolicyClone) {
    this.#options = options;
    this.#clone = clone;
    this.#now = options.now ?? Date.now;
  }

  /** For the only process that uses the directory. Opens what was in force before; does not fetch. @throws HoopError HOOP_CONFIG, HOOP_MISSING_PROGRAM */
  static async open(options: PolicyRepoOptions, signal: AbortSignal): Promise<PolicyRepo> {
    const clone = await PolicyClone.open({ ...options, isAlone: true }, signal);
    const repo = new PolicyRepo(options, clone);
    await repo.#restore(signal);
    return repo;
  }

  current(): PolicyInForce | undefined {
    return this.#inForce;
  }

  status(): { fetchedAt: Date | undefined; problem: HoopError | undefined } {
    return { fetchedAt: this.#fetchedAt, problem: this.#problem };
  }

  /** Fetches, and puts the newest commit in force if it is one that may be. */
  async sync(signal: AbortSignal): Promise<SyncResult> {
    return this.#inTurn(async () => {
      const before = this.#inForce?.commit;
      let tip: string | undefined;
      try {
        tip = await this.#clone.fetch(this.#options.repository, signal);
        this.#fetchedAt = new Date(this.#now());
        await this.#consider(tip, signal);
        this.#problem = undefined;
        this.#save();
      } catch (error) {
        signal.throwIfAborted();
        this.#problem = asPolicyError(error);
      }
      const problem = this.#problem;
      const changed = this.#inForce?.commit !== before;
      return { changed, problem, refused: problem && tip };
    });
  }

  /** Polls until the signal aborts; never rejects for what the repository does. */
  async watch(options: WatchOptions): Promise<void> {
    const { signal, pollSeconds, onChange, onProblem } = options;
    let reported = problemKey(this.#problem);
    while (!signal.aborted) {
      try {
        await delay(pollSeconds * 1000, undefined, { signal });
        const { changed, problem, refused } = await this.sync(signal);
        if (changed && this.#inForce) {
          onChange(this.#inForce);
        }
        if (problem && problemKey(problem) !== reported) {
          onProblem(problem, refused);
        }
        reported = problemKey(problem);
      } catch (error) {
        if (!signal.aborted) {
          throw error;
        }
      }
    }
  }

  /** A git bundle of the commit in force, for clients that do not reach the repository. */
  async createBundle(signal: AbortSignal): Promise<Uint8Array> {
    const { commit } = this.#requireInForce();
    if (this.#bundle?.commit !== commit) {
      const bytes = this.#inTurn(() => this.#clone.bundle(commit, signal));
      this.#bundle = { commit, bytes };
      bytes.catch(() => {
        this.#bundle = undefined;
      });
    }
    return this.#bundle.bytes;
  }

  /** Body for GET /v1/policy. @throws HoopError HOOP_POLICY_MISSING */
  reply(): Omit<PolicyReply, 'sessionNonce'> {
    const { commit, committedAt, signer } = this.#requireInForce();
    const age = this.#fetchedAt === undefined ? 0 : this.#now() - this.#fetchedAt.getTime();
    return {
      v: 1,
      commit,
      committedAt: committedAt.toISOString(),
      signer,
      ageSeconds: Math.max(0, Math.round(age / 1000)),
      ...(this.#problem ? { problem: problemText(this.#problem) } : {}),
    };
  }

  /** Whether `commit` is known here, and is `ancestor` or comes after it. */
  follows(commit: string, ancestor: string, signal: AbortSignal): Promise<boolean> {
    return this.#inTurn(() => this.#clone.follows(commit, ancestor, signal));
  }

  async #consider(tip: string, signal: AbortSignal): Promise<void> {
    if (tip === this.#inForce?.commit) {
      return;
    }
    const accepted = await this.#clone.lastAccepted(signal);
    if (accepted !== undefined && !(await this.#clone.follows(tip, accepted, signal))) {
      throw new HoopError('HOOP_POLICY_REWOUND', 'the history of the policy was rewound', {
        detail: `Commit ${tip.slice(0, 12)} does not follow ${accepted.slice(0, 12)}, which was in force.`,
        hint: 'Undo changes with `git revert`; a policy branch must never be force-pushed.',
      });
    }
    const isFresh = accepted !== undefined && tip !== accepted;
    const { repository } = this.#options;
    const inForce = await this.#read(tip, { isFresh, repository }, signal);
    await this.#clone.accept(tip, signal);
    this.#inForce = inForce;
  }

  async #read(
    commit: string,
    verification: Verification,
    signal: AbortSignal,
  ): Promise<PolicyInForce> {
    const verified = await this.#clone.verify(commit, verification, signal);
    const files = await this.#clone.readFiles(commit, isPolicyPath, signal);
    return { ...verified, policy: requirePolicy(files, this.#options.connectors) };
  }

  /** After a restart: verified again, because the allowed signers may be others now. */
  async #restore(signal: AbortSignal): Promise<void> {
    const accepted = await this.#clone.accepted(signal);
    if (accepted === undefined) {
      return;
    }
    try {
      this.#fetchedAt = this.#lastFetch();
      this.#inForce = await this.#read(accepted, { isFresh: false }, signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#problem = asPolicyError(error);
    }
  }

  #lastFetch(): Date | undefined {
    try {
      const text = readFileSync(join(this.#options.dir, 'fetched-at'), 'utf8');
      const time = new Date(text.trim());
      return Number.isNaN(time.getTime()) ? undefined : time;
    } catch (error) {
      if (isMissing(error)) {
        return undefined;
      }
      throw error;
    }
  }

  #save(): void {
    const text = `${this.#fetchedAt?.toISOString() ?? ''}\n`;
    writeFileAtomic(join(this.#options.dir, 'fetched-at'), text);
  }

  #requireInForce(): PolicyInForce {
    if (this.#inForce) {
      return this.#inForce;
    }
    throw new HoopError('HOOP_POLICY_MISSING', 'no policy is in force', {
      detail: this.#problem
        ? problemText(this.#problem)
        : 'The policy repository has not been fetched yet.',
    });
  }

  /** One git at a time in one repository. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work, work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function asPolicyError(error: unknown): HoopError {
  if (error instanceof HoopError) {
    return error;
  }
  return new HoopError('HOOP_POLICY_FETCH', 'the policy repository could not be read', {
    detail: error instanceof Error ? error.message : undefined,
    cause: error,
  });
}

/** Two bad commits, one after the other, are two problems, whatever both are called. */
function problemKey(problem: HoopError | undefined): string | undefined {
  return problem && `${problem.message}\n${problem.detail ?? ''}`;
}

/** For clients, in one line: where a file is wrong too. Git's own words stay in the gateway's log. */
function problemText({ code, message, detail }: HoopError): string {
  const [place] = code === 'HOOP_POLICY_INVALID' ? (detail ?? '').split('\n') : [];
  return place ? `${message}: ${place}` : message;
}
