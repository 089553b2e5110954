/**
 * Requests that wait for a person: made, voted on, used once or ended. What is asked for is the
 * business of its kind (a held statement, temporary access), which says what counts now and hears
 * of decisions; who may decide, and that nothing is decided or used twice, is decided here.
 */

import type { ApprovalKind, ApprovalState } from '../../api/approvals.ts';
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { plainText } from '../base/plain-text.ts';
import { shortId } from '../base/short-id.ts';
import type { EventSteps } from '../events/audit-events.ts';
import { eventParty } from '../events/event-party.ts';
import { personMarks } from '../identity/same-person.ts';
import type { Work } from '../store/store.ts';
import { ApprovalDeadlines } from './approval-deadlines.ts';
import {
  type ApprovalNeed,
  type ApprovalRecord,
  isOpen,
  isSameParty,
  type NewApproval,
} from './approval-record.ts';
import { Changes } from './changes.ts';
import { CountedVotes, type CountedVotesOptions } from './counted-votes.ts';
import type { FilledNeeds } from './fill-needs.ts';
import { alreadyEnded, checkVoter, isApprover } from './may-decide.ts';
import { requestFacts } from './request-facts.ts';
import { RequestLimits } from './request-limits.ts';

/** What a kind of request adds. */
export interface ApprovalHandler {
  /**
   * What must be satisfied now; undefined: what was asked for is not to be had any more.
   * @param details those of the request, where `readsDetails`
   */
  readonly needs: (record: ApprovalRecord, details: unknown) => readonly ApprovalNeed[] | undefined;
  readonly readsDetails?: true;
  /** It has been approved, denied, or has ended in another way. */
  readonly onDecided?: (record: ApprovalRecord, details: unknown) => void | Promise<void>;
}

/** Whoever waits for a request. */
export interface Waiter {
  /** It is no longer waiting. */
  readonly decided: (record: ApprovalRecord) => void;
  /** A commit may decide otherwise about it. */
  readonly policyChanged: () => void;
}

export interface ApprovalsOptions extends CountedVotesOptions {
  /** Id of the node that this is: what others hold is theirs. */
  readonly node: string;
  readonly events: EventSteps;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

/** What ended is shown for this long, and the index keeps so many of it. */
const KEEP_MS = 7 * 86_400_000;
const MAX_ENDED = 10_000;
/** How far back a list goes. */
const MAX_LISTED = 1000;
/** A reason in an error of psql should stay readable. Characters. */
const MAX_TEXT = 500;

export class Approvals implements Disposable {
  /** Long polls wait on it. */
  readonly changes = new Changes();
  readonly #options: ApprovalsOptions;
  readonly #handlers = new Map<ApprovalKind, ApprovalHandler>();
  /** Of who waits for a request; more than one where connections of a run share it. */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #limits = new RequestLimits();
  readonly #votes: CountedVotes;
  readonly #deadlines: ApprovalDeadlines;

  private constructor(options: ApprovalsOptions) {
    this.#options = options;
    this.#votes = new CountedVotes(options);
    const end = (nowMs: number) => this.#endOverdue(nowMs);
    this.#deadlines = new ApprovalDeadlines({ ...options, end });
  }

  /** Withdraws what this node has left behind when it stopped. */
  static async open(options: ApprovalsOptions): Promise<Approvals> {
    const approvals = new Approvals(options);
    for (const record of await options.store.run(() => options.store.open())) {
      if (record.diesWithConnection && record.node === options.node) {
        await approvals.#move(record, {
          state: 'withdrawn',
          outcome: 'the gateway was restarted',
        });
      }
    }
    await approvals.prune();
    await approvals.#deadlines.sweep();
    return approvals;
  }

  /** Counts the requests of all nodes that wait for approvers. @throws what the store says */
  countWaiting(): Promise<number> {
    return this.#options.store.run(() => this.#options.store.countWaiting());
  }

  /** What was approved and not acted on when the gateway stopped is told again. */
  async handle(kind: ApprovalKind, handler: ApprovalHandler): Promise<void> {
    this.#handlers.set(kind, handler);
    if (handler.onDecided === undefined) return;
    for (const record of await this.#open()) {
      if (record.kind === kind && record.state === 'approved') await this.#tellHandler(record);
    }
  }

  /** @throws HoopError HOOP_LIMIT; what `checkNew` throws */
  async create(request: NewApproval): Promise<ApprovalRecord> {
    const { store, events, clock, log, node } = this.#options;
    const { waitsSeconds, details, checkNew, ...rest } = request;
    const nowMs = clock();
    const record: ApprovalRecord = {
      ...rest,
      id: shortId(),
      node,
      state: 'waiting',
      reason: rest.reason === undefined ? undefined : plainText(rest.reason, MAX_TEXT),
      createdMs: nowMs,
      waitsUntilMs: nowMs + waitsSeconds * 1000,
      usableUntilMs: undefined,
      endedMs: undefined,
      outcome: undefined,
      votes: [],
    };
    const limits = this.#limits;
    const giveBack = limits.take(request, nowMs);
    try {
      await store.run(function* () {
        yield* store.lockRequester(request.requester);
        checkNew?.(yield* store.bound(request.requester, request.binding));
        limits.checkOpen(request, yield* store.open());
        yield* store.insert(record, details);
        yield* events.add({ type: 'approval.requested', ...requestFacts(record) });
      });
    } catch (error) {
      giveBack();
      throw error;
    }
    log.info('approval.requested', {
      approval: record.id,
      kind: record.kind,
      target: record.target,
      principal: record.requester.name,
      ...(record.session === undefined ? {} : { session: record.session }),
    });
    this.changes.happened();
    await this.#deadlines.later();
    return record;
  }

  /** As it is now; undefined: it was forgotten. */
  find(id: string): Promise<ApprovalRecord | undefined> {
    const { store } = this.#options;
    return store.run(() => store.find(id));
  }

  /** @throws HoopError HOOP_APPROVAL_UNKNOWN: there is none that this person may see. */
  async visible(who: Principal, id: string): Promise<ApprovalRecord> {
    return this.#requireVisible(who, await this.find(id));
  }

  #requireVisible(who: Principal, record: ApprovalRecord | undefined): ApprovalRecord {
    if (record === undefined || !this.#maySee(who, record)) {
      throw unknownApproval();
    }
    return record;
  }

  /** What this person may see, newest first. @param options run: what it has asked for alone */
  async list(
    who: Principal,
    {
      isOpen,
      limit,
      run,
    }: { readonly isOpen: boolean; readonly limit: number; readonly run?: string | undefined },
  ): Promise<ApprovalRecord[]> {
    const { store } = this.#options;
    const records = await store.run(() => (isOpen ? store.open() : store.newest(MAX_LISTED)));
    return records
      .filter((record) => this.#maySee(who, record) && (run === undefined || record.run === run))
      .slice(0, limit);
  }

  #open(): Promise<ApprovalRecord[]> {
    const { store } = this.#options;
    return store.run(() => store.open());
  }

  details(id: string): Promise<unknown> {
    const { store } = this.#options;
    return store.run(() => store.details(id));
  }

  async setDetails(id: string, details: unknown): Promise<void> {
    const { store } = this.#options;
    await store.run(() => store.setDetails(id, details));
    this.changes.happened();
  }

  /** Of this person, with this binding: open, or ended; newest first. */
  bound(request: Pick<NewApproval, 'requester' | 'binding'>): Promise<ApprovalRecord[]> {
    const { store } = this.#options;
    return store.run(() => store.bound(request.requester, request.binding));
  }

  /** How many different people could satisfy a need, as far as this gateway knows people. */
  known(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor'>,
    need: ApprovalNeed,
  ): Promise<number> {
    return this.#options.store.run(() => this.#votes.known(record, need));
  }

  /** Groups in which this gateway knows too few people for all that the request needs. */
  lacking(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor' | 'needs'>,
  ): Promise<FilledNeeds['lacking']> {
    return this.#options.store.run(() => this.#votes.lacking(record));
  }

  /** How many different people have approved for each of its needs, as it counts now. */
  approvedBy(record: ApprovalRecord): Promise<number[]> {
    return this.#options.store.run(() => this.#votes.approvedBy(record, record.needs));
  }

  /** Whether as many have as are needed now. */
  isSatisfied(record: ApprovalRecord): Promise<boolean> {
    return this.#options.store.run(() => this.#isSatisfied(record));
  }

  /**
   * One person's word. A denial ends the request; the last approval that is needed approves it: in
   * one transaction with the vote, or of two people who approve at once neither would be the last.
   * @throws HoopError HOOP_APPROVAL_…, HOOP_ACCESS_DENIED
   */
  async decide(
    who: Principal,
    id: string,
    said: {
      readonly decision: 'approve' | 'deny';
      readonly reason?: string | undefined;
      readonly binding?: string | undefined;
    },
  ): Promise<ApprovalRecord> {
    const { store, log } = this.#options;
    await this.#deadlines.sweep();
    const decided = await store.run(() => this.#vote(who, id, said));
    if (decided === 'not to be had') {
      await this.end(id, 'void', 'what was requested is no longer available');
      throw alreadyEnded(await this.visible(who, id));
    }
    log.info('approval.vote', { approval: id, decision: said.decision, principal: who.name });
    this.changes.happened();
    if (decided !== undefined) await this.#moved(decided);
    return this.visible(who, id);
  }

  /** @returns the request, where this word has decided it */
  *#vote(
    who: Principal,
    id: string,
    { decision, reason, binding }: Parameters<Approvals['decide']>[2],
  ): Work<ApprovalRecord | undefined | 'not to be had'> {
    const { store, events, clock } = this.#options;
    const record = this.#requireVisible(who, yield* store.findLocked(id));
    checkVoter(who, record, { decision, binding });
    if ((yield* this.#needs(record)) === undefined) return 'not to be had';
    yield* store.vote(id, {
      by: { ...personMarks(who), name: plainText(who.name, MAX_TEXT) },
      decision,
      reason: reason === undefined ? undefined : plainText(reason, MAX_TEXT),
      atMs: clock(),
      groups: who.groups,
    });
    const by = eventParty(who);
    yield* events.add({ type: 'approval.voted', ...requestFacts(record), by, decision });
    const voted = (yield* store.find(id)) ?? record;
    if (decision === 'deny') return yield* this.#moveTo(voted, { state: 'denied' });
    const isLast = yield* this.#isSatisfied(voted);
    return isLast ? yield* this.#moveTo(voted, { state: 'approved' }) : undefined;
  }

  /**
   * Uses an approval up. Durable when it resolves, so that it is not used again after a restart, and
   * once, whoever else asks at the same time. What it was asked for may have changed meanwhile.
   * @param alongside steps of what it is used for, where that is kept too: both, or neither. What they
   *   return is done when both are kept, before anybody hears of it
   * @returns undefined when it is not approved (any more), or somebody's word no longer counts.
   */
  async use(
    id: string,
    alongside: () => Work<() => void> = nothing,
  ): Promise<ApprovalRecord | undefined> {
    await this.#deadlines.sweep();
    const useNow = this.#useNow.bind(this);
    const { moved, kept } = await this.#options.store.run(function* () {
      const record = yield* useNow(id);
      const steps = record?.state === 'used' ? alongside : nothing;
      return { moved: record, kept: yield* steps() };
    });
    kept();
    if (moved !== undefined) await this.#moved(moved);
    return moved?.state === 'used' ? moved : undefined;
  }

  *#useNow(id: string): Work<ApprovalRecord | undefined> {
    const record = yield* this.#options.store.findLocked(id);
    if (record?.state !== 'approved' || deadlineOf(record) <= this.#options.clock()) return;
    if (yield* this.#isSatisfied(record)) return yield* this.#moveTo(record, { state: 'used' });
    return yield* this.#moveTo(record, {
      state: 'void',
      outcome: 'somebody who approved is no longer an approver',
    });
  }

  /** Ends an open request; one that has ended already stays as it is. */
  async end(id: string, state: 'withdrawn' | 'void' | 'expired', outcome: string): Promise<void> {
    const { store } = this.#options;
    const moved = await store.run(() => this.#endNow(id, { state, outcome }));
    if (moved !== undefined) await this.#moved(moved);
  }

  *#endNow(
    id: string,
    to: { readonly state: ApprovalState; readonly outcome: string },
  ): Work<ApprovalRecord | undefined> {
    const record = yield* this.#options.store.findLocked(id);
    return record !== undefined && isOpen(record) ? yield* this.#moveTo(record, to) : undefined;
  }

  /** Voids what the predicate picks of the open requests, e.g. when the policy has changed. */
  async voidOpen(
    kind: ApprovalKind,
    outcome: string,
    isVoid: (record: ApprovalRecord, details: unknown) => boolean,
  ): Promise<void> {
    for (const record of await this.#open()) {
      if (record.kind === kind && isVoid(record, await this.details(record.id))) {
        await this.end(record.id, 'void', outcome);
      }
    }
  }

  /**
   * A commit has come into force. What has to be decided again is by whoever waits for it, and is
   * void where nobody does.
   */
  async policyChanged(
    kind: ApprovalKind,
    judge: (record: ApprovalRecord, details: unknown) => 'keep' | 'decide again' | 'void',
  ): Promise<void> {
    for (const record of await this.#open()) {
      // Whoever waits for it waits at its node, which hears of the commit as well.
      if (record.kind !== kind || record.node !== this.#options.node) continue;
      const judgement = judge(record, await this.details(record.id));
      if (judgement === 'keep') continue;
      const waiting = this.#waiting.get(record.id) ?? [];
      if (waiting.length === 0 || judgement === 'void') {
        await this.end(record.id, 'void', 'the policy has changed');
      } else for (const { policyChanged } of waiting) policyChanged();
    }
  }

  async isUsed(id: string): Promise<boolean> {
    return (await this.find(id))?.state === 'used';
  }

  /** Somebody waits for it in a connection now. */
  isAwaited(id: string): boolean {
    return this.#waiting.has(id);
  }

  /**
   * Until it has ended. Of several who wait for one request the last to come is told that it is
   * approved, since that is who is certainly there still; the others when it is used, or when the
   * last has left.
   * @returns how to stop waiting
   */
  wait(id: string, waiter: Waiter): () => void {
    const first = this.#waiting.get(id);
    this.#waiting.set(id, [...(first ?? []), waiter]);
    if (first === undefined) this.changes.happened();
    return () => this.#left(id, waiter);
  }

  /** Whoever waits for it has gone. Does not throw: what cannot be withdrawn now runs out. */
  async leave({ id, diesWithConnection }: ApprovalRecord, outcome: string): Promise<void> {
    try {
      if (diesWithConnection) await this.end(id, 'withdrawn', outcome);
    } catch (error) {
      this.#leaveFailed(error);
    }
  }

  #left(id: string, waiter: Waiter): void {
    this.#leave(id, waiter).catch((error: unknown) => this.#leaveFailed(error));
  }

  #leaveFailed(error: unknown): void {
    this.#options.log.error('approval.leave_failed', errorFields(error));
  }

  async #leave(id: string, waiter: Waiter): Promise<void> {
    const all = this.#waiting.get(id);
    if (all?.includes(waiter) !== true) return;
    const others = all.filter((one) => one !== waiter);
    if (others.length > 0) this.#waiting.set(id, others);
    else this.#waiting.delete(id);
    this.changes.happened();
    const record = all.at(-1) === waiter ? await this.find(id) : undefined;
    if (record?.state === 'approved') this.#waiting.get(id)?.at(-1)?.decided(record);
  }

  /** Another node has changed something: whoever waits here is told what was decided there. */
  async heard(): Promise<void> {
    this.changes.happened();
    for (const id of [...this.#waiting.keys()]) {
      const record = await this.find(id);
      if (record !== undefined && record.state !== 'waiting') this.#tellWaiting(record);
    }
    await this.#deadlines.later();
  }

  /** What a run has asked for, and waits or can be used. */
  async openOfRun(run: string): Promise<readonly ApprovalRecord[]> {
    return (await this.#open()).filter((record) => record.run === run);
  }

  /** The run is over. */
  async endOfRun(run: string, outcome: string): Promise<void> {
    for (const record of await this.openOfRun(run)) {
      await this.end(record.id, 'withdrawn', outcome);
    }
  }

  /** Forgets what ended long ago; never throws. */
  async prune(): Promise<void> {
    const { store, clock } = this.#options;
    try {
      await store.run(() => store.prune(clock() - KEEP_MS, MAX_ENDED));
    } catch (error) {
      // The next time will do; readiness tells the operator that the index cannot be written.
      this.#options.log.error('approval.prune_failed', errorFields(error));
    }
  }

  [Symbol.dispose](): void {
    this.#deadlines[Symbol.dispose]();
    this.changes.happened();
  }

  #maySee(who: Principal, record: ApprovalRecord): boolean {
    return (
      isSameParty(who, record.requester) || isApprover(who, record) || who.roles.includes('auditor')
    );
  }

  *#needs(record: ApprovalRecord): Work<readonly ApprovalNeed[] | undefined> {
    const handler = this.#handlers.get(record.kind);
    const details = handler?.readsDetails ? yield* this.#options.store.details(record.id) : {};
    return handler?.needs(record, details);
  }

  *#isSatisfied(record: ApprovalRecord): Work<boolean> {
    return yield* this.#votes.satisfy(record, yield* this.#needs(record));
  }

  async #move(
    record: ApprovalRecord,
    to: { readonly state: ApprovalState; readonly outcome?: string },
  ): Promise<void> {
    const moved = await this.#options.store.run(() => this.#moveTo(record, to));
    if (moved !== undefined) await this.#moved(moved);
  }

  /** @returns as it is then; undefined: it was in another state by now. */
  *#moveTo(
    record: ApprovalRecord,
    to: { readonly state: ApprovalState; readonly outcome?: string },
  ): Work<ApprovalRecord | undefined> {
    const { store, events, clock } = this.#options;
    const nowMs = clock();
    const isMoved = yield* store.move(record.id, record.state, {
      ...to,
      ...(to.state === 'approved'
        ? { usableUntilMs: nowMs + record.usableSeconds * 1000 }
        : { endedMs: nowMs }),
    });
    if (!isMoved) return undefined;
    yield* events.add({ type: 'approval.state', ...requestFacts(record), state: to.state });
    return yield* store.find(record.id);
  }

  /** Tells who has to do with it; the store has it by then. */
  async #moved(now: ApprovalRecord): Promise<void> {
    const { log } = this.#options;
    log.info('approval.state', { approval: now.id, state: now.state, outcome: now.outcome });
    this.changes.happened();
    this.#tellWaiting(now);
    await this.#tellHandler(now);
    await this.#deadlines.later();
  }

  /** More than once is as once: they wait for the first word. */
  #tellWaiting(now: ApprovalRecord): void {
    const waiting = this.#waiting.get(now.id) ?? [];
    if (!isOpen(now)) this.#waiting.delete(now.id);
    for (const { decided } of isOpen(now) ? waiting.slice(-1) : waiting) decided(now);
  }

  async #tellHandler(record: ApprovalRecord): Promise<void> {
    const handler = this.#handlers.get(record.kind);
    if (handler?.onDecided === undefined) return;
    const details = handler.readsDetails ? await this.details(record.id) : {};
    await handler.onDecided(record, details);
  }

  async #endOverdue(nowMs: number): Promise<void> {
    for (const record of await this.#open()) {
      if (deadlineOf(record) > nowMs) continue;
      const outcome =
        record.state === 'waiting' ? 'not enough approvals in time' : 'it was not used in time';
      await this.#move(record, { state: 'expired', outcome });
    }
  }
}

export function unknownApproval(): HoopError {
  return new HoopError('HOOP_APPROVAL_UNKNOWN', 'there is no such request', {
    hint: '`hoop approvals list` shows the requests that you may see.',
  });
}

function deadlineOf(record: ApprovalRecord): number {
  return record.state === 'waiting' ? record.waitsUntilMs : (record.usableUntilMs ?? 0);
}

/** Most are used for what happens elsewhere. */
function* nothing(): Work<() => void> {
  return () => undefined;
}
