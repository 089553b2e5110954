/**
 * A session from the client's side, from the request to the uploaded recording.
 *
 *   verify policy, keys, certificate          requestSession
 *   control channel, local port               openSession
 *     local connection → stream → gateway     each byte hashed here as well, before it goes on
 *     cuts proposed, countersigned
 *   an end: Ctrl-C, a limit, a revocation, the gateway has gone
 *   last cut, journal closed, upload          close
 */

import type { Duplex } from 'node:stream';
import type { ToClient } from '../api/control.ts';
import { PATHS } from '../api/http.ts';
import type { SessionReply } from '../api/sessions.ts';
import type { OpenGateway } from '../auth/open-gateway.ts';
import { HoopError } from '../errors.ts';
import { ClientRecording } from '../recording/client/client-recording.ts';
import type { LiveWitness } from '../recording/client/upload-session.ts';
import type { PromptWords } from '../recording/formats/prompt.ts';
import { CONTROL_STREAM } from '../recording/formats/types.ts';
import type { EvidenceLine } from '../recording/verify/evidence-lines.ts';
import { EvidenceLines } from '../recording/verify/evidence-lines.ts';
import { endError } from '../recording/write/end-error.ts';
import { tuneCollector } from '../tune-collector.ts';
import { onAbort, withinTime } from '../until.ts';
import { ClientPrompts } from './client-prompts.ts';
import { ClientStreams } from './client-streams.ts';
import {
  type AttachPort,
  type ClientEntry,
  clientConnector,
  type LocalOffer,
  type OpenTunnel,
  type SessionPort,
} from './connector.ts';
import { ControlChannel } from './control-channel.ts';
import type { RefusalReason } from './local-refusal.ts';
import { closeLocalSide, type LocalSide, openLocalSide } from './local-side.ts';
import { openWebSocket } from './open-web-socket.ts';
import { type RequestedSession, requestSession } from './request-session.ts';
import { CLOSED_BY_OWNER, endOfRecording, endReason, type SessionEnd } from './session-end.ts';
import { spoolsOf } from './spools-of.ts';
import { type CarrierChoice, StreamOpener } from './stream-opener.ts';

/** From the end of the session to its last countersigned cut. */
const FINISH_WITHIN_MS = 10_000;
/** From an orderly end to the gateway's `closing`, which starts it. */
const CLOSING_WITHIN_MS = 10_000;

export interface SessionEvents {
  readonly onEvidence?: (line: EvidenceLine) => void;
  readonly onRefused?: (reason: RefusalReason) => void;
  /** What a client of the local port does not tell, or not well. */
  readonly onNote?: (text: string, isTold?: boolean) => void;
  /** Streams go over WebSockets, because raw ones did not get through. */
  readonly onFallback?: (because: string) => void;
}

export interface ConnectSessionOptions {
  readonly open: OpenGateway;
  readonly target: string;
  readonly reason: string | undefined;
  /** In force from the start. */
  readonly prompt?: PromptWords | undefined;
  /** TLS on the local port, with a CA of this session; nobody gets in without. */
  readonly tls?: boolean | undefined;
  /** Users of this machine, beside the own one, who may connect. */
  readonly allowedUids?: readonly number[] | undefined;
  readonly listen:
    | (({ readonly type: 'tcp'; readonly port: number } | { readonly type: 'unix' }) & {
        readonly connectors: readonly ClientEntry[];
      })
    /** A port that is there already, and outlives the session. */
    | { readonly type: 'attached'; readonly attach: AttachPort };
  /** Words that run this program. */
  readonly self?: readonly string[] | undefined;
  readonly version: string;
  readonly env: NodeJS.ProcessEnv;
  readonly carrier: CarrierChoice;
  /** Ends the setting up only; a running session is ended with `close`. */
  readonly signal: AbortSignal;
  readonly events: SessionEvents;
}

/** @throws HoopError HOOP_LOCAL_PORT before the gateway is asked for anything; what it says */
export async function connectSession(options: ConnectSessionOptions): Promise<ClientSession> {
  const { open, signal, listen } = options;
  const local = listen.type === 'attached' ? undefined : await openLocalSide(open.home, listen);
  let requested: RequestedSession;
  try {
    requested = await requestSession({
      ...options,
      client: open.client,
      home: open.home,
      gateway: open.gateway,
      pin: open.pin,
    });
  } catch (error) {
    if (local !== undefined) {
      closeLocalSide(local);
    }
    throw error;
  }
  const session = new ClientSession(options, requested, local);
  try {
    await session.start(signal);
    tuneCollector();
    return session;
  } catch (error) {
    await session.close({ reason: 'client_lost', message: 'the session could not be set up' });
    throw error;
  }
}

export class ClientSession {
  readonly reply: SessionReply;
  readonly policy: RequestedSession['policy'];
  readonly #options: ConnectSessionOptions;
  readonly #requested: RequestedSession;
  readonly #local: LocalSide | undefined;
  readonly #lines = new EvidenceLines();
  readonly #opener: StreamOpener;
  readonly #ended = Promise.withResolvers<SessionEnd>();
  readonly #gatewayClosing = Promise.withResolvers<void>();
  #recording: ClientRecording | undefined;
  #control: ControlChannel | undefined;
  #localPort: SessionPort | undefined;
  #offer: LocalOffer | undefined;
  #streams: ClientStreams | undefined;
  #prompts: ClientPrompts | undefined;
  #end: SessionEnd | undefined;
  #closed: Promise<void> | undefined;

  constructor(options: ConnectSessionOptions, requested: RequestedSession, local?: LocalSide) {
    this.#options = options;
    this.#requested = requested;
    this.reply = requested.reply;
    this.policy = requested.policy;
    this.#local = local;
    this.#opener = new StreamOpener({
      client: options.open.client,
      session: requested.reply.session,
      choice: options.carrier,
      onFallback: (because) => options.events.onFallback?.(because),
    });
  }

  get id(): string {
    return this.reply.session;
  }

  /** Resolves when the session must end for a reason other than `close`. */
  get ended(): Promise<SessionEnd> {
    return this.#ended.promise;
  }

  /** The target, for programs of this machine. */
  get offer(): LocalOffer {
    if (this.#offer === undefined) {
      throw new TypeError('the port of this session is not its own');
    }
    return this.#offer;
  }

  get refused(): ReadonlyMap<RefusalReason, number> {
    return this.#localPort?.refused ?? new Map();
  }

  /** What of the session is in memory, to settle its recording with; after `close`. */
  get live(): LiveWitness | undefined {
    return this.#recording;
  }

  async start(signal: AbortSignal): Promise<void> {
    const { open } = this.#options;
    const { sessionKey, keyring, reply } = this.#requested;
    const recording = await ClientRecording.create({
      directory: spoolsOf(open.home),
      session: this.id,
      gatewayUrl: open.gateway,
      certificate: reply.certificate,
      keyring,
      rootKey: Buffer.from(open.pin.rootKey, 'base64'),
      saltKey: Buffer.from(reply.saltKey, 'base64'),
      sessionKey,
      proposeCut: (cut) => this.#control?.send({ type: 'cut', cut }),
    });
    this.#recording = recording;
    onAbort(recording.stopped, () => this.#recordingStopped(recording));
    const socket = await openWebSocket(open.client, PATHS.control(this.id), signal);
    this.#control = new ControlChannel(socket, {
      onMessage: (message) => this.#received(message),
      onEvidence: (bytes) => this.#receivedEvidence(bytes),
      onLost: (error) =>
        this.#endNow({
          reason: 'partition',
          message: error?.message ?? 'the connection to the gateway was lost',
        }),
    });
    const control = this.#control;
    recording.silence.leaveOut(() => control.isSilent);
    this.#opener.prepare();
    const streams = new ClientStreams({
      recording,
      openCarrier: (...wanted) => this.#opener.open(...wanted),
      tell: (message) => this.#control?.send(message),
      reason: () => (this.#end ? endError(this.#end) : undefined),
    });
    this.#streams = streams;
    this.#prompts = new ClientPrompts({
      recording,
      detectors: this.reply.detectors,
      send: (bytes) => this.#control?.sendEvidence(bytes) === true,
    });
    const { listen, prompt } = this.#options;
    if (prompt !== undefined) {
      await this.setPrompt(prompt, signal);
    }
    const { target } = this.reply;
    const openTunnel: OpenTunnel = async (kind, tunnelSignal) =>
      Object.assign(await streams.open(kind, tunnelSignal), { target });
    this.#localPort =
      listen.type === 'attached'
        ? listen.attach(openTunnel)
        : await this.#openPort(listen.connectors, openTunnel);
  }

  async #openPort(
    connectors: readonly ClientEntry[],
    openTunnel: OpenTunnel,
  ): Promise<SessionPort> {
    const { tls, allowedUids, env, self = [], events } = this.#options;
    const { target, expiresAt } = this.reply;
    const local = this.#local;
    if (local === undefined) {
      throw new TypeError('a port of its own has an address');
    }
    const connector = await clientConnector(connectors, target);
    this.#offer = connector.open({ directory: local.runtime, env, self });
    return await this.#offer.serve({
      target,
      listener: local.listener,
      openTunnel,
      tlsUntil: tls ? Date.parse(expiresAt) : undefined,
      allowedUids,
      onRefused: events.onRefused,
      onNote: events.onNote,
    });
  }

  /**
   * A stream for what the program shows, which is recorded and goes no further.
   * @returns undefined: the policy wants none
   * @throws HoopError HOOP_SESSION_ENDED; what the gateway says
   */
  async openTerminal(signal: AbortSignal): Promise<Duplex | undefined> {
    if (this.reply.terminal === 'off') {
      return undefined;
    }
    if (this.#streams === undefined || this.#end !== undefined) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session is not open');
    }
    return this.#streams.open('terminal', signal);
  }

  /**
   * Resolves when the gateway has recorded the prompt: what is sent from then on runs under it.
   * @throws HoopError HOOP_LIMIT, HOOP_SESSION_ENDED
   */
  async setPrompt(words: PromptWords, signal: AbortSignal): Promise<void> {
    if (this.#prompts === undefined) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session has not begun');
    }
    await this.#prompts.set(words, signal);
  }

  /**
   * Ends the session in order: no new connections, the gateway says goodbye on the open ones, the
   * last cut is countersigned. The journal is complete on disk afterwards. Idempotent.
   */
  close(end: SessionEnd = CLOSED_BY_OWNER): Promise<void> {
    this.#closed ??= this.#close(this.#end ?? end);
    return this.#closed;
  }

  async #close(end: SessionEnd): Promise<void> {
    this.#end ??= end;
    this.#prompts?.close(end.message);
    try {
      this.#localPort?.stopAccepting();
      const isGatewayThere = end.reason !== 'partition' && this.#control !== undefined;
      if (isGatewayThere) {
        this.#control?.send({ type: 'close' });
        // For what the other side does, but not for ever.
        await withinTime(this.#gatewayClosing.promise, CLOSING_WITHIN_MS);
        await withinTime(this.#streams?.closed() ?? Promise.resolve(), FINISH_WITHIN_MS);
      }
      await this.#localPort?.close(new HoopError('HOOP_SESSION_ENDED', end.message));
      if (isGatewayThere && !this.#recording?.stopped.aborted) {
        await this.#recording?.finish(AbortSignal.timeout(FINISH_WITHIN_MS));
      }
    } finally {
      this.#streams?.over();
      this.#control?.close();
      this.#opener.close();
      await this.#recording?.close();
      if (this.#local !== undefined) {
        closeLocalSide(this.#local);
      }
    }
  }

  #received(message: ToClient): void {
    switch (message.type) {
      case 'recorded':
        this.#recording?.recorded(message.streams);
        this.#prompts?.recorded(message.streams);
        return;
      case 'cutAck':
        this.#recording?.acknowledge(message.ack);
        return;
      case 'streamEnd':
        this.#recording?.peerEnded(message.stream, { up: message.up, down: message.down });
        return;
      case 'closing':
        this.#gatewayClosing.resolve();
        this.#endNow({ reason: endReason(message.reason), message: message.message });
        return;
      case 'closed':
        this.#control?.close();
        return;
    }
  }

  #receivedEvidence(bytes: Uint8Array): void {
    try {
      this.#recording?.data(CONTROL_STREAM, 1, [bytes]);
      // What is shown is on disk: a crash right after must not make it hearsay.
      this.#recording?.turns.flush();
    } catch (error) {
      // `stopped` has said so already, or the session is over; why it ends is worth showing still.
      if (!(error instanceof HoopError)) {
        throw error;
      }
    }
    for (const line of this.#lines.push(bytes)) {
      this.#options.events.onEvidence?.(line);
    }
  }

  #recordingStopped(recording: ClientRecording): void {
    this.#endNow(endOfRecording(recording.stopped.reason));
  }

  #endNow(end: SessionEnd): void {
    this.#end ??= end;
    this.#gatewayClosing.resolve();
    this.#prompts?.close(end.message);
    if (this.#closed === undefined) {
      this.#ended.resolve(this.#end);
    }
  }
}
