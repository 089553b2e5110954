/**
 * A recording after its session: late cuts, the seal, the manifest and the bundle. Everything is
 * read from the files, so a session that ended in a crash is settled by the same code. One object
 * per session at a time; its calls run one after the other.
 */
import { join } from 'node:path';
import type { CutsReply, GatewayFacts, SealReply } from '../../api/control.ts';
import { HoopError } from '../../errors.ts';
import { type Bundle, buildBundle } from '../bundle/build-bundle.ts';
import { checkRepair, requireRepairable } from '../client/check-repair.ts';
import { encodeRepairPiece } from '../client/repair.ts';
import { CutCountersigner, type CutOutcome } from '../cuts/cut-countersigner.ts';
import { requireRoomForLateCut } from '../cuts/late-cut.ts';
import { SignedCuts } from '../cuts/signed-cuts.ts';
import { encodeRecordedCut, type GatewayCut } from '../formats/cut.ts';
import {
  appendSignature,
  decodeEnvelope,
  type Envelope,
  encodeEnvelope,
  isSignedBy,
  signEnvelope,
} from '../formats/dsse.ts';
import { sameBytes, toBase64, utf8 } from '../formats/encoding.ts';
import { decodeManifest, encodeManifest, MANIFEST_TYPE } from '../formats/manifest.ts';
import { endBody } from '../formats/notice-bodies.ts';
import type { CutProposal, EndReason } from '../formats/types.ts';
import { readCertificateUnverified, type SessionCertificate } from '../keys/certificate.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { loadRecordingKeys } from '../keys/recording-keys.ts';
import { syncSegments, vouchedFrames, vouchFor } from '../write/closed-file.ts';
import { type GatewayTail, measureTail } from '../write/gateway-tail.ts';
import {
  LEAVES_FILE,
  MANIFEST_FILE,
  type RecordingStore,
  recordingDirectory,
} from '../write/recording-store.ts';
import { buildManifest, type ManifestInput } from './build-manifest.ts';
import { readEndedFiles, readText, requireSegments } from './ended-files.ts';
import {
  type OpenedRecording,
  type OpenOptions,
  openRecording,
  readRecording,
  scanOptions,
} from './opened-recording.ts';
import { appendFrames, type FrameToAppend } from './recover-recording.ts';

export interface EndedOptions {
  readonly store: RecordingStore;
  readonly session: string;
  readonly gatewayKey: SigningKey;
  readonly nowMs?: () => number;
  /** Rejects where this process is not the owner of the recording (any more). */
  readonly mayWrite?: () => Promise<void>;
}

export class EndedRecording {
  readonly #options: EndedOptions;
  readonly #open: OpenOptions;
  readonly #certificateText: string;
  readonly #certificate: SessionCertificate;
  #opened: OpenedRecording;
  #manifest: string | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  /**
   * Recovers first when the gateway died during the session.
   * @throws HoopError HOOP_RECORDING_LOST (never recorded, or erased), HOOP_RECORDING_DAMAGED; what
   * `mayWrite` rejects with
   */
  static async open(options: EndedOptions): Promise<EndedRecording> {
    const { store, session } = options;
    const directory = recordingDirectory(store, session);
    const files = await readEndedFiles(store, session, options.gatewayKey);
    const { certificate, gatewayKey } = files;
    const open: OpenOptions = { directory, session, keys: files.keys, hasher: store.hasher };
    const mayWrite = options.mayWrite ?? (async () => undefined);
    const opened = await openRecording(open, mayWrite);
    // All of it was read, which takes a while.
    await mayWrite();
    const { frames } = opened.scan;
    if (vouchedFrames(directory) !== frames) {
      await syncSegments(directory);
      vouchFor(directory, frames);
    }
    const manifest = await readText(join(directory, MANIFEST_FILE));
    const settled = { ...options, gatewayKey };
    const ended = new EndedRecording(settled, open, certificate, opened, manifest);
    if (opened.tail !== undefined) {
      // A seal that was broken off: it has signed its tail, so no cut of that number may follow.
      await ended.#seal();
    }
    return ended;
  }

  private constructor(
    options: EndedOptions,
    open: OpenOptions,
    certificate: string,
    opened: OpenedRecording,
    manifest: string | undefined,
  ) {
    this.#options = options;
    this.#open = open;
    this.#certificateText = certificate;
    this.#certificate = readCertificateUnverified(certificate);
    this.#opened = opened;
    this.#manifest = manifest;
  }

  get endReason(): EndReason {
    return this.#opened.scan.end?.endReason ?? this.#closeReason();
  }

  /**
   * Checks that the files that were read are still there, and that the keys were not erased.
   * @throws HoopError HOOP_RECORDING_LOST
   */
  async requireFiles(): Promise<void> {
    const { store, session } = this.#options;
    await requireSegments(store, session, this.#opened.scan.segments);
    loadRecordingKeys(store.keysDir, session);
  }

  /** What a late cut may cover. */
  position(): CutsReply {
    const { scan, agreed } = this.#opened;
    const lastAck = agreed.at(-1)?.ack;
    const sealed = scan.end === undefined ? 'ended' : 'sealed';
    return {
      v: 1,
      state: this.#manifest === undefined ? sealed : 'complete',
      recorded: [...scan.offsets.values()].sort((a, b) => a.stream - b.stream),
      lost: [...scan.lost],
      agreed: agreed.length,
      ...(lastAck === undefined ? {} : { lastAck }),
    };
  }

  /** @throws HoopError HOOP_SESSION_ENDED when the recording is sealed */
  acceptCut(cut: CutProposal): Promise<CutOutcome> {
    return this.#serial(() => this.#acceptCut(cut));
  }

  /**
   * Before anything of a repair is read.
   * @throws as `repair`
   */
  requireRepairable(): void {
    requireRepairable(this.#opened.scan);
  }

  /**
   * What the client has sent back of the end that this gateway's disk has lost. It is kept as the
   * client's word: no cut covers it.
   * @param request as `encodeRepair` makes it
   * @throws HoopError HOOP_REPAIR_REFUSED, HOOP_SESSION_ENDED when the recording is sealed
   */
  repair(request: Uint8Array): Promise<CutsReply> {
    return this.#serial(async () => {
      const { clientKey } = this.#certificate;
      const pieces = await checkRepair(request, this.#opened.scan, clientKey);
      await this.#append(pieces.map((piece) => ['repair', encodeRepairPiece(piece)] as const));
      return this.position();
    });
  }

  /**
   * No cuts after this: what none covers is signed by the gateway alone, and END is written.
   * @returns what the client's manifest must say of this side
   */
  seal(): Promise<SealReply> {
    return this.#serial(async () => ({ v: 1, facts: await this.#seal() }));
  }

  /**
   * Checks the client's manifest against the gateway's own knowledge, byte for byte, and signs it.
   * @returns the envelope's text with both signatures
   * @throws HoopError HOOP_EVIDENCE_MISMATCH
   */
  countersign(text: string): Promise<string> {
    return this.#serial(async () => {
      const envelope = decodeEnvelope(utf8(text), 'the manifest');
      const { clientKey } = this.#certificate;
      if (envelope.signatures.length !== 1 || !isSignedBy(envelope, clientKey)) {
        throw mismatch('the manifest is not signed by the session key, or not by it alone');
      }
      const { clientJournalSha256 } = decodeManifest(envelope);
      const facts = await this.#seal();
      const ours = this.#manifestBytes({ facts, clientJournalSha256, interim: false });
      if (clientJournalSha256 === undefined || !sameBytes(ours, envelope.payload)) {
        throw mismatch('the manifest does not say what the gateway has recorded');
      }
      const before = this.#storedEnvelope();
      if (before !== undefined && before.signatures.length > 1) {
        if (!sameBytes(before.payload, envelope.payload)) {
          throw mismatch('another manifest of this session was countersigned before');
        }
        return encodeEnvelope(before);
      }
      return this.#store(appendSignature(envelope, this.#options.gatewayKey));
    });
  }

  /** The gateway's own manifest, when the client is lost or disagrees. An existing one is kept. */
  signAlone(): Promise<string> {
    return this.#serial(async () => {
      const facts = await this.#seal();
      const before = this.#storedEnvelope();
      if (before !== undefined) {
        return encodeEnvelope(before);
      }
      const payload = this.#manifestBytes({
        facts,
        clientJournalSha256: undefined,
        interim: false,
      });
      return this.#store(signEnvelope(MANIFEST_TYPE, payload, this.#options.gatewayKey));
    });
  }

  /**
   * One tar file. While neither side has given up on the other, nothing is sealed for it: what no
   * cut covers is signed by the gateway for this bundle alone, in a manifest that says `interim`.
   */
  bundle(): Promise<Bundle> {
    return this.#serial(async () => {
      // Always the current keyring: it lists the old keys too, and clients refuse older versions.
      const keyring = await readText(join(this.#options.store.keysDir, 'keyring.note'));
      if (keyring === undefined) {
        throw new HoopError('HOOP_CONFIG', 'the keyring is missing');
      }
      const { opened, manifest } =
        this.#manifest === undefined
          ? await this.#interim()
          : { opened: this.#opened, manifest: this.#manifest };
      return buildBundle({
        opened,
        keys: this.#open.keys,
        manifest,
        certificate: this.#certificateText,
        keyring,
      });
    });
  }

  /** What can be vouched for now. Nothing is written: a late cut and the upload stay possible. */
  async #interim(): Promise<{ readonly opened: OpenedRecording; readonly manifest: string }> {
    const opened = this.#opened;
    const tail = opened.scan.end === undefined ? await this.#measureTail() : undefined;
    const payload = this.#manifestBytes({
      facts: this.#facts(tail?.sign(opened.scan.point) ?? opened.tail),
      clientJournalSha256: undefined,
      interim: opened.scan.end === undefined,
    });
    const envelope = signEnvelope(MANIFEST_TYPE, payload, this.#options.gatewayKey);
    const manifest = encodeEnvelope(envelope);
    if (tail === undefined) {
      return { opened, manifest };
    }
    const places = [...opened.places, ...tail.places];
    const leaves = Buffer.concat([opened.leaves, tail.leaves]);
    return { opened: { ...opened, places, leaves }, manifest };
  }

  async #acceptCut(cut: CutProposal): Promise<CutOutcome> {
    const { scan, ledger, agreed } = this.#opened;
    const countersigner = new CutCountersigner({
      session: this.#options.session,
      clientKey: this.#certificate.clientKey,
      gatewayKey: this.#options.gatewayKey,
      source: { directory: this.#open.directory, ...this.#open.keys },
      hasher: this.#options.store.hasher,
      ledger,
      last: agreed.at(-1),
    });
    const check = await countersigner.check(cut, {
      recorded: (stream) => scan.offsets.get(stream) ?? { stream, up: 0, down: 0 },
      index: scan.index,
      sync: () => Promise.resolve(),
    });
    if (check.type === 'repeated') {
      return { type: 'ack', ack: check.ack };
    }
    requireRoomForLateCut(this.#opened, cut);
    if (check.type !== 'agreed') {
      const ours = check.type === 'differs' ? check.ours : check.message;
      const message =
        check.type === 'differs' ? `the two recordings differ at cut ${cut.epoch}` : check.message;
      return { type: 'dispute', message, ours, theirs: cut.root };
    }
    const nowMs = this.#nowMs();
    await this.#append([['cut', (at) => countersigner.sign(check, nowMs, at).body]]);
    using signedCuts = new SignedCuts(this.#open.directory);
    signedCuts.add(cut.epoch, cut.treeSize, cut.root);
    const ack = this.#opened.agreed.at(-1)?.ack;
    if (ack?.epoch !== cut.epoch) {
      throw new TypeError('the cut that was written is not there');
    }
    return { type: 'ack', ack };
  }

  async #seal(): Promise<GatewayFacts> {
    const { scan } = this.#opened;
    if (scan.end === undefined) {
      const frames: FrameToAppend[] = [['end', endBody(this.#closeReason(), this.#endedMs())]];
      const tail = await this.#measureTail();
      await this.#append(
        tail === undefined
          ? frames
          : [['cut', (at) => encodeRecordedCut({ type: 'alone', cut: tail.sign(at) })], ...frames],
      );
    }
    return this.#facts(this.#opened.tail);
  }

  #measureTail(): Promise<GatewayTail | undefined> {
    return measureTail(this.#opened, this.#open, this.#options.gatewayKey, this.#nowMs());
  }

  #facts(tail: GatewayCut | undefined): GatewayFacts {
    const { scan } = this.#opened;
    const streams = [...scan.events.streams].sort(([left], [right]) => left - right);
    return {
      head: toBase64(scan.head),
      frames: scan.frames,
      startedMs: scan.startedMs,
      endedMs: scan.end?.endedMs ?? this.#endedMs(),
      endReason: this.endReason,
      maskedValues: scan.events.maskedValues,
      lost: [...scan.lost],
      streams: [
        { stream: 0, kind: 'evidence' },
        ...streams.map(([stream, kind]) => ({ stream, kind })),
      ],
      ...(tail === undefined ? {} : { tail: { ...tail, streams: [...tail.streams] } }),
    };
  }

  #endedMs(): number {
    const { events, closedMs } = this.#opened.scan;
    return events.close === undefined ? this.#nowMs() : closedMs;
  }

  #manifestBytes(
    own: Pick<ManifestInput, 'facts' | 'clientJournalSha256' | 'interim'>,
  ): Uint8Array {
    const { agreed, agreedTree } = this.#opened;
    return encodeManifest(
      buildManifest({
        ...own,
        certificate: this.#certificate,
        certificateText: this.#certificateText,
        cuts: agreed,
        treeSize: agreedTree.size,
        root: agreedTree.root,
      }),
    );
  }

  async #append(frames: readonly FrameToAppend[]): Promise<void> {
    await appendFrames(scanOptions(this.#open), this.#opened.scan, frames);
    this.#opened = await readRecording(this.#open);
    // Before anybody is answered: no later crash can have taken it.
    vouchFor(this.#open.directory, this.#opened.scan.frames);
  }

  #store(envelope: Envelope): string {
    const text = encodeEnvelope(envelope);
    // In the clear, and first: when the keys are erased the root can still be computed from them.
    writePrivateFile(join(this.#open.directory, LEAVES_FILE), this.#opened.leaves);
    writePrivateFile(join(this.#open.directory, MANIFEST_FILE), text);
    this.#manifest = text;
    return text;
  }

  #storedEnvelope(): Envelope | undefined {
    return this.#manifest === undefined
      ? undefined
      : decodeEnvelope(utf8(this.#manifest), 'the stored manifest');
  }

  #closeReason(): EndReason {
    return this.#opened.scan.events.close?.reason ?? 'gateway_crash';
  }

  #nowMs(): number {
    return (this.#options.nowMs ?? Date.now)();
  }

  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}

function mismatch(message: string): HoopError {
  return new HoopError('HOOP_EVIDENCE_MISMATCH', message);
}
