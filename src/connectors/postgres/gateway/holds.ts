/**
 * A statement that needs approval waits in the protocol:
 *
 *   client                      gateway                              approver
 *     Query, Execute ─────────▶ Flush, all earlier answers
 *     NoticeResponse ◀───────── request: who may approve, until when
 *     (what follows waits: read ahead up to a limit, then in the socket)
 *                                ◀──────────────────────────────────── approve, deny
 *                               decided again; the very same? used up
 *     its answer ◀────────────▶ to the target
 *
 * Cancel, disconnect, the end of the session and time withdraw it, and it never reaches the target.
 * In a run they end the waiting only: the same statement, sent again, goes on with the request.
 * Nothing can dead-lock: everything that was sent before has been answered when the wait begins, and
 * nothing is awaited whose cause is behind it in line.
 */
import { HoopError } from '../../../errors.ts';
import type { ApprovalOutcome } from '../../../recording/types.ts';
import { decideRows, isCovered } from '../policy/decide-rows.ts';
import type { RowChanges, SqlRefusal, Verdict } from '../policy/types.ts';
import { approvalAsk, type HoldRequest, limitOf, type Runnable } from './approval-ask.ts';
import { approvalTerms } from './approval-terms.ts';
import {
  changed,
  heldMessage,
  heldNotice,
  notApproved,
  pending,
  tooLarge,
  tooMany,
  usedElsewhere,
} from './approval-texts.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { type Decided, refusedVerdict } from './decide.ts';
import type { AskedStatement } from './shown-changes.ts';
import { StreamEnded } from './stream-ended.ts';
import type { StreamState } from './stream-state.ts';
import type { ApprovalAsk } from './types.ts';
import { askSettings } from './value-settings.ts';

/**
 * Bytes that are read ahead behind a held statement, so that a client that leaves is noticed.
 * Beyond that they wait at the sender.
 */
const MAX_BEHIND_BYTES = 256 * 1024;
/** What is longer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
export type HoldOutcome =
  /** It may run now; nothing may be awaited before it is sent. */
  | { readonly type: 'released'; readonly covers: RowChanges | undefined }
  /** `again` said no. */
  | { readonly type: 'refused again' }
  | (Decided & { readonly type: 'refused' | 'aborted' | 'cancelled' | 'skipped' });

/** `too long`: locks are held, and the request outlives the waiting. */
type Stop = 'cancelled' | 'gone' | 'too long';

export class Holds {
  readonly #state: StreamState;
  readonly #reader: ChunkReader;

  constructor(state: StreamState, reader: ChunkReader) {
    this.#state = state;
    this.#reader = reader;
  }

  /** Resolves when what is asked for may run, or may not. @throws StreamEnded, RecordingFailed */
  async pass(request: HoldRequest): Promise<HoldOutcome> {
    const state = this.#state;
    const { settings, queue } = state;
    await state.waitForTarget(() => queue.length === 0);
    if (state.skipping) return { type: 'skipped' };
    // A text that begins with ROLLBACK would run in part; nothing of it may before it is approved.
    if (settings.transaction === 'failed') return { type: 'aborted' };
    // The approval is bound to what the names mean now, not to a catalog of two seconds ago.
    settings.catalogStale = 'all';
    const first = await request.again();
    if (first === undefined) return { type: 'refused again' };
    const refusal = rowsRefusalOf(request, first);
    if (refusal !== undefined) return refused(refusal);
    const isLeft = request.counted?.transaction === 'left' && request.portal !== undefined;
    const isBoundAgain = isLeft || this.#canBindAgain(request);
    const inTransaction = settings.transaction !== 'idle' || (state.segmentIsOpen && !isBoundAgain);
    const unset = approvalAsk(state, request, first, inTransaction);
    if (unset.demands.length === 0) return { type: 'released', covers: undefined };
    const bound = await askSettings(state);
    if (bound === undefined) return { type: state.skipping ? 'skipped' : 'aborted' };
    const ask = { ...unset, settings: bound };
    const limit = limitOf(ask, request.portal?.known);
    if (limit !== undefined) return refused(tooLarge(ask, limit));
    let asked: AskedStatement;
    try {
      asked = state.options.approvals.ask(ask);
    } catch (error) {
      if (!(error instanceof HoopError)) throw error;
      return refused(tooMany(ask, error));
    }
    const waits = ask.waits !== false && ask.demands.every(({ terms }) => terms.waits);
    if (asked.standing.state === 'waiting') {
      const { demands } = ask;
      state.story.held({ at: request.at, asked, demands, message: heldMessage(ask, asked) });
    }
    if (!waits || asked.standing.state !== 'waiting') return this.#sentAgain(request, ask, asked);
    return this.#wait(request, ask, asked, isBoundAgain);
  }

  /** It runs if it was approved since it was sent before. */
  async #sentAgain(
    request: HoldRequest,
    ask: ApprovalAsk,
    asked: AskedStatement,
  ): Promise<HoldOutcome> {
    if (asked.standing.state === 'waiting') return refused(pending(ask, asked));
    if (asked.standing.state !== 'approved')
      return refused(notApproved(ask, asked, asked.standing));
    const { changes } = ask;
    if (changes !== undefined && !(asked.changes && isCovered(changes, asked.changes))) {
      return refused(changed(ask, asked.id, 'it was approved for fewer rows'));
    }
    return this.#release(request, ask, asked, () => undefined);
  }

  async #wait(
    request: HoldRequest,
    ask: ApprovalAsk,
    asked: AskedStatement,
    isBoundAgain: boolean,
  ): Promise<HoldOutcome> {
    const state = this.#state;
    const stopped = Promise.withResolvers<Stop>();
    let stop: Stop | undefined;
    const end = (how: Stop): void => {
      stop ??= how;
      stopped.resolve(stop);
    };
    const over = (): void => end('gone');
    state.cancels.hold(() => end('cancelled'));
    const waited = state.options.onWaiting?.();
    state.ended.signal.addEventListener('abort', over, { once: true });
    const timer = setTimeout(() => end('too long'), maxHoldMs(ask, asked)).unref();
    try {
      using _ = this.#reader.watch(MAX_BEHIND_BYTES, over);
      if (state.ended.signal.aborted) over();
      state.toClient.push(heldNotice(ask, asked, state.codec));
      await state.toClient.flush();
      if (isBoundAgain && this.#state.segmentIsOpen) await this.#leaveTransaction();
      let changed = asked.policyChanged();
      let standing = await Promise.race([asked.decided, stopped.promise, changed]);
      while (standing === undefined) {
        // Before it is decided again: a commit that comes meanwhile counts, too.
        changed = asked.policyChanged();
        const over = await this.#reconsider(request, ask, asked, () => stop);
        if (over !== undefined) return over;
        standing = await Promise.race([asked.decided, stopped.promise, changed]);
      }
      if (typeof standing === 'string') return this.#withdraw(request.at, ask, asked, standing);
      if (standing.state !== 'approved') {
        return this.#refuse(request.at, ask, asked, standing);
      }
      return await this.#release(request, ask, asked, () => stop);
    } catch (error) {
      asked.leave('the connection has failed');
      throw error;
    } finally {
      clearTimeout(timer);
      waited?.();
      state.cancels.hold(undefined);
      state.ended.signal.removeEventListener('abort', over);
    }
  }

  /**
   * Decides again, by the policy and the catalog of now: what the approver sees may be minutes old.
   * @returns how it ends; undefined: it is the very same, and waits on.
   */
  async #reconsider(
    request: HoldRequest,
    ask: ApprovalAsk,
    asked: AskedStatement,
    stopped: () => Stop | undefined,
  ): Promise<HoldOutcome | undefined> {
    const { settings, options } = this.#state;
    settings.catalogStale = 'all';
    const latest = await request.again();
    const stop = stopped();
    if (latest === undefined) {
      asked.end('void', 'it was refused when it was decided again');
      this.#ended(request.at, asked, 'void', 'it was refused when it was decided again');
      return { type: 'refused again' };
    }
    if (stop !== undefined) return this.#withdraw(request.at, ask, asked, stop);
    // Nothing runs here meanwhile, so the settings are those of then.
    const now = approvalAsk(this.#state, request, latest, ask.inTransaction, ask.settings);
    if (options.approvals.bindingOf(now) === asked.binding) return undefined;
    const isSamePolicy = JSON.stringify(approvalTerms(now)) === JSON.stringify(approvalTerms(ask));
    const why = isSamePolicy
      ? 'the tables or functions that it names are no longer those that were approved'
      : 'the policy has changed';
    asked.end('void', why);
    this.#ended(request.at, asked, 'void', why);
    return refused(changed(ask, asked.id, why));
  }

  /** Decides again; when it is the very same, uses the approval up. */
  async #release(
    request: HoldRequest,
    ask: ApprovalAsk,
    asked: AskedStatement,
    stopped: () => Stop | undefined,
  ): Promise<HoldOutcome> {
    const { options, story } = this.#state;
    const over = await this.#reconsider(request, ask, asked, stopped);
    if (over !== undefined) return over;
    const used = asked.use();
    if (used === undefined) {
      if (asked.isUsed()) {
        this.#ended(request.at, asked, 'void', 'it was used on another connection');
        return refused(usedElsewhere(ask, asked.id));
      }
      const why = 'somebody who approved is no longer an approver, or its time was over';
      this.#ended(request.at, asked, 'void', why);
      return refused(changed(ask, asked.id, why));
    }
    story.decided(request.at, asked.id, { votes: used.votes, outcome: 'released' });
    const { portal } = request;
    if (portal !== undefined) {
      portal.known.releasedUnder = options.grant().generation;
      // A portal that has run is in its transaction still.
      if (request.counted?.transaction !== 'open') this.#bindAgain(portal);
    }
    return { type: 'released', covers: asked.changes ?? ask.changes };
  }

  /** @throws StreamEnded when nobody is there to be told. */
  #withdraw(at: number, ask: ApprovalAsk, asked: AskedStatement, how: Stop): HoldOutcome {
    const isSession = this.#state.options.signal.aborted;
    const gone = isSession ? 'the session ended' : 'the client left';
    const why = { cancelled: 'canceled', gone, 'too long': 'locks were held too long' }[how];
    asked.leave(why);
    this.#ended(at, asked, asked.isKept ? 'kept' : 'withdrawn', why);
    if (how === 'gone') throw new StreamEnded(why);
    return how === 'too long' ? refused(pending(ask, asked)) : { type: 'cancelled' };
  }

  #refuse(
    at: number,
    ask: ApprovalAsk,
    asked: AskedStatement,
    standing: AskedStatement['standing'],
  ): HoldOutcome {
    const { state, outcome } = standing;
    const how = state === 'denied' || state === 'expired' || state === 'withdrawn' ? state : 'void';
    const reason = standing.votes.findLast(({ decision }) => decision === 'deny')?.reason;
    const message = outcome ?? reason;
    this.#state.story.decided(at, asked.id, { votes: standing.votes, outcome: how, message });
    // Who asked may withdraw it with `hoop approvals`, too.
    if (state === 'withdrawn') return { type: 'cancelled' };
    return refused(notApproved(ask, asked, standing));
  }

  #ended(at: number, { id }: AskedStatement, outcome: ApprovalOutcome, message: string): void {
    this.#state.story.decided(at, id, { votes: [], outcome, message });
    this.#state.story.written();
  }

  /**
   * Parse and Bind take locks that last until Sync. Where the portal is all that there is in the
   * transaction, the transaction is ended for the time of waiting and the portal bound again after.
   */
  #canBindAgain({ portal }: HoldRequest): boolean {
    const { settings, inSegment, segment } = this.#state;
    return (
      portal?.known.bound?.segment === segment &&
      settings.transaction === 'idle' &&
      inSegment.binds === 1 &&
      // The name in the Bind may mean another statement by now.
      inSegment.renames === 0 &&
      inSegment.runs === 0
    );
  }

  async #leaveTransaction(): Promise<void> {
    const state = this.#state;
    state.sendSync(undefined, 'own');
    await state.waitForTarget(() => state.queue.length === 0);
  }

  #bindAgain({ name, known }: NonNullable<HoldRequest['portal']>): void {
    const state = this.#state;
    if (known.bound === undefined || !state.isIdle) return;
    const { segment } = state;
    const entry = { kind: 'bind', origin: 'aside', name, portal: known, segment } as const;
    state.send(known.bound.bytes, entry);
    state.portals.announce(name, entry, known);
  }
}

/** How long locks are held for a request that outlives the waiting; what does not ends by itself. */
function maxHoldMs({ inTransaction, demands }: ApprovalAsk, { isKept }: AskedStatement): number {
  const isBounded = isKept && inTransaction;
  const seconds = demands.map(({ terms }) => (isBounded ? terms.maxHoldSeconds : Infinity));
  return Math.min(MAX_TIMER_MS, Math.min(...seconds) * 1000);
}

/** A policy that has changed since it was counted may refuse it. */
function rowsRefusalOf({ counted }: HoldRequest, { statements }: Runnable): SqlRefusal | undefined {
  if (counted === undefined) return undefined;
  for (const statement of statements) {
    const decision = decideRows(statement, counted.changes);
    if (decision.effect === 'refuse') return decision.refusal;
  }
  return undefined;
}

function refused(refusal: SqlRefusal): HoldOutcome {
  return { type: 'refused', verdict: refusedVerdict(refusal) };
}

export function policyChanged(): Verdict & { effect: 'refuse' } {
  return refusedVerdict({
    code: 'HOOP_APPROVAL_VOID',
    sqlState: '42501',
    message: 'the statement did not run: the approval is void',
    detail: 'The policy has changed since it was asked for.',
    hint: 'Send it again.',
    position: undefined,
    rule: undefined,
  });
}
