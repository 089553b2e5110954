/**
 * What needs approval waits, or fails at once and runs when it is asked for again; whatever the
 * protocol, this way:
 *
 *   asked ──▶ held, said ──▶ people decide ──▶ decided again: the very same? ──▶ used up, released
 *
 * Who asked may withdraw it, and time and the end of what it waits in do; then it never reaches the
 * target. In a run that ends the waiting only: the same, asked for again, goes on with the request.
 * What makes it the same, where it waits and how that is said is the connector's.
 */
import { HoopError } from '../../errors.ts';
import type { Refusal } from '../../policy/types.ts';
import type { ApprovalOutcome } from '../../recording/formats/types.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';
import { type HeldAsk, isHeld, type OperationApprovals } from '../approvals/session-approvals.ts';
import { type HeldEnd, RecordingFailed, type StreamAudit } from '../audit/stream-audit.ts';
import {
  changed,
  type HeldText,
  type HoldWords,
  heldText,
  notApproved,
  notAsked,
  pending,
  tooMany,
  usedElsewhere,
} from './hold-texts.ts';

export interface HoldOptions<Ask extends HeldAsk, Now, Asked extends AskedApproval> {
  /** Offset in the up stream of what asks. */
  readonly at: number;
  readonly approvals: OperationApprovals<Ask, Asked>;
  readonly audit: Pick<StreamAudit, 'held' | 'holdEnded' | 'write'>;
  readonly words: (ask: Ask) => HoldWords;
  /**
   * Decides it again, by the policy and the world of now: what the approver sees may be minutes old.
   * @returns what would be asked now, and the verdict that it may run under; undefined: it is refused
   */
  readonly again: (ask: Ask) => Promise<{ readonly ask: Ask; readonly now: Now } | undefined>;
  /** Of the grant in force: another means that it may be decided otherwise. */
  readonly generation: () => string;
  /** Says to who waits that it waits. */
  readonly tell: (text: HeldText, asked: Asked) => void | Promise<void>;
  /** What ends the waiting, listened for until it is disposed of. */
  readonly watch?: (ask: Ask, asked: Asked) => Disposable;
  /** @returns how to say that it no longer waits */
  readonly onWaiting?: (() => () => void) | undefined;
  /** Why an approval that was given before does not cover what is asked now. */
  readonly lacks?: (ask: Ask, asked: Asked) => string | undefined;
  /** Why it is not the very same any more; default: the policy has changed. */
  readonly difference?: (before: Ask, now: Ask) => string;
}

export type HoldOutcome<Now, Asked extends AskedApproval = AskedApproval> =
  /** Its approval is used up. Nothing may be awaited before it is sent. */
  | { readonly type: 'released'; readonly now: Now; readonly asked: Asked }
  | { readonly type: 'refused'; readonly refusal: Refusal }
  /** `again` said no. */
  | { readonly type: 'refused again' }
  | { readonly type: 'withdrawn' };

const FAILED = 'the connection has failed';

interface Stop {
  /** A phrase. */
  readonly why: string;
  /** Who waits is told to ask again. */
  readonly isAnswered: boolean;
}

export class Hold<Ask extends HeldAsk, Now, Asked extends AskedApproval = AskedApproval> {
  readonly #options: HoldOptions<Ask, Now, Asked>;
  readonly #stopped = Promise.withResolvers<Stop>();
  #stop: Stop | undefined;
  /** What became of it is on record. */
  #hasEnded = false;

  constructor(options: HoldOptions<Ask, Now, Asked>) {
    this.#options = options;
  }

  get isWithdrawn(): boolean {
    return this.#stop !== undefined;
  }

  /** Nobody waits any more. @param why a phrase */
  withdraw(why: string): void {
    this.#end({ why, isAnswered: false });
  }

  /** It cannot wait any longer; the request may. @param why a phrase */
  stopWaiting(why: string): void {
    this.#end({ why, isAnswered: true });
  }

  /** Resolves when it may run, or may not. @throws RecordingFailed */
  async pass(ask: Ask): Promise<HoldOutcome<Now, Asked>> {
    const { at, approvals, audit, words, lacks } = this.#options;
    let asked: Asked;
    try {
      asked = await approvals.ask(ask);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      const isLimit = error.code === 'HOOP_LIMIT';
      return refused((isLimit ? tooMany : notAsked)(ask, words(ask), error));
    }
    const { standing } = asked;
    if (standing.state === 'waiting') {
      const text = heldText(ask, words(ask), asked);
      const view = approvals.viewOf(ask);
      audit.held({ at, asked, demands: ask.demands, message: text.message, view });
      return isHeld(ask) ? this.#wait(ask, asked, text) : refused(pending(ask, words(ask), asked));
    }
    // It was asked for before.
    if (standing.state !== 'approved') {
      return refused(notApproved(ask, words(ask), asked, standing));
    }
    const lack = lacks?.(ask, asked);
    if (lack !== undefined) return refused(changed(ask, words(ask), asked.id, lack));
    return this.#release(ask, asked);
  }

  #end(stop: Stop): void {
    this.#stop ??= stop;
    this.#stopped.resolve(this.#stop);
  }

  async #wait(ask: Ask, asked: Asked, text: HeldText): Promise<HoldOutcome<Now, Asked>> {
    const { watch, tell, onWaiting } = this.#options;
    const waited = onWaiting?.();
    try {
      using _ = watch?.(ask, asked);
      await tell(text, asked);
      let changes = asked.policyChanged();
      let standing = await Promise.race([asked.decided, this.#stopped.promise, changes]);
      while (standing === undefined) {
        // Before it is decided again: a commit that comes meanwhile counts, too.
        changes = asked.policyChanged();
        const latest = await this.#reconsider(ask, asked);
        if ('type' in latest) return latest;
        standing = await Promise.race([asked.decided, this.#stopped.promise, changes]);
      }
      if ('why' in standing) return this.#withdrawn(ask, asked, standing);
      if (standing.state !== 'approved') return this.#refuse(ask, asked, standing);
      return await this.#release(ask, asked);
    } catch (error) {
      await asked.leave(FAILED);
      // The store may be away; the record says all the same that it did not happen.
      if (!this.#hasEnded && !(error instanceof RecordingFailed)) {
        this.#ended(asked, asked.isKept ? 'kept' : 'withdrawn', FAILED);
      }
      throw error;
    } finally {
      waited?.();
    }
  }

  async #withdrawn(
    ask: Ask,
    asked: Asked,
    { why, isAnswered }: Stop,
  ): Promise<HoldOutcome<Now, Asked>> {
    await asked.leave(why);
    this.#ended(asked, asked.isKept ? 'kept' : 'withdrawn', why);
    return isAnswered
      ? refused(pending(ask, this.#options.words(ask), asked))
      : { type: 'withdrawn' };
  }

  #refuse(ask: Ask, asked: Asked, standing: ApprovalStanding): HoldOutcome<Now, Asked> {
    const { words } = this.#options;
    const { state, votes } = standing;
    const outcome =
      state === 'denied' || state === 'expired' || state === 'withdrawn' ? state : 'void';
    const reason = votes.findLast(({ decision }) => decision === 'deny')?.reason;
    this.#told(asked, { votes, outcome, message: standing.outcome ?? reason });
    // Who asked may withdraw it with `hoop approvals`, too.
    if (state === 'withdrawn') return { type: 'withdrawn' };
    return refused(notApproved(ask, words(ask), asked, standing));
  }

  /** Decides again; when it is the very same, uses the approval up. */
  async #release(ask: Ask, asked: Asked): Promise<HoldOutcome<Now, Asked>> {
    const { words } = this.#options;
    const latest = await this.#reconsider(ask, asked);
    if ('type' in latest) return latest;
    const generation = this.#options.generation();
    const used = await asked.use();
    if (used !== undefined) {
      const lost = this.#lost(ask, asked, generation);
      if (lost !== undefined) return lost;
      this.#told(asked, { votes: used.votes, outcome: 'released' });
      return { type: 'released', now: latest.now, asked };
    }
    if (await asked.isUsed()) {
      this.#ended(asked, 'void', `it was used on ${words(ask).manner.otherPlace}`);
      return refused(usedElsewhere(ask, words(ask), asked.id));
    }
    const why = 'somebody who approved is no longer an approver, or the approval expired';
    this.#ended(asked, 'void', why);
    return refused(changed(ask, words(ask), asked.id, why));
  }

  /**
   * What has come while the approval was being used up. It is spent then: nobody can tell whether it
   * was seen to be used.
   * @returns how it ends; undefined: all is as it was decided
   */
  #lost(ask: Ask, asked: Asked, generation: string): HoldOutcome<Now, Asked> | undefined {
    if (this.#stop !== undefined) {
      this.#ended(asked, 'void', this.#stop.why);
      return { type: 'withdrawn' };
    }
    if (this.#options.generation() === generation) return undefined;
    const why = 'the policy has changed';
    this.#ended(asked, 'void', why);
    return refused(changed(ask, this.#options.words(ask), asked.id, why));
  }

  /** @returns how it ends; or the verdict of now, which asks for the very same. */
  async #reconsider(
    ask: Ask,
    asked: Asked,
  ): Promise<HoldOutcome<Now, Asked> | { readonly now: Now }> {
    const { again, approvals, difference, words } = this.#options;
    const latest = await again(ask);
    if (this.#stop !== undefined) return this.#withdrawn(ask, asked, this.#stop);
    if (latest === undefined) {
      await this.#void(asked, 'it was refused when the policy was checked again');
      return { type: 'refused again' };
    }
    if (approvals.bindingOf(latest.ask) === asked.binding) return { now: latest.now };
    const why = difference?.(ask, latest.ask) ?? 'the policy has changed';
    await this.#void(asked, why);
    return refused(changed(ask, words(ask), asked.id, why));
  }

  async #void(asked: Asked, why: string): Promise<void> {
    await asked.end('void', why);
    this.#ended(asked, 'void', why);
  }

  #ended(asked: Asked, outcome: ApprovalOutcome, message: string): void {
    this.#told(asked, { votes: [], outcome, message });
    this.#options.audit.write();
  }

  #told({ id }: Asked, end: HeldEnd): void {
    const { at, audit } = this.#options;
    this.#hasEnded = true;
    audit.holdEnded(at, id, end);
  }
}

function refused(refusal: Refusal): { readonly type: 'refused'; readonly refusal: Refusal } {
  return { type: 'refused', refusal };
}
