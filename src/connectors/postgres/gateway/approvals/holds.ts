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

import type { AskedApproval } from '../../../../gateway/approvals/asked-approval.ts';
import { Hold } from '../../../../gateway/holds/hold.ts';
import {
  type HeldText,
  type HoldManner,
  type HoldWords,
  tooLarge,
} from '../../../../gateway/holds/hold-texts.ts';
import { describeChanges, type RowChanges } from '../../../../policy/row-changes.ts';
import { rowCountText } from '../../../../policy/words/describe-grant.ts';
import { onAbort } from '../../../../until.ts';
import type { SqlRefusal, Verdict } from '../../policy/facts/types.ts';
import { decideRows, isCovered } from '../../policy/verdict/decide-rows.ts';
import { describeStatement } from '../../policy/verdict/evaluate-access.ts';
import { sqlRefusal } from '../../policy/verdict/evaluate-refusal.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { AskedStatement } from '../results/shown-changes.ts';
import { type Decided, refusedVerdict } from '../statements/decide.ts';
import { askSettings } from '../statements/value-settings.ts';
import type { ApprovalAsk } from '../types.ts';
import type { ChunkReader } from '../wire/chunk-reader.ts';
import { encodeNotice } from '../wire/encode-notice.ts';
import { StreamEnded } from '../wire/stream-ended.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { withRest } from '../wire/whole-message.ts';
import { approvalAsk, type HoldRequest, limitOf, type Runnable } from './approval-ask.ts';
import { approvalTerms } from './approval-terms.ts';

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
    const detail = limitOf(ask, request.portal?.known);
    if (detail === undefined) return this.#hold(request, ask, isBoundAgain);
    const message = `${wordsOf(ask).what} needs approval and is too large to be shown`;
    const large = tooLarge(ask, { message, detail, hint: 'Split it.' });
    return refused({ ...large, sqlState: SQL_STATE.programLimitExceeded });
  }

  async #hold(request: HoldRequest, ask: ApprovalAsk, isBoundAgain: boolean): Promise<HoldOutcome> {
    const { options, audit, toClient, codec } = this.#state;
    let isLeft = false;
    const hold: Hold<ApprovalAsk, Runnable, AskedStatement> = new Hold({
      at: request.at,
      approvals: options.approvals,
      audit,
      words: wordsOf,
      again: (before) => this.#again(request, before),
      generation: () => options.grant().generation,
      onWaiting: options.onWaiting,
      watch: (_, asked) =>
        this.#watch(hold, ask, asked, () => {
          isLeft = true;
        }),
      tell: async (text, asked) => {
        toClient.push(heldNotice(ask, text, asked, codec));
        await toClient.flush();
        if (isBoundAgain && this.#state.segmentIsOpen) await this.#leaveTransaction();
      },
      lacks: ({ changes }, asked) =>
        changes === undefined || (asked.changes && isCovered(changes, asked.changes))
          ? undefined
          : 'it was approved for fewer rows',
      difference,
    });
    const outcome = await hold.pass(ask);
    switch (outcome.type) {
      case 'released':
        this.#released(request);
        return { type: 'released', covers: outcome.asked.changes ?? ask.changes };
      case 'refused':
        return refused({ ...outcome.refusal, sqlState: SQL_STATE.insufficientPrivilege });
      case 'withdrawn':
        // Nobody is there to be told.
        if (isLeft) throw new StreamEnded(this.#whyLeft());
        return { type: 'cancelled' };
      case 'refused again':
        return outcome;
    }
  }

  /** By the policy and the catalog of now. Nothing runs here meanwhile, so the settings are those of then. */
  async #again(
    request: HoldRequest,
    { inTransaction, settings }: ApprovalAsk,
  ): Promise<{ readonly ask: ApprovalAsk; readonly now: Runnable } | undefined> {
    this.#state.settings.catalogStale = 'all';
    const now = await request.again();
    return now && { now, ask: approvalAsk(this.#state, request, now, inTransaction, settings) };
  }

  /** A cancel, the client's end, the end of the session, and locks that are held too long. */
  #watch(
    hold: Hold<ApprovalAsk, Runnable, AskedStatement>,
    ask: ApprovalAsk,
    asked: AskedStatement,
    onLeft: () => void,
  ): Disposable {
    const { cancels, ended } = this.#state;
    const left = (): void => {
      onLeft();
      hold.withdraw(this.#whyLeft());
    };
    const stack = new DisposableStack();
    cancels.hold(() => hold.withdraw('canceled'));
    stack.defer(() => cancels.hold(undefined));
    const tooLong = (): void => hold.stopWaiting('locks were held too long');
    const timer = setTimeout(tooLong, maxHoldMs(ask, asked)).unref();
    stack.defer(() => clearTimeout(timer));
    stack.use(onAbort(ended.signal, left));
    stack.use(this.#reader.watch(MAX_BEHIND_BYTES, left));
    return stack;
  }

  #whyLeft(): string {
    return this.#state.options.signal.aborted ? 'the session ended' : 'the client left';
  }

  #released({ portal, counted }: HoldRequest): void {
    if (portal === undefined) return;
    portal.known.releasedUnder = this.#state.options.grant().generation;
    // A portal that has run is in its transaction still.
    if (counted?.transaction !== 'open') this.#bindAgain(portal);
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

function difference(before: ApprovalAsk, now: ApprovalAsk): string {
  const isSamePolicy = JSON.stringify(approvalTerms(now)) === JSON.stringify(approvalTerms(before));
  return isSamePolicy
    ? 'the tables or functions that it names have changed since the approval'
    : 'the policy has changed';
}

function refused(refusal: SqlRefusal): HoldOutcome {
  return { type: 'refused', verdict: refusedVerdict(refusal) };
}

export function policyChanged(): Verdict & { effect: 'refuse' } {
  return refusedVerdict(
    sqlRefusal({
      code: 'HOOP_APPROVAL_VOID',
      message: 'the statement did not run: the approval is void',
      detail: 'The policy has changed since the request.',
      hint: 'Send it again.',
    }),
  );
}

// How whoever sent a statement is told about its approval.

const MANNER: HoldManner = {
  didNot: 'did not run',
  again: 'send it again',
  anew: 'Send it again to make a new request.',
  verySame: 'Send it again, with the same parameters,',
  elsewhere: 'it ran on another connection of this run that sent the same',
  otherPlace: 'another connection',
  withdraws: 'A cancel withdraws it.',
  keeps:
    'Send exactly the same statement again in this run: it joins this request, and runs once when approved.',
};

function wordsOf(ask: ApprovalAsk): HoldWords {
  const { changes, inTransaction } = ask;
  return {
    manner: MANNER,
    what: whatNeedsApproval(ask),
    ...(changes === undefined
      ? {}
      : { extent: extentOf(changes), effect: describeChanges(changes) }),
    expired: inTransaction ? expiredInTransaction : undefined,
  };
}

/** E.g. `DELETE on public.orders`; of several statements the first that needs approval. */
function whatNeedsApproval({ analyses: [analysis] }: ApprovalAsk): string {
  return analysis === undefined ? 'the statement' : describeStatement(analysis);
}

function extentOf(changes: NonNullable<ApprovalAsk['changes']>): string {
  return changes.counted === 'trial' ? ` (${rowCountText(changes.rows)})` : ' (rows not counted)';
}

function expiredInTransaction(id: string): Pick<HeldText, 'detail' | 'hint'> {
  return {
    detail: `Request ${id} waited as long as a statement may wait inside an open transaction, which holds locks.`,
    hint: 'Send it outside a transaction, where it may wait longer.',
  };
}

/** SQLSTATE 00000, and NOTICE: it is shown, and fails nothing. */
function heldNotice(
  { demands: [demand] }: ApprovalAsk,
  { message, detail, hint }: HeldText,
  { isKept }: AskedApproval,
  codec: TextCodec,
): Uint8Array {
  const rest = [demand && `rule ${demand.rule.id}`, hint];
  return encodeNotice(
    {
      severity: 'NOTICE',
      sqlState: SQL_STATE.successfulCompletion,
      message: isKept ? withRest(message, rest) : message,
      detail,
      hint,
    },
    codec,
    'HOOP_APPROVAL_PENDING',
  );
}
