/** The streams of one live session: each a recorded Duplex with an engine on it. */
import type { StreamCarrier } from '../../carrier/stream-carrier.ts';
import { createCancelRegistry } from '../../connectors/postgres/gateway/cancel-registry.ts';
import { servePostgresStream } from '../../connectors/postgres/gateway/serve-postgres-stream.ts';
import { StatementPace } from '../../connectors/postgres/gateway/statement-pace.ts';
import { serveSshStream } from '../../connectors/ssh/gateway/serve-ssh-stream.ts';
import { decideSsh } from '../../connectors/ssh/policy/decide-ssh.ts';
import { HoopError } from '../../errors.ts';
import type { Grant, Principal } from '../../policy/types.ts';
import {
  CONTROL_STREAM,
  type EvidenceLine,
  type RecordingEvent,
  type StreamOffsets,
} from '../../recording/types.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { errorFields, type Log } from '../base/log.ts';
import {
  carries,
  type PostgresService,
  type SessionService,
  type SshService,
} from './session-service.ts';
import { SessionTerminal } from './session-terminal.ts';
import { type StreamRecording, TunnelStream } from './tunnel-stream.ts';

/** What the streams need of the session's recording. */
interface StreamsRecording extends StreamRecording {
  openStream(stream: number, kind: StreamKind): void;
  closeStream(stream: number, reason: string): StreamOffsets;
  /** write(2) of everything before has returned when this returns. Throws as `data`. */
  write(): void;
}

export interface SessionStreamsOptions {
  readonly principal: Principal;
  readonly service: SessionService;
  readonly grant: () => Grant;
  readonly recording: StreamsRecording;
  readonly log: Log;
  /** The session ends: engines say so to their clients and close. */
  readonly ending: AbortSignal;
  /** Nothing is waited for any more: sockets are cut off. */
  readonly cutOff: AbortSignal;
  readonly event: (event: RecordingEvent) => void;
  readonly evidence: (line: EvidenceLine) => void;
  /** A byte came from the client. */
  readonly onActivity: () => void;
  /** A statement waits for approval. @returns how to say that it no longer does. */
  readonly onWaiting: () => () => void;
  /** Something of a terminal has been recorded. */
  readonly onTerminal: () => void;
  /** The recording refuses: the session cannot go on. */
  readonly onRecordingFault: (error: unknown) => void;
  /** A stream has closed, with these totals. */
  readonly onClosed: (totals: StreamOffsets) => void;
}

const MAX_CANCEL_STREAMS = 16;

interface StreamSummary {
  readonly reason: string;
  readonly problem?: HoopError;
}

interface OpenStream {
  readonly kind: StreamKind;
  readonly done: Promise<void>;
}

export class SessionStreams {
  readonly #options: SessionStreamsOptions;
  readonly #cancelKeys = createCancelRegistry();
  readonly #terminal: SessionTerminal;
  readonly #pace = new StatementPace();
  readonly #open = new Map<number, OpenStream>();
  readonly #grantEnded = new Set<() => void>();
  readonly #grantChanged = new Set<() => void>();
  readonly #seen = new Set<number>([CONTROL_STREAM]);

  constructor(options: SessionStreamsOptions) {
    this.#options = options;
    this.#terminal = new SessionTerminal(options.onTerminal);
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
    const { service, grant } = this.#options;
    if (!carries(service, kind)) {
      const { name } = service.target;
      throw new HoopError('HOOP_PROTOCOL', `target "${name}" has no streams of kind ${kind}`);
    }
    if (kind === 'terminal' && grant().terminal === 'off') {
      throw new HoopError('HOOP_ACCESS_DENIED', 'the policy does not let terminals be recorded');
    }
    if (kind === 'terminal' && this.#terminal.isFull) {
      throw new HoopError('HOOP_LIMIT', 'the session has recorded as much of terminals as it can');
    }
    const limit =
      kind === 'terminal'
        ? 1
        : kind === 'cancel'
          ? MAX_CANCEL_STREAMS
          : this.#options.grant().limits.maxConnections;
    const open = [...this.#open.values()].filter((other) => other.kind === kind).length;
    if (open >= limit) {
      throw new HoopError('HOOP_LIMIT', `the session has ${limit} connections already`, {
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

  /** A commit, or the begin or end of a temporary grant: what goes on for long is decided again. */
  grantChanged(): void {
    for (const listener of this.#grantChanged) {
      listener();
    }
  }

  /** A temporary grant has ended: what runs only by it is cancelled. */
  grantEnded(): void {
    for (const listener of this.#grantEnded) {
      listener();
    }
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
    const terminate = (): void => carrier.terminate();
    cutOff.addEventListener('abort', terminate, { once: true });
    const client = new TunnelStream({
      carrier,
      stream,
      recording,
      // Something that turns on a screen is nobody at work.
      onActivity: kind === 'terminal' ? () => undefined : onActivity,
      onRecordingFault,
    });
    // The engine hears of it too; this listener stays when the engine has gone.
    client.on('error', (error) => log.debug('stream.broken', { stream, ...errorFields(error) }));
    let reason = 'failed';
    try {
      reason = await (kind === 'terminal'
        ? this.#terminal.record(client, ending)
        : this.#runEngine(stream, client));
    } catch (error) {
      log.error('stream.failed', { stream, ...errorFields(error) });
      if (error instanceof HoopError) {
        // An event could not be recorded. Anything else is a fault of ours that ends this stream.
        onRecordingFault(error);
      }
    } finally {
      client.destroy();
      if (cutOff.aborted || (kind === 'terminal' && this.#terminal.isFull)) {
        terminate();
      }
      await carrierClosed;
      cutOff.removeEventListener('abort', terminate);
      this.#ended(stream, reason);
    }
  }

  async #runEngine(stream: number, client: TunnelStream): Promise<string> {
    const { service } = this.#options;
    const summary =
      service.kind === 'postgres'
        ? await this.#servePostgres(service, stream, client)
        : await this.#serveSsh(service, stream, client);
    const { problem } = summary;
    if (problem?.code.startsWith('HOOP_TARGET_') || problem?.code === 'HOOP_CONFIG') {
      // The client has not been told the address, nor what the network said; here both help.
      const hosts = service.target.hosts.map(({ host, port }) => `${host}:${port}`).join(', ');
      this.#options.log.warn('target.failed', { stream, hosts, ...errorFields(problem) });
    }
    return summary.reason;
  }

  #servePostgres(
    {
      target,
      policy,
      catalog,
      catalogOf,
      approvals,
      isRun,
      lookups,
      changedRows,
      maskKey,
    }: PostgresService,
    stream: number,
    client: TunnelStream,
  ): Promise<StreamSummary> {
    const { principal, grant, event, evidence, ending, recording, onWaiting } = this.#options;
    return servePostgresStream({
      client,
      clientLeft: client.left,
      stream,
      target,
      principal,
      grant,
      onGrantEnded: (listener) => {
        this.#grantEnded.add(listener);
        return () => this.#grantEnded.delete(listener);
      },
      policy,
      catalog,
      ...(target.hosts.length > 1 ? { catalogOf } : {}),
      approvals,
      isRun,
      lookups,
      changedRows,
      pace: this.#pace,
      onWaiting,
      cancelKeys: this.#cancelKeys,
      maskKey,
      event,
      recorded: () => recording.write(),
      whenRecorded: (forward) => recording.whenWritten(forward),
      evidence,
      signal: ending,
    });
  }

  #serveSsh(
    { target, currentTarget, approvals, resolver, commands }: SshService,
    stream: number,
    client: TunnelStream,
  ): Promise<StreamSummary> {
    const { grant, event, evidence, ending, recording, onWaiting } = this.#options;
    return serveSshStream({
      client,
      clientLeft: client.left,
      stream,
      target,
      currentTarget,
      grant,
      onGrantChanged: (listener) => {
        this.#grantChanged.add(listener);
        return () => this.#grantChanged.delete(listener);
      },
      decide: decideSsh,
      judge: (by, user, act) => commands.decide(this, by, user, act),
      approvals,
      resolver,
      onWaiting,
      event,
      recorded: () => recording.write(),
      whenRecorded: (forward) => recording.whenWritten(forward),
      evidence,
      signal: ending,
    });
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
