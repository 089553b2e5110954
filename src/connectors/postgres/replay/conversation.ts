/**
 * What both halves of a recorded conversation share: the names in force, and a queue of what was
 * asked and is not answered yet. The server answers in the order of the requests, so this one
 * queue tells which answer belongs to which statement: a Query until its ReadyForQuery, and in
 * the extended protocol each Parse, Bind, Describe, Execute and Close until its own reply.
 * https://www.postgresql.org/docs/current/protocol-flow.html
 */
import { ProtocolError } from '../../../errors.ts';
import {
  type Budget,
  MAX_NAMES,
  MAX_PENDING,
  type ReplayLimits,
} from '../../../replay/replay-limits.ts';
import type { Notice, Outcome, ServerMessage, Statement } from '../../../replay/timeline.ts';
import { type DecodeText, decoderFor } from './client-encoding.ts';
import { OpenStatement, type Portal, type Prepared } from './open-statement.ts';

export interface ConversationOptions {
  readonly stream: number;
  readonly limits: ReplayLimits;
  readonly budget: Budget;
  /** The number of the next statement of the session. */
  readonly nextNumber: () => number;
  /** Id of the prompt in force, by the place in the recording. */
  readonly prompt: () => string | undefined;
  readonly onStartup: (parameters: ReadonlyMap<string, string>, timeMs: number) => void;
  /** The statement has its place; it goes on changing until `onEnd`. */
  readonly onBegin: (statement: OpenStatement) => void;
  readonly onEnd: (statement: OpenStatement) => void;
  readonly onNotice: (notice: Notice) => void;
}

/** What was asked and is not answered yet. */
export type Pending =
  | { readonly type: 'query'; readonly statement: OpenStatement }
  | { readonly type: 'function'; readonly statement: OpenStatement }
  | {
      readonly type: 'execute';
      readonly statement: OpenStatement;
      readonly portal: Portal | undefined;
    }
  | { readonly type: 'parse'; readonly prepared: Prepared }
  | { readonly type: 'bind'; readonly portal: Portal }
  | {
      readonly type: 'describe';
      readonly prepared: Prepared | undefined;
      readonly portal: Portal | undefined;
    }
  | { readonly type: 'close' }
  /** `parses`: those since the Sync before; the ones without a run become entries of their own. */
  | { readonly type: 'sync'; readonly parses: readonly Prepared[] };

/** Where and when a message of the client began. */
export interface Place {
  /** Offset in the up stream. */
  readonly at: number;
  readonly timeMs: number;
}

export class Conversation {
  readonly options: ConversationOptions;
  readonly prepared = new Map<string, Prepared>();
  readonly portals = new Map<string, Portal>();
  /** Parse messages since the last Sync. */
  parses: Prepared[] = [];
  /** After an error in the extended protocol whose Sync has not come yet. */
  skipping = false;
  /** The server takes COPY data. */
  copying = false;
  #decode: DecodeText = decoderFor('UTF8');
  #pending: Pending[] = [];
  /** Moves instead of the items, so that answering is not quadratic. */
  #head = 0;

  constructor(options: ConversationOptions) {
    this.options = options;
  }

  get decode(): DecodeText {
    return this.#decode;
  }

  /** @param encoding as in client_encoding. */
  readAs(encoding: string): void {
    this.#decode = decoderFor(encoding);
  }

  /**
   * @param latin1 one character per byte: names stay so, that no two become one; what people
   *   read is decoded here.
   */
  text(latin1: string): string {
    const { statementLength } = this.options.limits;
    const bytes = Buffer.from(latin1.slice(0, statementLength * 4), 'latin1');
    return this.#decode(bytes).slice(0, statementLength);
  }

  // ------------------------------------------------------------------ the queue

  ask(pending: Pending): void {
    if (this.#pending.length - this.#head >= MAX_PENDING) {
      throw new ProtocolError(`more than ${MAX_PENDING} requests without an answer`);
    }
    this.#pending.push(pending);
  }

  get front(): Pending | undefined {
    return this.#pending[this.#head];
  }

  shift(): Pending | undefined {
    const pending = this.front;
    this.#head += 1;
    if (this.#head > 1024 && this.#head * 2 > this.#pending.length) {
      this.#pending = this.#pending.slice(this.#head);
      this.#head = 0;
    }
    return pending;
  }

  /** The server ignores a Sync that it reads while it takes COPY data. */
  dropSyncsBehindFront(): void {
    while (this.#pending[this.#head + 1]?.type === 'sync') {
      this.#pending.splice(this.#head + 1, 1);
    }
  }

  /** The bytes end here. Whatever is still open was never answered. */
  end(): void {
    for (const pending of this.#pending.slice(this.#head)) {
      if ('statement' in pending) {
        pending.statement.end(pending.statement.error ? 'failed' : 'unanswered', undefined);
        this.options.onEnd(pending.statement);
      } else if (pending.type === 'sync') {
        this.showUnused(pending.parses, undefined);
      }
    }
    this.showUnused(this.parses, undefined);
    this.#pending = [];
    this.#head = 0;
    this.parses = [];
  }

  // ------------------------------------------------------------------ entries

  begin(
    protocol: Statement['protocol'],
    text: { readonly shown: string; readonly length: number },
    { at, timeMs }: Place,
    origin: ConstructorParameters<typeof OpenStatement>[1] = {},
    prompt: () => string | undefined = this.options.prompt,
  ): OpenStatement {
    const { stream, nextNumber, onBegin } = this.options;
    const statement = new OpenStatement(
      {
        number: nextNumber(),
        stream,
        at,
        protocol,
        text: text.shown,
        textLength: text.length,
        prompt: prompt(),
        startMs: timeMs,
      },
      origin,
    );
    onBegin(statement);
    return statement;
  }

  finish(statement: OpenStatement, outcome: Outcome, timeMs: number | undefined): void {
    statement.end(outcome, timeMs);
    this.options.onEnd(statement);
  }

  showUnused(parses: readonly Prepared[], timeMs: number | undefined): void {
    for (const prepared of parses) {
      if (prepared.runs === 0) {
        this.showPrepared(prepared, timeMs === undefined ? 'unanswered' : 'prepared', timeMs);
      }
    }
  }

  /** An entry for a Parse that has no run to be shown with. */
  showPrepared(prepared: Prepared, outcome: Outcome, timeMs: number | undefined): void {
    const text = { shown: prepared.text, length: prepared.textLength };
    const place = { at: prepared.at, timeMs: prepared.startMs };
    const statement = this.begin('extended', text, place, { prepared }, () => prepared.prompt);
    statement.error = prepared.error;
    prepared.runs += 1;
    this.finish(statement, outcome, timeMs);
  }

  notice(message: ServerMessage, timeMs: number): void {
    this.options.onNotice({ type: 'notice', timeMs, stream: this.options.stream, message });
  }
}

/** @throws ProtocolError when one connection has more names than any honest one. */
export function remember<Value>(names: Map<string, Value>, name: string, value: Value): void {
  if (names.size >= MAX_NAMES && !names.has(name)) {
    throw new ProtocolError(`more than ${MAX_NAMES} names on one connection`);
  }
  names.set(name, value);
}
