/**
 * Check 14: the gateway's own file. From the events member the digest of each frame is computed
 * again, and from the headers the chain: head, order, times, events and the places of all data must
 * be what the manifest's head covers.
 */
import { FormatError } from '../../format-error.ts';
import type { BundleContents } from '../bundle/bundle-contents.ts';
import { type EventsRecord, readEventsMember } from '../bundle/events-member.ts';
import {
  decodeRepairPiece,
  isRepairSignedBy,
  RepairedRanges,
  sameRanges,
} from '../client/repair.ts';
import { parseCanonicalJson } from '../formats/canonical-json.ts';
import { counted } from '../formats/counted.ts';
import { encodeRecordedCut } from '../formats/cut.ts';
import { sameBytes, toBase64 } from '../formats/encoding.ts';
import type { FrameHeader } from '../formats/frame.ts';
import { type Committed, type DataPlace, FrameDigests } from '../formats/frame-digest.ts';
import { HeadChain } from '../formats/head-chain.ts';
import type { ManifestCut } from '../formats/manifest.ts';
import { EndBodyShape, RecoveredBodyShape } from '../formats/notice-bodies.ts';
import { parseShape } from '../formats/parse-shape.ts';
import type { SegmentHeader } from '../formats/segment-header.ts';
import { endsOf } from '../formats/stream-ends.ts';
import type { RecordingPoint } from '../formats/types.ts';
import { VerifiedPlaces } from './verified-places.ts';
import type { VerifyReport } from './verify-report.ts';

/**
 * @returns where the gateway's recording stood at each cut, as far as the chain could be followed:
 * what signatures of cuts are checked with
 */
export function verifyFrames(contents: BundleContents, report: VerifyReport): RecordingPoint[] {
  const { keys, members, source } = contents;
  const member = members.named.get('events');
  if (member === undefined) {
    report.add('head chain', 'incomplete', 'not checked: the events are not in the bundle');
    return [];
  }
  const walk = new FrameWalk(contents);
  try {
    const read = (offset: number, length: number): Uint8Array =>
      source.read(member.offset + offset, length);
    for (const record of readEventsMember(member.size, read)) {
      walk.take(record);
    }
    walk.finish();
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    report.add('head chain', 'failed', error.message);
    return walk.points;
  }
  const { withheld, gaps, frames } = walk;
  if (withheld > 0) {
    report.add('head chain', 'incomplete', `${withheld} of ${counted(frames, 'event')} withheld`);
  } else if (keys?.eventKey === undefined) {
    report.add('head chain', 'incomplete', 'only the chain was checked: no key for the events');
  } else if (gaps > 0) {
    report.add('head chain', 'incomplete', `the gateway itself reports ${counted(gaps, 'gap')}`);
  } else {
    report.add('head chain', 'ok', `${counted(frames, 'frame')} up to the head that was signed`);
  }
  return walk.points;
}

class FrameWalk {
  readonly #contents: BundleContents;
  readonly #digests: FrameDigests | undefined;
  readonly #places: VerifiedPlaces;
  #segment: SegmentHeader | undefined;
  readonly #chain = new HeadChain();
  #lastUs = 0;
  #cuts = 0;
  #maskedValues = 0;
  #ended = false;
  #isRecovered = false;
  readonly #repaired: RepairedRanges;
  readonly points: RecordingPoint[] = [];
  frames = 0;
  withheld = 0;
  gaps = 0;

  constructor(contents: BundleContents) {
    const { keys, manifest } = contents;
    this.#contents = contents;
    this.#digests = keys?.eventKey === undefined ? undefined : new FrameDigests(keys.eventKey);
    this.#places = new VerifiedPlaces(manifest);
    this.#repaired = new RepairedRanges(endsOf(manifest.streams));
  }

  /** @throws FormatError that names the frame */
  take(record: EventsRecord): void {
    if (record.type === 'segment') {
      this.#startSegment(record.header, record.bytes);
      return;
    }
    const { header } = record;
    if (this.#segment === undefined) {
      throw new FormatError('the events do not begin with a segment');
    }
    if (header.seq !== this.frames || this.#ended) {
      throw new FormatError(`event ${this.frames} is missing or out of order`);
    }
    if (header.timeUs < this.#lastUs) {
      throw new FormatError(`event ${header.seq} goes back in time`);
    }
    this.#lastUs = header.timeUs;
    if (header.type === 'cut') {
      this.points.push({ head: this.#chain.lastHead, frames: header.seq });
    }
    this.#checkDigest(record);
    this.#chain.add(record.headerBytes);
    this.frames += 1;
    this.#takeBody(record);
  }

  /** What must hold when all records were taken. */
  finish(): void {
    const { manifest } = this.#contents;
    if (this.frames !== manifest.gatewayFrames) {
      throw new FormatError(`${this.frames} of ${manifest.gatewayFrames} events are there`);
    }
    if (!sameBytes(this.#chain.head, manifest.gatewayHead)) {
      throw new FormatError('the events do not produce the signed head');
    }
    if (manifest.interim) {
      // Its tail is in the manifest alone, signed for where the recording stands.
      this.points.push({ head: this.#chain.lastHead, frames: this.frames });
    }
    if (this.withheld > 0) {
      return;
    }
    // An interim manifest is made before END is written.
    const recorded = manifest.interim
      ? manifest.cuts.filter(({ client }) => client !== undefined)
      : manifest.cuts;
    if (this.#ended === manifest.interim || this.#cuts !== recorded.length) {
      throw new FormatError('the events do not end as the manifest says');
    }
    if (this.#maskedValues !== manifest.maskedValues) {
      throw new FormatError('the events count other masked values than the manifest');
    }
    if (!sameRanges(this.#repaired.ranges, manifest.lost)) {
      throw new FormatError('the events have other bytes of the client alone than the manifest');
    }
    this.#places.finish();
  }

  #startSegment(header: SegmentHeader, bytes: Uint8Array): void {
    const number = (this.#segment?.segment ?? 0) + 1;
    const { session } = this.#contents.manifest;
    if (
      header.session !== session ||
      header.segment !== number ||
      !sameBytes(header.previousHead, this.#chain.head)
    ) {
      throw new FormatError(`segment ${number} does not follow the one before it`);
    }
    if (number === 1 && header.startMs !== this.#contents.manifest.startedMs) {
      throw new FormatError('the recording began at another time than the manifest says');
    }
    this.#segment = header;
    this.#chain.startSegment(bytes);
    this.#lastUs = 0;
  }

  #checkDigest(record: Exclude<EventsRecord, { type: 'segment' }>): void {
    const { type, seq, digest } = record.header;
    if (record.type === 'withheld') {
      if (this.#digests !== undefined) {
        throw new FormatError(`event ${seq} is withheld, and the key to guess it is not`);
      }
      return;
    }
    if (this.#digests && !sameBytes(this.#digests.of(type, seq, committedOf(record)), digest)) {
      throw new FormatError(`event ${seq} breaks the chain`);
    }
  }

  #takeBody(record: Exclude<EventsRecord, { type: 'segment' }>): void {
    switch (record.type) {
      case 'data':
        this.#data({ ...record.data, length: record.length });
        return;
      case 'group':
        for (const part of record.records) {
          if (part.type === 'data') {
            this.#data({ ...part.data, length: part.length });
          } else {
            this.#event(record.header, part.body);
          }
        }
        return;
      case 'frame':
        this.#other(record.header, record.body);
        return;
      case 'withheld':
        this.withheld += 1;
        this.#places.withheld();
        return;
    }
  }

  #other(header: Extract<EventsRecord, { type: 'frame' }>['header'], body: Uint8Array): void {
    switch (header.type) {
      case 'cut':
        this.#checkCut(header, body);
        return;
      case 'event':
        this.#event(header, body);
        return;
      case 'gap':
        this.gaps += 1;
        return;
      case 'recovered':
        this.#isRecovered = true;
        this.gaps += isDamaged(body) ? 1 : 0;
        return;
      case 'repair':
        this.#repair(header, body);
        return;
      case 'end': {
        const end = parseShape(EndBodyShape, parseCanonicalJson(body, 'the end'), 'the end');
        const { endReason, endedMs } = this.#contents.manifest;
        if (end.endReason !== endReason || end.endedMs !== endedMs) {
          throw new FormatError('the recording ended otherwise than the manifest says');
        }
        this.#ended = true;
        return;
      }
    }
  }

  #data(place: DataPlace): void {
    if (this.#repaired.ranges.length > 0) {
      throw new FormatError(`stream ${place.stream} continues after a repair`);
    }
    this.#places.data(place);
  }

  /** The client's word alone: that it is, and where, is what is checked. */
  #repair(header: FrameHeader, body: Uint8Array): void {
    const { manifest, certificate } = this.#contents;
    const piece = decodeRepairPiece(body);
    if (!this.#isRecovered && this.withheld === 0) {
      throw new FormatError(`event ${header.seq} repairs what was not lost`);
    }
    if (!isRepairSignedBy(certificate.clientKey, manifest.session, piece)) {
      throw new FormatError(`event ${header.seq} is a repair that the client has not signed`);
    }
    this.#repaired.take(piece);
  }

  #event(header: FrameHeader, body: Uint8Array): void {
    const event = parseCanonicalJson(body, `event ${header.seq}`);
    this.#maskedValues += maskedValuesOf(event);
    this.#places.event(event);
  }

  /** The gateway wrote each cut into its own file when it signed it. */
  #checkCut(header: FrameHeader, body: Uint8Array): void {
    const listed = this.#contents.manifest.cuts[this.#cuts];
    const at = this.points.at(-1);
    this.#cuts += 1;
    if (listed === undefined || at === undefined || !sameBytes(body, bodyOf(listed, at))) {
      throw new FormatError(
        `the cut in event ${header.seq} is another one than the manifest lists, or was signed for another place`,
      );
    }
  }
}

function committedOf(
  record: Exclude<EventsRecord, { type: 'segment' | 'withheld' }>,
): readonly Committed[] {
  switch (record.type) {
    case 'data':
      return [{ type: 'data', place: { ...record.data, length: record.length } }];
    case 'group':
      return record.records.map((part) =>
        part.type === 'data'
          ? { type: 'data', place: { ...part.data, length: part.length } }
          : part,
      );
    case 'frame':
      return [{ type: record.header.type, body: record.body }];
  }
}

/** The body that a cut of the manifest has, where it stands. */
function bodyOf({ client, gateway, ...point }: ManifestCut, at: RecordingPoint): Uint8Array {
  const ack = { ...gateway, head: toBase64(at.head), frames: at.frames };
  return encodeRecordedCut(
    client === undefined
      ? { type: 'alone', cut: { ...point, ...ack } }
      : {
          type: 'agreed',
          proposal: { ...point, ...client },
          ack: { epoch: point.epoch, ...ack },
        },
  );
}

function isDamaged(body: Uint8Array): boolean {
  const what = 'a recovery';
  return parseShape(RecoveredBodyShape, parseCanonicalJson(body, what), what).isDamaged;
}

function maskedValuesOf(event: unknown): number {
  if (typeof event !== 'object' || event === null || !('type' in event)) {
    return 0;
  }
  return event.type === 'result' &&
    'maskedValues' in event &&
    typeof event.maskedValues === 'number'
    ? event.maskedValues
    : 0;
}
