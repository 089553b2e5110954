/**
 * An act that needs approval: it waits, or fails at once and runs when it is asked for again.
 *
 *   held, said on stderr ──▶ people decide ──▶ decided again: the very same? ──▶ used up, released
 *
 * The end of the channel, of the stream, of the session, a signal and time withdraw it, and then it
 * never reaches the target.
 */
import { HoopError } from '../../../errors.ts';
import type { AskedApproval } from '../../../gateway/approvals/asked-approval.ts';
import type { ApprovalDemand, Refusal } from '../../../policy/types.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import {
  changed,
  heldLines,
  heldMessage,
  notApproved,
  notText,
  pending,
  tooLong,
  tooMany,
  usedElsewhere,
} from './hold-texts.ts';
import type { SshStory } from './ssh-story.ts';
import type { HoldOutcome } from './stream-channel.ts';
import type { ActAsk, SshApprovals } from './types.ts';

export interface ActHoldOptions {
  readonly stream: number;
  readonly at: number;
  readonly act: SshAct;
  readonly user: string;
  readonly approvals: SshApprovals;
  readonly story: SshStory;
  /** By the policy of now. */
  readonly decide: () => SshVerdict | Promise<SshVerdict>;
  readonly policyCommit: () => string;
  readonly onWaiting: (() => () => void) | undefined;
}

/** What an approver can be expected to read, characters. */
const MAX_COMMAND = 64 * 1024;

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;

export class ActHold {
  readonly #options: ActHoldOptions;
  readonly #stopped = Promise.withResolvers<string>();
  #stop: string | undefined;

  constructor(options: ActHoldOptions) {
    this.#options = options;
  }

  /** @param why a phrase */
  withdraw(why: string): void {
    this.#stop ??= why;
    this.#stopped.resolve(this.#stop);
  }

  /** @param tell lines for who waits. @throws RecordingFailed */
  async pass(tell: (lines: readonly string[]) => void): Promise<HoldOutcome> {
    const decided = this.#options.decide();
    const verdict = decided instanceof Promise ? await decided : decided;
    if (this.#stop !== undefined) return { type: 'withdrawn' };
    if (verdict.effect === 'refuse') {
      return { type: 'refused', refusal: verdict.refusal, touches: verdict.touches };
    }
    const demands = verdict.approvals ?? [];
    if (demands.length === 0) {
      return { type: 'released', verdict };
    }
    const ask = this.#ask(verdict, demands);
    if (ask.act.kind === 'exec' && ask.act.command === undefined) {
      return refused(ask, notText(ask));
    }
    if (lengthOf(ask) > MAX_COMMAND) {
      return refused(ask, tooLong(ask));
    }
    let asked: AskedApproval;
    try {
      asked = this.#options.approvals.ask(ask);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      return refused(ask, tooMany(ask, error));
    }
    const waits = demands.every(({ terms }) => terms.waits);
    if (asked.standing.state === 'waiting') {
      const { story, at } = this.#options;
      story.held({ at, asked, demands: ask.demands, message: heldMessage(ask, asked) });
    }
    if (!waits || asked.standing.state !== 'waiting') {
      if (asked.standing.state === 'waiting') return refused(ask, pending(ask, asked));
      if (asked.standing.state !== 'approved') {
        return refused(ask, notApproved(ask, asked, asked.standing));
      }
      return await this.#release(ask, asked);
    }
    tell(heldLines(ask, asked));
    const waited = this.#options.onWaiting?.();
    try {
      return await this.#wait(ask, asked);
    } catch (error) {
      asked.leave('the connection has failed');
      throw error;
    } finally {
      waited?.();
    }
  }

  async #wait(ask: ActAsk, asked: AskedApproval): Promise<HoldOutcome> {
    const { at, story } = this.#options;
    let changes = asked.policyChanged();
    let standing = await Promise.race([asked.decided, this.#stopped.promise, changes]);
    while (standing === undefined) {
      // Before it is decided again: a commit that comes meanwhile counts, too.
      changes = asked.policyChanged();
      const over = await this.#reconsider(ask, asked);
      if ('type' in over) return over;
      standing = await Promise.race([asked.decided, this.#stopped.promise, changes]);
    }
    if (typeof standing === 'string') {
      return this.#withdrawn(asked, standing);
    }
    if (standing.state !== 'approved') {
      const { state, outcome } = standing;
      const isKnown = state === 'denied' || state === 'expired' || state === 'withdrawn';
      const reason = standing.votes.findLast(({ decision }) => decision === 'deny')?.reason;
      const message = outcome ?? reason;
      story.decided(at, asked.id, {
        votes: standing.votes,
        outcome: isKnown ? state : 'void',
        message,
      });
      // Who asked may withdraw it with `hoop approvals`, too.
      if (state === 'withdrawn') return { type: 'withdrawn' };
      return refused(ask, notApproved(ask, asked, standing));
    }
    return await this.#release(ask, asked);
  }

  #withdrawn(asked: AskedApproval, why: string): HoldOutcome {
    asked.leave(why);
    this.#ended(asked, asked.isKept ? 'kept' : 'withdrawn', why);
    return { type: 'withdrawn' };
  }

  /** Decides again; when it is the very same, uses the approval up. */
  async #release(ask: ActAsk, asked: AskedApproval): Promise<HoldOutcome> {
    const now = await this.#reconsider(ask, asked);
    if ('type' in now) return now;
    const used = asked.use();
    if (used === undefined) {
      if (asked.isUsed()) {
        this.#ended(asked, 'void', 'it was used on another channel or connection');
        return refused(ask, usedElsewhere(ask, asked.id));
      }
      const why = 'somebody who approved is no longer an approver, or its time was over';
      this.#ended(asked, 'void', why);
      return refused(ask, changed(ask, asked.id, why));
    }
    this.#options.story.decided(this.#options.at, asked.id, {
      votes: used.votes,
      outcome: 'released',
    });
    return { type: 'released', verdict: now.verdict };
  }

  /** @returns how it ends; or the verdict of now, which asks for the very same. */
  async #reconsider(
    ask: ActAsk,
    asked: AskedApproval,
  ): Promise<HoldOutcome | { readonly verdict: Allowed }> {
    const verdict = await this.#options.decide();
    if (this.#stop !== undefined) {
      return this.#withdrawn(asked, this.#stop);
    }
    if (verdict.effect === 'refuse') {
      const why = 'it was refused when it was decided again';
      asked.end('void', why);
      this.#ended(asked, 'void', why);
      return { type: 'refused', refusal: verdict.refusal, touches: verdict.touches };
    }
    const now = this.#ask(verdict, verdict.approvals ?? []);
    if (this.#options.approvals.bindingOf(now) === asked.binding) {
      return { verdict };
    }
    const why = 'the policy has changed';
    asked.end('void', why);
    this.#ended(asked, 'void', why);
    return refused(ask, changed(ask, asked.id, why));
  }

  #ended({ id }: AskedApproval, outcome: 'withdrawn' | 'void' | 'kept', message: string): void {
    const { story, at } = this.#options;
    story.decided(at, id, { votes: [], outcome, message });
    story.written();
  }

  #ask(verdict: Allowed, demands: readonly ApprovalDemand[]): ActAsk {
    const { stream, at, act, user, policyCommit } = this.#options;
    // One rule may speak of it more than once; it needs one approval.
    const different = new Map(demands.map((demand) => [demand.rule.id, demand]));
    return {
      stream,
      at,
      act,
      user,
      command: verdict.command,
      demands: [...different.values()],
      touches: verdict.touches,
      policyCommit: policyCommit(),
    };
  }
}

function lengthOf({ act, command }: ActAsk): number {
  return (act.kind === 'exec' ? (act.command?.length ?? 0) : 0) + (command?.length ?? 0);
}

function refused(ask: ActAsk, refusal: Refusal): HoldOutcome {
  return { type: 'refused', refusal, touches: ask.touches };
}
