/**
 * A recording as a timeline. Works in one pass and keeps only what is still open, so that a
 * session of any length can be printed; what it yields is in the order in which things ended
 * (a statement when its answer is complete), `number` and the times say when they began.
 */

import { ConnectionDecoder } from '../connectors/postgres/replay/connection-decoder.ts';
import { StatementLedger } from '../connectors/postgres/replay/statement-ledger.ts';
import { SshConnection } from '../connectors/ssh/replay/ssh-connection.ts';
import { HoopError } from '../errors.ts';
import { isCut, type PromptLine } from '../recording/prompt.ts';
import {
  type Direction,
  type EvidenceLine,
  outcomeWord,
  type RecordingEvent,
} from '../recording/types.ts';
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

/** What understands the bytes of one connection and the events about it. */
interface Reading {
  up(bytes: Uint8Array, timeMs: number): void;
  down(bytes: Uint8Array, timeMs: number): void;
  event(event: OfConnection, timeMs: number): void;
  /** @returns the number of what shows it; undefined: nothing does. */
  approval(at: number, step: ApprovalStep): number | undefined;
  end(): void;
}

type OfConnection = Extract<
  RecordingEvent,
  { type: 'decision' | 'lookups' | 'result' | 'ssh.channel' | 'ssh.file' }
>;

interface Connection {
  readonly reading: Reading;
  /** Bytes seen; where a message went wrong is not known more exactly. */
  readonly offsets: [up: number, down: number];
  readable: boolean;
}

export function* buildTimeline(
  items: Iterable<RecordedItem>,
  limits: ReplayLimits = REPLAY_LIMITS,
): Generator<TimelineEntry> {
  const timeline = new TimelineBuilder(limits);
  for (const item of items) {
    timeline.take(item);
    yield* timeline.finished();
  }
  timeline.end();
  yield* timeline.finished();
}

/** For whoever is given the items one by one. */
export class TimelineBuilder {
  readonly #limits: ReplayLimits;
  readonly #budget: Budget;
  readonly #connections = new Map<number, Connection>();
  /** Streams that hold frames of connectors/ssh/protocol. */
  readonly #ssh = new Set<number>();
  /** Streams that are not decoded: cancel requests, terminals, and connections that are over. */
  readonly #others = new Set<number>();
  #finished: TimelineEntry[] = [];
  #statements = 0;
  /** Id of the prompt in force. */
  #prompt: string | undefined;
  /** What both sides have signed as the reason of the end. */
  #announced: { readonly reason: string; readonly message: string } | undefined;

  constructor(limits: ReplayLimits) {
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
    const connection = this.#connection(stream);
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

  #connection(stream: number): Connection {
    const known = this.#connections.get(stream);
    if (known) {
      return known;
    }
    if (this.#connections.size + this.#others.size >= MAX_STREAMS) {
      throw new HoopError('HOOP_TOO_LARGE', `recording has more than ${MAX_STREAMS} streams`);
    }
    const reading = this.#ssh.has(stream) ? this.#sshReading(stream) : this.#postgres(stream);
    const connection: Connection = { reading, offsets: [0, 0], readable: true };
    this.#connections.set(stream, connection);
    return connection;
  }

  readonly #nextNumber = (): number => {
    this.#statements += 1;
    return this.#statements;
  };

  #postgres(stream: number): Reading {
    const ledger = new StatementLedger((statement) => this.#add(statement));
    const decoder = new ConnectionDecoder({
      stream,
      limits: this.#limits,
      budget: this.#budget,
      nextNumber: this.#nextNumber,
      prompt: () => this.#prompt,
      onStartup: (parameters, timeMs) =>
        this.#add({
          type: 'connection.open',
          timeMs,
          stream,
          user: parameters.get('user'),
          database: parameters.get('database'),
          application: parameters.get('application_name'),
        }),
      onBegin: (statement) => ledger.begin(statement),
      onEnd: (statement) => ledger.finish(statement),
      onNotice: (notice) => this.#add(notice),
    });
    return {
      up: (bytes, timeMs) => decoder.up(bytes, timeMs),
      down: (bytes, timeMs) => decoder.down(bytes, timeMs),
      event: (event) => {
        if (event.type === 'decision') {
          ledger.decision(event);
        } else if (event.type === 'result') {
          ledger.result(event);
        } else if (event.type === 'lookups') {
          ledger.lookups(event);
        }
      },
      approval: (at, step) => ledger.approval(at, step),
      end: () => {
        decoder.end();
        ledger.end();
      },
    };
  }

  #sshReading(stream: number): Reading {
    const connection = new SshConnection({
      stream,
      limits: this.#limits,
      budget: this.#budget,
      nextNumber: this.#nextNumber,
      prompt: () => this.#prompt,
      onHello: (user, application, timeMs) =>
        this.#add({
          type: 'connection.open',
          timeMs,
          stream,
          user,
          database: undefined,
          application,
        }),
      onEnd: (act) => this.#add(act),
    });
    return {
      up: (bytes, timeMs) => connection.up(bytes, timeMs),
      down: (bytes, timeMs) => connection.down(bytes, timeMs),
      event: (event, timeMs) => {
        if (event.type === 'decision') {
          connection.decision(event, timeMs);
        } else if (event.type === 'result') {
          connection.result(event);
        } else if (event.type === 'ssh.channel') {
          connection.told(event);
        } else if (event.type === 'ssh.file') {
          connection.file(event, timeMs);
        }
      },
      approval: (at, step) => connection.approval(at, step),
      end: () => connection.end(),
    };
  }

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
        if (event.kind === 'cancel' || event.kind === 'terminal') {
          this.#others.add(event.stream);
        } else if (event.kind === 'ssh') {
          this.#ssh.add(event.stream);
        }
        return;
      case 'stream.close':
        this.#closeStream(event, timeMs);
        return;
      case 'target':
      case 'ssh.target':
        this.#add({ ...event, timeMs });
        return;
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
    if (!connection) {
      return;
    }
    connection.reading.end();
    this.#connections.delete(stream);
    this.#ssh.delete(stream);
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
