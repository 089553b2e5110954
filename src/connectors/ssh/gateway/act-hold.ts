/**
 * An act that needs approval. The end of the channel, of the stream, of the session and a signal
 * withdraw it.
 */
import { Hold } from '../../../gateway/approvals/hold.ts';
import type { StreamAudit } from '../../../gateway/sessions/audit.ts';
import type { Refusal } from '../../../policy/types.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { ACT_MANNER, describeAct, unreadable } from './act-words.ts';
import type { ActAsk, SshApprovals } from './types.ts';

export interface ActHoldOptions {
  readonly stream: number;
  readonly at: number;
  readonly act: SshAct;
  readonly user: string;
  readonly approvals: SshApprovals;
  readonly audit: StreamAudit;
  /** By the policy of now. */
  readonly decide: () => SshVerdict | Promise<SshVerdict>;
  readonly policyCommit: () => string;
  /** Of the grant in force. */
  readonly generation: () => string;
  readonly onWaiting: (() => () => void) | undefined;
}

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;

/** How an act ends that was held. */
export type ActOutcome =
  | { readonly type: 'released'; readonly verdict: Allowed }
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly touches: readonly string[] }
  | { readonly type: 'withdrawn' };

export class ActHold {
  readonly #options: ActHoldOptions;
  readonly #hold: Hold<ActAsk, Allowed>;
  #tell: (lines: readonly string[]) => void = () => undefined;
  #refused: ActOutcome | undefined;

  constructor(options: ActHoldOptions) {
    const { at, approvals, audit, onWaiting, act } = options;
    this.#options = options;
    this.#hold = new Hold({
      ...{ at, approvals, audit, onWaiting },
      words: () => ({ manner: ACT_MANNER, what: describeAct(act) }),
      again: () => this.#decide(),
      generation: options.generation,
      tell: ({ message, detail, hint }) =>
        this.#tell([message, detail, hint].map((line) => `hoop: ${line}`)),
    });
  }

  /** @param why a phrase */
  withdraw(why: string): void {
    this.#hold.withdraw(why);
  }

  /** @param tell lines for who waits. @throws RecordingFailed */
  async pass(tell: (lines: readonly string[]) => void): Promise<ActOutcome> {
    this.#tell = tell;
    const first = await this.#decide();
    if (this.#hold.isWithdrawn) return { type: 'withdrawn' };
    if (first === undefined) return this.#refused ?? { type: 'withdrawn' };
    const { ask, now } = first;
    if (ask.demands.length === 0) return { type: 'released', verdict: now };
    const { touches } = ask;
    const refusal = unreadable(ask);
    if (refusal !== undefined) return { type: 'refused', refusal, touches };
    const outcome = await this.#hold.pass(ask);
    switch (outcome.type) {
      case 'released':
        return { type: 'released', verdict: outcome.now };
      case 'refused':
        return { ...outcome, touches };
      case 'refused again':
        return this.#refused ?? { type: 'withdrawn' };
      case 'withdrawn':
        return outcome;
    }
  }

  async #decide(): Promise<{ readonly ask: ActAsk; readonly now: Allowed } | undefined> {
    const { stream, at, act, user, policyCommit, decide } = this.#options;
    const now = await decide();
    if (now.effect === 'refuse') {
      this.#refused = { type: 'refused', refusal: now.refusal, touches: now.touches };
      return undefined;
    }
    // One rule may speak of it more than once; it needs one approval.
    const different = new Map((now.approvals ?? []).map((demand) => [demand.rule.id, demand]));
    const { command, touches } = now;
    const demands = [...different.values()];
    const ask = { stream, at, act, user, command, demands, touches, policyCommit: policyCommit() };
    return { ask, now };
  }
}
