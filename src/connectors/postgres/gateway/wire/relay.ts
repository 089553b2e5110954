/** The two loops of a stream: chunk in, messages through one side of the engine, one write out. */

import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MessageScanner } from '../../protocol/message-scanner.ts';
import { TargetSide } from '../target/target-side.ts';
import type { ChunkReader } from './chunk-reader.ts';
import { ClientSide } from './client-side.ts';
import type { Collector } from './collector.ts';
import type { StreamState } from './stream-state.ts';
import { tooLargeToRead } from './too-large.ts';

/**
 * Longest that one client may keep the thread, milliseconds. A pipeline of small statements whose
 * verdicts are known is all microtasks: without a pause everyone else waits for the end of a chunk.
 */
const TURN_MS = 4;

/**
 * Relays what the client sends until it says Terminate or there is no more.
 * @param rest bytes that came with the startup packet.
 * @throws HoopError for messages that are not understood; StreamEnded; RecordingFailed.
 */
export async function relayClient(
  state: StreamState,
  source: {
    readonly reader: ChunkReader;
    readonly rest: Uint8Array;
    readonly at: number;
    readonly collector: Collector;
  },
): Promise<'terminated' | 'ended'> {
  const { collector } = source;
  const side = new ClientSide(state, source);
  const scanner = new MessageScanner({
    decide: (type, bodyLength) => side.decide(type, bodyLength),
    maxWholeLength: state.options.target.maxMessageBytes,
  });
  let turnEnds = 0;
  let lastAt = 0;
  let chunk: Uint8Array | undefined = source.rest;
  for (; chunk !== undefined; chunk = await source.reader.next()) {
    scanner.feed(chunk);
    collector.moved(chunk.length);
    const now = performance.now();
    state.receivedAt = now;
    // Between the two it has waited, and everyone else had their turn.
    if (now - lastAt > 1) turnEnds = now + TURN_MS;
    for (let item = scanner.next(); item !== undefined; item = scanner.next()) {
      const isLarge = item.kind === 'message' && collector.isHolding;
      if (isLarge) collector.handled(() => state.toClient.waitingSince);
      const handled = side.handle(item);
      const end = handled instanceof Promise ? await handled : handled;
      if (isLarge) {
        // Until the target has taken it, it is in memory; how much it has taken cannot be seen.
        collector.goesOut();
        collector.moved(item.bytes.length);
        await state.toTarget.flush();
        collector.done();
      }
      if (end === undefined && performance.now() < turnEnds) continue;
      await state.toTarget.flush();
      if (end !== undefined) return end;
      await nextTurn();
      turnEnds = performance.now() + TURN_MS;
    }
    const drained = state.toTarget.flushSoon();
    if (drained !== undefined) await drained;
    const granted = collector.collects(scanner.collecting);
    if (granted !== undefined) await granted;
    lastAt = performance.now();
  }
  await state.toTarget.flush();
  return 'ended';
}

/** Relays what the target sends, as long as the client reads, and others have their turn. */
export class TargetRelay {
  readonly #state: StreamState;
  readonly #scanner: MessageScanner;
  readonly #closed = Promise.withResolvers<void>();
  /** Bytes of a passing message that are still to come: an own message must not go in between. */
  #passing = 0;
  #turnEnd: NodeJS.Immediate | undefined;
  readonly #turns: ReadTurns;
  /** Messages since it looked at the clock. */
  #unseen = 0;
  readonly #fullRead: number;
  #stopping: (() => void) | undefined;
  #isStopped = false;
  /** What has come is not dealt with: an answer of the target waits for the store, or another thread. */
  #isWaiting = false;
  /** The target has closed behind it. */
  #closesBehind = false;
  readonly #side: TargetSide;
  readonly #collector: Collector;

  constructor(state: StreamState) {
    this.#state = state;
    this.#collector = this.collector();
    const side = new TargetSide(state, this.#collector);
    this.#side = side;
    const { maxMessageBytes } = state.options.target;
    this.#scanner = new MessageScanner({
      decide: (type, bodyLength) => {
        const handling = this.#stopping === undefined ? side.decide(type) : 'whole';
        if (handling === 'pass') this.#passing += bodyLength + HEADER_LENGTH;
        else if (bodyLength > maxMessageBytes)
          throw tooLargeToRead(type, bodyLength, maxMessageBytes);
        return handling;
      },
      run: (bytes) => this.#run(bytes),
      maxWholeLength: maxMessageBytes,
    });
    const { socket, tls } = state.target;
    this.#fullRead = tls ? FULL_RECORD : FULL_READ;
    this.#turns = new ReadTurns(socket, TURN_MS);
    socket.on('data', (chunk: Uint8Array) => this.#relay(chunk));
    const closed = (): void => this.#targetClosed();
    socket.on('end', closed).on('close', closed);
  }

  /** Resolves when the target has closed; rejects with what made it impossible to go on. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** For one direction of this stream, which ends when it must give way. */
  collector(): Collector {
    const { options, ended } = this.#state;
    const owner = options.owner ?? this.#state;
    return options.collected.collector(owner, ended.signal, (error) => this.#fail(error));
  }

  /** Resolves when the client has got whole messages only; nothing follows them any more. */
  stopAtBoundary(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#stopping = resolve;
    this.#side.isStopping = true;
    if (this.#passing === 0 && !this.#side.isWithin) {
      // What this turn has brought is still in hand, the end of a message of which the client has
      // the beginning among it.
      this.#flush();
      this.#stop();
    }
    return promise;
  }

  #relay(chunk: Uint8Array): void {
    if (this.#isStopped) return;
    try {
      this.#turns.chunk();
      this.#scanner.feed(chunk);
      this.#collector.moved(chunk.length);
      this.#handle(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Rows that are masked where they lie. @returns 0: the next one comes by itself, in another turn. */
  #run(bytes: Uint8Array): number {
    if (this.#turns.isOver) {
      this.#unseen = LOOK_EVERY;
      return 0;
    }
    return this.#side.run(bytes.length > LONGEST_RUN ? bytes.subarray(0, LONGEST_RUN) : bytes);
  }

  /** What is left of the chunk, as far as it gets in this turn. */
  #handle(chunk: Uint8Array): void {
    const { trials } = this.#state;
    this.#unseen = 0;
    for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
      if (item.kind === 'pass') this.#passing -= item.bytes.length;
      else if (this.#stopping !== undefined) break;
      if (item.kind === 'message') this.#collector.came();
      const waiting = this.#side.handle(item) ?? trials.waiting;
      if (waiting !== undefined) {
        this.#waitFor(waiting, chunk);
        return;
      }
      if (item.kind === 'message') this.#collector.done();
      this.#unseen += 1;
      if (this.#unseen < LOOK_EVERY) continue;
      this.#unseen = 0;
      if (this.#turns.isOver) {
        this.#waitFor(nextTurn(), chunk);
        return;
      }
    }
    const granted = this.#collector.collects(this.#scanner.collecting);
    if (granted !== undefined) {
      this.#waitFor(granted, chunk);
      return;
    }
    if (this.#stopping !== undefined && this.#passing === 0) this.#stop();
    // A full read: there is likely more in this turn, and what follows costs per piece.
    const isFull = chunk.length >= this.#fullRead && this.#state.toClient.length < LARGEST_PIECE;
    if (!isFull || this.#isStopped) this.#flush();
    else this.#turnEnd ??= setImmediate(() => this.#flush());
  }

  /** Nothing is read meanwhile, so what the target sends next waits in the kernel. */
  #waitFor(answered: Promise<void>, chunk: Uint8Array): void {
    this.#isWaiting = true;
    const goOn = this.#turns.pause();
    this.#flush();
    answered
      .then(() => {
        this.#isWaiting = false;
        // What it waited for was the handling of a whole message, or memory for one.
        if (this.#scanner.collecting === 0) this.#collector.done();
        this.#turns.begin();
        if (!this.#isStopped) this.#handle(chunk);
        goOn();
        if (this.#closesBehind) this.#targetClosed();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #targetClosed(): void {
    if (this.#isWaiting) {
      this.#closesBehind = true;
      return;
    }
    this.#flush();
    this.#closed.resolve();
  }

  #flush(): void {
    clearImmediate(this.#turnEnd);
    this.#turnEnd = undefined;
    const { toClient } = this.#state;
    try {
      const drained = toClient.flush();
      if (drained === undefined) return;
      // The client reads slowly: what the target sends next waits in the kernel.
      const goOn = this.#turns.pause();
      drained.then(goOn, (error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  #stop(): void {
    this.#isStopped = true;
    this.#stopping?.();
  }

  #fail(error: unknown): void {
    this.#isStopped = true;
    this.#closed.reject(error);
  }
}

const HEADER_LENGTH = 5;
/** A chunk can have 13,000 messages; what a few of them take need not be measured. */
const LOOK_EVERY = 16;
/** Bytes of rows that are masked before it looks at the clock. */
const LONGEST_RUN = 64 * 1024;
/** What a read of somebody who sends much may be cut to (`read-arena.ts`). */
const FULL_READ = 40 * 1024;
/** What PostgreSQL sends at once, and so makes one record of TLS: PQ_SEND_BUFFER_SIZE. */
const FULL_RECORD = 8 * 1024;
/** Pieces of so much are not made larger. */
const LARGEST_PIECE = 192 * 1024;

/**
 * Lets others have their turn while one socket has much to say: Node reads up to 2 MB of it before
 * anybody else, and 20,000 errors of a target in them take a second.
 */
export class ReadTurns {
  readonly #socket: Pick<Readable, 'pause' | 'resume'>;
  readonly #turnMs: number;
  /** When this turn of the event loop began for it; undefined: it has done nothing in it yet. */
  #began: number | undefined;
  /** Why nothing is read now: somebody is slow, or others have their turn. */
  #pauses = 0;

  constructor(socket: Pick<Readable, 'pause' | 'resume'>, turnMs: number) {
    this.#socket = socket;
    this.#turnMs = turnMs;
  }

  /** Call for each chunk: one that comes too late in a turn is the last of it. */
  chunk(): void {
    if (this.#began === undefined) this.begin();
    else if (this.isOver) setImmediate(this.pause());
  }

  /** Call before anything is done in a turn. */
  begin(): void {
    if (this.#began !== undefined) return;
    this.#began = performance.now();
    setImmediate(() => {
      this.#began = undefined;
    });
  }

  /** Others have waited long enough in this turn. */
  get isOver(): boolean {
    return this.#began !== undefined && performance.now() - this.#began > this.#turnMs;
  }

  /** @returns to be called once, when what it waits for is over */
  pause(): () => void {
    this.#pauses += 1;
    this.#socket.pause();
    return () => {
      this.#pauses -= 1;
      if (this.#pauses === 0) this.#socket.resume();
    };
  }
}
