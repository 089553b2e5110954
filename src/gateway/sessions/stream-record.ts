/**
 * What any stream of a session leaves in the record besides its bytes, whatever its protocol: events
 * and lines of stream 0, and among them how an approval went. pg/stream-story.ts and ssh/ssh-story.ts
 * know what to write about a statement, and about an act on a server.
 */
import type { ApprovalDemand, Grant } from '../../policy/types.ts';
import type { ApprovalOutcome, EvidenceLine, RecordingEvent } from '../../recording/types.ts';
import { approversText, needsOf } from '../approvals/approval-refusal.ts';
import type { ApprovalStanding, AskedApproval } from '../approvals/asked-approval.ts';

/** The record could not be written: nothing more may be forwarded. Wraps what the recorder threw. */
export class RecordingFailed extends Error {
  constructor(cause: unknown) {
    super('the recording cannot be written', { cause });
    this.name = 'RecordingFailed';
  }
}

export interface StreamRecordOptions {
  readonly stream: number;
  readonly grant: () => Grant;
  readonly event: (event: RecordingEvent) => void;
  readonly evidence: (line: EvidenceLine) => void;
  readonly recorded: () => void;
}

/** Something waits for a person, or is to be asked for again after approval. */
export interface HeldRequest {
  readonly at: number;
  readonly asked: AskedApproval;
  readonly demands: readonly ApprovalDemand[];
  /** In words. */
  readonly message: string;
}

export interface HeldEnd {
  readonly votes: ApprovalStanding['votes'];
  readonly outcome: ApprovalOutcome;
  readonly message?: string | undefined;
}

export class StreamRecord {
  readonly #options: StreamRecordOptions;

  constructor(options: StreamRecordOptions) {
    this.#options = options;
  }

  /** @throws RecordingFailed */
  write(event: RecordingEvent): void {
    try {
      this.#options.event(event);
    } catch (error) {
      throw new RecordingFailed(error);
    }
  }

  /** @throws RecordingFailed */
  say(line: EvidenceLine): void {
    try {
      this.#options.evidence(line);
    } catch (error) {
      throw new RecordingFailed(error);
    }
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
  held({ at, asked, demands, message }: HeldRequest): void {
    const { stream } = this.#options;
    const { id: request, binding, waits, waitsUntilMs } = asked;
    const needs = needsOf(demands);
    const policyCommit = this.#options.grant().commit;
    this.write({
      type: 'approval.held',
      ...{ stream, at, request, needs, waits, waitsUntilMs, binding, policyCommit },
    });
    const until = new Date(waitsUntilMs).toISOString();
    const approvers = approversText({ demands });
    this.say({ type: 'held', stream, at, request, message, approvers, waits, until });
  }

  /** What became of it, with everybody's word. @throws RecordingFailed */
  decided(at: number, request: string, { votes, outcome, message }: HeldEnd): void {
    const { stream } = this.#options;
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
    const counting = votes.filter(({ decision }) => decision === counted);
    const by = counting.map((vote) => vote.by.name);
    const said = message ?? reasonsOf(counting);
    this.say({ type: 'decided', stream, at, request, outcome, by, message: said });
  }
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
