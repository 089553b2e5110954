/**
 * One local connection of a session, at the gateway: from its first packet to its end.
 *
 *     client (psql, through CLI and tunnel)   gateway                       target
 *       StartupMessage ──────────────────────▶ database, options allowed?
 *                                              StartupMessage, credential ──▶
 *       AuthenticationOk … ReadyForQuery ◀──── (a cancel key of our own) ◀── ReadyForQuery
 *
 *       Parse, Query ────────────────────────▶ decide ── allowed: as it came ──▶
 *                                                     └─ refused: a syntax error with a nonce ──▶
 *       Bind, Execute ───────────────────────▶ still as decided? ── or a portal that is not there ──▶
 *       Describe, Close, Sync, CopyData … ───▶ in line ──▶
 *                                              (own Flush before any wait, own probe, own Describe)
 *
 *       ErrorResponse: the refusal ◀────────── the one with the nonce ◀────── ErrorResponse
 *       RowDescription ◀────────────────────── agrees with the lineage? ◀──── RowDescription
 *       DataRow ◀───────────────────────────── as it came, or masked ◀─────── DataRow
 *       all other answers ◀─────────────────── confirm names and settings ◀── all other answers
 *
 * The order of answers and the state of transactions always come from the target. client-side.ts
 * and target-side.ts are the two directions, stream-state.ts is what they share.
 */

import { HoopError, ProtocolError } from '../../../../errors.ts';
import { RecordingFailed } from '../../../../gateway/audit/stream-audit.ts';
import type { StreamEnd } from '../../../../gateway/connector.ts';
import { decodeCancelPosition } from '../../../../protocol/carrier/cancel-position.ts';
import { doneOrAborted, untilAborted, withinTime } from '../../../../until.ts';
import type { SqlRefusal } from '../../policy/facts/types.ts';
import type { CancelRequest, StartupMessage } from '../../protocol/startup-packet.ts';
import { SQL_STATE } from '../../sql-state.ts';
import { tellEnded } from '../audit/statement-audit.ts';
import { ServerRefusal } from '../refusals/server-refusal.ts';
import { runOf } from '../statements/confirmations.ts';
import type { Entry } from '../statements/pending-queue.ts';
import { connectTarget, type TargetConnection } from '../target/target-connection.ts';
import type { PostgresStreamOptions } from '../types.ts';
import { ChunkReader } from './chunk-reader.ts';
import {
  type FirstPacket,
  greet,
  LOGGED_IN,
  readFirstPacket,
  refuseStartup,
  sessionParameters,
  startupSettings,
} from './client-startup.ts';
import { relayClient, TargetRelay } from './relay.ts';
import { StreamEnded } from './stream-ended.ts';
import { StreamState } from './stream-state.ts';
import { type NativeError, toErrorResponse } from './to-error-response.ts';

/** The CLI opens a stream when its client has logged in, and sends the first packet with it. */
const STARTUP_WITHIN_MS = 10_000;
/** How long either side may take to follow when the stream ends. */
const CLOSE_TIMEOUT_MS = 1000;
/**
 * A client that left without Terminate: what it started has this long, so that a short statement of
 * a program that does not wait ends as it does without a gateway. Then it is cancelled.
 */
const LEFT_MS = 500;

/**
 * Serves one tunnel stream and returns when both sides are closed.
 * @throws what could not be recorded threw; a fault of the
 *   gateway itself. Everything else has been told to the client and is in `reason`.
 */
export async function servePostgresStream(options: PostgresStreamOptions): Promise<StreamEnd> {
  const stream = new PostgresStream(options);
  try {
    return { reason: await stream.serve() };
  } catch (error) {
    if (error instanceof RecordingFailed) throw error.cause;
    if (error instanceof StreamEnded) return { reason: error.message };
    const reason = options.signal.aborted ? endOfSession(options.signal) : error;
    const isLoggedIn = reason instanceof HoopError && isOfLoggedIn(reason);
    await stream.sayFatal(reason instanceof HoopError ? reason : INTERNAL_FAULT, { isLoggedIn });
    if (reason instanceof HoopError) return { reason: reason.message, problem: reason };
    throw error;
  } finally {
    await stream.close();
  }
}

class PostgresStream {
  readonly #options: PostgresStreamOptions;
  readonly #reader: ChunkReader;
  readonly #ended = new AbortController();
  readonly #clientGone = Promise.withResolvers<void>();
  #state: StreamState | undefined;
  #relay: TargetRelay | undefined;

  constructor(options: PostgresStreamOptions) {
    this.#options = options;
    this.#reader = new ChunkReader(options.client);
    const { client } = options;
    client.on('error', () => this.#clientGone.resolve());
    client.on('close', () => {
      // After a proper end what it sent last may still be in hand, Terminate among it.
      if (!client.readableEnded) this.#clientGone.resolve();
    });
  }

  async serve(): Promise<string> {
    const first = await this.#untilOver(this.#firstPacket());
    if (first.packet.type === 'CancelRequest') return this.#cancel(first.packet, first.rest);
    const refused = refuseStartup(first.packet, this.#options);
    if (refused !== undefined) {
      await this.sayFatal(refused, { isLoggedIn: true });
      return refused.message;
    }
    const { catalogOf, catalog, audit, stream } = this.#options;
    audit.write();
    const target = await this.#connect(first.packet);
    audit.tell({ type: 'target', stream, server: target.server, tls: target.tls });
    const options = { ...this.#options, catalog: catalogOf?.(target.host) ?? catalog };
    const state = new StreamState({ options, target, ended: this.#ended });
    this.#state = state;
    for (const name of startupSettings(first.packet.parameters)) state.settings.named.add(name);
    const greeting = greet(first.packet, target);
    const { cancelKeys } = options;
    cancelKeys.add(
      greeting.processId,
      greeting.secretKey,
      (sentBefore) => state.cancels.cancel(sentBefore),
      stream,
    );
    const unlisten = options.onGrantEnded?.(() => {
      // It fails only with the stream itself, or because no cancel got through: then it runs on.
      cancelWithoutRight(state).catch(() => undefined);
    });
    // What is in line at the target runs, also if no byte passes: pg_sleep, a long UPDATE, a lock.
    const unwatch = options.watchWork?.(() => state.queue.length > 0);
    try {
      state.toClient.push(greeting.bytes);
      await state.toClient.flush();
      return await this.#relayBoth(state, first);
    } finally {
      unlisten?.();
      unwatch?.();
      state.settings.end();
      cancelKeys.remove(greeting.processId);
    }
  }

  /**
   * FATAL where the protocol allows it: between two messages.
   * @param isLoggedIn it is about a startup, and a server says it behind AuthenticationOk. Before that
   *   libpq takes it for a reason to try again without TLS, or another host.
   */
  async sayFatal(
    problem: HoopError | SqlRefusal | NativeError,
    { isLoggedIn }: { readonly isLoggedIn: boolean },
  ): Promise<void> {
    const { client } = this.#options;
    const codec = this.#state?.settings.encoding.codec;
    const atBoundary = this.#relay?.stopAtBoundary() ?? Promise.resolve();
    const isAtBoundary = await withinTime(atBoundary, this.#closeWithinMs);
    if (isAtBoundary && client.writable) {
      const fatal = toErrorResponse(problem, { severity: 'FATAL', codec });
      client.write(isLoggedIn ? Buffer.concat([LOGGED_IN, fatal]) : fatal);
    }
  }

  get #closeWithinMs(): number {
    return this.#options.closeWithinMs ?? CLOSE_TIMEOUT_MS;
  }

  async close(): Promise<void> {
    const { client } = this.#options;
    this.#ended.abort();
    this.#reader.stop();
    const state = this.#state;
    if (state !== undefined) {
      tellCutOff(state);
      state.memory.close();
      const { socket } = state.target;
      // A backend notices a lost connection only when it writes: what it still runs is stopped.
      const isBusy = state.queue.length > 0 && !socket.destroyed && !socket.readableEnded;
      if (isBusy) await withinTime(state.target.cancel(), this.#closeWithinMs);
      socket.destroy();
    }
    if (client.destroyed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    client.end(() => resolve());
    client.resume();
    await withinTime(Promise.race([promise, this.#clientGone.promise]), this.#closeWithinMs);
    client.destroy();
  }

  /** One that keeps a stream open and asks for nothing would hold a place of its session for ever. */
  async #firstPacket(): Promise<FirstPacket> {
    const limit = this.#options.startupWithinMs ?? STARTUP_WITHIN_MS;
    const timer = setTimeout(() => this.#reader.stop(), limit);
    try {
      return await readFirstPacket(this.#reader);
    } finally {
      clearTimeout(timer);
    }
  }

  async #cancel(request: CancelRequest, rest: Uint8Array): Promise<string> {
    const { cancelKeys, audit, stream } = this.#options;
    const { processId, secretKey } = request;
    audit.write();
    const forStream = await cancelKeys.cancel(processId, secretKey, decodeCancelPosition(rest));
    audit.tell({ type: 'cancel', stream, forStream });
    return forStream === undefined ? 'cancel with an unknown key' : 'cancel';
  }

  async #connect(startup: StartupMessage): Promise<TargetConnection> {
    const { target, signal } = this.#options;
    const over = new AbortController();
    void this.#clientGone.promise.then(() => over.abort(new StreamEnded('the client left')));
    return connectTarget({
      target,
      startup: sessionParameters(startup.parameters),
      grant: this.#options.grant(),
      signal: AbortSignal.any([signal, over.signal]),
    });
  }

  async #relayBoth(state: StreamState, first: FirstPacket): Promise<string> {
    const { rest, length } = first;
    const relay = new TargetRelay(state);
    this.#relay = relay;
    const collector = relay.collector();
    const client = relayClient(state, { reader: this.#reader, rest, at: length, collector })
      // What was not understood goes nowhere, nor does a message that has no end.
      .finally(() => collector.done())
      .catch((error: unknown) => afterAnswers(state, error));
    const closed = relay.closed.then(() => 'target closed' as const);
    // Whichever comes second has nobody to wait for it; its fault was that of the first.
    client.catch(() => undefined);
    closed.catch(() => undefined);
    const end = await this.#untilOver(Promise.race([client, closed]));
    // Whoever says Terminate behind a statement wants it to finish, as it does without a gateway.
    if (end === 'terminated' && state.queue.length > 0) {
      const answered = state.waitForTarget(() => state.queue.length === 0);
      await this.#untilAborted(Promise.race([answered, closed]));
    }
    switch (end) {
      case 'target closed':
        return 'the target closed the connection';
      case 'terminated':
        await withinTime(closed, this.#closeWithinMs);
        return 'the client closed the connection';
      case 'ended':
        await this.#halfClosed(state, closed);
        return 'the client closed the connection';
    }
  }

  /**
   * The target is told as the client would tell it: it answers what it has got, fails a COPY that
   * is not complete, and closes. A client that has only closed its half reads all of that.
   */
  async #halfClosed(state: StreamState, closed: Promise<unknown>): Promise<void> {
    state.target.socket.end();
    const { clientLeft } = this.#options;
    const gone = this.#clientGone.promise;
    const left = clientLeft === undefined ? gone : doneOrAborted(gone, clientLeft);
    try {
      await this.#untilAborted(Promise.race([closed, left]));
    } catch (error) {
      // It left before the answers came.
      if (!(error instanceof StreamEnded)) throw error;
    }
    await withinTime(closed, LEFT_MS);
  }

  /** @throws the reason of the signal, or StreamEnded when the client is gone. */
  #untilOver<T>(promise: Promise<T>): Promise<T> {
    const gone = this.#clientGone.promise.then(() => {
      throw new StreamEnded('the client is gone');
    });
    return this.#untilAborted(Promise.race([promise, gone]));
  }

  /** @throws the reason of the signal. */
  #untilAborted<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    return untilAborted(promise, signal, () => endOfSession(signal));
  }
}

/** What came before a message that ends the connection is answered first, as the server does it. */
async function afterAnswers(state: StreamState, error: unknown): Promise<never> {
  // In copy mode the target waits for the client, not we for the target.
  if (error instanceof ProtocolError && !state.copy.isReading) {
    await state.waitForTarget(() => state.queue.length === 0);
  }
  throw error;
}

/** A result that has no end: what of it went to the client did. */
function tellCutOff({ queue, options }: StreamState): void {
  const run = runOf(queue.head);
  if (run === undefined || run.bytes === 0) return;
  try {
    tellEnded(options.audit, run, {});
  } catch (error) {
    // The recording has stopped: that is why the stream ends.
    if (!(error instanceof RecordingFailed)) throw error;
  }
}

function isOfLoggedIn({ cause }: HoopError): boolean {
  return cause instanceof ServerRefusal && cause.stage === 'accepted';
}

const INTERNAL_FAULT: NativeError = {
  sqlState: SQL_STATE.internalError,
  message: 'internal fault of the gateway',
};

function endOfSession({ reason }: AbortSignal): HoopError {
  if (reason instanceof HoopError) return reason;
  return new HoopError('HOOP_SESSION_ENDED', 'the session has ended', { cause: reason });
}

// What happens to statements that are already at the target when a temporary grant ends: those
// that only it allowed are cancelled, since they may run for hours. What they have done before
// that is undone with their transaction, as after any cancel.

/** Resolves when nothing runs any more by a right that is gone. */
async function cancelWithoutRight(state: StreamState): Promise<void> {
  const { queue } = state;
  for (;;) {
    const lost = queue.find((entry) => isWithoutRight(state, entry));
    if (lost === undefined) return;
    // A cancel hits whatever the target does at that moment, so it waits for the statement's turn.
    const isGone = (): boolean => queue.find((entry) => entry === lost) === undefined;
    await state.waitForTarget(() => queue.head === lost || isGone());
    if (queue.head === lost) await state.target.cancel();
    await state.waitForTarget(isGone);
  }
}

function isWithoutRight(state: StreamState, entry: Entry): boolean {
  const { temporary = [], passthrough } = state.options.grant();
  const runs = entry.kind === 'query' ? entry.runs : entry.kind === 'execute' ? [entry.run] : [];
  return runs.some((run) => {
    if (run === undefined || run.statement.basis === undefined) {
      return run !== undefined && !passthrough;
    }
    return run.statement.allowed?.rules.some(
      ({ grant }) => grant !== undefined && !temporary.some(({ id }) => id === grant),
    );
  });
}
