/**
 * What a stream leaves in the record of the operations that it decides about, whatever they are:
 * decisions, denials and results, numbered in their order.
 */
import type { Refusal, RuleRef } from '../../policy/types.ts';
import type { EvidenceLine, RecordingEvent } from '../../recording/types.ts';
import { StreamRecord, type StreamRecordOptions } from './stream-record.ts';

type Decision = Extract<RecordingEvent, { type: 'decision' }>;

interface Allowed {
  /** The rules that allow it. */
  readonly rules: readonly RuleRef[];
  /** Those that ask for approval first; none: it may happen at once. */
  readonly approvals?: readonly { readonly rule: RuleRef }[] | undefined;
  /** Names of what it touches. */
  readonly touches: readonly string[];
}

export class OperationRecord extends StreamRecord {
  readonly stream: number;
  readonly #policyCommit: () => string;
  #decided = 0;

  constructor(options: StreamRecordOptions) {
    super(options);
    this.stream = options.stream;
    this.#policyCommit = () => options.grant().commit;
  }

  /** @param verb what kind of operation it is @returns its number, for `finished` */
  allowed(at: number, verb: string, { rules, approvals = [], touches }: Allowed): number {
    const effect = approvals.length > 0 ? 'approve' : 'allow';
    return this.#decision({ at, verb, effect, touches, rules: rulesOf(rules, approvals) });
  }

  refused(at: number, verb: string, refusal: Refusal, touches: readonly string[]): void {
    const rules = refusal.rule === undefined ? [] : rulesOf([refusal.rule]);
    this.#decision({ at, verb, effect: 'refuse', touches, rules, refusal });
    this.say(deniedLine(this.stream, at, refusal));
  }

  /** It was refused where it was asked for, and both sides know: nobody is told again. */
  refusedThere(at: number, verb: string, message: string): void {
    const refusal = { code: 'HOOP_DENIED', message } as const;
    this.#decision({ at, verb, effect: 'refuse', touches: [], rules: [], refusal });
  }

  /** @param how "exit 0", "OK": what became of it, in words */
  finished(at: number, statement: number, how: string | undefined): void {
    this.write({
      at,
      detected: {},
      maskedValues: 0,
      rows: 0,
      sqlState: undefined,
      statement,
      stream: this.stream,
      tag: how,
      type: 'result',
    });
  }

  #decision(decided: {
    readonly at: number;
    readonly verb: string;
    readonly effect: Decision['effect'];
    readonly touches: readonly string[];
    readonly rules: Decision['rules'];
    readonly refusal?: Pick<Refusal, 'code' | 'message'>;
  }): number {
    const { at, verb, effect, touches, rules, refusal } = decided;
    this.#decided += 1;
    this.write({
      at,
      code: refusal?.code,
      columnsMasked: [],
      effect,
      message: refusal?.message,
      policyCommit: this.#policyCommit(),
      relations: [...new Set(touches)],
      rules,
      statement: this.#decided,
      stream: this.stream,
      type: 'decision',
      verbs: [verb],
    });
    return this.#decided;
  }
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

/** For stream 0: both sides sign what was refused, and why. */
export function deniedLine(stream: number, at: number, refusal: Refusal): EvidenceLine {
  const { code, message, detail, hint, rule } = refusal;
  return { type: 'denied', stream, at, code, message, detail, hint, rule: rule?.id };
}
