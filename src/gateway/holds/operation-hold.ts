/**
 * An operation that is decided about by itself, as an act on a server, a line or a call is: decided,
 * held where rules ask for that, and decided again before it may happen.
 */
import type { AllowedByRules, RefusedByRules } from '../../policy/decide-by-rules.ts';
import type { Grant, Refusal } from '../../policy/types.ts';
import type { AskedApproval } from '../approvals/asked-approval.ts';
import type { CommandAsk } from '../approvals/command-approvals.ts';
import { Hold, type HoldOptions } from './hold.ts';
import type { HeldText } from './hold-texts.ts';

export interface OperationHoldOptions<Allowed extends AllowedByRules, Ask extends CommandAsk>
  extends Pick<
    HoldOptions<Ask, Allowed, AskedApproval>,
    'at' | 'approvals' | 'audit' | 'words' | 'onWaiting'
  > {
  readonly stream: number;
  /** In force now. */
  readonly grant: () => Pick<Grant, 'commit' | 'generation'>;
  /** By the policy of now. */
  readonly decide: () => Allowed | RefusedByRules | Promise<Allowed | RefusedByRules>;
  /** What the request is made of, besides what all have. */
  readonly asks: (now: Allowed) => Omit<Ask, keyof CommandAsk>;
  /** Why nobody can be asked. */
  readonly unreadable?: (ask: Ask) => Refusal | undefined;
}

/** How it ends. */
export type OperationOutcome<Allowed> =
  | { readonly type: 'released'; readonly verdict: Allowed }
  | { readonly type: 'refused'; readonly refusal: Refusal; readonly touches: readonly string[] }
  | { readonly type: 'withdrawn' };

export class OperationHold<Allowed extends AllowedByRules, Ask extends CommandAsk> {
  readonly #options: OperationHoldOptions<Allowed, Ask>;
  readonly #hold: Hold<Ask, Allowed>;
  #tell: (text: HeldText, asked: AskedApproval) => void = () => undefined;
  #refused: OperationOutcome<Allowed> | undefined;

  constructor(options: OperationHoldOptions<Allowed, Ask>) {
    this.#options = options;
    const { at, approvals, audit, words, onWaiting } = options;
    this.#hold = new Hold({
      ...{ at, approvals, audit, words, onWaiting },
      again: () => this.#decide(),
      generation: () => options.grant().generation,
      tell: (text, asked) => this.#tell(text, asked),
    });
  }

  /** @param why a phrase */
  withdraw(why: string): void {
    this.#hold.withdraw(why);
  }

  /** @param tell who waits that it waits. @throws RecordingFailed */
  async pass(
    tell: (text: HeldText, asked: AskedApproval) => void,
  ): Promise<OperationOutcome<Allowed>> {
    this.#tell = tell;
    const first = await this.#decide();
    if (this.#hold.isWithdrawn) return { type: 'withdrawn' };
    if (first === undefined) return this.#refused ?? { type: 'withdrawn' };
    const { ask, now } = first;
    if (ask.demands.length === 0) return { type: 'released', verdict: now };
    const { touches } = now;
    const refusal = this.#options.unreadable?.(ask);
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

  async #decide(): Promise<{ readonly ask: Ask; readonly now: Allowed } | undefined> {
    const { stream, at, grant, decide, asks } = this.#options;
    const now = await decide();
    if (now.effect === 'refuse') {
      this.#refused = { type: 'refused', refusal: now.refusal, touches: now.touches };
      return undefined;
    }
    // One rule may speak of it more than once; it needs one approval.
    const different = new Map((now.approvals ?? []).map((demand) => [demand.rule.id, demand]));
    const common: CommandAsk = {
      ...{ stream, at, demands: [...different.values()], policyCommit: grant().commit },
    };
    // Together they are what it is made of.
    return { ask: { ...asks(now), ...common } as Ask, now };
  }
}
