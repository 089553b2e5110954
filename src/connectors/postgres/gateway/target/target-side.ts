/**
 * What comes from the target: each answer is given to the head of the queue, which is the message
 * that it answers; confirmed state changes here and nowhere else; rows are masked; what belongs to
 * the gateway is withheld. Everything else goes on as the bytes that came.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ProtocolError } from '../../../../errors.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import {
  decodeCommandComplete,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  type FieldDescription,
} from '../../protocol/backend-messages.ts';
import { encodeCopyFail } from '../../protocol/frontend-messages.ts';
import type { Handling, ScannedItem } from '../../protocol/message-scanner.ts';
import { BACKEND, backendName } from '../../protocol/message-types.ts';
import { decodeErrorResponse } from '../../protocol/report-fields.ts';
import { BYTES } from '../../protocol/text-codec.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { CountedEntry } from '../counted/row-trials.ts';
import { answersDenial } from '../refusals/denial.ts';
import { copiesOut, rowsOfTag } from '../results/copy-out.ts';
import {
  type Redaction,
  redactError,
  redactNotice,
  redactNotification,
} from '../results/redact-report.ts';
import { type Answer, RowDelivery } from '../results/row-delivery.ts';
import { confirm, runEnded, runOf, verdictsOf, withdraw } from '../statements/confirmations.ts';
import type { Entry, QueryEntry } from '../statements/pending-queue.ts';
import type { Run } from '../statements/run.ts';
import type { Collector } from '../wire/collector.ts';
import { LARGEST_AT_ONCE } from '../wire/large-rows.ts';
import { movedPosition } from '../wire/moved-position.ts';
import type { StreamState } from '../wire/stream-state.ts';

export class TargetSide {
  readonly #state: StreamState;
  readonly #rows: RowDelivery;
  readonly #descriptions = new RowDescriptions();
  readonly #collector: Pick<Collector, 'goesOut' | 'moved'>;

  /** @param collector told when something large goes to the client */
  constructor(state: StreamState, collector: Pick<Collector, 'goesOut' | 'moved'>) {
    this.#state = state;
    this.#collector = collector;
    this.#rows = new RowDelivery(state);
  }

  /** For the scanner: rows and copy data that need no look pass without being collected. */
  decide(type: number): Handling {
    if (this.#state.withholding) return 'whole';
    if (type === BACKEND.DataRow) return this.#rows.decide(this.#state.queue.head);
    if (type === BACKEND.CopyData) return this.#rows.decideCopy(this.#state.queue.head);
    return 'whole';
  }

  /** @param bytes whose first message was decided to be a run @returns how many are done with. */
  run(bytes: Uint8Array): number {
    const taken = this.#rows.deliverRun(bytes, this.#state.queue.head);
    if (taken > 0) this.#state.queue.notify();
    return taken;
  }

  /** Nothing more is given out; a message of which the client has the beginning goes on to its end. */
  isStopping = false;
  /** The client has the beginning of a message. */
  isWithin = false;

  /** @returns what the next message waits for. */
  handle(item: ScannedItem): Promise<void> | undefined {
    const { toClient, queue } = this.#state;
    if (item.kind === 'pass') {
      const run = runOf(queue.head);
      if (run !== undefined) run.bytes += item.bytes.length;
      toClient.push(item.bytes);
      return undefined;
    }
    const answer = this.#answer(item.type, item.body, item.bytes);
    if (answer instanceof Promise || (answer?.length ?? 0) > LARGEST_AT_ONCE) {
      return this.#handOut(answer);
    }
    if (answer !== undefined) toClient.push(answer);
    queue.notify();
    return undefined;
  }

  /** What was found out elsewhere, or is large: to record it all at once would keep others waiting. */
  async #handOut(answer: Answer): Promise<void> {
    const { toClient, queue, ended } = this.#state;
    const bytes = await answer;
    if (this.isStopping || ended.signal.aborted) return;
    this.isWithin = true;
    this.#collector.goesOut();
    for (let at = 0; bytes !== undefined && at < bytes.length; at += LARGEST_AT_ONCE) {
      if (at > 0) await nextTurn();
      const piece = bytes.subarray(at, at + LARGEST_AT_ONCE);
      toClient.push(piece);
      await toClient.flush();
      this.#collector.moved(piece.length);
    }
    this.isWithin = false;
    queue.notify();
  }

  /** @returns what the client gets. */
  #answer(type: number, body: Uint8Array, bytes: Uint8Array): Answer {
    const { queue, settings, options, withholding } = this.#state;
    switch (type) {
      case BACKEND.DataRow:
        return withholding ? undefined : this.#rows.deliver(bytes, queue.head);
      case BACKEND.ParameterStatus: {
        const { name, value } = decodeParameterStatus(body, BYTES);
        settings.reported(name, value);
        return this.#behindLast(bytes);
      }
      case BACKEND.NoticeResponse:
        return this.#atItsPlace(redactNotice(body, this.#redaction(queue.head)) ?? bytes);
      case BACKEND.NotificationResponse:
        return redactNotification(body, options.grant()) ?? bytes;
      case BACKEND.ErrorResponse:
        return this.#failed(body, bytes);
      case BACKEND.ReadyForQuery:
        return this.#ready(body, bytes);
      case BACKEND.RowDescription:
      case BACKEND.NoData:
        return this.#described(type, body, bytes);
      case BACKEND.CopyInResponse:
        return this.#copyBegins('in', bytes, body);
      case BACKEND.CopyOutResponse:
        return this.#copyBegins('out', bytes, body);
      case BACKEND.CopyData:
        return withholding ? undefined : this.#rows.deliverCopy(bytes, queue.head);
      default: {
        const { head } = queue;
        if (type === BACKEND.CommandComplete && isCounted(head)) {
          return this.#ranCounted(head, body, bytes);
        }
        const isVisible = queue.head?.origin === 'client' && !withholding;
        this.#completed(type, body);
        return isVisible ? bytes : undefined;
      }
    }
  }

  /** Answers that end a message, or a statement of one. */
  #completed(type: number, body: Uint8Array): void {
    const entry = this.#state.queue.head;
    switch (type) {
      case BACKEND.ParseComplete:
        this.#done(entry, 'parse');
        break;
      case BACKEND.BindComplete:
        this.#done(entry, 'bind');
        break;
      case BACKEND.CloseComplete:
        this.#done(entry, 'close');
        break;
      case BACKEND.CommandComplete:
        this.#ended(entry, { tag: commandTag(body) });
        break;
      case BACKEND.EmptyQueryResponse:
      case BACKEND.PortalSuspended:
        this.#ended(entry, {});
        break;
      case BACKEND.FunctionCallResponse:
        expectKind(entry, 'function-call');
        break;
      case BACKEND.ParameterDescription:
        expectKind(entry, 'describe');
        break;
      case BACKEND.CopyDone:
        if (!this.#state.withholding) runOf(entry)?.copy?.end();
        break;
      default:
        throw new ProtocolError(
          `the target sent ${backendName(type) ?? `message type ${type}`}, which has no place here`,
        );
    }
  }

  /**
   * Settings are reported right before ReadyForQuery, behind the last CommandComplete of a Query;
   * before 14 when they change.
   */
  #behindLast(report: Uint8Array): Uint8Array {
    const { queue, target } = this.#state;
    const isLate = Number.parseInt(target.parameters.get('server_version') ?? '', 10) >= 14;
    const last =
      isLate && queue.head?.kind === 'sync' ? queue.head.completes?.committed() : undefined;
    return last === undefined ? report : Buffer.concat([last, report]);
  }

  #ranCounted(entry: CountedEntry, body: Uint8Array, bytes: Uint8Array): Uint8Array | undefined {
    const { queue, trials } = this.#state;
    queue.shift();
    this.#state.settled(entry);
    return trials.completed(entry, commandTag(body), bytes);
  }

  #done(entry: Entry | undefined, kind: 'parse' | 'bind' | 'close'): void {
    if (entry?.kind !== kind || entry.denial !== undefined) throw outOfStep(entry, kind);
    this.#state.queue.shift();
    confirm(this.#state, entry);
    this.#state.settled(entry);
  }

  /** A statement has ended: all of an Execute, one of the statements of a Query. */
  #ended(entry: Entry | undefined, end: { tag?: string }): void {
    if (entry?.denial !== undefined) throw outOfStep(entry, 'a statement that was refused');
    if (entry?.kind === 'execute') {
      this.#state.queue.shift();
      if (entry.run !== undefined) this.#runEnded(entry.run, end);
      entry.onEnd?.();
      this.#state.settled(entry);
      return;
    }
    if (entry?.kind !== 'query') throw outOfStep(entry, 'execute');
    const run = runOf(entry);
    const isEmpty = run?.statement.basis !== undefined && run.statement.allowed === undefined;
    if (run === undefined || (isEmpty && end.tag !== undefined)) {
      throw outOfStep(entry, 'a statement that the parser did not see');
    }
    this.#runEnded(run, end);
    if (run.statement.basis === undefined) {
      // One for all statements of the text.
      run.rows = 0;
      run.bytes = 0;
      run.startedAt = performance.now();
      return;
    }
    entry.current += 1;
    const next = runOf(entry);
    if (next !== undefined) next.startedAt = performance.now();
  }

  #runEnded(run: Run, end: { tag?: string }): void {
    if (copiesOut(run.statement) && run.rowsAre === 'pass') run.rows = rowsOfTag(end.tag ?? '');
    runEnded(this.#state, run, end);
  }

  #described(type: number, body: Uint8Array, bytes: Uint8Array): Uint8Array | undefined {
    const { queue, withholding } = this.#state;
    const entry = queue.head;
    const isVisible = entry?.origin === 'client' && !withholding;
    if (entry?.denial !== undefined) throw outOfStep(entry, 'a message that it must refuse');
    if (entry?.kind === 'describe') queue.shift();
    else if (entry?.kind !== 'query' || type === BACKEND.NoData) throw outOfStep(entry, 'describe');
    if (type === BACKEND.NoData) {
      const isSaid = entry.kind === 'describe' && entry.isOfQuery !== true;
      return isVisible && isSaid ? bytes : undefined;
    }
    // Names need not be valid in client_encoding, and are handed on as they are.
    const fields = this.#descriptions.decode(body);
    const withheld = this.#rows.described(entry, fields);
    if (withheld !== undefined) return withheld;
    if (!isVisible) return undefined;
    return this.#rows.cleanNames(fields, this.#state.options.grant().detectors) ?? bytes;
  }

  #copyBegins(
    direction: 'in' | 'out',
    bytes: Uint8Array,
    body: Uint8Array,
  ): Uint8Array | undefined {
    const { queue, withholding, copy, toTarget } = this.#state;
    const run = runOf(queue.head);
    if (run === undefined) throw outOfStep(queue.head, 'execute');
    const { allowed, basis } = run.statement;
    if (basis !== undefined && allowed?.analysis.protocol.copy?.direction !== direction) {
      throw new ProtocolError('the target began a COPY for a statement that was taken for none');
    }
    if (!withholding) {
      if (direction === 'in') copy.opened();
      if (direction === 'in' || run.rowsAre === 'pass') return bytes;
      return this.#rows.copyBegins(run, body, queue.head) ?? bytes;
    }
    // The client does not know that it should send data: the target must not wait for it.
    if (direction === 'in') {
      toTarget.push(encodeCopyFail({ message: 'the result was withheld' }));
      this.#state.releaseSoon();
    }
    return undefined;
  }

  #failed(body: Uint8Array, bytes: Uint8Array): Uint8Array | undefined {
    const { queue } = this.#state;
    const { fields } = decodeErrorResponse(body, BYTES);
    const severity = fields.get('V') ?? fields.get('S') ?? '';
    const entry = queue.head;
    const redacted = this.#atItsPlace(redactError(body, this.#redaction(entry)) ?? bytes);
    // The server says why it closes the connection; nothing else follows.
    if (severity === 'FATAL' || severity === 'PANIC') return redacted;
    const denial = entry?.denial ?? this.#state.copy.denialOf(entry);
    const own = denial !== undefined && answersDenial(body, denial) ? denial.error : undefined;
    const answer = own ?? this.#state.trials.overdue(fields.get('C') ?? '') ?? redacted;
    const isWithheld = entry?.origin === 'own' || this.#state.withholding;
    if (entry !== undefined) this.#fail(entry, fields);
    return isWithheld ? undefined : answer;
  }

  #atItsPlace(report: Uint8Array): Uint8Array {
    const { queue, trials } = this.#state;
    return movedPosition(report, queue.head?.before || (trials.query?.before ?? 0));
  }

  #fail(entry: Entry, fields: ReadonlyMap<string, string>): void {
    const state = this.#state;
    // What is longer is none, and an event has room for little.
    const sqlState = fields.get('C')?.slice(0, SQL_STATE_LENGTH) ?? '';
    const run = runOf(entry);
    if (run !== undefined) runEnded(state, run, { sqlState });
    if (entry.kind === 'query') {
      this.#copyFailed(entry, fields);
      entry.failed = true;
    }
    if (entry.kind === 'sync') entry.completes?.commitFailed(sqlState);
    if (entry.kind === 'query' || entry.kind === 'function-call' || entry.kind === 'sync') return;
    if (state.copy.isExtended && state.copy.isOf(entry) && isIntrusion(fields)) {
      state.copy.takeIntruder();
    }
    const syncs = state.copy.isExtended ? state.copy.deferredSyncs : 0;
    // A failing Parse of the unnamed statement has dropped the old one before it failed.
    if (entry.kind === 'parse' && entry.name === '') state.statements.delete('');
    const { skipped, foundSync } = state.queue.skipToSync();
    for (const one of skipped) {
      withdraw(state, one);
      state.settled(one);
    }
    if (!foundSync) state.skipping = true;
    state.trials.failed(new Set(skipped.map(({ segment }) => segment)), sqlState);
    if (!foundSync) this.#sendDeferred(syncs);
  }

  /** A COPY of a simple Query has failed: what the client sent behind its data is due now. */
  #copyFailed(entry: QueryEntry, fields: ReadonlyMap<string, string>): void {
    const { copy, queue } = this.#state;
    if (!copy.isOf(entry)) return;
    const intruder = isIntrusion(fields) ? copy.takeIntruder() : undefined;
    if (intruder !== undefined) queue.remove(intruder);
    // In copy mode a Sync is ignored: after a cancel it is not known to have come later.
    else if (fields.get('C') !== SQL_STATE.queryCanceled) this.#sendDeferred(copy.deferredSyncs);
  }

  /** The client sent its Sync in copy mode, which has ended before it sent more: now it counts. */
  #sendDeferred(syncs: number): void {
    const state = this.#state;
    if (syncs === 0) return;
    state.copy.deferredSyncs = 0;
    for (let count = 0; count < syncs; count += 1) state.sendSync();
    state.releaseSoon();
  }

  #ready(body: Uint8Array, bytes: Uint8Array): Uint8Array | undefined {
    const state = this.#state;
    const entry = state.queue.head;
    if (entry?.kind !== 'sync' && entry?.kind !== 'query' && entry?.kind !== 'function-call') {
      throw outOfStep(entry, 'sync');
    }
    state.queue.shift();
    state.settled(entry);
    const last = entry.kind === 'sync' ? entry.completes?.ready() : undefined;
    const { status } = decodeReadyForQuery(body);
    state.settings.ready(status, entry.segment, state.queue.length === 0);
    if (status === 'idle') state.rowBudget.transactionEnded();
    if (status === 'idle' && state.queue.length === 0) state.deferred = NOTHING_DEFERRED;
    if (entry.origin !== 'client') return undefined;
    state.withholding = false;
    return last === undefined ? bytes : Buffer.concat([last, bytes]);
  }

  #redaction(entry: Entry | undefined): Redaction {
    const verdicts = verdictsOf(entry);
    // Deferred constraints and triggers of earlier statements speak up when the transaction ends.
    const earlier = mayFireDeferred(entry, verdicts) ? this.#state.deferred : NOTHING_DEFERRED;
    return {
      values: earlier.values || verdicts.some(({ redactErrors }) => redactErrors),
      userCode: earlier.userCode || verdicts.some(({ analysis }) => analysis.protocol.runsUserCode),
      hiddenColumns: earlier.values ? undefined : hiddenColumnsOf(verdicts),
      detectors: this.#state.options.grant().detectors,
    };
  }
}

/** PostgreSQL's have less than 64 (COMPLETION_TAG_BUFSIZE); they are recorded in one event. */
const MAX_TAG_BYTES = 1024;
const SQL_STATE_LENGTH = 5;

function commandTag(body: Uint8Array): string {
  if (body.length > MAX_TAG_BYTES) {
    throw new ProtocolError(`the target sent a command tag of ${body.length} bytes`);
  }
  return decodeCommandComplete(body, BYTES).tag;
}

const NOTHING_DEFERRED = { values: false, userCode: false };

/** The target was in copy mode, and got a message that has no place there. */
function isIntrusion(fields: ReadonlyMap<string, string>): boolean {
  return fields.get('C') === SQL_STATE.protocolViolation && fields.get('R') === 'CopyGetData';
}

function hiddenColumnsOf(verdicts: readonly AllowedStatement[]): ReadonlySet<string> | undefined {
  const [first, ...others] = verdicts.flatMap((verdict) => verdict.hiddenColumns ?? []);
  return others.every((names) => names === first) ? first : undefined;
}

function mayFireDeferred(entry: Entry | undefined, verdicts: readonly AllowedStatement[]): boolean {
  if (entry === undefined || entry.kind === 'sync') return true;
  return verdicts.some(
    ({ analysis }) =>
      analysis.protocol.transaction !== undefined || analysis.verb.startsWith('set constraints'),
  );
}

function isCounted(entry: Entry | undefined): entry is CountedEntry {
  return entry?.kind === 'execute' && entry.run !== undefined && entry.counted !== undefined;
}

function expectKind(entry: Entry | undefined, kind: Entry['kind']): void {
  if (entry?.kind !== kind) throw outOfStep(entry, kind);
}

/** Whoever answers out of step cannot be followed, and what cannot be followed is not forwarded. */
function outOfStep(entry: Entry | undefined, answer: string): ProtocolError {
  return new ProtocolError(
    `the target answered ${answer} where an answer to ${entry?.kind ?? 'nothing'} was due`,
  );
}

const MAX_KEPT = 32;
const MAX_BODY_BYTES = 4096;

/**
 * The RowDescriptions of one connection. A program repeats a few statements, and many drivers ask
 * for the description each time: the same bytes say the same.
 */
export class RowDescriptions {
  readonly #known = new Map<string, readonly FieldDescription[]>();

  /** Names as Latin-1: they need not be valid in client_encoding. @throws ProtocolError */
  decode(body: Uint8Array): readonly FieldDescription[] {
    if (body.length > MAX_BODY_BYTES) {
      return decodeRowDescription(body, BYTES).fields;
    }
    const key = BYTES.decode(body);
    let fields = this.#known.get(key);
    if (fields === undefined) {
      fields = decodeRowDescription(body, BYTES).fields;
      if (this.#known.size >= MAX_KEPT) {
        this.#known.clear();
      }
      this.#known.set(key, fields);
    }
    return fields;
  }
}
