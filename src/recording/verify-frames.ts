/**
 * Checks 14 and 15: the gateway's own file. Each frame is built again from the events member and
 * the chunks, encrypted with the data key and hashed: head, order, times, events and data must all
 * be what the manifest's head covers.
 */

import type { KeyObject } from 'node:crypto';
import { FormatError } from '../format-error.ts';
import type { BundleContents } from './bundle-contents.ts';
import { parseCanonicalJson } from './canonical-json.ts';
import type { ChunkMap } from './chunk-map.ts';
import { counted } from './counted.ts';
import { decodeRecordedCut, type RecordedCut } from './cut.ts';
import type { DataBody } from './data-body.ts';
import { sameBytes } from './encoding.ts';
import { type EventsRecord, readEventsMember } from './events-member.ts';
import { type FrameHeader, sealFrame, segmentKey } from './frame.ts';
import { encodeGroupRecordHead } from './group-body.ts';
import { firstHead, frameDigest, NO_HEAD, nextHead } from './head-chain.ts';
import { dataKeyDigest, type ManifestCut } from './manifest.ts';
import { EndBodyShape } from './notice-bodies.ts';
import { parseShape } from './parse-shape.ts';
import type { SegmentHeader } from './segment-header.ts';
import type { Direction } from './types.ts';
import type { VerifyReport } from './verify-report.ts';

/** Clocks that differ by more than this are worth a word. */
const CLOCK_WARNING_MS = 120_000;

export function verifyFrames(
  contents: BundleContents,
  chunks: ChunkMap | undefined,
  report: VerifyReport,
): void {
  const { keys, members, manifest } = contents;
  const member = members.named.get('events');
  if (keys === undefined || chunks === undefined || member === undefined) {
    const what = member === undefined ? 'the events are not in the bundle' : 'no contents to check';
    report.add('head chain', 'incomplete', `not checked: ${what}`);
    return;
  }
  if (!sameBytes(dataKeyDigest(keys.dataKey), manifest.gatewayKeySha256)) {
    report.add('head chain', 'failed', 'the data key is not the one that the manifest names');
    return;
  }
  const walk = new FrameWalk(contents, keys.dataKey, chunks);
  try {
    const read = (offset: number, length: number): Uint8Array =>
      contents.source.read(member.offset + offset, length);
    for (const record of readEventsMember(member.size, read)) {
      walk.take(record);
    }
    walk.finish();
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    report.add('head chain', 'failed', error.message);
    return;
  }
  const { withheld, gaps, frames } = walk;
  if (withheld > 0) {
    report.add('head chain', 'incomplete', `${withheld} of ${counted(frames, 'event')} withheld`);
  } else if (gaps > 0) {
    report.add('head chain', 'incomplete', `the gateway itself reports ${counted(gaps, 'gap')}`);
  } else {
    report.add('head chain', 'ok', `${counted(frames, 'frame')} up to the head that was signed`);
  }
}

/** Where data lies in its stream. */
interface DataPlace {
  readonly data: Omit<DataBody, 'bytes'>;
  readonly length: number;
}

class FrameWalk {
  readonly #contents: BundleContents;
  readonly #dataKey: Uint8Array;
  readonly #chunks: ChunkMap;
  readonly #offsets = new Map<string, number>();
  #segment: SegmentHeader | undefined;
  #key: KeyObject | undefined;
  #head: Uint8Array = NO_HEAD;
  #lastUs = 0;
  #cuts = 0;
  #maskedValues = 0;
  #ended = false;
  frames = 0;
  withheld = 0;
  gaps = 0;

  constructor(contents: BundleContents, dataKey: Uint8Array, chunks: ChunkMap) {
    this.#contents = contents;
    this.#dataKey = dataKey;
    this.#chunks = chunks;
  }

  /** @throws FormatError that names the frame */
  take(record: EventsRecord): void {
    if (record.type === 'segment') {
      this.#startSegment(record.header, record.bytes);
      return;
    }
    const { header } = record;
    if (header.seq !== this.frames || this.#ended) {
      throw new FormatError(`event ${this.frames} is missing or out of order`);
    }
    if (header.timeUs < this.#lastUs) {
      throw new FormatError(`event ${header.seq} goes back in time`);
    }
    this.#lastUs = header.timeUs;
    this.#checkDigest(record);
    this.#head = nextHead(this.#head, record.digest);
    this.frames += 1;
    if (record.type === 'data') {
      this.#advance(record);
    } else if (record.type === 'group') {
      for (const part of record.records) {
        if (part.type === 'data') {
          this.#advance(part);
        } else {
          this.#countMasked(header, part.body);
        }
      }
    } else if (record.type === 'frame') {
      this.#checkBody(header, record.body);
    } else {
      this.withheld += 1;
    }
  }

  /** What must hold when all records were taken. */
  finish(): void {
    const { manifest } = this.#contents;
    if (this.frames !== manifest.gatewayFrames) {
      throw new FormatError(`${this.frames} of ${manifest.gatewayFrames} events are there`);
    }
    if (!sameBytes(this.#head, manifest.gatewayHead)) {
      throw new FormatError('the events do not give the head that was signed');
    }
    if (this.withheld > 0) {
      return;
    }
    // An interim manifest is made before END is written, and its tail is in the manifest alone.
    const recorded = manifest.interim
      ? manifest.cuts.filter(({ client }) => client !== undefined)
      : manifest.cuts;
    if (this.#ended === manifest.interim || this.#cuts !== recorded.length) {
      throw new FormatError('the events do not end as the manifest says');
    }
    if (this.#maskedValues !== manifest.maskedValues) {
      throw new FormatError('the events count other masked values than the manifest');
    }
    for (const { stream, up, down } of manifest.streams) {
      if (this.#at(stream, 0) !== up || this.#at(stream, 1) !== down) {
        throw new FormatError(`the events have another length of stream ${stream}`);
      }
    }
  }

  #startSegment(header: SegmentHeader, bytes: Uint8Array): void {
    const number = (this.#segment?.segment ?? 0) + 1;
    const { session } = this.#contents.manifest;
    if (
      header.session !== session ||
      header.side !== 'gateway' ||
      header.segment !== number ||
      !sameBytes(header.previousHead, this.#head)
    ) {
      throw new FormatError(`segment ${number} does not follow the one before it`);
    }
    this.#segment = header;
    this.#key = segmentKey(this.#dataKey, number);
    this.#head = firstHead(bytes);
    this.#lastUs = 0;
  }

  #checkDigest(record: Exclude<EventsRecord, { type: 'segment' }>): void {
    if (this.#segment === undefined || this.#key === undefined) {
      throw new FormatError('the events do not begin with a segment');
    }
    if (record.type === 'withheld') {
      return;
    }
    const body = this.#bodyOf(record);
    const { type, seq, timeUs } = record.header;
    const frame = sealFrame(this.#key, this.#segment.segment, { type, seq, timeUs }, body);
    if (!sameBytes(frameDigest(frame.parts), record.digest)) {
      throw new FormatError(`event ${seq} breaks the chain`);
    }
  }

  /** The whole plain body, in parts. */
  #bodyOf(record: Exclude<EventsRecord, { type: 'segment' | 'withheld' }>): Uint8Array[] {
    const { seq } = record.header;
    switch (record.type) {
      case 'data':
        return [record.prefix, ...this.#dataOf(record, seq)];
      case 'group':
        return record.records.flatMap((part) =>
          part.type === 'data'
            ? [
                encodeGroupRecordHead('data', part.prefix.length + part.length),
                part.prefix,
                ...this.#dataOf(part, seq),
              ]
            : [encodeGroupRecordHead('event', part.body.length), part.body],
        );
      case 'frame':
        return [record.body];
    }
  }

  #dataOf({ data, length }: DataPlace, seq: number): Uint8Array[] {
    const parts = this.#chunks.read(data.stream, data.direction, data.offset, length);
    if (parts === undefined) {
      throw new FormatError(`the data of event ${seq} is missing`);
    }
    return parts;
  }

  #checkBody(header: FrameHeader, body: Uint8Array): void {
    switch (header.type) {
      case 'cut':
        this.#checkCut(decodeRecordedCut(body));
        return;
      case 'event':
        this.#countMasked(header, body);
        return;
      case 'gap':
        this.gaps += 1;
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
      case 'recovered':
      case 'data':
      case 'group':
        return;
    }
  }

  #countMasked(header: FrameHeader, event: Uint8Array): void {
    this.#maskedValues += maskedValuesOf(parseCanonicalJson(event, `event ${header.seq}`));
  }

  /** The gateway wrote each cut into its own file when it signed it. */
  #checkCut(cut: RecordedCut): void {
    const listed = this.#contents.manifest.cuts[this.#cuts];
    this.#cuts += 1;
    if (listed === undefined || !isListedCut(cut, listed)) {
      throw new FormatError(`cut ${this.#cuts - 1} is another one than the manifest lists`);
    }
  }

  #advance({ data: { stream, direction, offset }, length }: DataPlace): void {
    if (offset !== this.#at(stream, direction)) {
      throw new FormatError(`the events have a gap in stream ${stream}`);
    }
    this.#offsets.set(`${stream}/${direction}`, offset + length);
  }

  #at(stream: number, direction: Direction): number {
    return this.#offsets.get(`${stream}/${direction}`) ?? 0;
  }
}

function isListedCut(cut: RecordedCut, listed: ManifestCut): boolean {
  const client = cut.type === 'agreed' ? cut.proposal.signature : undefined;
  const gateway =
    cut.type === 'agreed'
      ? cut.ack.signature
      : cut.type === 'alone'
        ? cut.cut.signature
        : undefined;
  return client === listed.client?.signature && gateway === listed.gateway.signature;
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

/** Check 15. */
export function verifyTimes(contents: BundleContents, report: VerifyReport): void {
  const { manifest, certificate } = contents;
  const { startedMs, endedMs } = manifest;
  if (startedMs < certificate.notBeforeMs || startedMs > certificate.notAfterMs) {
    report.add('times', 'failed', 'the session is outside the lifetime of its certificate');
    return;
  }
  const warnings: string[] = [];
  if (endedMs > certificate.notAfterMs) {
    // The gateway ends sessions by a clock that does not jump; the wall clock may.
    warnings.push("the session ended after its certificate, by the gateway's clock");
  }
  if (endedMs < startedMs) {
    warnings.push("the gateway's clock went back during the session");
  }
  let previousMs = startedMs;
  let difference = 0;
  for (const { client, gateway } of manifest.cuts) {
    if (gateway.timeMs < previousMs) {
      warnings.push("the gateway's clock went back between cuts");
    }
    previousMs = gateway.timeMs;
    if (client !== undefined) {
      difference = Math.max(difference, Math.abs(client.timeMs - gateway.timeMs));
    }
  }
  if (difference > CLOCK_WARNING_MS) {
    warnings.push(`clocks differ by ${Math.round(difference / 1000)} s`);
  }
  const [first] = warnings;
  if (first !== undefined) {
    report.add('times', 'warning', first);
    return;
  }
  const span = `${new Date(startedMs).toISOString()} to ${new Date(endedMs).toISOString()}`;
  report.add('times', 'ok', span);
}
