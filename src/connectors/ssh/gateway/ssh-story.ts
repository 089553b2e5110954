/** What one SSH stream leaves in the record besides its bytes: decisions, results, denials, totals. */

import {
  type HeldEnd,
  type HeldRequest,
  StreamRecord,
  type StreamRecordOptions,
} from '../../../gateway/sessions/stream-record.ts';
import type { Refusal, RuleRef } from '../../../policy/types.ts';
import type { FileRecord } from '../../../recording/file-record.ts';
import type { RecordingEvent } from '../../../recording/types.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { NOT_CARRIED, type NotCarried } from '../protocol/not-carried.ts';

type Allowed = Extract<SshVerdict, { effect: 'allow' }>;
type ChannelEvent = Extract<RecordingEvent, { type: 'ssh.channel' }>;

export class SshStory {
  readonly #options: StreamRecordOptions;
  readonly #record: StreamRecord;
  #acts = 0;

  constructor(options: StreamRecordOptions) {
    this.#options = options;
    this.#record = new StreamRecord(options);
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
    this.#record.say({
      type: 'denied',
      stream,
      at,
      code,
      message,
      detail,
      hint,
      rule: refusal.rule?.id,
    });
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

  held(held: HeldRequest): void {
    this.#record.held(held);
  }

  decided(at: number, request: string, end: HeldEnd): void {
    this.#record.decided(at, request, end);
  }

  /** Before anything goes to the target. @throws RecordingFailed */
  written(): void {
    this.#record.written();
  }

  /** @throws RecordingFailed */
  write(event: RecordingEvent): void {
    this.#record.write(event);
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
}

export function verbOf(act: SshAct): string {
  return act.kind === 'file' ? `sftp ${act.operation}` : act.kind;
}
