/**
 * The client's side of one live session: it hashes every byte, keeps a journal of the hashes and of
 * what both sides sign, and holds in memory what is not signed yet. It proposes cuts at what the
 * gateway says is recorded (up) and what has arrived here (down), and checks that the gateway signs
 * the same. A client without countersignature stops.
 */
import { createSecretKey } from 'node:crypto';
import { AwakeTimer } from '../../awake-timer.ts';
import { type ErrorCode, HoopError } from '../../errors.ts';
import { onAbort } from '../../until.ts';
import { CutProposer, type PendingCut } from '../cuts/cut-proposer.ts';
import { UncoveredOffsets } from '../cuts/uncovered-offsets.ts';
import { type ChunkPlace, CUT_STEP_BYTES } from '../formats/chunk.ts';
import { encodeRecordedCut } from '../formats/cut.ts';
import {
  type CutAck,
  type CutProposal,
  type Direction,
  DOWN,
  type EndReason,
  type StreamOffsets,
} from '../formats/types.ts';
import type { SessionCertificate } from '../keys/certificate.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { RecordingStopped, stoppedByForward, stoppedByWrite } from '../write/recording-stopped.ts';
import { type RecordingSystem, realSystem } from '../write/segment-writer.ts';
import { Silence } from '../write/silence.ts';
import { WitnessWriter } from '../write/witness-writer.ts';
import type { WrittenTurns } from '../write/written-turns.ts';
import { ClientJournal } from './client-journal.ts';
import { openSessionCertificate } from './open-session-certificate.ts';
import { claimSpool, createSpool } from './spool.ts';

/** A cut is proposed when a stream has passed a multiple of CUT_STEP_BYTES, and with it is at least this … */
const ALIGNED_CUT_BYTES = CUT_STEP_BYTES / 2;
/** … or when this much is not covered, of many streams together … */
const CUT_BYTES = 12 << 20;
/** … which is looked at whenever this much more has passed … */
const LOOK_EVERY_BYTES = 256 * 1024;
/** … or this long after the first byte that is not. */
const CUT_AFTER_MS = 5_000;
/** The gateway's answer; it needs two syncs and some hashing. */
const MAX_ANSWER_MS = 30_000;
/** Down, in memory. A gateway sends nothing more from 16 MiB on, but of each stream what it had read. */
const MAX_UNCUT_BYTES = 128 << 20;

export interface ClientRecordingOptions {
  /** Where spools are: `<state>/sessions`. */
  readonly directory: string;
  readonly session: string;
  readonly gatewayUrl: string;
  /** As the gateway gave it; checked here against keyring and pinned root key. */
  readonly certificate: string;
  readonly keyring: string;
  readonly rootKey: Uint8Array;
  readonly saltKey: Uint8Array;
  readonly sessionKey: SigningKey;
  /** Sends `{type: 'cut', cut}`. A cut that cannot be sent may be dropped: it is on disk. */
  readonly proposeCut: (cut: CutProposal) => void;
  readonly system?: RecordingSystem;
}

export class ClientRecording implements AsyncDisposable {
  readonly session: string;
  /** The spool. */
  readonly directory: string;
  readonly certificate: SessionCertificate;
  readonly #options: ClientRecordingOptions;
  readonly #system: RecordingSystem;
  readonly #writer: WitnessWriter;
  readonly #proposer: CutProposer;
  readonly #stop: AbortController;
  readonly #uncovered: UncoveredOffsets;
  #pending: PendingCut | undefined;
  #proposing: Promise<void> | undefined;
  #uncoveredBytes = 0;
  #uncoveredDownBytes = 0;
  #lookAt = ALIGNED_CUT_BYTES;
  #cutTimer: NodeJS.Timeout | undefined;
  #answerTimer: AwakeTimer | undefined;
  /** Of the gateway. */
  readonly silence = new Silence();
  #isDue = false;
  #finished: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;

  /**
   * Verifies what the gateway gave and makes the spool.
   * @throws HoopError HOOP_VERIFY_FAILED, HOOP_VERIFY_UNTRUSTED, HOOP_EVIDENCE_MISMATCH
   */
  static async create(options: ClientRecordingOptions): Promise<ClientRecording> {
    const certificate = openSessionCertificate(options);
    const system = options.system ?? realSystem;
    const { session, gatewayUrl, keyring, rootKey, sessionKey } = options;
    const directory = await createSpool(
      options.directory,
      {
        session,
        gatewayUrl,
        target: certificate.target,
        startedMs: system.nowMs(),
        certificate: options.certificate,
        keyring,
        rootKey,
      },
      sessionKey,
    );
    claimSpool(directory);
    const stop = new AbortController();
    const onFailure = (error: HoopError): void => stop.abort(stoppedByWrite(error));
    const journal = await ClientJournal.create({ directory, session, system, onFailure });
    return new ClientRecording(options, certificate, { directory, journal, stop });
  }

  private constructor(
    options: ClientRecordingOptions,
    certificate: SessionCertificate,
    made: {
      readonly directory: string;
      readonly journal: ClientJournal;
      readonly stop: AbortController;
    },
  ) {
    const { session, sessionKey } = options;
    this.session = session;
    this.directory = made.directory;
    this.#stop = made.stop;
    this.certificate = certificate;
    this.#options = options;
    this.#system = options.system ?? realSystem;
    this.#writer = new WitnessWriter({
      journal: made.journal,
      saltKey: createSecretKey(options.saltKey),
      stopped: this.#stop.signal,
      onForwardFailed: (error) => this.#stop.abort(stoppedByForward(error)),
    });
    this.#proposer = new CutProposer({
      session,
      sessionKey,
      gatewayKey: certificate.gatewayKey,
      leaves: (places) => this.#writer.leaves(places),
    });
    this.#uncovered = new UncoveredOffsets({
      written: () => this.#writer.allOffsets(),
      covered: (stream) => this.#proposer.ledger.offsets(stream),
    });
  }

  /** Aborted with a RecordingStopped when the session must end. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  openStream(stream: number): void {
    this.#writer.openStream(stream);
  }

  /** @returns this side's totals */
  closeStream(stream: number): StreamOffsets {
    return this.#writer.closeStream(stream);
  }

  /**
   * Up: when it is sent. Down: when it arrives. What depends on it goes on by `turns`.
   * @throws RecordingStopped once the session must end
   */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    this.#stop.signal.throwIfAborted();
    if (direction === DOWN) this.silence.heard();
    const length = this.#writer.data(stream, direction, parts);
    this.#uncoveredBytes += length;
    this.#uncoveredDownBytes += direction === DOWN ? length : 0;
    if (this.#uncoveredDownBytes > MAX_UNCUT_BYTES) {
      this.#halt(
        'disputed',
        'HOOP_EVIDENCE_MISMATCH',
        'the gateway sends more than it lets anybody confirm',
      );
      this.#stop.signal.throwIfAborted();
    }
    this.#watch();
  }

  /** How what depends on the record goes on. */
  get turns(): WrittenTurns {
    return this.#writer.turns;
  }

  /** Nothing has arrived or is known to be recorded that is not in a cut both have signed. */
  get isCaughtUp(): boolean {
    const isBusy = this.#pending !== undefined || this.#proposing !== undefined;
    return !isBusy && this.#uncovered.all().length === 0;
  }

  /** The gateway has these up bytes on its disk. */
  recorded(streams: readonly { readonly stream: number; readonly up: number }[]): void {
    for (const { stream, up } of streams) {
      this.#uncovered.recorded(stream, up);
    }
    this.#maybePropose();
  }

  /** The gateway has ended a stream; its totals are final and recorded. */
  peerEnded(stream: number, totals: { readonly up: number; readonly down: number }): void {
    this.#uncovered.peerEnded(stream, totals.up);
    this.recorded([{ stream, up: totals.up }]);
  }

  /** The gateway's answer to the cut that was proposed last. A wrong one stops the session. */
  acknowledge(ack: CutAck): void {
    const pending = this.#pending;
    if (pending === undefined || !this.#proposer.isAcknowledgedBy(pending, ack)) {
      this.#halt(
        'disputed',
        'HOOP_EVIDENCE_MISMATCH',
        'the gateway signed something other than was proposed',
      );
      return;
    }
    this.#answerTimer?.[Symbol.dispose]();
    this.#pending = undefined;
    const { proposal } = pending;
    try {
      this.#writer.agree(encodeRecordedCut({ type: 'agreed', proposal, ack }), proposal.streams);
    } catch (error) {
      // The writer has stopped the session already.
      if (error instanceof HoopError) {
        return;
      }
      throw error;
    }
    for (const { stream, up, down } of proposal.streams) {
      const before = this.#proposer.ledger.offsets(stream);
      this.#uncoveredBytes -= up - before.up + (down - before.down);
      this.#uncoveredDownBytes -= down - before.down;
    }
    this.#lookAt = ALIGNED_CUT_BYTES;
    this.#proposer.commit(pending, ack);
    this.#isDue = false;
    clearTimeout(this.#cutTimer);
    this.#cutTimer = undefined;
    if (this.#uncoveredBytes > 0) {
      this.#watch();
    }
    this.#maybePropose();
  }

  /**
   * No more data comes. Resolves when all bytes that both sides have are agreed on, when the signal
   * fires or when the session must end; what is left then is settled by uploadSession.
   */
  async finish(signal: AbortSignal): Promise<void> {
    this.#finished ??= Promise.withResolvers();
    const { promise, resolve } = this.#finished;
    this.#maybePropose();
    using _ = onAbort(AbortSignal.any([signal, this.#stop.signal]), resolve);
    await promise;
    this.#finished = undefined;
  }

  /** No more data comes; what is on disk can be uploaded then. Idempotent, does not throw. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get uncoveredBytes(): number {
    return this.#uncoveredBytes;
  }

  /** Of all streams; after `close` what this side can sign, and send back. */
  offsets(): StreamOffsets[] {
    return this.#writer.allOffsets();
  }

  /** What the gateway must have: up as far as it has said so, down as far as it has come. */
  owed(): StreamOffsets[] {
    return this.#uncovered.recordedOf(this.#writer.allOffsets());
  }

  /** @throws RangeError for places that an agreed cut covers, and that have not come */
  leaves(places: readonly ChunkPlace[]): Uint8Array {
    return this.#writer.leaves(places);
  }

  /** @throws RangeError for what an agreed cut covers, and what has not come */
  bytes(stream: number, direction: Direction, from: number, to: number): Uint8Array[] {
    return this.#writer.bytes(stream, direction, from, to);
  }

  async #close(): Promise<void> {
    clearTimeout(this.#cutTimer);
    this.#answerTimer?.[Symbol.dispose]();
    await this.#proposing;
    this.#answerTimer?.[Symbol.dispose]();
    await this.#writer.close();
    // The claim stays: who recorded it uploads it, and gives it up then, or by ending. Another hoop
    // that looks between the two must not take it for left behind.
  }

  #watch(): void {
    if (this.#uncoveredBytes >= this.#lookAt) {
      this.#lookAt = this.#uncoveredBytes + LOOK_EVERY_BYTES;
      this.#maybePropose();
    }
    this.#cutTimer ??= setTimeout(() => {
      this.#isDue = true;
      this.#maybePropose();
    }, CUT_AFTER_MS);
  }

  #maybePropose(): void {
    if (this.#pending || this.#proposing || this.#closing || this.#stop.signal.aborted) {
      return;
    }
    let streams = this.#uncovered.all();
    if (this.#finished !== undefined && !this.#uncovered.expectsMore) {
      if (streams.length === 0) {
        this.#finished.resolve();
        this.#finished = undefined;
        return;
      }
    } else if (this.#finished === undefined && !this.#isDue) {
      const steps = this.#uncovered.atSteps(streams);
      if (this.#uncovered.gainOf(steps) >= ALIGNED_CUT_BYTES) {
        streams = steps;
      } else if (this.#uncovered.gainOf(streams) < CUT_BYTES) {
        // What the gateway has not recorded does not count: it comes in small steps while the gateway
        // is behind, and a cut for each of them would be one too many for it.
        return;
      }
    }
    if (streams.length === 0) {
      // Waits for the gateway's `recorded`, which comes here again.
      return;
    }
    this.#proposing = this.#propose(streams).finally(() => {
      this.#proposing = undefined;
    });
  }

  async #propose(streams: readonly StreamOffsets[]): Promise<void> {
    try {
      this.turns.goOn();
      const pending = this.#proposer.propose(streams, this.#system.nowMs());
      const { proposal, leaves } = pending;
      this.#writer.propose(encodeRecordedCut({ type: 'proposed', proposal }), streams, leaves);
      // Signs nothing that is not on this disk: after a crash no other cut of this number is signed.
      await this.#writer.sync();
      this.#writer.claimProposed();
      this.#pending = pending;
      const isLate = (): void => {
        const message = `hoop on this machine ended the session: the gateway has not confirmed its recording for ${MAX_ANSWER_MS / 1000} s`;
        this.#halt('client_lost', 'HOOP_SESSION_ENDED', message);
      };
      this.#answerTimer = new AwakeTimer(MAX_ANSWER_MS, isLate, this.silence.counts);
      this.#options.proposeCut(proposal);
    } catch (error) {
      this.#failed(
        error instanceof HoopError
          ? error
          : new HoopError('HOOP_RECORDING_WRITE', 'a cut could not be made', { cause: error }),
      );
    }
  }

  #failed(error: HoopError): void {
    this.#stop.abort(stoppedByWrite(error));
  }

  #halt(endReason: EndReason, code: ErrorCode, message: string): void {
    this.#answerTimer?.[Symbol.dispose]();
    this.#stop.abort(new RecordingStopped(endReason, code, message));
  }
}
