/** What somebody does on a server, while its channel is still being read; then an entry of the timeline. */
import type { FileRecord } from '../../../recording/formats/file-record.ts';
import { operationEntry } from '../../../replay/operation-entry.ts';
import type { Budget, ReplayLimits } from '../../../replay/replay-limits.ts';
import { MAX_OF_CHANNEL } from '../../../replay/replay-limits.ts';
import type {
  ActKind,
  ApprovalStep,
  ChannelFacts,
  Decision,
  Outcome,
  ServerMessage,
  Statement,
} from '../../../replay/timeline.ts';

/** Steps kept of an approval, and decisions about one act; there are few. */
const MAX_STEPS = 100;

export interface NewAct {
  readonly number: number;
  readonly stream: number;
  readonly at: number;
  readonly kind: ActKind;
  /** Whole. */
  readonly text: string;
  readonly prompt: string | undefined;
  readonly startMs: number;
}

export class OpenAct {
  readonly #new: NewAct;
  readonly #limits: ReplayLimits;
  readonly #decisions: Decision[] = [];
  readonly #approvals: ApprovalStep[] = [];
  #outcome: Outcome | undefined;
  #error: ServerMessage | undefined;
  file: FileRecord | undefined;
  /** Where a forward went. */
  address: string | undefined;

  constructor(act: NewAct, limits: ReplayLimits) {
    this.#new = act;
    this.#limits = limits;
  }

  get number(): number {
    return this.#new.number;
  }

  get kind(): ActKind {
    return this.#new.kind;
  }

  get at(): number {
    return this.#new.at;
  }

  get isRefused(): boolean {
    return this.#decisions.some(({ effect }) => effect === 'refuse');
  }

  decide(decision: Decision): void {
    if (this.#decisions.length < MAX_STEPS) {
      this.#decisions.push(decision);
    }
  }

  /** @returns whether it is kept. */
  approval(step: ApprovalStep): boolean {
    return this.#approvals.length < MAX_STEPS && this.#approvals.push(step) > 0;
  }

  /** The first answer counts. */
  answer(outcome: Outcome): void {
    this.#outcome ??= outcome;
  }

  fail(message: string): void {
    this.answer('failed');
    this.#error ??= {
      severity: 'ERROR',
      sqlState: '',
      message,
      detail: undefined,
      hint: undefined,
      position: undefined,
    };
  }

  finish(endMs: number | undefined, channel: ChannelFacts | undefined): Statement {
    const { kind, text, prompt, ...start } = this.#new;
    const kept = text.slice(0, this.#limits.statementLength);
    return {
      ...operationEntry({ ...start, text, prompt }),
      protocol: kind,
      text: kept,
      decisions: this.#decisions,
      prompt: this.#decisions[0] === undefined ? prompt : this.#decisions[0].prompt,
      approvals: this.#approvals,
      error: this.#error,
      outcome: this.isRefused ? 'denied' : (this.#outcome ?? 'unanswered'),
      endMs,
      ...(channel === undefined ? {} : { channel }),
      ...(this.address === undefined ? {} : { address: this.address }),
      ...(this.file === undefined ? {} : { file: this.file }),
    };
  }
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A channel, with what went over it so far. */
export class OpenChannel {
  readonly channel: number;
  readonly #limits: ReplayLimits;
  readonly #budget: Budget;
  /** What it is for; undefined until it is asked for. */
  act: OpenAct | undefined;
  /** Acts, or undefined for requests that are none, in the order in which they wait for a reply. */
  readonly replies: (OpenAct | undefined)[] = [];
  terminal: ({ readonly term: string } & TerminalSize) | undefined;
  exit: ChannelFacts['exit'];
  /** The gateway has closed it; what it says of the whole may come behind that. */
  closedMs: number | undefined;
  isTold = false;
  /** Variables that the target did not get. */
  dropped: readonly string[] = [];
  readonly #environment: (readonly [string, string])[] = [];
  #input = 0;
  #output = 0;
  #errors = 0;
  readonly #kept: Uint8Array[] = [];
  #keptBytes = 0;
  #isFull = false;

  constructor(channel: number, limits: ReplayLimits, budget: Budget) {
    this.channel = channel;
    this.#limits = limits;
    this.#budget = budget;
  }

  variable(name: string, value: string): void {
    if (this.#environment.length < MAX_OF_CHANNEL) {
      this.#environment.push([name, value]);
    }
  }

  input(data: Uint8Array): void {
    this.#input += data.length;
  }

  output(data: Uint8Array, isError: boolean): void {
    if (isError) {
      this.#errors += data.length;
    } else {
      this.#output += data.length;
    }
    const isForReading = this.act?.kind === 'shell' || this.act?.kind === 'exec' || isError;
    const room = this.#limits.outputLength - this.#keptBytes;
    this.#isFull ||= !isForReading || room <= 0 || this.#budget.left <= 0;
    if (!this.#isFull) {
      // A copy: the piece is a view of what was read.
      const part = data.slice(0, room);
      this.#kept.push(part);
      this.#keptBytes += part.length;
      this.#budget.left -= part.length;
      this.#isFull = part.length < data.length;
    }
  }

  facts(): ChannelFacts {
    // An incomplete character at the cut becomes U+FFFD; what is no UTF-8 does, too.
    const text = new TextDecoder().decode(Buffer.concat(this.#kept));
    const more = this.#output + this.#errors - this.#keptBytes;
    return {
      channel: this.channel,
      terminal: this.terminal,
      environment: this.#environment,
      dropped: this.dropped,
      exit: this.exit,
      input: this.#input,
      output: this.#output,
      errors: this.#errors,
      text,
      more,
    };
  }
}
