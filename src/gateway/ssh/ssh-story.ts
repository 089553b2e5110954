/** What one SSH stream leaves in the record besides its bytes: decisions, results, denials, totals. */
import type { SshAct, SshVerdict } from '../../policy/ssh/types.ts';
import type { Refusal, RuleRef } from '../../policy/types.ts';
import { NOT_CARRIED, type NotCarried } from '../../protocol/ssh/not-carried.ts';
import type { FileRecord } from '../../recording/file-record.ts';
import type { ApprovalOutcome, EvidenceLine, RecordingEvent } from '../../recording/types.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';
import type { SshStreamOptions } from './types.ts';

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;
type ChannelEvent = Extract<RecordingEvent, { type: 'ssh.channel' }>;

/** The record could not be written: nothing more may be forwarded. Wraps what the recorder threw. */
export class RecordingFailed extends Error {
  constructor(cause: unknown) {
    super('the recording cannot be written', { cause });
    this.name = 'RecordingFailed';
  }
}

type SshStoryOptions = Pick<
  SshStreamOptions,
  'stream' | 'grant' | 'event' | 'evidence' | 'recorded'
>;

export class SshStory {
  readonly #options: SshStoryOptions;
  #acts = 0;

  constructor(options: SshStoryOptions) {
    this.#options = options;
  }

  /**
   * @param verb of `verbOf`
   * @returns its number, for `finished`
   */
  allowed(at: number, verb: string, verdict: Allowed): number {
    const asking = (verdict.approvals ?? []).map(({ rule }) => rule);
    const rules = [
      ...asking,
      ...verdict.rules.filter(({ id }) => !asking.some((rule) => rule.id === id)),
    ];
    return this.#decision(at, verb, {
      effect: asking.length > 0 ? 'approve' : 'allow',
      touches: verdict.touches,
      rules,
    });
  }

  refused(at: number, verb: string, refusal: Refusal, touches: readonly string[]): void {
    const rules = refusal.rule === undefined ? [] : [refusal.rule];
    this.#decision(at, verb, { effect: 'refuse', touches, rules, refusal });
    const { stream } = this.#options;
    const { code, message, detail, hint } = refusal;
    this.#say({ type: 'denied', stream, at, code, message, detail, hint, rule: refusal.rule?.id });
  }

  /** The client has refused it, and says so: both sides have its frame, so nobody is told again. */
  notCarried(at: number, what: NotCarried): void {
    const refusal = { code: 'HOOP_DENIED', message: NOT_CARRIED[what].why } as const;
    this.#decision(at, what, { effect: 'refuse', touches: [], rules: [], refusal });
  }

  /** @param how "exit 0", "signal TERM": what became of it, in words */
  finished(at: number, statement: number, how: string | undefined): void {
    this.write({
      at,
      detected: {},
      maskedValues: 0,
      rows: 0,
      sqlState: undefined,
      statement,
      stream: this.#options.stream,
      tag: how,
      type: 'result',
    });
  }

  channel(event: Omit<ChannelEvent, 'type' | 'stream'>): void {
    this.write({ type: 'ssh.channel', stream: this.#options.stream, ...event });
  }

  file(channel: number, record: FileRecord): void {
    this.write({ type: 'ssh.file', stream: this.#options.stream, channel, ...record });
  }

  /** An act waits for a person, or is to be asked for again after approval. */
  held(held: {
    readonly at: number;
    readonly asked: AskedApproval;
    readonly needs: readonly { rule: string; groups: readonly string[]; count: number }[];
    readonly message: string;
    readonly approvers: string;
    readonly waits: boolean;
  }): void {
    const { at, asked, needs, message, approvers, waits } = held;
    const { stream } = this.#options;
    const { id: request, binding, waitsUntilMs } = asked;
    const policyCommit = this.#options.grant().commit;
    this.write({
      type: 'approval.held',
      ...{ stream, at, request, needs, waits, waitsUntilMs, binding, policyCommit },
    });
    const until = new Date(waitsUntilMs).toISOString();
    this.#say({ type: 'held', stream, at, request, message, approvers, waits, until });
  }

  /** What became of it, with everybody's word. */
  decided(
    at: number,
    request: string,
    end: {
      readonly votes: ApprovalStanding['votes'];
      readonly outcome: ApprovalOutcome;
      readonly message?: string | undefined;
    },
  ): void {
    const { stream } = this.#options;
    const { votes, outcome, message } = end;
    for (const { by, decision, reason, atMs } of votes) {
      this.write({
        type: 'approval.vote',
        ...{ stream, at, request, decision, reason },
        by: { issuer: by.issuer, sub: by.sub, name: by.name },
        votedMs: atMs,
      });
    }
    const policyCommit = this.#options.grant().commit;
    const under = outcome === 'released' ? { policyCommit } : {};
    this.write({ type: 'approval.end', stream, at, request, outcome, message, ...under });
    const counted = outcome === 'denied' ? 'deny' : 'approve';
    const by = votes.filter((vote) => vote.decision === counted).map((vote) => vote.by.name);
    const said = message ?? votes.find((vote) => vote.decision === counted)?.reason;
    this.#say({ type: 'decided', stream, at, request, outcome, by, message: said });
  }

  /** Before anything goes to the target. @throws RecordingFailed */
  written(): void {
    try {
      this.#options.recorded();
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  /** @throws RecordingFailed */
  write(event: RecordingEvent): void {
    try {
      this.#options.event(event);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  #decision(
    at: number,
    verb: string,
    decided: {
      readonly effect: 'allow' | 'approve' | 'refuse';
      readonly touches: readonly string[];
      readonly rules: readonly RuleRef[];
      readonly refusal?: Pick<Refusal, 'code' | 'message'>;
    },
  ): number {
    const { effect, touches, rules, refusal } = decided;
    this.#acts += 1;
    this.write({
      at,
      code: refusal?.code,
      columnsMasked: [],
      effect,
      message: refusal?.message,
      policyCommit: this.#options.grant().commit,
      relations: [...new Set(touches)],
      rules: rules.map(({ id, file, line, grant }) =>
        grant === undefined ? { file, id, line } : { file, grant, id, line },
      ),
      statement: this.#acts,
      stream: this.#options.stream,
      type: 'decision',
      verbs: [verb],
    });
    return this.#acts;
  }

  #say(line: EvidenceLine): void {
    try {
      this.#options.evidence(line);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }
}

export function verbOf(act: SshAct): string {
  return act.kind === 'file' ? `sftp ${act.operation}` : act.kind;
}
