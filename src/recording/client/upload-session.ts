/**
 * Settles a session with the gateway after it has ended: the last cut, then the manifest. In the same
 * process from what is in memory, days later from the journal alone. No chunks are sent: a cut covers
 * only what the gateway has on its disk.
 */

import type { CutsReply, SealReply } from '../../api/control.ts';
import { HoopError } from '../../errors.ts';
import { CutProposer, isAckOf, type PendingCut } from '../cuts/cut-proposer.ts';
import { buildManifest } from '../ended/build-manifest.ts';
import type { ChunkPlace } from '../formats/chunk.ts';
import { encodeRecordedCut } from '../formats/cut.ts';
import { decodeEnvelope, encodeEnvelope, isSignedBy, signEnvelope } from '../formats/dsse.ts';
import { sameBytes, utf8 } from '../formats/encoding.ts';
import type { JournalRecord } from '../formats/journal-records.ts';
import { encodeProposed } from '../formats/journal-records.ts';
import {
  decodeManifest,
  encodeManifest,
  type LostRange,
  MANIFEST_TYPE,
} from '../formats/manifest.ts';
import { endsOf } from '../formats/stream-ends.ts';
import {
  type AgreedCut,
  type CutAck,
  type CutProposal,
  type Direction,
  DOWN,
  type EndReason,
  type StreamOffsets,
  UP,
} from '../formats/types.ts';
import { readCertificateUnverified, type SessionCertificate } from '../keys/certificate.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { appendToJournal, type OpenedJournal, openJournal } from './open-journal.ts';
import { encodeRepair, sameRanges } from './repair.ts';
import { piecesOf, rangesToSendBack } from './send-back.ts';
import {
  claimSpool,
  isClaimedByOther,
  readReceipt,
  readSpool,
  releaseSpool,
  SpoolInUse,
  spoolDirectory,
  writeReceipt,
} from './spool.ts';

/** The session's own process, while that lives: ClientRecording. */
export interface LiveWitness {
  /** Of all streams what no agreed cut covers: nobody else may have it. */
  readonly uncoveredBytes: number;
  /** Of each stream what has passed. */
  offsets(): StreamOffsets[];
  /** What the gateway must have: up as far as it has said so, down as far as it has come. */
  owed(): StreamOffsets[];
  /** Of what no agreed cut covers. */
  leaves(places: readonly ChunkPlace[]): Uint8Array;
  /** The same; views that are valid until more of it is covered. */
  bytes(stream: number, direction: Direction, from: number, to: number): Uint8Array[];
}

/** The gateway's HTTP API, as far as this needs it. */
export interface UploadTransport {
  position(session: string, signal: AbortSignal): Promise<CutsReply>;
  proposeCut(session: string, cut: CutProposal, signal: AbortSignal): Promise<CutAck>;
  /** @param pieces as `encodeRepair` makes them */
  repair(session: string, pieces: Uint8Array, signal: AbortSignal): Promise<CutsReply>;
  seal(session: string, signal: AbortSignal): Promise<SealReply>;
  putManifest(session: string, envelope: string, signal: AbortSignal): Promise<string>;
}

export interface UploadOptions {
  /** Where spools are: `<state>/sessions`. */
  readonly directory: string;
  readonly session: string;
  readonly gateway: UploadTransport;
  readonly live?: LiveWitness | undefined;
  readonly signal: AbortSignal;
  readonly nowMs?: () => number;
}

export interface UploadReceipt {
  readonly session: string;
  /** The manifest with both signatures. */
  readonly envelope: string;
  readonly endReason: EndReason | string;
  readonly cuts: number;
  /** Bytes that the gateway recorded and this side never confirmed, e.g. lost with the connection. */
  readonly hasUnconfirmedTail: boolean;
  /** Bytes that the gateway had lost and was given back: this side's word alone. */
  readonly sentBack: number;
}

/**
 * @throws HoopError HOOP_EVIDENCE_MISMATCH when the gateway's word is not what it signed before;
 * SpoolInUse; whatever the transport throws. The spool stays.
 */
export async function uploadSession(options: UploadOptions): Promise<UploadReceipt> {
  const directory = spoolDirectory(options.directory, options.session);
  if (await isClaimedByOther(directory)) {
    throw new SpoolInUse();
  }
  const receipt = readReceipt(directory);
  if (receipt !== undefined) {
    return receiptOf(receipt.envelope);
  }
  const { spool, sessionKey } = readSpool(directory);
  claimSpool(directory);
  try {
    return await new Upload(options, directory, sessionKey, spool.certificate).run();
  } finally {
    releaseSpool(directory);
  }
}

class Upload {
  readonly #options: UploadOptions;
  readonly #directory: string;
  readonly #sessionKey: SigningKey;
  readonly #certificateText: string;
  readonly #certificate: SessionCertificate;

  constructor(
    options: UploadOptions,
    directory: string,
    sessionKey: SigningKey,
    certificateText: string,
  ) {
    this.#options = options;
    this.#directory = directory;
    this.#sessionKey = sessionKey;
    this.#certificateText = certificateText;
    this.#certificate = readCertificateUnverified(certificateText);
  }

  async run(): Promise<UploadReceipt> {
    const { session, gateway, signal } = this.#options;
    const { records } = this.#openJournal();
    const position = await gateway.position(session, signal);
    const found = this.#openJournal();
    if (found.records !== records) {
      // What the gateway says is not of one time with what is here: nobody has lost anything.
      throw new SpoolInUse();
    }
    const owed = [...found.owed, ...(this.#options.live?.owed() ?? [])];
    const journal = await this.#settleCuts(found, position, owed);
    const lost = await this.#sendBack(position, owed);
    const { facts, keptUntilMs } = await gateway.seal(session, signal);
    if (!sameRanges(facts.lost, lost)) {
      throw mismatch('the gateway does not say what it was given back');
    }
    const { ledger } = journal;
    const manifest = buildManifest({
      certificate: this.#certificate,
      certificateText: this.#certificateText,
      cuts: journal.agreed,
      facts,
      treeSize: ledger.treeSize,
      root: ledger.root(),
      clientJournalSha256: journal.sha256,
      interim: false,
    });
    checkNothingIsGone(owed, manifest.streams, manifest.lost);
    if (manifest.gatewayFrames <= (journal.agreed.at(-1)?.ack.frames ?? 0)) {
      throw mismatch('the gateway’s recording ends before a cut that it has signed');
    }
    const payload = encodeManifest(manifest);
    const signed = signEnvelope(MANIFEST_TYPE, payload, this.#sessionKey);
    const text = await gateway.putManifest(session, encodeEnvelope(signed), signal);
    const envelope = this.#checkCountersigned(text, payload);
    const nowMs = (this.#options.nowMs ?? Date.now)();
    writeReceipt(this.#directory, { envelope, receivedMs: nowMs }, keptUntilMs);
    return receiptOf(envelope);
  }

  /** Brings both sides to the same last cut. */
  async #settleCuts(
    found: OpenedJournal,
    position: CutsReply,
    owed: readonly StreamOffsets[],
  ): Promise<OpenedJournal> {
    let journal = found;
    const ours = journal.agreed.length;
    if (position.agreed < ours || position.agreed > ours + 1) {
      throw mismatch(
        `the gateway knows ${position.agreed} agreed cuts, this side ${ours}: it has lost or invented signatures`,
      );
    }
    const pending = journal.proposed?.proposal;
    if (position.agreed === ours + 1) {
      if (pending === undefined || position.lastAck === undefined) {
        throw mismatch('the gateway claims a cut that was never proposed');
      }
      journal = await this.#agree(journal, { proposal: pending, ack: position.lastAck });
    } else if (pending !== undefined && position.state === 'ended') {
      if (isGone(pending.streams, position.recorded)) {
        // It would refuse it, and call that a dispute. No other cut of its number is signed here.
        this.#toSendBack(position, owed);
        return journal;
      }
      journal = await this.#offer(journal, pending);
    }
    if (position.state !== 'ended') {
      return journal;
    }
    const streams = this.#coverable(journal, position);
    if (streams.length === 0) {
      return journal;
    }
    const { proposal, leaves } = this.#propose(journal, streams);
    const cut = encodeRecordedCut({ type: 'proposed', proposal });
    const appended = await this.#append(journal, encodeProposed(cut, leaves));
    if (appended.proposed?.proposal.signature !== proposal.signature) {
      // The session's own process lives after all, and was faster.
      throw new SpoolInUse();
    }
    return await this.#offer(appended, proposal);
  }

  /**
   * What the gateway's disk has lost goes back from memory, once.
   * @returns what the manifest must say of it
   */
  async #sendBack(
    position: CutsReply,
    owed: readonly StreamOffsets[],
  ): Promise<readonly LostRange[]> {
    const { gateway, session, signal, live, nowMs = Date.now } = this.#options;
    const ranges = this.#toSendBack(position, owed);
    if (position.lost.length > 0) {
      // An earlier answer was lost, or the process that sent it was killed.
      return position.lost;
    }
    if (ranges.length === 0 || live === undefined || position.state !== 'ended') {
      return [];
    }
    const pieces = piecesOf(ranges, (...place) => live.bytes(...place), {
      key: this.#sessionKey,
      session,
      timeMs: nowMs(),
    });
    const { lost } = await gateway.repair(session, encodeRepair(pieces), signal);
    return lost;
  }

  /** @throws HoopError HOOP_EVIDENCE_MISMATCH when what is gone cannot be sent back, or not all was taken */
  #toSendBack(position: CutsReply, owed: readonly StreamOffsets[]): LostRange[] {
    const { live } = this.#options;
    const canSend = live !== undefined && position.state === 'ended';
    const ranges = canSend ? rangesToSendBack(live.offsets(), owed, position) : [];
    if (position.lost.length > 0 || ranges === undefined || ranges.length === 0) {
      checkNothingIsGone(owed, position.recorded, position.lost);
    }
    return ranges ?? [];
  }

  /** What both sides have and no cut covers. */
  #coverable({ ledger, points }: OpenedJournal, position: CutsReply): StreamOffsets[] {
    const { live } = this.#options;
    const theirs = new Map(position.recorded.map((entry) => [entry.stream, entry]));
    return (live ?? points).offsets().flatMap(({ stream, up, down }) => {
      const covered = ledger.offsets(stream);
      const other = theirs.get(stream) ?? { up: 0, down: 0 };
      // From memory up to any byte; from the journal only up to where something went on.
      const reach = (direction: Direction, from: number, limit: number) =>
        live === undefined ? points.reach(stream, direction, from, limit) : Math.max(from, limit);
      const both = {
        stream,
        up: reach(UP, covered.up, Math.min(up, other.up)),
        down: reach(DOWN, covered.down, Math.min(down, other.down)),
      };
      return both.up > covered.up || both.down > covered.down ? [both] : [];
    });
  }

  #propose(journal: OpenedJournal, streams: readonly StreamOffsets[]): PendingCut {
    const source = this.#options.live ?? journal.points;
    const proposer = new CutProposer({
      session: this.#options.session,
      sessionKey: this.#sessionKey,
      gatewayKey: this.#certificate.gatewayKey,
      leaves: (places) => source.leaves(places),
      ledger: journal.ledger,
      last: journal.agreed.at(-1)?.ack,
    });
    return proposer.propose(streams, (this.#options.nowMs ?? Date.now)());
  }

  async #offer(journal: OpenedJournal, proposal: CutProposal): Promise<OpenedJournal> {
    const { gateway, session, signal } = this.#options;
    const ack = await gateway.proposeCut(session, proposal, signal);
    return await this.#agree(journal, { proposal, ack });
  }

  async #agree(journal: OpenedJournal, cut: AgreedCut): Promise<OpenedJournal> {
    const { gatewayKey } = this.#certificate;
    const previous = journal.agreed.at(-1)?.ack;
    const { session } = this.#options;
    if (!isAckOf({ session, gatewayKey }, cut.proposal, cut.ack, previous)) {
      throw mismatch('the gateway signed something other than was proposed');
    }
    const body = encodeRecordedCut({ type: 'agreed', ...cut });
    return await this.#append(journal, { type: 'agreed', body });
  }

  async #append(journal: OpenedJournal, record: JournalRecord): Promise<OpenedJournal> {
    await appendToJournal(this.#directory, journal, record);
    return this.#openJournal();
  }

  #openJournal(): OpenedJournal {
    return openJournal(this.#directory, this.#options.session);
  }

  /** Both signatures, over exactly what was sent. */
  #checkCountersigned(text: string, payload: Uint8Array): string {
    const envelope = decodeEnvelope(utf8(text), 'the countersigned manifest');
    const { clientKey, gatewayKey } = this.#certificate;
    if (
      envelope.signatures.length !== 2 ||
      !sameBytes(envelope.payload, payload) ||
      !isSignedBy(envelope, clientKey) ||
      !isSignedBy(envelope, gatewayKey)
    ) {
      throw mismatch('the gateway did not countersign the manifest that it received');
    }
    return text;
  }
}

/**
 * Nothing leaves a gateway before it is in its file, and it says of nothing that it is recorded
 * before it is on its disk: both must be there still. If they are not (an end that was cut off, a
 * disk that lost it), this side does not sign that all is well.
 */
function checkNothingIsGone(
  owed: readonly StreamOffsets[],
  theirs: readonly StreamOffsets[],
  lost: readonly LostRange[],
): void {
  const ends = endsOf(theirs, lost);
  for (const { stream, up, down } of owed) {
    const [theirUp, theirDown] = [ends(stream, UP), ends(stream, DOWN)];
    if (down > theirDown) {
      throw mismatch(
        `the gateway has recorded ${down - theirDown} bytes less of stream ${stream} than came from it`,
      );
    }
    if (up > theirUp) {
      throw mismatch(
        `the gateway has ${up - theirUp} bytes less of what it was sent on stream ${stream} than it said were on its disk`,
      );
    }
  }
}

function isGone(owed: readonly StreamOffsets[], theirs: readonly StreamOffsets[]): boolean {
  const ends = endsOf(theirs);
  return owed.some(({ stream, up, down }) => up > ends(stream, UP) || down > ends(stream, DOWN));
}

function receiptOf(envelope: string): UploadReceipt {
  const { session, endReason, cuts, lost } = decodeManifest(
    decodeEnvelope(utf8(envelope), 'the countersigned manifest'),
  );
  const agreed = cuts.filter(({ client }) => client !== undefined).length;
  return {
    session,
    envelope,
    endReason,
    cuts: agreed,
    hasUnconfirmedTail: agreed < cuts.length,
    sentBack: lost.reduce((sum, { from, to }) => sum + to - from, 0),
  };
}

function mismatch(message: string): HoopError {
  return new HoopError('HOOP_EVIDENCE_MISMATCH', message, {
    hint: 'The local journal is kept. Show it to whoever runs the gateway.',
  });
}
