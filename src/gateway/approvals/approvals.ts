/**
 * Requests that wait for a person: made, voted on, used once or ended. What is asked for is the
 * business of its kind (a held statement, temporary access), which says what counts now and hears
 * of decisions; who may decide, and that nothing is decided or used twice, is decided here.
 */

import type { ApprovalKind, ApprovalState } from '../../api/approvals.ts';
import { HoopError } from '../../errors.ts';
import type { Principal } from '../../policy/types.ts';
import { errorFields, type Log } from '../base/log.ts';
import { shortId } from '../base/short-id.ts';
import type { BlockedAs } from '../blocks/block.ts';
import { countOthers, personMarks } from '../identity/same-person.ts';
import {
  type ApprovalNeed,
  type ApprovalRecord,
  approversOf,
  isOpen,
  isRequestedFor,
  isSameParty,
  type NewApproval,
  type Vote,
} from './approval-record.ts';
import type { ApprovalStore, PersonLogin } from './approval-store.ts';
import { Changes } from './changes.ts';
import { alreadyEnded, checkVoter, isApprover } from './may-decide.ts';
import { plainText } from './plain-text.ts';
import { RequestLimits } from './request-limits.ts';

/** What a kind of request adds. */
export interface ApprovalHandler {
  /** What must be satisfied now; undefined: what was asked for is not to be had any more. */
  readonly needs: (record: ApprovalRecord) => readonly ApprovalNeed[] | undefined;
  /** It has been approved, denied, or has ended in another way. */
  readonly onDecided?: (record: ApprovalRecord) => void;
}

/** Whoever waits for a request. */
export interface Waiter {
  /** It is no longer waiting. */
  readonly decided: (record: ApprovalRecord) => void;
  /** A commit may decide otherwise about it. */
  readonly policyChanged: () => void;
}

export interface ApprovalsOptions {
  readonly store: ApprovalStore;
  /** Whether the policy in force knows a login as an agent's own: that is nobody's word. */
  readonly isAgent: (someone: PersonLogin) => boolean;
  /** Whether somebody is kept out of a target: their word counts for nothing there, also that from before. */
  readonly isBlocked: (someone: BlockedAs, target: string) => boolean;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly clock: () => number;
}

const MINUTE_MS = 60_000;
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
  /** Of who waits for a request; more than one where it is shared (`NewApproval.kept`). */
  readonly #waiting = new Map<string, Waiter[]>();
  readonly #limits = new RequestLimits();
  #timer: NodeJS.Timeout | undefined;

  /** Withdraws what a stopped gateway has left behind. */
  constructor(options: ApprovalsOptions) {
    this.#options = options;
    for (const record of options.store.open()) {
      if (record.diesWithConnection) {
        this.#move(record, { state: 'withdrawn', outcome: 'the gateway was restarted' });
      }
    }
    this.prune();
    this.#sweep();
  }

  /** What was approved and not acted on when the gateway stopped is told again. */
  handle(kind: ApprovalKind, handler: ApprovalHandler): void {
    this.#handlers.set(kind, handler);
    for (const record of this.#options.store.open()) {
      if (record.kind === kind && record.state === 'approved') handler.onDecided?.(record);
    }
  }

  /** @throws HoopError HOOP_LIMIT */
  create(request: NewApproval): ApprovalRecord {
    const { store, clock, log } = this.#options;
    const { waitsSeconds, details, ...rest } = request;
    const nowMs = clock();
    this.#limits.take(request, store.open(), nowMs);
    const record: ApprovalRecord = {
      ...rest,
      id: shortId(),
      state: 'waiting',
      reason: rest.reason === undefined ? undefined : plainText(rest.reason, MAX_TEXT),
      createdMs: nowMs,
      waitsUntilMs: nowMs + waitsSeconds * 1000,
      usableUntilMs: undefined,
      endedMs: undefined,
      outcome: undefined,
      votes: [],
    };
    store.insert(record, details);
    log.info('approval.requested', {
      approval: record.id,
      kind: record.kind,
      target: record.target,
      principal: record.requester.name,
      ...(record.session === undefined ? {} : { session: record.session }),
    });
    this.changes.happened();
    this.#sweepLater();
    return record;
  }

  /** @throws HoopError HOOP_APPROVAL_UNKNOWN: there is none that this person may see. */
  visible(who: Principal, id: string): ApprovalRecord {
    const record = this.#options.store.find(id);
    if (record === undefined || !this.#maySee(who, record)) {
      throw unknownApproval();
    }
    return record;
  }

  /** What this person may see, newest first. @param options run: what it has asked for alone */
  list(
    who: Principal,
    {
      isOpen,
      limit,
      run,
    }: { readonly isOpen: boolean; readonly limit: number; readonly run?: string | undefined },
  ) {
    const { store } = this.#options;
    const records = isOpen ? store.open() : store.newest(MAX_LISTED);
    return records
      .filter((record) => this.#maySee(who, record) && (run === undefined || record.run === run))
      .slice(0, limit);
  }

  details(id: string): unknown {
    return this.#options.store.details(id);
  }

  setDetails(id: string, details: unknown): void {
    this.#options.store.setDetails(id, details);
    this.changes.happened();
  }

  /** Of this person, with this binding: open, or ended; newest first. */
  bound(request: Pick<NewApproval, 'requester' | 'binding'>): ApprovalRecord[] {
    return this.#options.store.bound(request.requester, request.binding);
  }

  /**
   * Different people who could satisfy a need: all but who asked that have logged in to this
   * gateway lately and were in one of its groups then.
   */
  known(
    record: Pick<ApprovalRecord, 'requester' | 'requestedFor'>,
    { groups }: ApprovalNeed,
  ): number {
    const { store, isAgent } = this.#options;
    const approvers = store
      .newestLogins()
      .filter((login) => !isAgent(login) && !isRequestedFor(record, login))
      .filter((login) => login.groups.some((group) => groups.includes(group)));
    return countOthers(record.requester, approvers);
  }

  /** How many different people have approved, as it counts now. */
  approvedBy(record: ApprovalRecord, need: ApprovalNeed): number {
    return approversOf(record, need, (vote) => this.#groupsOf(vote, record.target));
  }

  /**
   * One person's word. A denial ends the request; the last approval that is needed approves it.
   * @throws HoopError HOOP_APPROVAL_…, HOOP_ACCESS_DENIED
   */
  decide(
    who: Principal,
    id: string,
    said: {
      readonly decision: 'approve' | 'deny';
      readonly reason?: string | undefined;
      readonly binding?: string | undefined;
    },
  ): ApprovalRecord {
    const { store, clock, log } = this.#options;
    this.#sweep();
    const record = this.visible(who, id);
    checkVoter(who, record, said);
    if (this.#handlers.get(record.kind)?.needs(record) === undefined) {
      this.end(id, 'void', 'what was asked for is not to be had any more');
      throw alreadyEnded(this.visible(who, id));
    }
    store.vote(id, {
      by: { ...personMarks(who), name: plainText(who.name, MAX_TEXT) },
      decision: said.decision,
      reason: said.reason === undefined ? undefined : plainText(said.reason, MAX_TEXT),
      atMs: clock(),
      groups: who.groups,
    });
    log.info('approval.vote', { approval: id, decision: said.decision, principal: who.name });
    this.changes.happened();
    const voted = this.visible(who, id);
    if (said.decision === 'deny') this.#move(voted, { state: 'denied' });
    else if (this.#isSatisfied(voted)) this.#move(voted, { state: 'approved' });
    return this.visible(who, id);
  }

  /**
   * Uses an approval up. Durable when it returns, so that it is not used again after a restart.
   * @returns undefined when it is not approved (any more), or somebody's word no longer counts.
   */
  use(id: string): ApprovalRecord | undefined {
    this.#sweep();
    const record = this.#options.store.find(id);
    if (record?.state !== 'approved') return undefined;
    if (!this.#isSatisfied(record)) {
      this.#move(record, { state: 'void', outcome: 'an approver is no longer one' });
      return undefined;
    }
    return this.#move(record, { state: 'used' });
  }

  /** Ends an open request; one that has ended already stays as it is. */
  end(id: string, state: 'withdrawn' | 'void' | 'expired', outcome: string): void {
    const record = this.#options.store.find(id);
    if (record !== undefined && isOpen(record)) this.#move(record, { state, outcome });
  }

  /** Voids what the predicate picks of the open requests, e.g. when the policy has changed. */
  voidOpen(outcome: string, isVoid: (record: ApprovalRecord) => boolean): void {
    for (const record of this.#options.store.open()) {
      if (isVoid(record)) this.#move(record, { state: 'void', outcome });
    }
  }

  /**
   * A commit has come into force. What has to be decided again is by whoever waits for it, and is
   * void where nobody does.
   */
  policyChanged(
    kind: ApprovalKind,
    judge: (record: ApprovalRecord) => 'keep' | 'decide again' | 'void',
  ): void {
    for (const record of this.#options.store.open()) {
      const judgement = record.kind === kind ? judge(record) : 'keep';
      if (judgement === 'keep') continue;
      const waiting = this.#waiting.get(record.id) ?? [];
      if (waiting.length === 0 || judgement === 'void') {
        this.#move(record, { state: 'void', outcome: 'the policy has changed' });
      } else for (const { policyChanged } of waiting) policyChanged();
    }
  }

  isUsed(id: string): boolean {
    return this.#options.store.find(id)?.state === 'used';
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
    return () => this.#leave(id, waiter);
  }

  #leave(id: string, waiter: Waiter): void {
    const all = this.#waiting.get(id);
    if (all?.includes(waiter) !== true) return;
    const others = all.filter((one) => one !== waiter);
    if (others.length > 0) this.#waiting.set(id, others);
    else this.#waiting.delete(id);
    this.changes.happened();
    const record = all.at(-1) === waiter ? this.#options.store.find(id) : undefined;
    if (record?.state === 'approved') others.at(-1)?.decided(record);
  }

  /** What a run has asked for, and waits or can be used. */
  openOfRun(run: string): readonly ApprovalRecord[] {
    return this.#options.store.open().filter((record) => record.run === run);
  }

  /** The run is over. */
  endOfRun(run: string, outcome: string): void {
    for (const record of this.openOfRun(run)) {
      this.#move(record, { state: 'withdrawn', outcome });
    }
  }

  /** Forgets what ended long ago; never throws. */
  prune(): void {
    try {
      this.#options.store.prune(this.#options.clock() - KEEP_MS, MAX_ENDED);
    } catch (error) {
      // The next time will do; readiness tells the operator that the index cannot be written.
      this.#options.log.error('approval.prune_failed', errorFields(error));
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.changes.happened();
  }

  #maySee(who: Principal, record: ApprovalRecord): boolean {
    return (
      isSameParty(who, record.requester) || isApprover(who, record) || who.roles.includes('auditor')
    );
  }

  #isSatisfied(record: ApprovalRecord): boolean {
    const needs = this.#handlers.get(record.kind)?.needs(record);
    return (
      needs !== undefined &&
      needs.length > 0 &&
      needs.every((need) => this.approvedBy(record, need) >= need.count)
    );
  }

  /** Somebody who has logged in since, and is in other groups now, counts as what they are now. */
  #groupsOf({ by, groups }: Vote, target: string): readonly string[] {
    const { store, isAgent, isBlocked } = this.#options;
    const { issuer, sub } = by;
    const now = store.latestLogin(by) ?? { kind: 'person', issuer, sub, email: undefined, groups };
    return isAgent(now) || isBlocked({ ...by, email: now.email }, target) ? [] : now.groups;
  }

  #move(
    record: ApprovalRecord,
    to: { readonly state: ApprovalState; readonly outcome?: string },
  ): ApprovalRecord | undefined {
    const { store, clock, log } = this.#options;
    const nowMs = clock();
    const moved = store.move(record.id, record.state, {
      ...to,
      ...(to.state === 'approved'
        ? { usableUntilMs: nowMs + record.usableSeconds * 1000 }
        : { endedMs: nowMs }),
    });
    const now = moved ? store.find(record.id) : undefined;
    if (now === undefined) return undefined;
    log.info('approval.state', { approval: now.id, state: now.state, outcome: now.outcome });
    this.changes.happened();
    this.#handlers.get(now.kind)?.onDecided?.(now);
    const waiting = this.#waiting.get(now.id) ?? [];
    if (!isOpen(now)) this.#waiting.delete(now.id);
    for (const { decided } of isOpen(now) ? waiting.slice(-1) : waiting) decided(now);
    this.#sweepLater();
    return now;
  }

  /** Ends what is over its time. */
  #sweep(): void {
    const nowMs = this.#options.clock();
    for (const record of this.#options.store.open()) {
      if (deadlineOf(record) <= nowMs) {
        const outcome =
          record.state === 'waiting' ? 'not enough approvals in time' : 'it was not used in time';
        this.#move(record, { state: 'expired', outcome });
      }
    }
    this.#sweepLater();
  }

  #sweepLater(): void {
    clearTimeout(this.#timer);
    const deadlines = this.#options.store.open().map(deadlineOf);
    if (deadlines.length === 0) return;
    const inMs = Math.max(0, Math.min(...deadlines) - this.#options.clock());
    // A timer knows nothing of the wall clock being set: it looks again at least once a minute.
    this.#timer = setTimeout(() => this.#sweepGuarded(), Math.min(inMs, MINUTE_MS));
    this.#timer.unref();
  }

  #sweepGuarded(): void {
    try {
      this.#sweep();
    } catch (error) {
      // The index cannot be written, as readiness says; deadlines are checked again at each use.
      this.#options.log.error('approval.sweep_failed', errorFields(error));
    }
  }
}

export function unknownApproval(): HoopError {
  return new HoopError('HOOP_APPROVAL_UNKNOWN', 'there is no such request', {
    hint: '`hoop approvals list` shows those that you may see.',
  });
}

function deadlineOf(record: ApprovalRecord): number {
  return record.state === 'waiting' ? record.waitsUntilMs : (record.usableUntilMs ?? 0);
}
