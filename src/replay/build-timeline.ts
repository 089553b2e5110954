/**
 * A recording as a timeline. Works in one pass and keeps only what is still open, so that a
 * session of any length can be printed; what it yields is in the order in which things ended
 * (a statement when its answer is complete), `number` and the times say when they began.
 */

import { HoopError } from '../errors.ts';
import { isCut, type PromptLine } from '../recording/formats/prompt.ts';
import { type Direction, outcomeWord, type RecordingEvent } from '../recording/formats/types.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';
import { TERMINAL_STREAM } from '../stream-kinds.ts';
import type { Replays, StreamDecoder } from './connector.ts';
import { EventDecoder } from './event-decoder.ts';
import { type Budget, REPLAY_LIMITS, type ReplayLimits } from './replay-limits.ts';
import type { ApprovalStep, Evidence, Prompt, TimelineEntry } from './timeline.ts';

/** What a recording holds, in the order in which it was written (`SessionReading.timeline()`). */
export type RecordedItem =
  | {
      readonly type: 'data';
      readonly piece: {
        readonly timeMs: number;
        readonly stream: number;
        readonly direction: Direction;
        readonly offset: number;
        readonly bytes: Uint8Array;
      };
    }
  | { readonly type: 'event'; readonly timeMs: number; readonly event: RecordingEvent }
  | { readonly type: 'evidence'; readonly timeMs: number; readonly line: EvidenceLine };

/** Stream 0 is evidence, which comes as lines of its own. */
const CONTROL_STREAM = 0;
/** A session has few connections at a time; over its life there may be many. */
const MAX_STREAMS = 100_000;

interface Connection {
  readonly reading: StreamDecoder;
  /** Bytes seen; where a message went wrong is not known more exactly. */
  readonly offsets: [up: number, down: number];
  readable: boolean;
}

export function* buildTimeline(
  items: Iterable<RecordedItem>,
  replays: Replays,
  limits: ReplayLimits = REPLAY_LIMITS,
): Generator<TimelineEntry> {
  const timeline = new TimelineBuilder(replays, limits);
  for (const item of items) {
    timeline.take(item);
    yield* timeline.finished();
  }
  timeline.end();
  yield* timeline.finished();
}

/** For whoever is given the items one by one. */
export class TimelineBuilder {
  readonly #replays: Replays;
  readonly #limits: ReplayLimits;
  readonly #budget: Budget;
  readonly #connections = new Map<number, Connection>();
  /** Of streams that have sent nothing yet. */
  readonly #kinds = new Map<number, string>();
  /** Streams that are not decoded: cancel requests, terminals, and connections that are over. */
  readonly #others = new Set<number>();
  #finished: TimelineEntry[] = [];
  #statements = 0;
  /** Id of the prompt in force. */
  #prompt: string | undefined;
  /** What both sides have signed as the reason of the end. */
  #announced: { readonly reason: string; readonly message: string } | undefined;

  constructor(replays: Replays, limits: ReplayLimits) {
    this.#replays = replays;
    this.#limits = limits;
    this.#budget = { left: limits.keptLength };
  }

  finished(): TimelineEntry[] {
    const finished = this.#finished;
    if (finished.length > 0) {
      this.#finished = [];
    }
    return finished;
  }

  take(item: RecordedItem): void {
    switch (item.type) {
      case 'data':
        this.#data(item.piece);
        return;
      case 'event':
        this.#event(item.event, item.timeMs);
        return;
      case 'evidence':
        this.#evidence(item.line, item.timeMs);
        return;
    }
  }

  end(): void {
    for (const { reading } of this.#connections.values()) {
      reading.end();
    }
    this.#connections.clear();
  }

  #add(entry: TimelineEntry): void {
    this.#finished.push(entry);
  }

  #data(piece: Extract<RecordedItem, { type: 'data' }>['piece']): void {
    const { stream, direction, bytes, timeMs } = piece;
    if (stream === CONTROL_STREAM || this.#others.has(stream)) {
      return;
    }
    const connection = this.#connection(stream, timeMs);
    if (connection === undefined) {
      return;
    }
    const offset = connection.offsets[direction];
    connection.offsets[direction] += bytes.length;
    if (!connection.readable) {
      return;
    }
    try {
      if (direction === 0) {
        connection.reading.up(bytes, timeMs);
      } else {
        connection.reading.down(bytes, timeMs);
      }
    } catch (error) {
      if (!(error instanceof HoopError)) {
        throw error;
      }
      connection.readable = false;
      connection.reading.end();
      const { message } = error;
      const side = direction === 0 ? 'up' : 'down';
      this.#add({ type: 'unreadable', timeMs, stream, direction: side, offset, message });
    }
  }

  /** @returns undefined: it is not decoded */
  #connection(stream: number, timeMs: number): Connection | undefined {
    const known = this.#connections.get(stream);
    if (known) {
      return known;
    }
    if (this.#connections.size + this.#others.size >= MAX_STREAMS) {
      throw new HoopError('HOOP_TOO_LARGE', `recording has more than ${MAX_STREAMS} streams`);
    }
    const kind = this.#kinds.get(stream);
    this.#kinds.delete(stream);
    const connector = this.#replays.get(kind ?? '');
    const unreadable = { type: 'unreadable', timeMs, stream, direction: 'up', offset: 0 } as const;
    if (kind === undefined) {
      this.#others.add(stream);
      this.#add({ ...unreadable, message: 'nothing says what it is' });
      return undefined;
    }
    const context = {
      stream,
      limits: this.#limits,
      budget: this.#budget,
      nextNumber: this.#nextNumber,
      prompt: () => this.#prompt,
      emit: (entry: TimelineEntry) => this.#add(entry),
    };
    const reading =
      connector === undefined
        ? new EventDecoder(context, { ...unreadable, message: `hoop cannot read "${kind}"` })
        : connector.open(kind, context);
    if (reading === undefined) {
      this.#others.add(stream);
      return undefined;
    }
    const connection: Connection = { reading, offsets: [0, 0], readable: true };
    this.#connections.set(stream, connection);
    return connection;
  }

  readonly #nextNumber = (): number => {
    this.#statements += 1;
    return this.#statements;
  };

  #event(event: RecordingEvent, timeMs: number): void {
    switch (event.type) {
      case 'session.open': {
        this.#add({ ...event, timeMs });
        return;
      }
      case 'session.close':
        // Whatever is still open ends before the session does.
        this.end();
        this.#add({
          type: event.type,
          timeMs,
          reason: event.reason,
          message: event.message,
          isAnnounced:
            this.#announced?.reason === event.reason && this.#announced.message === event.message,
        });
        return;
      case 'stream.open':
        if (event.kind === TERMINAL_STREAM) {
          this.#others.add(event.stream);
        } else {
          this.#kinds.set(event.stream, event.kind);
        }
        return;
      case 'stream.close':
        this.#closeStream(event, timeMs);
        return;
      case 'target':
      case 'ssh.target':
        this.#add({ ...event, timeMs });
        return;
      case 'approval.held':
      case 'decision':
      case 'lookups':
      case 'result':
      case 'ssh.channel':
      case 'ssh.file':
        this.#connections.get(event.stream)?.reading.event(event, timeMs);
        return;
      case 'access':
      case 'cancel':
      case 'dispute':
        this.#add({ ...event, timeMs });
        return;
    }
  }

  #evidence(line: EvidenceLine, timeMs: number): void {
    if (line.type === 'prompt') {
      this.#prompt = line.id;
      this.#add(promptEntry(line, timeMs));
      return;
    }
    if (line.type === 'closing') {
      this.#announced = { reason: line.reason, message: line.message };
    }
    const step = approvalStep(line, timeMs);
    const statement =
      step === undefined
        ? undefined
        : this.#connections.get(step.stream)?.reading.approval(step.at, step.step);
    this.#add({ ...evidence(line, timeMs), statement });
  }

  #closeStream(event: Extract<RecordingEvent, { type: 'stream.close' }>, timeMs: number): void {
    const { stream, reason, up, down } = event;
    const connection = this.#connections.get(stream);
    this.#kinds.delete(stream);
    if (!connection) {
      return;
    }
    connection.reading.end();
    this.#connections.delete(stream);
    this.#others.add(stream);
    this.#add({ type: 'connection.close', timeMs, stream, reason, up, down });
  }
}

function approvalStep(
  line: EvidenceLine,
  timeMs: number,
): { readonly stream: number; readonly at: number; readonly step: ApprovalStep } | undefined {
  switch (line.type) {
    case 'held': {
      const { type, stream, at, request, message, approvers, waits } = line;
      return { stream, at, step: { type, timeMs, request, message, approvers, waits } };
    }
    case 'decided': {
      const { type, stream, at, request, outcome, by, message } = line;
      return { stream, at, step: { type, timeMs, request, outcome, by, message } };
    }
    default:
      return undefined;
  }
}

function evidence(
  line: Exclude<EvidenceLine, { type: 'prompt' }>,
  timeMs: number,
): Omit<Evidence, 'statement'> {
  switch (line.type) {
    case 'reason':
      return { ...none, timeMs, kind: 'reason', message: line.text };
    case 'denied':
      return {
        type: 'evidence',
        timeMs,
        kind: 'denied',
        stream: line.stream,
        code: line.code,
        message: line.message,
      };
    case 'access':
      return { ...none, timeMs, kind: 'access', code: line.grant, message: line.message };
    case 'held':
    case 'decided': {
      const { stream, request } = line;
      return {
        type: 'evidence',
        timeMs,
        kind: line.type,
        stream,
        code: request,
        message: said(line),
      };
    }
    case 'closing':
      return { ...none, timeMs, kind: 'closing', code: line.reason, message: line.message };
  }
}

function promptEntry(line: PromptLine, timeMs: number): Prompt {
  const { type, id, source, text, bytes, sha256, sentMs, parent } = line;
  return { type, timeMs, id, source, text, bytes, sha256, isCut: isCut(line), sentMs, parent };
}

function said(line: Extract<EvidenceLine, { type: 'held' | 'decided' }>): string {
  if (line.type === 'held') return `${line.message}; by ${line.approvers}`;
  const by = line.by.length > 0 ? ` by ${line.by.join(', ')}` : '';
  const why = line.message === undefined ? '' : `: ${line.message}`;
  return `request ${line.request} ${outcomeWord(line.outcome)}${by}${why}`;
}

const none = { type: 'evidence', stream: undefined, code: undefined } as const;
