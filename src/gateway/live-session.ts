/**
 * One session while it lives: a control channel, its streams, its limits, and one way to end.
 *
 *   client                     gateway
 *     |-- control (WebSocket) -->|  attachControl: nothing else before it
 *     |-- stream 1..n ---------->|  openStream: engine on a recorded Duplex
 *     |-- cut ------------------>|  checked against the recording, countersigned: cutAck
 *     |<-- recorded, streamEnd --|
 *     |-- close (or a limit, a revocation, a shutdown decides)
 *     |<-- closing --------------|  stream 0 and text; engines say FATAL 57P01, streams close
 *     |-- cut of everything ---->|
 *     |<-- cutAck, closed -------|  recording closed, index updated
 */
import { once } from 'node:events';
import type { WebSocket } from 'ws';
import { type ErrorCode, HoopError } from '../errors.ts';
import type { Grant, Principal } from '../policy/types.ts';
import type { GatewayRecording } from '../recording/gateway-recording.ts';
import {
  CONTROL_STREAM,
  type CutProposal,
  type EndReason,
  type RecordingEvent,
} from '../recording/types.ts';
import type { Secret } from '../secret.ts';
import type { ToClient, ToGateway } from '../tunnel/api.ts';
import { errorFields, type Log } from './log.ts';
import { createCancelRegistry } from './pg/cancel-registry.ts';
import { servePostgresStream } from './pg/serve-postgres-stream.ts';
import type { CatalogSource, PostgresTarget, StatementPolicy } from './pg/types.ts';
import { SessionControl } from './session-control.ts';
import type { SessionIndex } from './session-index.ts';
import { TunnelStream } from './tunnel-stream.ts';

export interface LiveSessionOptions {
  readonly id: string;
  readonly principal: Principal;
  /** The login that opened it. */
  readonly family: string;
  readonly target: PostgresTarget;
  readonly grant: Grant;
  /** What the person gave; the first line of stream 0, so that both sides sign it. */
  readonly reason: string | undefined;
  readonly recording: GatewayRecording;
  readonly index: SessionIndex;
  readonly catalog: CatalogSource;
  readonly policy: StatementPolicy;
  readonly maskKey: Secret<Uint8Array>;
  readonly log: Log;
  /** Wall clock, ms. */
  readonly clock: () => number;
  /** Everything is closed and written. */
  readonly onEnded: (session: LiveSession) => void;
}

/** The client has this long to open the control channel. */
const CONTROL_WITHIN_MS = 30_000;
/** From the decision to end until the streams are cut off and the last cut is no longer awaited. */
const END_WITHIN_MS = 10_000;
/** setTimeout takes no more (24.8 days); the policy's schema allows less. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_CANCEL_STREAMS = 16;

const END_CODES: Partial<Record<EndReason, ErrorCode>> = {
  expired: 'HOOP_SESSION_EXPIRED',
  revoked: 'HOOP_SESSION_REVOKED',
  recording_failed: 'HOOP_RECORDING_WRITE',
  disputed: 'HOOP_EVIDENCE_MISMATCH',
};

type StreamKind = 'postgres' | 'cancel';
interface OpenStream {
  readonly kind: StreamKind;
  readonly socket: WebSocket;
  readonly done: Promise<void>;
}

export class LiveSession {
  readonly id: string;
  readonly principal: Principal;
  readonly family: string;
  readonly targetName: string;
  readonly #options: LiveSessionOptions;
  readonly #log: Log;
  readonly #cancelKeys = createCancelRegistry();
  readonly #ending = new AbortController();
  /** Aborted when nothing is waited for any longer. */
  readonly #cutOff = new AbortController();
  readonly #streams = new Map<number, OpenStream>();
  readonly #seen = new Set<number>([CONTROL_STREAM]);
  readonly #agreed = new Map<number, { up: number; down: number }>();
  #grant: Grant;
  #control: SessionControl | undefined;
  #controlTimer: NodeJS.Timeout;
  #limitTimer: NodeJS.Timeout | undefined;
  /** By performance.now(), which is monotonic: no jump of the clock ends a session. */
  readonly #startedAt = performance.now();
  /** When the last byte came from the client. */
  #activeAt = this.#startedAt;
  #ended: Promise<void> | undefined;
  /** The recording is being closed, or is closed: nothing more is agreed on here. */
  #isClosing = false;
  #onFullyAgreed: (() => void) | undefined;

  constructor(options: LiveSessionOptions) {
    this.id = options.id;
    this.principal = options.principal;
    this.family = options.family;
    this.targetName = options.target.name;
    this.#options = options;
    this.#grant = options.grant;
    this.#log = options.log.with({ session: options.id });
    this.#controlTimer = setTimeout(
      () => this.#endNow('client_lost', 'the client did not open the control channel'),
      CONTROL_WITHIN_MS,
    );
    this.#checkLimits();
    options.recording.onRecorded((streams) => this.#tell({ type: 'recorded', streams }));
    options.recording.stopped.addEventListener('abort', () => this.#recordingStopped(), {
      once: true,
    });
  }

  get isEnding(): boolean {
    return this.#ended !== undefined;
  }

  /** A new commit is in force; undefined: it gives this principal nothing here any more. */
  setGrant(grant: Grant | undefined): void {
    if (grant === undefined) {
      this.#endNow('revoked', 'the policy no longer gives access to the target');
    } else if (!this.isEnding) {
      this.#grant = grant;
      this.#checkLimits();
    }
  }

  /** @throws HOOP_SESSION_ENDED when it ends or has a control channel already. */
  checkControl(): void {
    this.#checkLive();
    if (this.#control !== undefined) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session has its control channel already');
    }
  }

  attachControl(socket: WebSocket): void {
    if (this.isEnding || this.#control !== undefined) {
      socket.close(1008, 'the session cannot take a control channel');
      return;
    }
    clearTimeout(this.#controlTimer);
    this.#active();
    this.#control = new SessionControl(socket, {
      onMessage: (message) => this.#received(message),
      onEvidence: (bytes) => this.#receivedEvidence(bytes),
      onProtocolError: (error) => {
        this.#log.warn('control.protocol_error', errorFields(error));
        this.#endNow('client_lost', 'the client broke the protocol of the control channel');
      },
      onLost: (how) => {
        const partition = how === 'silent';
        this.#endNow(
          partition ? 'partition' : 'client_lost',
          partition ? 'the client did not answer any more' : 'the client closed its connection',
        );
        this.#cutOff.abort();
      },
    });
    if (this.#options.reason !== undefined) {
      this.#sendEvidence({ type: 'reason', text: this.#options.reason });
    }
  }

  /** @throws HOOP_SESSION_ENDED, HOOP_LIMIT, HOOP_PROTOCOL; called before the upgrade. */
  checkStream(stream: number, kind: StreamKind): void {
    this.#checkLive();
    if (this.#control === undefined) {
      throw new HoopError('HOOP_PROTOCOL', 'a stream needs the session’s control channel first');
    }
    if (this.#seen.has(stream)) {
      throw new HoopError('HOOP_PROTOCOL', `stream ${stream} was opened before`);
    }
    const limit = kind === 'cancel' ? MAX_CANCEL_STREAMS : this.#grant.limits.maxConnections;
    const open = [...this.#streams.values()].filter((other) => other.kind === kind).length;
    if (open >= limit) {
      throw new HoopError('HOOP_LIMIT', `the session has ${limit} connections already`, {
        hint: 'Close one of them, or ask for a higher limit in the policy.',
      });
    }
  }

  openStream(stream: number, kind: StreamKind, socket: WebSocket): void {
    try {
      // Again: the upgrade took its time.
      this.checkStream(stream, kind);
      this.#options.recording.openStream(stream, kind);
    } catch (error) {
      this.#log.warn('stream.refused', { stream, ...errorFields(error) });
      socket.close(1008, 'the stream cannot be opened');
      return;
    }
    this.#seen.add(stream);
    this.#active();
    const done = this.#serve(stream, socket);
    this.#streams.set(stream, { kind, socket, done });
    this.#log.info('stream.open', { stream, kind });
  }

  /** Ends the session; resolves when everything is closed and written. Idempotent. */
  end(reason: EndReason, message: string): Promise<void> {
    if (this.#ended === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Set before the work begins: what fails on the way asks for the end again.
      this.#ended = promise;
      resolve(this.#end(reason, message));
    }
    return this.#ended;
  }

  #endNow(reason: EndReason, message: string): void {
    this.end(reason, message).catch((error: unknown) =>
      this.#log.error('session.end_failed', errorFields(error)),
    );
  }

  async #end(reason: EndReason, message: string): Promise<void> {
    const { recording, index } = this.#options;
    clearTimeout(this.#controlTimer);
    clearTimeout(this.#limitTimer);
    this.#log.info('session.closing', { reason });
    const deadline = setTimeout(() => this.#cutOff.abort(), END_WITHIN_MS);
    try {
      this.#sendEvidence({ type: 'closing', reason, message });
      this.#tell({ type: 'closing', reason, message });
      this.#ending.abort(new HoopError(END_CODES[reason] ?? 'HOOP_SESSION_ENDED', message));
      await this.#streamsClosed();
      await this.#fullyAgreed();
    } finally {
      clearTimeout(deadline);
      this.#isClosing = true;
      await recording.close({ reason, message }).catch((error: unknown) => {
        this.#log.error('recording.close_failed', errorFields(error));
      });
      const { upBytes, downBytes } = recording.stats;
      const endedMs = this.#options.clock();
      this.#indexed(() => index.end(this.id, { endedMs, reason, message, upBytes, downBytes }));
      this.#log.info('session.ended', { reason, upBytes, downBytes });
      this.#tell({ type: 'closed' });
      this.#control?.close();
      this.#options.onEnded(this);
    }
  }

  /** Waits for the engines to say goodbye; cuts off the sockets when the deadline is reached. */
  async #streamsClosed(): Promise<void> {
    const terminate = (): void => {
      for (const { socket } of this.#streams.values()) {
        socket.terminate();
      }
    };
    this.#cutOff.signal.addEventListener('abort', terminate, { once: true });
    if (this.#cutOff.signal.aborted) {
      terminate();
    }
    await Promise.all([...this.#streams.values()].map(({ done }) => done));
  }

  /** Waits until the client has proposed a cut that covers all, or nothing is to be expected. */
  async #fullyAgreed(): Promise<void> {
    const signal = AbortSignal.any([this.#cutOff.signal, this.#options.recording.stopped]);
    if (signal.aborted || this.#coversEverything()) {
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onFullyAgreed = resolve;
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
  }

  #coversEverything(): boolean {
    return [...this.#seen].every((stream) => {
      const { up, down } = this.#options.recording.offsets(stream);
      const agreed = this.#agreed.get(stream) ?? { up: 0, down: 0 };
      return agreed.up === up && agreed.down === down;
    });
  }

  async #serve(stream: number, socket: WebSocket): Promise<void> {
    const { recording } = this.#options;
    const socketClosed = once(socket, 'close');
    const client = new TunnelStream({
      socket,
      stream,
      recording,
      onActivity: () => this.#active(),
      onRecordingFault: (error) => this.#recordingFailed(error),
    });
    // The engine hears of it too; this one stays when the engine has gone.
    client.on('error', (error) =>
      this.#log.debug('stream.broken', { stream, ...errorFields(error) }),
    );
    let reason = 'failed';
    try {
      const summary = await servePostgresStream({
        client,
        stream,
        target: this.#options.target,
        principal: this.principal,
        grant: () => this.#grant,
        policy: this.#options.policy,
        catalog: this.#options.catalog,
        cancelKeys: this.#cancelKeys,
        maskKey: this.#options.maskKey,
        event: (event) => this.#event(event),
        evidence: (line) => this.#evidence(line),
        signal: this.#ending.signal,
      });
      reason = summary.reason;
    } catch (error) {
      this.#recordingFailed(error);
    } finally {
      client.destroy();
      await socketClosed;
      this.#streamEnded(stream, reason);
    }
  }

  #streamEnded(stream: number, reason: string): void {
    this.#streams.delete(stream);
    try {
      const totals = this.#options.recording.closeStream(stream, reason);
      this.#tell({ type: 'streamEnd', ...totals });
      this.#log.info('stream.close', { stream, reason, up: totals.up, down: totals.down });
    } catch (error) {
      this.#recordingFailed(error);
    }
  }

  #received(message: ToGateway): void {
    switch (message.type) {
      case 'cut':
        this.#cut(message.cut).catch((error: unknown) => this.#recordingFailed(error));
        return;
      case 'streamEnd':
        // The client's totals, for the log: what counts is the cut that both sign.
        this.#log.debug('stream.client_totals', {
          stream: message.stream,
          up: message.up,
          down: message.down,
        });
        return;
      case 'close':
        this.#endNow('closed', 'closed by the client');
        return;
    }
  }

  async #cut(cut: CutProposal): Promise<void> {
    if (this.#isClosing) {
      // Too late for this channel; it is taken by POST …/cuts.
      return;
    }
    const outcome = await this.#options.recording.acceptCut(cut);
    if (outcome.type === 'dispute') {
      this.#log.error('cut.disputed', { epoch: cut.epoch, message: outcome.message });
      this.#endNow('disputed', outcome.message);
      this.#cutOff.abort();
      return;
    }
    for (const { stream, up, down } of cut.streams) {
      this.#agreed.set(stream, { up, down });
    }
    this.#indexed(() => this.#options.index.cut(this.id, cut));
    this.#tell({ type: 'cutAck', ack: outcome.ack });
    if (this.#onFullyAgreed !== undefined && this.#coversEverything()) {
      this.#onFullyAgreed();
    }
  }

  #receivedEvidence(bytes: Uint8Array): void {
    try {
      this.#options.recording.data(CONTROL_STREAM, 0, bytes);
    } catch (error) {
      this.#recordingFailed(error);
    }
  }

  #event(event: RecordingEvent): void {
    this.#options.recording.event(event);
    this.#options.index.event(this.id, event);
    if (event.type === 'decision' && event.effect === 'refuse') {
      this.#log.info('statement.refused', {
        stream: event.stream,
        code: event.code,
        rule: event.rules[0]?.id,
      });
    }
  }

  #evidence(line: Parameters<GatewayRecording['evidence']>[0]): void {
    const bytes = this.#options.recording.evidence(line);
    this.#control?.sendEvidence(bytes);
  }

  #sendEvidence(line: Parameters<GatewayRecording['evidence']>[0]): void {
    if (this.#options.recording.stopped.aborted) {
      return;
    }
    try {
      this.#evidence(line);
    } catch (error) {
      this.#recordingFailed(error);
    }
  }

  #recordingStopped(): void {
    if (this.#isClosing) {
      // Closing it is what stopped it.
      return;
    }
    const { reason } = this.#options.recording.stopped;
    const known: EndReason =
      reason instanceof Error && 'endReason' in reason && isEndReason(reason.endReason)
        ? reason.endReason
        : 'recording_failed';
    this.#log.error('recording.stopped', { reason: known, ...errorFields(reason) });
    this.#endNow(known, reason instanceof HoopError ? reason.message : 'the recording stopped');
  }

  #recordingFailed(error: unknown): void {
    if (!this.#options.recording.stopped.aborted) {
      this.#log.error('session.failed', errorFields(error));
    }
    this.#endNow('recording_failed', 'the session cannot be recorded');
  }

  /** The recording is what counts; an index that cannot be written shows in readiness. */
  #indexed(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#log.error('index.write_failed', errorFields(error));
    }
  }

  #tell(message: ToClient): void {
    this.#control?.send(message);
  }

  #active(): void {
    this.#activeAt = performance.now();
  }

  /** Ends the session when a limit is reached, else looks again when the nearest one may be. */
  #checkLimits(): void {
    clearTimeout(this.#limitTimer);
    const { maxTimeSeconds, idleTimeSeconds } = this.#grant.limits;
    const now = performance.now();
    const untilExpiryMs = this.#startedAt + maxTimeSeconds * 1000 - now;
    const untilIdleMs = this.#activeAt + idleTimeSeconds * 1000 - now;
    if (untilExpiryMs <= 0) {
      this.#endNow('expired', `the session reached its limit of ${maxTimeSeconds} s`);
    } else if (untilIdleMs <= 0) {
      this.#endNow('idle', `the session was idle for ${idleTimeSeconds} s`);
    } else {
      // Rounded up: a timer that fires a fraction early would only fire again.
      const restMs = Math.ceil(Math.min(untilExpiryMs, untilIdleMs, MAX_TIMER_MS));
      this.#limitTimer = setTimeout(() => this.#checkLimits(), restMs);
    }
  }

  #checkLive(): void {
    if (this.isEnding) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session is ending');
    }
  }
}

const END_REASONS = new Set<unknown>([
  'closed',
  'expired',
  'revoked',
  'idle',
  'client_lost',
  'gateway_shutdown',
  'gateway_crash',
  'recording_failed',
  'disputed',
  'partition',
] satisfies EndReason[]);

function isEndReason(value: unknown): value is EndReason {
  return END_REASONS.has(value);
}
