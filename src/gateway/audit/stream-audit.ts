/**
 * The contract between engines and the gateway about what happens on a stream. From it follow, in
 * SessionAudit, the recording's events, the index, the signed lines of stream 0, and the log.
 *
 * An operation is one request of the client: a statement, a command, a file, a line. It is allowed,
 * refused, or fails before a decision. It may be held for approval, and it ends.
 */
import type { View } from '../../api/view.ts';
import type { ApprovalDemand, Grant, Refusal, RuleRef } from '../../policy/types.ts';
import { recordedView } from '../../recording/formats/recorded-view.ts';
import {
  type ApprovalOutcome,
  FACTS_PER_STREAM,
  type RecordingEvent,
  type StatementFacts,
} from '../../recording/formats/types.ts';
import type { EvidenceLine } from '../../recording/verify/evidence-lines.ts';
import type { Forwarding } from '../../recording/write/held-turns.ts';
import { approversText, needsOf } from '../approvals/approval-refusal.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';

type Decision = Extract<RecordingEvent, { type: 'decision' }>;
type Result = Extract<RecordingEvent, { type: 'result' }>;

/**
 * What was asked for, in the protocol's words, and what the policy says of it. It is the same each
 * time that a verdict is used again, and should be the same object then: what is written of it is kept.
 */
export interface Operation
  extends Pick<Decision, 'verbs' | 'rules' | 'columnsComputed' | 'outputsMasked'> {
  /** Names of what it touches. */
  readonly resources: Decision['relations'];
  readonly columnsMasked?: Decision['columnsMasked'] | undefined;
  readonly needsApproval?: boolean | undefined;
  /** Absent: nothing is known. The same object for all that are alike: it is written once in a while. */
  readonly facts?: StatementFacts | undefined;
  /** What it is, where a replay is to show it without the connector: `decision` of the recording. */
  readonly view?: View | undefined;
}

/** What became of an operation. */
export interface Outcome {
  /** Of what came of it, as the client got it. */
  readonly bytes?: number | undefined;
  readonly detected?: Result['detected'] | undefined;
  readonly maskedValues?: number | undefined;
  readonly rows?: number | undefined;
  /** Bytes of the client's that it took. */
  readonly upBytes?: number | undefined;
  /** Detector hits by class that the client got in clear; absent: nobody looked. */
  readonly seen?: Result['seen'];
  /** How long it took, microseconds. */
  readonly us?: number | undefined;
  /** "exit 0", "SELECT 3", "OK": in the protocol's words. */
  readonly tag?: string | undefined;
  readonly sqlState?: string | undefined;
}

/** Something waits for a person, or is to be asked for again after approval. */
export interface HeldRequest {
  readonly at: number;
  readonly asked: AskedApproval;
  readonly demands: readonly ApprovalDemand[];
  /** In words. */
  readonly message: string;
  /** What whoever decides is shown of it. */
  readonly view: View;
}

export interface HeldEnd {
  readonly votes: ApprovalStanding['votes'];
  readonly outcome: ApprovalOutcome;
  readonly message?: string | undefined;
}

/** The record could not be written: nothing more may be forwarded. Wraps what the recorder threw. */
export class RecordingFailed extends Error {
  constructor(cause: unknown) {
    super('the recording cannot be written', { cause });
    this.name = 'RecordingFailed';
  }
}

/** What the audit of a stream needs of that of its session. */
export interface AuditSink {
  /** Id of the prompt in force. */
  readonly prompt: string | undefined;
  readonly record: Forwarding;
  /** Throws when it cannot be recorded. */
  event(event: RecordingEvent): void;
  /** A line of stream 0. Throws as `event`. */
  evidence(line: EvidenceLine): void;
}

const NONE: readonly never[] = [];
const NOTHING_DETECTED = {};

/** What happens on one stream. Where a method cannot record what it is told, it throws RecordingFailed. */
export class StreamAudit implements Forwarding {
  readonly stream: number;
  readonly #grant: () => Grant;
  readonly #session: AuditSink;
  #operations = 0;
  /** How many were told before each; held weakly, since they can be large. */
  readonly #facts = new WeakMap<StatementFacts, number>();
  #factsTold = 0;

  constructor(stream: number, grant: () => Grant, session: AuditSink) {
    this.stream = stream;
    this.#grant = grant;
    this.#session = session;
  }

  /**
   * It may happen, or is about to be held.
   * @param at offset in the up stream of the message that asks for it
   * @param comments what the client claims of where it comes from
   * @returns its number, for `ended`
   */
  allowed(at: number, operation: Operation, comments?: Decision['comments']): number {
    const effect = operation.needsApproval === true ? 'approve' : 'allow';
    return this.#decided(at, effect, operation, undefined, comments);
  }

  /** It does not happen, and the other side signs why. */
  refused(
    at: number,
    operation: Operation,
    refusal: Refusal,
    comments?: Decision['comments'],
  ): void {
    this.#decided(at, 'refuse', operation, refusal, comments);
    const { code, message, detail, hint, rule } = refusal;
    const { stream } = this;
    this.#say({ type: 'denied', stream, at, code, message, detail, hint, rule: rule?.id });
  }

  /** It would fail anywhere: no decision of the policy. */
  failed(
    at: number,
    operation: Operation,
    refusal: Refusal,
    comments?: Decision['comments'],
  ): void {
    this.#decided(at, 'fail', operation, refusal, comments);
  }

  /** It was refused where it was asked for, and both sides know: nobody is told again. */
  refusedThere(at: number, operation: Operation, message: string): void {
    this.#decided(at, 'refuse', operation, { code: 'HOOP_DENIED', message }, undefined);
  }

  /** It waits for people. */
  held({ at, asked, demands, message, view }: HeldRequest): void {
    const { stream } = this;
    const { id: request, binding, waits, waitsUntilMs } = asked;
    const needs = needsOf(demands);
    const policyCommit = this.#grant().commit;
    this.tell({
      type: 'approval.held',
      ...{ stream, at, request, needs, waits, waitsUntilMs, binding, policyCommit },
      view: recordedView(view),
    });
    const until = new Date(waitsUntilMs).toISOString();
    const approvers = approversText({ demands });
    this.#say({ type: 'held', stream, at, request, message, approvers, waits, until });
  }

  /** What became of that, with everybody's word. */
  holdEnded(at: number, request: string, { votes, outcome, message }: HeldEnd): void {
    const { stream } = this;
    for (const { by, decision, reason, atMs } of votes) {
      this.tell({
        type: 'approval.vote',
        ...{ stream, at, request, decision, reason },
        by: { issuer: by.issuer, sub: by.sub, name: by.name },
        votedMs: atMs,
      });
    }
    const under = outcome === 'released' ? { policyCommit: this.#grant().commit } : {};
    this.tell({ type: 'approval.end', stream, at, request, outcome, message, ...under });
    const counted = outcome === 'denied' ? 'deny' : 'approve';
    const counting = votes.filter(({ decision }) => decision === counted);
    const by = counting.map((vote) => vote.by.name);
    const said = message ?? reasonsOf(counting);
    this.#say({ type: 'decided', stream, at, request, outcome, by, message: said });
  }

  /** @param operation the number that `allowed` gave */
  ended(at: number, operation: number, outcome: Outcome): void {
    this.tell({
      at,
      bytes: outcome.bytes,
      detected: outcome.detected ?? NOTHING_DETECTED,
      maskedValues: outcome.maskedValues ?? 0,
      rows: outcome.rows ?? 0,
      seen: outcome.seen,
      sqlState: outcome.sqlState,
      statement: operation,
      stream: this.stream,
      tag: outcome.tag,
      type: 'result',
      upBytes: outcome.upBytes,
      us: outcome.us,
    });
  }

  /** What only its protocol knows: where it was connected to, channels, files, what it looked up. */
  tell(event: RecordingEvent): void {
    try {
      this.#session.event(event);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  /** To be called before anything goes to the target. */
  write(): void {
    try {
      this.#session.record.write();
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  whenHeld(): Promise<void> | undefined {
    return this.#session.record.whenHeld();
  }

  whenWritten(forward: () => void): void {
    this.#session.record.whenWritten(forward);
  }

  /** Parameters and no object: this is done for each statement. */
  #decided(
    at: number,
    effect: Decision['effect'],
    operation: Operation,
    refusal: Pick<Refusal, 'code' | 'message'> | undefined,
    comments: Decision['comments'],
  ): number {
    const { columnsComputed, columnsMasked = NONE, outputsMasked } = operation;
    const { facts, resources, rules, verbs, view } = operation;
    const place = facts && this.#placeOf(facts);
    this.#operations += 1;
    this.tell({
      // In this order their canonical form is written fastest.
      at,
      code: refusal?.code,
      columnsComputed,
      columnsMasked,
      comments,
      effect,
      facts: place,
      message: refusal?.message,
      outputsMasked,
      policyCommit: this.#grant().commit,
      prompt: this.#session.prompt,
      relations: resources,
      rules,
      statement: this.#operations,
      stream: this.stream,
      type: 'decision',
      verbs,
      view: view && recordedView(view),
    });
    return this.#operations;
  }

  #placeOf(facts: StatementFacts): number {
    const told = this.#facts.get(facts);
    if (told !== undefined && this.#factsTold - told <= FACTS_PER_STREAM) {
      return told % FACTS_PER_STREAM;
    }
    const place = this.#factsTold % FACTS_PER_STREAM;
    this.tell({ ...facts, facts: place, stream: this.stream, type: 'facts' });
    this.#facts.set(facts, this.#factsTold);
    this.#factsTold += 1;
    return place;
  }

  #say(line: EvidenceLine): void {
    try {
      this.#session.evidence(line);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }
}

/** What is no statement: an act on a server, a line, a call. */
export function operation(
  verb: string,
  about: {
    readonly touches?: readonly string[];
    readonly rules?: readonly RuleRef[];
    /** Rules that ask for approval first; none: it may happen at once. */
    readonly approvals?: readonly { readonly rule: RuleRef }[] | undefined;
    readonly refusal?: Pick<Refusal, 'rule'>;
    readonly view?: View;
  } = {},
): Operation {
  const { touches = [], approvals = [], refusal, view } = about;
  const rules = refusal === undefined ? (about.rules ?? []) : [refusal.rule ?? []].flat();
  return {
    verbs: [verb],
    resources: [...new Set(touches)],
    rules: rulesOf(rules, approvals),
    needsApproval: approvals.length > 0,
    view,
  };
}

/** As a decision names them: those that ask for approval first, and each once. */
export function rulesOf(
  rules: readonly RuleRef[],
  approvals: readonly { readonly rule: RuleRef }[] = [],
): Decision['rules'] {
  const asking = approvals.map(({ rule }) => rule);
  const others = rules.filter(({ id }) => !asking.some((rule) => rule.id === id));
  return [...asking, ...others].map(({ id, file, line, grant }) =>
    grant === undefined ? { file, id, line } : { file, grant, id, line },
  );
}

/** What people gave as reasons; with a name where there are several people. */
function reasonsOf(votes: ApprovalStanding['votes']): string | undefined {
  const given = votes.flatMap(({ by, reason }) => (reason ? [{ name: by.name, reason }] : []));
  const [first] = given;
  if (first === undefined) return undefined;
  return votes.length === 1
    ? first.reason
    : given.map(({ name, reason }) => `${name}: ${reason}`).join('; ');
}
