/** One manifest from the two sides' knowledge; both sides call this and must get the same bytes. */
import type { GatewayFacts } from '../../api/control.ts';
import { FormatError } from '../../format-error.ts';
import { fromBase64, utf8 } from '../formats/encoding.ts';
import {
  type Manifest,
  type ManifestCut,
  type ManifestStream,
  sha256,
} from '../formats/manifest.ts';
import { type AgreedCut, END_REASONS, type StreamOffsets } from '../formats/types.ts';
import type { SessionCertificate } from '../keys/certificate.ts';

export interface ManifestInput {
  readonly certificate: SessionCertificate;
  /** The envelope's text. */
  readonly certificateText: string;
  readonly cuts: readonly AgreedCut[];
  readonly facts: GatewayFacts;
  /** Root and size of the tree after the last agreed cut; the tail's replace them. */
  readonly treeSize: number;
  readonly root: Uint8Array;
  readonly clientJournalSha256: Uint8Array | undefined;
  /** The gateway's own, before the recording is sealed. */
  readonly interim: boolean;
}

/** @throws FormatError when the facts do not have the form they must have */
export function buildManifest(input: ManifestInput): Manifest {
  const { certificate, facts } = input;
  const { tail } = facts;
  const endReason = END_REASONS.find((reason) => reason === facts.endReason);
  if (endReason === undefined) {
    throw new FormatError('the gateway names an end reason that is not known here');
  }
  return {
    session: certificate.session,
    certificateSha256: sha256(utf8(input.certificateText)),
    target: certificate.target,
    policyCommit: certificate.policy.commit,
    treeSize: tail?.treeSize ?? input.treeSize,
    root: tail === undefined ? input.root : fromBase64(tail.root, 'the root of the tail', 32),
    streams: totals(input.cuts, facts),
    cuts: [...input.cuts.map(agreedCut), ...(tail === undefined ? [] : [tailCut(tail)])],
    gatewayHead: fromBase64(facts.head, 'the head of the gateway', 32),
    gatewayFrames: facts.frames,
    owners: [{ nodeKey: certificate.gatewayKey, term: 1, fromCut: 0 }],
    log: undefined,
    lost: facts.lost,
    clientJournalSha256: input.clientJournalSha256,
    startedMs: facts.startedMs,
    endedMs: facts.endedMs,
    endReason,
    maskedValues: facts.maskedValues,
    interim: input.interim,
  };
}

/** Where each stream stood at the last cut that moved it; streams without a byte are listed too. */
function totals(cuts: readonly AgreedCut[], facts: GatewayFacts): ManifestStream[] {
  const last = new Map<number, StreamOffsets>();
  const all = [...cuts.map(({ proposal }) => proposal), ...(facts.tail ? [facts.tail] : [])];
  for (const { streams } of all) {
    for (const offsets of streams) {
      last.set(offsets.stream, offsets);
    }
  }
  const known = new Set(facts.streams.map(({ stream }) => stream));
  const unknown = [...last.keys()].find((stream) => !known.has(stream));
  if (unknown !== undefined) {
    throw new FormatError(`the gateway does not list stream ${unknown}`);
  }
  return facts.streams.map(({ stream, kind }) => ({
    stream,
    kind,
    up: last.get(stream)?.up ?? 0,
    down: last.get(stream)?.down ?? 0,
  }));
}

function agreedCut({ proposal, ack }: AgreedCut): ManifestCut {
  const { epoch, treeSize, root, streams, timeMs, signature } = proposal;
  return {
    epoch,
    treeSize,
    root,
    streams,
    client: { timeMs, signature },
    gateway: { timeMs: ack.timeMs, signature: ack.signature },
  };
}

function tailCut(tail: NonNullable<GatewayFacts['tail']>): ManifestCut {
  const { epoch, treeSize, root, streams, timeMs, signature } = tail;
  return { epoch, treeSize, root, streams, client: undefined, gateway: { timeMs, signature } };
}
