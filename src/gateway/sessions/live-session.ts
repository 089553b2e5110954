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
 *
 * Longer than most files because the ways into the end, and the end itself, are best read together.
 */
import type { WebSocket } from 'ws';
import type { ToClient, ToGateway } from '../../api/control.ts';
import type { EventParty } from '../../api/events.ts';
import { END_CODE, type StreamCarrier } from '../../carrier/stream-carrier.ts';
import { HoopError, ProtocolError } from '../../errors.ts';
import type { GrantedTarget } from '../../policy/principal-grant.ts';
import type { Grant, Principal } from '../../policy/types.ts';
import type { PromptLine } from '../../recording/formats/prompt.ts';
import type { CutProposal, EndReason } from '../../recording/formats/types.ts';
import { endError } from '../../recording/write/end-error.ts';
import type { GatewayRecording } from '../../recording/write/gateway-recording.ts';
import { RecordingStopped } from '../../recording/write/recording-stopped.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { onAbort } from '../../until.ts';
import { type AccessGrant, accessEndText } from '../access/access-grants.ts';
import { errorFields, type Log } from '../base/log.ts';
import { plainText } from '../base/plain-text.ts';
import type { SessionIndex } from '../index/session-index.ts';
import type { GatewayMetrics } from '../metrics/gateway-metrics.ts';
import { CutAgreement } from './cut-agreement.ts';
import { SessionAudit } from './session-audit.ts';
import { SessionControl } from './session-control.ts';
import { SessionGrant } from './session-grant.ts';
import { SessionLimits } from './session-limits.ts';
import type { SessionPrompts } from './session-prompts.ts';
import { SessionStory } from './session-story.ts';
import { type SessionOpening, SessionStreams } from './session-streams.ts';

export interface LiveSessionOptions {
  readonly id: string;
  readonly principal: Principal;
  /** The login that opened it. */
  readonly family: string;
  /** The login that it was made from, where it is that of a run. */
  readonly login: string;
  /** The run that the login is of. */
  readonly run: string | undefined;
  readonly opening: SessionOpening;
  readonly grant: Grant;
  /** The grant's time is over: asks for `setGrant` with what is left, before it returns. */
  readonly onGrantDue: () => void;
  /** What is known of a temporary grant. */
  readonly temporary: (id: string) => AccessGrant | undefined;
  /** What the person gave; the first line of stream 0, so that both sides sign it. */
  readonly reason: string | undefined;
  readonly prompts: SessionPrompts;
  readonly recording: GatewayRecording;
  readonly index: SessionIndex;
  readonly log: Log;
  readonly metrics: Pick<GatewayMetrics, 'recorded'>;
  /** Wall clock, ms. */
  readonly clock: () => number;
  /** Everything is closed and written. */
  readonly onEnded: (session: LiveSession) => void;
}

interface Ending {
  readonly reason: EndReason;
  readonly message: string;
  /** Who ends it, where somebody does. */
  readonly by: EventParty | undefined;
}

/** The client has this long to open the control channel. */
const CONTROL_WITHIN_MS = 30_000;
/** More than reason and name together may have, characters. */
const MAX_END_MESSAGE = 4000;
/** From the decision to end until the streams are cut off and the last cut is no longer awaited. */
const END_WITHIN_MS = 10_000;

export class LiveSession {
  readonly id: string;
  readonly principal: Principal;
  readonly family: string;
  readonly login: string;
  readonly run: string | undefined;
  readonly targetName: string;
  readonly #options: LiveSessionOptions;
  readonly #log: Log;
  readonly #ending = new AbortController();
  /** Aborted when nothing is waited for any longer. */
  readonly #cutOff = new AbortController();
  readonly #over = new AbortController();
  readonly #grant: SessionGrant;
  readonly #story: SessionStory;
  readonly #limits: SessionLimits;
  readonly #streams: SessionStreams;
  readonly #agreement: CutAgreement;
  readonly #controlTimer: NodeJS.Timeout;
  #control: SessionControl | undefined;
  #ended: Promise<void> | undefined;
  /** The recording is being closed, or is closed: nothing more is agreed on here. */
  #isClosing = false;

  constructor(options: LiveSessionOptions) {
    const { recording } = options;
    this.id = options.id;
    this.principal = options.principal;
    this.family = options.family;
    this.login = options.login;
    this.run = options.run;
    this.targetName = options.opening.target;
    this.#options = options;
    this.#grant = new SessionGrant(options.grant, {
      clock: options.clock,
      onDue: options.onGrantDue,
    });
    this.#log = options.log.with({
      session: options.id,
      principal: options.principal.name,
      target: options.grant.target,
    });
    const { prompts, index } = options;
    const audit = new SessionAudit({
      session: options.id,
      recording,
      index,
      prompts,
      log: this.#log,
      count: (event) => options.metrics.recorded(options.opening.kind, event),
    });
    this.#story = new SessionStory({
      audit,
      recording,
      prompts,
      reason: options.reason,
      temporary: options.temporary,
      onFault: (error) => this.#recordingFailed(error),
    });
    this.#limits = new SessionLimits({
      limits: () => this.#grant.latest.limits,
      onReached: (reason, message) => this.#endNow(reason, message),
    });
    this.#streams = new SessionStreams({
      opening: options.opening,
      grant: () => this.#grant.current(),
      recording,
      log: this.#log,
      ending: this.#ending.signal,
      cutOff: this.#cutOff.signal,
      audit,
      onActivity: () => this.#limits.active(),
      onWaiting: () => this.#limits.waiting(),
      watchWork: (isBusy) => this.#limits.watchWork(isBusy),
      onTerminal: () => options.index.terminal(options.id),
      onRecordingFault: (error) => this.#recordingFailed(error),
      onClosed: (totals) => {
        options.index.streamEnded(options.id, totals.stream);
        this.#tell({ type: 'streamEnd', ...totals });
      },
    });
    this.#agreement = new CutAgreement({
      streams: () => this.#streams.numbers,
      offsets: (stream) => recording.confirmable(stream),
    });
    this.#controlTimer = setTimeout(
      () =>
        this.#endNow(
          'client_lost',
          `hoop on the user’s machine opened no control channel in ${CONTROL_WITHIN_MS / 1000} s`,
        ),
      CONTROL_WITHIN_MS,
    );
    this.#limits.check();
    recording.onRecorded((streams) => this.#tell({ type: 'recorded', streams }));
    onAbort(recording.stopped, () => this.#recordingStopped());
  }

  /** The prompt in force. */
  get prompt(): PromptLine | undefined {
    return this.#options.prompts.current;
  }

  get isEnding(): boolean {
    return this.#ended !== undefined;
  }

  /** Aborted when the session has ended and its recording is closed. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Bytes recorded so far. */
  get totals(): { readonly upBytes: number; readonly downBytes: number } {
    const { upBytes, downBytes } = this.#options.recording.stats;
    return { upBytes, downBytes };
  }

  /**
   * A new commit is in force, or a temporary grant has begun or ended; undefined: nothing is left
   * to this principal here.
   * @param ended the temporary grant whose end is the cause
   */
  setGrant(granted: GrantedTarget | undefined, ended?: AccessGrant): void {
    if (this.isEnding) {
      return;
    }
    const { target, kind } = this.#options.opening;
    // The connector of this session would take rules of another one for its own.
    const isAnother = granted !== undefined && granted.target.kind !== kind;
    const change = this.#grant.set(isAnother ? undefined : granted?.grant);
    for (const id of change.ended) {
      this.#story.accessChanged('ended', id);
    }
    for (const id of change.given) {
      this.#story.accessChanged('given', id);
    }
    if (isAnother) {
      const message = `the kind of target "${target}" has changed in the policy: connect again`;
      this.#endNow('revoked', message);
    } else if (granted !== undefined) {
      this.#limits.check();
      const changed = this.#streams.policyChanged(granted, change.ended.length > 0);
      if (changed !== undefined) {
        this.#endNow('revoked', changed);
      }
    } else if (ended === undefined) {
      this.#endNow('revoked', 'the policy in force no longer gives access to the target');
    } else {
      const reason = ended.ended?.how === 'expired' ? 'expired' : 'revoked';
      this.#endNow(reason, accessEndText(ended));
    }
  }

  /** @throws HOOP_SESSION_ENDED */
  checkLive(): void {
    if (this.isEnding) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session is ending');
    }
  }

  /** @throws HOOP_SESSION_ENDED when it ends or has a control channel already. */
  checkControl(): void {
    this.checkLive();
    if (this.#control !== undefined) {
      throw new HoopError('HOOP_SESSION_ENDED', 'the session already has its control channel');
    }
  }

  attachControl(socket: WebSocket): void {
    if (this.isEnding || this.#control !== undefined) {
      socket.close(1008, 'the session cannot accept a control channel');
      return;
    }
    clearTimeout(this.#controlTimer);
    this.#limits.active();
    this.#control = new SessionControl(socket, {
      onMessage: (message) => this.#received(message),
      onEvidence: (bytes) => this.#receivedEvidence(bytes),
      onProtocolError: (error) => {
        this.#log.warn('control.protocol_error', errorFields(error));
        this.#endNow(
          'client_lost',
          'hoop on the user’s machine sent something that the gateway does not understand',
        );
      },
      onLost: (how) => this.#controlLost(how),
    });
    const control = this.#control;
    this.#options.recording.silence.leaveOut(() => control.isSilent);
    this.#story.begin(this.#control, this.#grant.latest);
  }

  /** @throws HOOP_SESSION_ENDED, HOOP_LIMIT, HOOP_PROTOCOL; called before it is accepted. */
  checkStream(stream: number, kind: StreamKind): void {
    this.checkLive();
    if (this.#control === undefined) {
      throw new HoopError('HOOP_PROTOCOL', 'a stream needs the control channel of its session');
    }
    this.#streams.check(stream, kind);
  }

  openStream(stream: number, kind: StreamKind, carrier: StreamCarrier): void {
    try {
      this.checkStream(stream, kind);
      this.#streams.open(stream, kind, carrier);
      this.#limits.active();
    } catch (error) {
      this.#log.warn('stream.refused', { stream, ...errorFields(error) });
      carrier.end(END_CODE.policy);
    }
  }

  /** Ends the session; resolves when everything is closed and written. Idempotent. */
  end(reason: EndReason, message: string, by?: EventParty): Promise<void> {
    if (this.#ended === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Set before the work begins: what fails on the way asks for the end again.
      this.#ended = promise;
      // Reasons and names of people are in it, and other people's terminals show it as it is.
      resolve(this.#end({ reason, message: plainText(message, MAX_END_MESSAGE), by }));
    }
    return this.#ended;
  }

  #endNow(reason: EndReason, message: string): void {
    this.end(reason, message).catch((error: unknown) =>
      this.#log.error('session.end_failed', errorFields(error)),
    );
  }

  async #end({ reason, message, by }: Ending): Promise<void> {
    clearTimeout(this.#controlTimer);
    this.#limits[Symbol.dispose]();
    this.#log.info('session.closing', { reason });
    const deadline = setTimeout(() => this.#cutOff.abort(), END_WITHIN_MS);
    try {
      this.#story.tell({ type: 'closing', reason, message });
      this.#tell({ type: 'closing', reason, message });
      this.#ending.abort(endError({ reason, message }));
      await this.#streams.closed();
      const { stopped } = this.#options.recording;
      await this.#agreement.complete(AbortSignal.any([this.#cutOff.signal, stopped]));
    } finally {
      clearTimeout(deadline);
      await this.#close({ reason, message, by });
    }
  }

  async #close(decided: Ending): Promise<void> {
    const { recording, index, clock, onEnded } = this.#options;
    this.#isClosing = true;
    // On the way to an ordinary end the last cut may be disputed, or the disk fill up.
    const stopped: unknown = recording.stopped.reason;
    const { reason, message } =
      stopped instanceof RecordingStopped
        ? { reason: stopped.endReason, message: stopped.message }
        : decided;
    const by = reason === decided.reason ? decided.by : undefined;
    if (reason !== decided.reason) {
      this.#tell({ type: 'closing', reason, message });
    }
    await recording.close({ reason, message }).catch((error: unknown) => {
      this.#log.error('recording.close_failed', errorFields(error));
    });
    const { upBytes, downBytes } = recording.stats;
    const endedMs = clock();
    // The recording is what counts; a store that cannot be written shows in readiness.
    await index
      .end(this.id, { endedMs, reason, message, upBytes, downBytes, by })
      .catch((error: unknown) => this.#log.error('index.write_failed', errorFields(error)));
    this.#log.info('session.ended', { reason, upBytes, downBytes });
    this.#tell({ type: 'closed' });
    this.#control?.close();
    this.#over.abort();
    onEnded(this);
  }

  #controlLost(how: 'closed' | 'silent'): void {
    if (how === 'silent') {
      this.#endNow(
        'partition',
        'hoop on the user’s machine no longer answers: the machine is asleep, or the network in between is broken',
      );
    } else {
      this.#endNow('client_lost', 'hoop on the user’s machine ended without closing the session');
    }
    this.#cutOff.abort();
  }

  #received(message: ToGateway): void {
    switch (message.type) {
      case 'cut':
        this.#cut(message.cut).catch((error: unknown) => this.#recordingFailed(error));
        return;
      case 'caughtUp':
        this.#options.recording.caughtUp();
        return;
      case 'streamEnd':
        // What counts is the cut that both sign; this says what none will cover.
        if (this.#streams.numbers.has(message.stream)) {
          this.#options.recording.clientEnded(message.stream, message.down);
          this.#agreement.changed();
        }
        this.#log.debug('stream.client_totals', {
          stream: message.stream,
          up: message.up,
          down: message.down,
        });
        return;
      case 'close':
        this.#endNow('closed', 'the hoop session was closed by its owner');
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
    this.#tell({ type: 'cutAck', ack: outcome.ack });
    this.#agreement.add(cut.streams);
  }

  #receivedEvidence(bytes: Uint8Array): void {
    try {
      if (!this.#story.received(bytes)) {
        this.#endNow(
          'client_lost',
          'hoop on the user’s machine sent more evidence than a session can have',
        );
        this.#cutOff.abort();
        this.#control?.terminate();
      }
    } catch (error) {
      if (error instanceof ProtocolError) {
        this.#log.warn('control.protocol_error', errorFields(error));
        this.#endNow('client_lost', error.message);
      } else {
        this.#recordingFailed(error);
      }
    }
  }

  #recordingStopped(): void {
    if (this.#isClosing) {
      // Closing it is what stopped it.
      return;
    }
    const reason: unknown = this.#options.recording.stopped.reason;
    this.#log.error('recording.stopped', errorFields(reason));
    if (reason instanceof RecordingStopped) {
      this.#endNow(reason.endReason, reason.message);
    } else {
      this.#endNow('recording_failed', 'the gateway cannot record the session any more');
    }
  }

  #recordingFailed(error: unknown): void {
    if (!this.#options.recording.stopped.aborted) {
      this.#log.error('session.failed', errorFields(error));
    }
    this.#endNow('recording_failed', 'the gateway cannot record the session any more');
  }

  #tell(message: ToClient): void {
    this.#control?.send(message);
  }
}
