/** The streams of one live session: each a recorded Duplex with an engine on it. */

import type { Duplex } from 'node:stream';
import type { StreamCarrier } from '../../carrier/stream-carrier.ts';
import { HoopError } from '../../errors.ts';
import type { GrantedTarget } from '../../policy/principal-grant.ts';
import type { Grant } from '../../policy/types.ts';
import { CONTROL_STREAM, type StreamOffsets } from '../../recording/formats/types.ts';
import { type StreamKind, TERMINAL_STREAM } from '../../stream-kinds.ts';
import { onAbort } from '../../until.ts';
import type { SessionApprovalsOptions } from '../approvals/session-approvals.ts';
import { type AuditSink, StreamAudit } from '../audit/stream-audit.ts';
import { errorFields, type Log } from '../base/log.ts';
import type { ConnectorSession, SessionContext, WatchWork } from '../connector.ts';
import { type TunnelRecording, TunnelStream } from './tunnel-stream.ts';

/** What the streams need of the session's recording. */
interface StreamsRecording extends TunnelRecording {
  openStream(stream: number, kind: StreamKind): void;
  closeStream(stream: number, reason: string): StreamOffsets;
}

/** What a session needs of the connector for its target. */
export interface SessionOpening {
  /** Name of the target, and its kind when the session began. */
  readonly target: string;
  readonly kind: string;
  readonly streamKinds: readonly StreamKind[];
  open(streams: Omit<SessionContext, keyof SessionApprovalsOptions>): ConnectorSession;
}

export interface SessionStreamsOptions {
  /** What of a session does not come from its streams. */
  readonly opening: SessionOpening;
  readonly grant: () => Grant;
  readonly recording: StreamsRecording;
  readonly log: Log;
  /** The session ends: engines say so to their clients and close. */
  readonly ending: AbortSignal;
  /** Nothing is waited for any more: sockets are cut off. */
  readonly cutOff: AbortSignal;
  readonly audit: AuditSink;
  /** A byte passed, in either direction. */
  readonly onActivity: () => void;
  /** A statement waits for approval. @returns how to say that it no longer does. */
  readonly onWaiting: () => () => void;
  /** A stream tells whether something runs on it. @returns how to take it out */
  readonly watchWork: WatchWork;
  /** Something of a terminal has been recorded. */
  readonly onTerminal: () => void;
  /** The recording refuses: the session cannot go on. */
  readonly onRecordingFault: (error: unknown) => void;
  /** A stream has closed, with these totals. */
  readonly onClosed: (totals: StreamOffsets) => void;
}

interface OpenStream {
  readonly kind: StreamKind;
  readonly done: Promise<void>;
}

export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  readonly #session: ConnectorSession;
  readonly #terminal: SessionTerminal;
  readonly #open = new Map<number, OpenStream>();
  readonly #seen = new Set<number>([CONTROL_STREAM]);

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
    this.#terminal = new SessionTerminal(options.onTerminal);
    const { opening, grant, onWaiting, watchWork, ending } = options;
    this.#session = opening.open({ grant, onWaiting, watchWork, signal: ending });
  }

  /** Numbers of all streams that there were, with that of the control channel. */
  get numbers(): ReadonlySet<number> {
    return this.#seen;
  }

  /** @throws HOOP_PROTOCOL for a number that was used, HOOP_LIMIT for one stream too many. */
  check(stream: number, kind: StreamKind): void {
    if (this.#seen.has(stream)) {
      throw new HoopError('HOOP_PROTOCOL', `stream ${stream} was opened before`);
    }
    const { opening, grant } = this.#options;
    if (!opening.streamKinds.includes(kind)) {
      throw new HoopError(
        'HOOP_PROTOCOL',
        `target "${opening.target}" has no streams of kind ${kind}`,
      );
    }
    if (kind === TERMINAL_STREAM && grant().terminal === 'off') {
      throw new HoopError('HOOP_ACCESS_DENIED', 'the policy turns terminal recording off');
    }
    if (kind === TERMINAL_STREAM && this.#terminal.isFull) {
      throw new HoopError('HOOP_LIMIT', 'the session cannot record any more terminal output');
    }
    const limit =
      kind === TERMINAL_STREAM
        ? 1
        : (this.#session.streamLimits?.[kind] ?? grant().limits.maxConnections);
    const open = [...this.#open.values()].filter((other) => other.kind === kind).length;
    if (open >= limit) {
      throw new HoopError('HOOP_LIMIT', `the session already has ${limit} connections`, {
        hint: 'Close one of them, or ask for a higher limit in the policy.',
      });
    }
  }

  /** @throws as `check`, and what the recording says. */
  open(stream: number, kind: StreamKind, carrier: StreamCarrier): void {
    // Again: the upgrade took its time.
    this.check(stream, kind);
    this.#options.recording.openStream(stream, kind);
    this.#seen.add(stream);
    const done = this.#serve(stream, kind, carrier);
    this.#open.set(stream, { kind, done });
    this.#options.log.info('stream.open', { stream, kind });
  }

  /**
   * A commit, or the begin or end of a temporary grant: what goes on for long is decided again.
   * @param ended a temporary grant has ended
   * @returns why the session cannot go on
   */
  policyChanged(granted: GrantedTarget, ended: boolean): string | undefined {
    return this.#session.policyChanged?.(granted, ended);
  }

  /** Resolves when all that are open have closed. */
  async closed(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ done }) => done));
  }

  async #serve(stream: number, kind: StreamKind, carrier: StreamCarrier): Promise<void> {
    const { recording, log, cutOff, ending, onActivity, onRecordingFault } = this.#options;
    // Not `once` of node:events: a frame that breaks the protocol is an 'error' first, and would
    // reject it while nobody waits, which ends the process.
    const { promise: carrierClosed, resolve } = Promise.withResolvers<void>();
    carrier.once('close', () => resolve());
    const client = new TunnelStream({
      carrier,
      stream,
      recording,
      // Something that turns on a screen is nobody at work.
      onActivity: kind === TERMINAL_STREAM ? () => undefined : onActivity,
      onRecordingFault,
    });
    using _ = onAbort(cutOff, () => carrier.terminate());
    // The engine hears of it too; this listener stays when the engine has gone.
    client.on('error', (error) => log.debug('stream.broken', { stream, ...errorFields(error) }));
    let reason = 'failed';
    try {
      reason = await (kind === TERMINAL_STREAM
        ? this.#terminal.record(client, ending)
        : this.#runEngine(stream, kind, client));
    } catch (error) {
      log.error('stream.failed', { stream, ...errorFields(error) });
      if (error instanceof HoopError) {
        // An event could not be recorded. Anything else is a fault of ours that ends this stream.
        onRecordingFault(error);
      }
    } finally {
      client.destroy();
      if (cutOff.aborted || (kind === TERMINAL_STREAM && this.#terminal.isFull)) {
        carrier.terminate();
      }
      await carrierClosed;
      this.#ended(stream, reason);
    }
  }

  async #runEngine(stream: number, kind: StreamKind, client: TunnelStream): Promise<string> {
    const { hosts } = this.#session;
    const audit = new StreamAudit(stream, this.#options.grant, this.#options.audit);
    const served = { stream, kind, client, clientLeft: client.left, audit };
    const { reason, problem } = await this.#session.serve(served);
    if (problem?.code.startsWith('HOOP_TARGET_') || problem?.code === 'HOOP_CONFIG') {
      // The client has not been told the address, nor what the network said; here both help.
      const where = hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
      this.#options.log.warn('target.failed', { stream, hosts: where, ...errorFields(problem) });
    }
    return reason;
  }

  #ended(stream: number, reason: string): void {
    this.#open.delete(stream);
    try {
      const totals = this.#options.recording.closeStream(stream, reason);
      this.#options.onClosed(totals);
      this.#options.log.info('stream.close', {
        stream,
        reason,
        up: totals.up,
        down: totals.down,
      });
    } catch (error) {
      this.#options.onRecordingFault(error);
    }
  }
}

/** Of a session, in all of its terminal streams. A client of ours ends at 64 MiB. */
const MAX_TERMINAL_BYTES = 65 << 20;

/**
 * What the program of a run shows on its terminal, in one session: recorded on its way in, and read
 * by nobody here. The client is bound to what it may be, and who is no client of ours by the same.
 */
class SessionTerminal {
  readonly #onFirst: () => void;
  #bytes = 0;

  /** @param onFirst something of it is in the recording */
  constructor(onFirst: () => void) {
    this.#onFirst = onFirst;
  }

  /** No more of it is taken. */
  get isFull(): boolean {
    return this.#bytes > MAX_TERMINAL_BYTES;
  }

  /** Until the client has ended it, the session ends or there is too much of it. @returns why */
  async record(client: Duplex, ending: AbortSignal): Promise<string> {
    using _ = onAbort(ending, () => client.destroy());
    try {
      // From Node.js 26 on, a loop over the stream itself would break it off at its orderly end.
      for await (const bytes of client.iterator({ destroyOnReturn: false })) {
        if (this.#bytes === 0) {
          this.#onFirst();
        }
        this.#bytes += bytes.length;
        if (this.isFull) {
          client.destroy();
          return 'too much of the terminal';
        }
      }
      return 'terminal';
    } catch (error) {
      if (ending.aborted || client.errored !== null) {
        // The session ends, or the connection broke, which the stream has logged.
        return 'terminal';
      }
      throw error;
    }
  }
}
