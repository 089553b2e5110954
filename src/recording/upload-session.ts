/**
 * Settles a session with the gateway after it has ended, in the same process or days later, from
 * what is on disk: the last cut, then the manifest. No chunks are sent: a cut covers only what the
 * gateway has on its disk, and what no cut covers cannot become evidence afterwards on one side's word.
 */

import type { CutsReply, SealReply } from '../api/control.ts';
import { HoopError } from '../errors.ts';
import { buildManifest } from './build-manifest.ts';
import { readCertificateUnverified, type SessionCertificate } from './certificate.ts';
import { encodeRecordedCut, type RecordedCut } from './cut.ts';
import { CutProposer, isAckOf, type PendingCut } from './cut-proposer.ts';
import { decodeEnvelope, encodeEnvelope, isSignedBy, signEnvelope } from './dsse.ts';
import { sameBytes, utf8 } from './encoding.ts';
import { LeafHasher } from './leaf-hasher.ts';
import { encodeManifest, MANIFEST_TYPE } from './manifest.ts';
import {
  type OpenedRecording,
  type OpenOptions,
  openRecording,
  readRecording,
  scanOptions,
} from './opened-recording.ts';
import { appendFrames } from './recover-recording.ts';
import {
  claimSpool,
  isClaimedByOther,
  readSpool,
  releaseSpool,
  type SpoolKeys,
  spoolDirectory,
  writeReceipt,
} from './spool.ts';
import type { AgreedCut, CutAck, CutProposal, EndReason, StreamOffsets } from './types.ts';

/** The gateway's HTTP API, as far as this needs it. */
export interface UploadTransport {
  position(session: string, signal: AbortSignal): Promise<CutsReply>;
  proposeCut(session: string, cut: CutProposal, signal: AbortSignal): Promise<CutAck>;
  seal(session: string, signal: AbortSignal): Promise<SealReply>;
  putManifest(session: string, envelope: string, signal: AbortSignal): Promise<string>;
}

export interface UploadOptions {
  /** Where spools are: `<state>/sessions`. */
  readonly directory: string;
  readonly session: string;
  readonly gateway: UploadTransport;
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
}

/** Its session goes on in another process, or that one uploads what it has found left behind. */
export class SpoolInUse extends HoopError {
  constructor() {
    super('HOOP_LOCAL_STATE', 'another process is using this recording', {
      hint: 'Wait until it has ended.',
    });
  }
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
  const { spool, keys } = readSpool(directory);
  claimSpool(directory);
  await using hasher = new LeafHasher();
  try {
    const open: OpenOptions = {
      directory,
      session: options.session,
      side: 'client',
      keys,
      hasher,
    };
    const upload = new Upload(options, open, keys, spool.certificate);
    return await upload.run(await openRecording(open));
  } finally {
    releaseSpool(directory);
  }
}

class Upload {
  readonly #options: UploadOptions;
  readonly #open: OpenOptions;
  readonly #keys: SpoolKeys;
  readonly #certificateText: string;
  readonly #certificate: SessionCertificate;

  constructor(options: UploadOptions, open: OpenOptions, keys: SpoolKeys, certificateText: string) {
    this.#options = options;
    this.#open = open;
    this.#keys = keys;
    this.#certificateText = certificateText;
    this.#certificate = readCertificateUnverified(certificateText);
  }

  async run(found: OpenedRecording): Promise<UploadReceipt> {
    const { session, gateway, signal } = this.#options;
    const position = await gateway.position(session, signal);
    const opened = await this.#settleCuts(found, position);
    const { facts } = await gateway.seal(session, signal);
    const manifest = buildManifest({
      certificate: this.#certificate,
      certificateText: this.#certificateText,
      cuts: opened.agreed,
      facts,
      treeSize: opened.agreedTree.size,
      root: opened.agreedTree.root,
      clientHead: opened.scan.head,
      interim: false,
    });
    checkNothingIsGone(opened, manifest.streams);
    const payload = encodeManifest(manifest);
    const signed = signEnvelope(MANIFEST_TYPE, payload, this.#keys.sessionKey);
    const text = await gateway.putManifest(session, encodeEnvelope(signed), signal);
    const envelope = this.#checkCountersigned(text, payload);
    const nowMs = (this.#options.nowMs ?? Date.now)();
    writeReceipt(this.#open.directory, { envelope, receivedMs: nowMs });
    return {
      session,
      envelope,
      endReason: manifest.endReason,
      cuts: opened.agreed.length,
      hasUnconfirmedTail: facts.tail !== undefined,
    };
  }

  /** Brings both sides to the same last cut. */
  async #settleCuts(found: OpenedRecording, position: CutsReply): Promise<OpenedRecording> {
    let opened = found;
    const ours = opened.agreed.length;
    if (position.agreed < ours || position.agreed > ours + 1) {
      throw mismatch(
        `the gateway knows ${position.agreed} agreed cuts, this side ${ours}: it has lost or made up signatures`,
      );
    }
    const pending = opened.proposed;
    if (position.agreed === ours + 1) {
      if (pending === undefined || position.lastAck === undefined) {
        throw mismatch('the gateway claims a cut that was never proposed');
      }
      opened = await this.#agree({ proposal: pending, ack: position.lastAck });
    } else if (pending !== undefined && position.state === 'ended') {
      opened = await this.#offer(pending);
    }
    if (position.state !== 'ended') {
      return opened;
    }
    const streams = coverable(opened, position);
    if (streams.length === 0) {
      return opened;
    }
    const nowMs = (this.#options.nowMs ?? Date.now)();
    const { proposal } = await this.#propose(opened, streams, nowMs);
    await this.#append(opened, { type: 'proposed', proposal });
    return await this.#offer(proposal);
  }

  async #propose(
    opened: OpenedRecording,
    streams: readonly StreamOffsets[],
    nowMs: number,
  ): Promise<PendingCut> {
    const { directory, keys, hasher, session } = this.#open;
    const proposer = new CutProposer({
      session,
      sessionKey: this.#keys.sessionKey,
      gatewayKey: this.#certificate.gatewayKey,
      source: { directory, dataKey: keys.dataKey, saltKey: keys.saltKey },
      hasher,
      ledger: opened.ledger,
    });
    return await proposer.propose(streams, opened.scan.index, nowMs);
  }

  async #offer(proposal: CutProposal): Promise<OpenedRecording> {
    const { gateway, session, signal } = this.#options;
    const ack = await gateway.proposeCut(session, proposal, signal);
    return await this.#agree({ proposal, ack });
  }

  async #agree(cut: AgreedCut): Promise<OpenedRecording> {
    const { gatewayKey } = this.#certificate;
    if (!isAckOf({ session: this.#options.session, gatewayKey }, cut.proposal, cut.ack)) {
      throw mismatch('the gateway signed something else than was proposed');
    }
    const opened = await readRecording(this.#open);
    return await this.#append(opened, { type: 'agreed', ...cut });
  }

  async #append(opened: OpenedRecording, cut: RecordedCut): Promise<OpenedRecording> {
    await appendFrames(scanOptions(this.#open), opened.scan, [['cut', encodeRecordedCut(cut)]]);
    return await readRecording(this.#open);
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
      throw mismatch('the gateway did not countersign the manifest that it was given');
    }
    return text;
  }
}

/**
 * Nothing leaves a gateway before it is in its file, so whatever came from it must be there still. If
 * it is not (an end that was cut off, a disk that lost it), this side does not sign that all is well.
 */
function checkNothingIsGone(opened: OpenedRecording, theirs: readonly StreamOffsets[]): void {
  for (const { stream, down } of opened.scan.offsets.values()) {
    const missing = down - (theirs.find((other) => other.stream === stream)?.down ?? 0);
    if (missing > 0) {
      throw mismatch(
        `the gateway has recorded ${missing} bytes less of stream ${stream} than came from it`,
      );
    }
  }
}

/** What both sides have and no cut covers. */
function coverable(opened: OpenedRecording, position: CutsReply): StreamOffsets[] {
  const theirs = new Map(position.recorded.map((entry) => [entry.stream, entry]));
  const streams: StreamOffsets[] = [];
  for (const { stream, up, down } of [...opened.scan.offsets.values()].sort(byStream)) {
    const covered = opened.ledger.offsets(stream);
    const other = theirs.get(stream) ?? { up: 0, down: 0 };
    const both = {
      stream,
      up: Math.max(covered.up, Math.min(up, other.up)),
      down: Math.max(covered.down, Math.min(down, other.down)),
    };
    if (both.up > covered.up || both.down > covered.down) {
      streams.push(both);
    }
  }
  return streams;
}

function byStream(left: StreamOffsets, right: StreamOffsets): number {
  return left.stream - right.stream;
}

function mismatch(message: string): HoopError {
  return new HoopError('HOOP_EVIDENCE_MISMATCH', message, {
    hint: 'The local recording is kept. Show it to whoever runs the gateway.',
  });
}
