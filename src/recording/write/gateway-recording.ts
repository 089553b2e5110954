/**
 * The gateway's record of one live session: the authoritative one.
 *
 *     data(), writer    what happens, in order
 *     turns             when it is written, and what then goes on
 *     onRecorded        what is on disk: the client may put it into a cut
 *     acceptCut()       the client's cut is checked against the files and countersigned
 *     backpressure()    too much is not agreed yet: neither leg may go on
 *     stopped           the session must end
 */
import { createSecretKey } from 'node:crypto';
import { AwakeTimer } from '../../awake-timer.ts';
import { HoopError } from '../../errors.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { LostBytes } from '../client/lost-bytes.ts';
import {
  type CutCheck,
  CutCountersigner,
  type CutOutcome,
  type SignedCut,
} from '../cuts/cut-countersigner.ts';
import { hasRoomToGoOn } from '../cuts/manifest-room.ts';
import { SignedCuts } from '../cuts/signed-cuts.ts';
import { SMALL_CUT_BYTES, SmallCutBudget } from '../cuts/small-cut-budget.ts';
import { utf8 } from '../formats/encoding.ts';
import { endBody } from '../formats/notice-bodies.ts';
import {
  CONTROL_STREAM,
  type CutProposal,
  type Direction,
  type EndReason,
  type StreamOffsets,
  UP,
} from '../formats/types.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { type RecordingKeys, storeRecordingKeys } from '../keys/recording-keys.ts';
import type { EvidenceLine } from '../verify/evidence-lines.ts';
import { vouchFor } from './closed-file.ts';
import { type Forwarding, HeldTurns } from './held-turns.ts';
import { LeafAhead } from './leaf-ahead.ts';
import { RecordingStopped, stoppedByForward, stoppedByWrite } from './recording-stopped.ts';
import {
  CERTIFICATE_FILE,
  createRecordingDirectory,
  type RecordingStore,
  recordingDirectory,
} from './recording-store.ts';
import { type RecordingSystem, realSystem } from './segment-writer.ts';
import { SessionWriter } from './session-writer.ts';
import { Silence } from './silence.ts';
import type { WrittenTurns } from './written-turns.ts';

export { newRecordingKeys } from '../keys/recording-keys.ts';

/** Recorded and not covered by a cut; from here on the session waits for the client. */
const MAX_UNSEALED_BYTES = 16 << 20;
/** The same in frames, for sessions of short messages: each costs memory until it is cut. */
const MAX_UNSEALED_FRAMES = 100_000;
/** A client that has lost more than this, and more than it has confirmed, hides what it was sent. */
const MAX_LOST_BYTES = 16 << 20;
/** Bytes that wait longer than this for a cut end the session. */
const MAX_LAG_MS = 30_000;
/** Cuts that came and are not answered; ours proposes one at a time. */
const MAX_WAITING_CUTS = 8;

const TOO_OFTEN = { type: 'refused', message: 'the client cuts too often' } as const;

export interface GatewayRecordingOptions {
  readonly store: RecordingStore;
  readonly session: string;
  readonly keys: RecordingKeys;
  /** The key that the certificate names, raw. */
  readonly clientKey: Uint8Array;
  readonly gatewayKey: SigningKey;
  /** The session certificate's text; kept beside the segments. */
  readonly certificate: string;
  readonly system?: RecordingSystem;
  /** Absent: nobody else can be the owner of this recording. */
  readonly lease?: RecordingLease;
}

/** That this process, and no other, is the owner of its recordings. */
export interface RecordingLease {
  /** Known without asking anybody. */
  readonly isHeld: boolean;
  /** Resolves when it is known to be so; rejects when it is over, or the signal aborts. */
  whenHeld(signal: AbortSignal): Promise<void>;
  /** The same, and rejects as well when it cannot be known now. */
  require(): Promise<void>;
}

const ALWAYS_HELD: RecordingLease = {
  isHeld: true,
  whenHeld: async () => undefined,
  require: async () => undefined,
};

export class GatewayRecording implements AsyncDisposable {
  readonly session: string;
  readonly directory: string;
  /** Where events go. */
  readonly writer: Pick<SessionWriter, 'event' | 'offsets' | 'sync'>;
  readonly #writer: SessionWriter;
  readonly #system: RecordingSystem;
  readonly #lease: RecordingLease;
  readonly #closed = new AbortController();
  /** How what goes to targets waits: for the record, and for the lease. */
  readonly forwarding: Forwarding;
  readonly #countersigner: CutCountersigner;
  readonly #leaves: LeafAhead;
  readonly #signedCuts: SignedCuts;
  readonly #stop = new AbortController();
  readonly #budget: SmallCutBudget;
  #onRecorded: (streams: { stream: number; up: number }[]) => void = () => undefined;
  #unsealedBytes = 0;
  #sealedBytes = 0;
  /** Those of them that came from the client. */
  #unsealedUpBytes = 0;
  readonly #lost = new LostBytes();
  #lagTimer: AwakeTimer | undefined;
  /** Of the client. */
  readonly silence = new Silence();
  #room: PromiseWithResolvers<void> | undefined;
  #cutting: Promise<unknown> = Promise.resolve();
  #waitingCuts = 0;
  /** What the manifest will have to name. */
  readonly #named = { streams: 1, cuts: 0, moves: 0 };
  #closing: Promise<void> | undefined;

  /** The directory, the keys and the certificate are on disk when this resolves. */
  static async create(options: GatewayRecordingOptions): Promise<GatewayRecording> {
    const { store, session, keys, certificate } = options;
    const directory = recordingDirectory(store, session);
    storeRecordingKeys(store.keysDir, session, keys, (options.system ?? realSystem).nowMs());
    await createRecordingDirectory(directory);
    writePrivateFile(`${directory}/${CERTIFICATE_FILE}`, certificate);
    return new GatewayRecording(options, directory);
  }

  private constructor(options: GatewayRecordingOptions, directory: string) {
    const { session, keys } = options;
    this.session = session;
    this.directory = directory;
    this.#system = options.system ?? realSystem;
    this.#lease = options.lease ?? ALWAYS_HELD;
    this.#budget = new SmallCutBudget(this.#system.nowMs());
    this.#leaves = new LeafAhead(createSecretKey(keys.saltKey));
    this.#writer = new SessionWriter({
      leaves: this.#leaves,
      directory,
      session,
      dataKey: keys.dataKey,
      system: this.#system,
      stopped: this.#stop.signal,
      onFailure: (error) => this.#halt(stoppedByWrite(error)),
      onForwardFailed: (error) => this.#halt(stoppedByForward(error)),
      onRecorded: (streams) => this.#onRecorded(streams.map(({ stream, up }) => ({ stream, up }))),
    });
    this.writer = this.#writer;
    const ended = AbortSignal.any([this.#closed.signal, this.#stop.signal]);
    this.forwarding = new HeldTurns(this.#writer.turns, this.#lease, ended);
    this.#signedCuts = new SignedCuts(directory);
    this.#countersigner = new CutCountersigner({
      session,
      clientKey: options.clientKey,
      gatewayKey: options.gatewayKey,
      source: { directory, dataKey: keys.dataKey, saltKey: keys.saltKey },
      hasher: options.store.hasher,
      ahead: this.#leaves,
    });
  }

  /** Aborted with a RecordingStopped when the session must end. */
  get stopped(): AbortSignal {
    return this.#stop.signal;
  }

  get stats(): { readonly upBytes: number; readonly downBytes: number; readonly epochs: number } {
    const { upBytes, downBytes } = this.#writer;
    return { upBytes, downBytes, epochs: this.#countersigner.ledger.epoch };
  }

  /** How what depends on the record goes on. */
  get turns(): WrittenTurns {
    return this.#writer.turns;
  }

  /**
   * Appends; what depends on it is forwarded by `turns`.
   * @param parts one behind the other; they must not change until then
   * @throws RecordingStopped once the session must end
   */
  data(stream: number, direction: Direction, parts: readonly Uint8Array[]): void {
    this.#stop.signal.throwIfAborted();
    this.#writer.data(stream, direction, parts);
    if (direction === UP) this.silence.heard();
    for (const part of parts) {
      this.#unsealedBytes += part.length;
      this.#unsealedUpBytes += direction === UP ? part.length : 0;
    }
    this.#watchLag();
  }

  /** Records the line on stream 0. @returns the bytes to send, as one binary control message. */
  evidence(line: EvidenceLine): Uint8Array {
    const bytes = utf8(`${JSON.stringify(line)}\n`);
    this.data(CONTROL_STREAM, 1, [bytes]);
    this.turns.write();
    return bytes;
  }

  /** @throws TypeError when the number was used before */
  openStream(stream: number, kind: StreamKind): void {
    this.#writer.openStream(stream, kind);
    this.#named.streams += 1;
    this.#checkRoom();
  }

  /** @returns the stream's totals */
  closeStream(stream: number, reason: string): StreamOffsets {
    const totals = this.#writer.closeStream(stream, reason);
    this.#lost.gatewayEnded(totals);
    this.#lostChanged();
    return totals;
  }

  /** The client has ended a stream, with these bytes down: what was on its way does not arrive any more. */
  clientEnded(stream: number, down: number): void {
    this.#lost.clientEnded(stream, Math.max(down, this.#countersigner.ledger.offsets(stream).down));
    this.#lostChanged();
  }

  /** How far a cut can cover a stream. */
  confirmable(stream: number): StreamOffsets {
    return this.#lost.confirmable(this.#writer.offsets(stream));
  }

  onRecorded(listener: (streams: { stream: number; up: number }[]) => void): void {
    this.#onRecorded = listener;
  }

  /**
   * The client has confirmed what has arrived at it, and its own reader stands still: what is on its
   * way is not late. What the client has sent cannot be on its way, and while anything of it is not
   * in a cut this is not true, or is about to be: without a cut it asks for nothing more. What comes
   * of that which it asked before ends at MAX_UNSEALED_BYTES.
   */
  caughtUp(): void {
    if (this.#unsealedUpBytes === 0) {
      this.#lagTimer?.restart();
    }
  }

  /** undefined: go on. Else wait; it rejects when the session must end. */
  backpressure(): Promise<void> | undefined {
    if (!this.#isFull()) {
      return undefined;
    }
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers();
      // Whoever waits gets the rejection; nobody may be waiting when the session ends.
      this.#room.promise.catch(() => undefined);
    }
    return this.#room.promise;
  }

  /** One after the other, in the order of the calls. */
  acceptCut(cut: CutProposal): Promise<CutOutcome> {
    if (this.#closing !== undefined) {
      // Not lost: the client offers it again over HTTP.
      return Promise.reject(new HoopError('HOOP_SESSION_ENDED', 'the recording is closed'));
    }
    if (this.#stop.signal.aborted) {
      return Promise.reject(this.#stop.signal.reason);
    }
    if (this.#waitingCuts >= MAX_WAITING_CUTS) {
      return Promise.resolve(this.#dispute(TOO_OFTEN, cut));
    }
    // Now, not when it is agreed on: what comes meanwhile is beyond what the client has seen.
    if (cut.epoch === this.#countersigner.ledger.epoch) {
      this.#writer.settle();
      this.#leaves.cutAt(cut.streams);
    }
    this.#waitingCuts += 1;
    const outcome = this.#cutting
      .then(() => this.#acceptCut(cut))
      .finally(() => {
        this.#waitingCuts -= 1;
      });
    this.#cutting = outcome.catch(() => undefined);
    return outcome;
  }

  /**
   * Writes the last events and syncs; the recording is complete on disk when this resolves, as far
   * as the disk allows. What no cut covers can still be agreed on with EndedRecording.
   */
  close(end: { readonly reason: EndReason; readonly message?: string | undefined }): Promise<void> {
    this.#closing ??= this.#close(end);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close({ reason: 'gateway_shutdown' });
  }

  async #close(end: { readonly reason: EndReason; readonly message?: string | undefined }) {
    // A cut that waits for the lease is offered again over HTTP.
    this.#closed.abort(new HoopError('HOOP_SESSION_ENDED', 'the recording is closed'));
    await this.#cutting;
    this.#lagTimer?.[Symbol.dispose]();
    const endedMs = this.#system.nowMs();
    try {
      const { reason, message } = end;
      this.#writer.event({ type: 'session.close', reason, message });
      // What another process may have taken over stays open: its owner's next start closes it.
      const mayClose = await this.#lease.require().then(
        () => true,
        () => false,
      );
      if (mayClose && this.#coversEverything()) {
        this.#writer.append('end', endBody(reason, endedMs));
      }
      await this.#writer.sync();
      vouchFor(this.directory, this.#writer.syncedFrames);
    } catch (error) {
      // The failure is in `stopped`; recovery closes what could not be closed here.
      if (!(error instanceof HoopError)) {
        throw error;
      }
    } finally {
      this.#room?.reject(
        new RecordingStopped(end.reason, 'HOOP_SESSION_ENDED', 'the session has ended'),
      );
      await this.#writer.close();
      this.#leaves[Symbol.dispose]();
      this.#signedCuts[Symbol.dispose]();
    }
  }

  async #acceptCut(cut: CutProposal): Promise<CutOutcome> {
    this.#stop.signal.throwIfAborted();
    const bytes = this.#countersigner.bytesOf(cut);
    if (bytes < SMALL_CUT_BYTES && !this.#budget.take(this.#system.nowMs())) {
      return this.#dispute(TOO_OFTEN, cut);
    }
    const check = await this.#countersigner.check(cut, {
      recorded: (stream) => this.#writer.offsets(stream),
      index: this.#writer.index,
      sync: () => this.#writer.sync(),
    });
    if (check.type === 'repeated') {
      return { type: 'ack', ack: check.ack };
    }
    if (check.type !== 'agreed') {
      return this.#dispute(check, cut);
    }
    await this.#lease.whenHeld(AbortSignal.any([this.#closed.signal, this.#stop.signal]));
    const upBytes = this.#countersigner.upBytesOf(cut);
    const agreed = this.#appendCut(check);
    await this.#writer.sync();
    this.#signedCuts.add(cut.epoch, cut.treeSize, cut.root);
    this.#countersigner.commit(agreed);
    this.#sealed(cut.streams, bytes, upBytes);
    this.#named.cuts += 1;
    this.#named.moves += cut.streams.length;
    this.#checkRoom();
    return { type: 'ack', ack: agreed.ack };
  }

  /** The answer names the frames before it, so it is signed when its place is known. */
  #appendCut(check: Extract<CutCheck, { type: 'agreed' }>): SignedCut {
    const nowMs = this.#system.nowMs();
    const cell: { signed?: SignedCut } = {};
    this.#writer.append('cut', (at) => {
      cell.signed = this.#countersigner.sign(check, nowMs, at);
      return cell.signed.body;
    });
    if (cell.signed === undefined) {
      throw new TypeError('a cut was written without being signed');
    }
    return cell.signed;
  }

  #dispute(
    check: Extract<CutCheck, { type: 'refused' | 'differs' }>,
    cut: CutProposal,
  ): CutOutcome {
    const ours = check.type === 'differs' ? check.ours : check.message;
    this.#writer.event({ type: 'dispute', epoch: cut.epoch, ours, theirs: cut.root });
    const message =
      check.type === 'differs' ? `the two recordings differ at cut ${cut.epoch}` : check.message;
    this.#halt(new RecordingStopped('disputed', 'HOOP_EVIDENCE_MISMATCH', message));
    return { type: 'dispute', message, ours, theirs: cut.root };
  }

  #sealed(streams: readonly StreamOffsets[], bytes: number, upBytes: number): void {
    for (const { stream, up, down } of streams) {
      this.#writer.index.forget(stream, 0, up);
      this.#writer.index.forget(stream, 1, down);
    }
    this.#leaves.forget(streams);
    this.#unsealedBytes -= bytes;
    this.#sealedBytes += bytes;
    this.#unsealedUpBytes -= upBytes;
    this.#lost.covered(streams);
    this.#lagTimer?.[Symbol.dispose]();
    this.#lagTimer = undefined;
    if (this.#awaitedBytes > 0) {
      this.#watchLag();
    }
    this.#giveRoom();
  }

  #giveRoom(): void {
    if (!this.#isFull()) {
      this.#room?.resolve();
      this.#room = undefined;
    }
  }

  /** Recorded, not covered by a cut, and not lost. */
  get #awaitedBytes(): number {
    return this.#unsealedBytes - this.#lost.total;
  }

  #lostChanged(): void {
    const lost = this.#lost.total;
    if (lost > MAX_LOST_BYTES + this.#sealedBytes) {
      const message = `the gateway ended the session: hoop on the user's machine reports that ${lost} bytes from the gateway have not arrived`;
      this.#halt(new RecordingStopped('client_lost', 'HOOP_EVIDENCE_MISMATCH', message));
      return;
    }
    if (this.#awaitedBytes === 0) {
      this.#lagTimer?.[Symbol.dispose]();
      this.#lagTimer = undefined;
    }
    this.#giveRoom();
  }

  #checkRoom(): void {
    if (!hasRoomToGoOn(this.#named)) {
      const { streams, cuts } = this.#named;
      const message = `the recording is full: its manifest names ${streams} connections and ${cuts} cuts`;
      this.#halt(
        new RecordingStopped('expired', 'HOOP_SESSION_EXPIRED', message, {
          hint: 'Start the session again.',
        }),
      );
    }
  }

  #isFull(): boolean {
    return (
      this.#awaitedBytes > MAX_UNSEALED_BYTES || this.#writer.uncoveredFrames > MAX_UNSEALED_FRAMES
    );
  }

  #coversEverything(): boolean {
    return this.#unsealedBytes === 0;
  }

  #watchLag(): void {
    const isLate = (): void => {
      const message = `the gateway ended the session: hoop on the user's machine has not confirmed its recording for ${MAX_LAG_MS / 1000} s`;
      this.#halt(new RecordingStopped('client_lost', 'HOOP_SESSION_ENDED', message));
    };
    this.#lagTimer ??= new AwakeTimer(MAX_LAG_MS, isLate, this.silence.counts);
  }

  #halt(reason: RecordingStopped): void {
    this.#lagTimer?.[Symbol.dispose]();
    this.#stop.abort(reason);
    this.#room?.reject(reason);
    this.#room = undefined;
  }
}
