/**
 * Reads all segments of one recording and checks everything that can be checked without the other
 * side: headers, tags, digests, sequence, head chain, contiguous offsets, and that cuts were signed
 * where they stand.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoopError } from '../errors.ts';
import { FormatError } from '../format-error.ts';
import type { StreamKind } from '../stream-kinds.ts';
import { parseCanonicalJson } from './canonical-json.ts';
import { decodeRecordedCut, pointOf, type RecordedCut } from './cut.ts';
import { type DataBody, decodeDataBody } from './data-body.ts';
import { DataIndex } from './data-index.ts';
import { sameBytes } from './encoding.ts';
import { eventRecordLength, SEGMENT_RECORD_LENGTH } from './events-member.ts';
import { type FrameHeader, frameLength, openFrame, segmentKey } from './frame.ts';
import { type DataPlace, eventKeyOf, FrameDigests } from './frame-digest.ts';
import { decodeGroup } from './group-body.ts';
import { firstHead, NO_HEAD, nextHead } from './head-chain.ts';
import { type EndBody, EndBodyShape } from './notice-bodies.ts';
import { parseShape } from './parse-shape.ts';
import { readSegment, type SegmentPart } from './read-segment.ts';
import { repairPlace } from './repair-body.ts';
import { decodeSegmentHeader, type RecordingSide, type SegmentHeader } from './segment-header.ts';
import { segmentName } from './segment-writer.ts';
import type { RecordingEvent, RecordingPoint, StreamOffsets } from './types.ts';

/**
 * What is opened, checked and hashed in one turn: some ten milliseconds. A gateway does this at the
 * end of every session, while others work.
 */
export const SCAN_LOT = { frames: 100, bytes: 512 * 1024 } as const;

export interface ScannedRecording {
  readonly directory: string;
  readonly session: string;
  readonly startedMs: number;
  /** Number of the last segment that has a valid header; 0 = none. */
  readonly segments: number;
  readonly frames: number;
  readonly head: Uint8Array;
  /** After the last frame: what is signed of the next one names it. */
  readonly point: RecordingPoint;
  readonly index: DataIndex;
  /** Recorded bytes of each stream, by number. */
  readonly offsets: ReadonlyMap<number, StreamOffsets>;
  readonly cuts: readonly RecordedCut[];
  /** Of these, agreed on after the session had ended. */
  readonly lateCuts: number;
  readonly events: ScannedEvents;
  readonly end: EndBody | undefined;
  /** Wall clock of the session.close event; of the last frame before a recovery. */
  readonly closedMs: number;
  /** Size of the bundle's events member. */
  readonly eventBytes: number;
  /** Bytes that the client has sent back, and that are its word alone. */
  readonly repairs: readonly DataPlace[];
  /** Where whole frames end in the last segment, when bytes follow that are none. */
  readonly torn: TornTail | undefined;
}

export interface TornTail {
  readonly segment: number;
  readonly position: number;
  readonly bytes: number;
}

/** What the events say that the end of a session needs; the events themselves stay in the file. */
export interface ScannedEvents {
  readonly streams: ReadonlyMap<number, StreamKind>;
  readonly close: Extract<RecordingEvent, { type: 'session.close' }> | undefined;
  readonly maskedValues: number;
}

export interface ScanOptions {
  readonly directory: string;
  readonly session: string;
  readonly side: RecordingSide;
  readonly dataKey: Uint8Array;
}

/**
 * @throws FormatError for anything that a crash cannot have left: bad frames before the last
 * segment, a wrong tag or order, a missing segment. A torn end is reported, not thrown.
 */
export async function scanRecording(options: ScanOptions): Promise<ScannedRecording> {
  const scan = new Scan(options);
  const names = await segmentNames(options.directory);
  for (const [index, name] of names.entries()) {
    if (name !== segmentName(index + 1)) {
      throw new FormatError(`segment ${index + 1} is missing`);
    }
    await scan.segment(join(options.directory, name), index === names.length - 1);
  }
  return scan.result();
}

async function segmentNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.hrs')).sort();
  } catch (cause) {
    throw new HoopError('HOOP_SESSION_UNKNOWN', 'there is no recording of this session', { cause });
  }
}

class Scan {
  readonly #options: ScanOptions;
  readonly #digests: FrameDigests;
  readonly #index = new DataIndex();
  readonly #repairs: DataPlace[] = [];
  readonly #offsets = new Map<number, StreamOffsets>();
  readonly #cuts: RecordedCut[] = [];
  readonly #streams = new Map<number, StreamKind>();
  #lateCuts = 0;
  #close: ScannedEvents['close'];
  #maskedValues = 0;
  #end: EndBody | undefined;
  #segments = 0;
  #frames = 0;
  #head: Uint8Array = NO_HEAD;
  /** After the last frame, whatever segment has begun since. */
  #lastHead: Uint8Array = NO_HEAD;
  #startedMs = 0;
  #lastMs = 0;
  #closedMs = 0;
  #eventBytes = 0;
  #torn: TornTail | undefined;
  /** Since others had their turn. */
  readonly #lot = { frames: 0, bytes: 0 };

  constructor(options: ScanOptions) {
    this.#options = options;
    this.#digests = new FrameDigests(eventKeyOf(options.dataKey));
  }

  async segment(path: string, isLast: boolean): Promise<void> {
    const number = this.#segments + 1;
    let key: ReturnType<typeof segmentKey> | undefined;
    let segment: SegmentHeader | undefined;
    for await (const part of readSegment(path)) {
      if (part.type === 'header') {
        segment = decodeSegmentHeader(part.bytes);
        this.#checkHeader(segment, number);
        key = segmentKey(this.#options.dataKey, number, part.bytes);
        this.#segments = number;
        this.#startedMs ||= segment.startMs;
        this.#head = firstHead(part.bytes);
        this.#lastHead = number === 1 ? this.#head : this.#lastHead;
        this.#eventBytes += SEGMENT_RECORD_LENGTH;
      } else if (part.type === 'frame' && segment !== undefined && key !== undefined) {
        const body = await this.#open(key, number, part);
        if (body === undefined) {
          this.#tornAt(number, part, isLast);
          return;
        }
        this.#frame(segment, part.header, body, part.position);
        this.#head = nextHead(this.#head, part.bytes);
        this.#lastHead = this.#head;
        const turn = this.#mayTakeTurn(part.bytes.length);
        if (turn !== undefined) await turn;
      } else if (part.type === 'torn') {
        // The process died in the middle of a write, or between creating a file and its header.
        this.#tornAt(number, part, isLast);
      }
    }
  }

  #tornAt(
    segment: number,
    { position, behind }: { readonly position: number; readonly behind: number },
    isLast: boolean,
  ): void {
    if (!isLast) {
      throw new FormatError(`segment ${segment} is damaged at byte ${position}`);
    }
    this.#torn = { segment, position, bytes: behind };
  }

  /** @returns undefined when the rest of it was never written. @throws FormatError */
  async #open(
    key: ReturnType<typeof segmentKey>,
    segment: number,
    part: Extract<SegmentPart, { type: 'frame' }>,
  ): Promise<Uint8Array | undefined> {
    try {
      return openFrame(key, segment, part.header, part.bytes);
    } catch (error) {
      if (error instanceof FormatError && (await part.isUnwritten())) {
        return undefined;
      }
      throw error;
    }
  }

  #mayTakeTurn(bytes: number): Promise<void> | undefined {
    const lot = this.#lot;
    lot.frames += 1;
    lot.bytes += bytes;
    if (lot.frames < SCAN_LOT.frames && lot.bytes < SCAN_LOT.bytes) return undefined;
    Object.assign(lot, { frames: 0, bytes: 0 });
    return nextTurn();
  }

  result(): ScannedRecording {
    const { directory, session } = this.#options;
    return {
      directory,
      session,
      startedMs: this.#startedMs,
      segments: this.#segments,
      frames: this.#frames,
      head: this.#head,
      point: { head: this.#lastHead, frames: this.#frames },
      index: this.#index,
      offsets: this.#offsets,
      cuts: this.#cuts,
      lateCuts: this.#lateCuts,
      events: {
        streams: this.#streams,
        close: this.#close,
        maskedValues: this.#maskedValues,
      },
      end: this.#end,
      closedMs: this.#closedMs || this.#lastMs,
      eventBytes: this.#eventBytes,
      repairs: this.#repairs,
      torn: this.#torn,
    };
  }

  #checkHeader(header: SegmentHeader, number: number): void {
    if (header.session !== this.#options.session || header.side !== this.#options.side) {
      throw new FormatError(`segment ${number} belongs to another recording`);
    }
    if (header.segment !== number || Buffer.compare(header.previousHead, this.#head) !== 0) {
      throw new FormatError(`segment ${number} does not follow the one before it`);
    }
  }

  #frame(segment: SegmentHeader, header: FrameHeader, body: Uint8Array, position: number): void {
    if (header.seq !== this.#frames) {
      throw new FormatError(`frame ${this.#frames} is missing`);
    }
    if (this.#end !== undefined) {
      throw new FormatError('frames follow the end of the recording');
    }
    if (!sameBytes(header.digest, this.#digests.ofBody(header.type, header.seq, body))) {
      throw new FormatError(`frame ${header.seq} does not hold what its digest says`);
    }
    this.#frames += 1;
    if (header.type === 'recovered') {
      // The process died some time after what it wrote last; later times are the recovery's.
      this.#closedMs ||= this.#lastMs;
    }
    this.#lastMs = this.#timeMs(segment, header);
    this.#eventBytes += eventRecordLength(header, body);
    switch (header.type) {
      case 'data':
        this.#data(segment.segment, header, decodeDataBody(body), position);
        return;
      case 'group':
        for (const record of decodeGroup(body)) {
          if (record.type === 'data') {
            this.#data(segment.segment, header, { ...record.data, bytes: record.bytes }, position);
          } else {
            // As below.
            this.#event(parseCanonicalJson(record.body, 'an event') as RecordingEvent);
          }
        }
        return;
      case 'event':
        // Written by this code and covered by the tag: the type says what the members are.
        this.#event(parseCanonicalJson(body, 'an event') as RecordingEvent);
        return;
      case 'cut':
        this.#cut(header, decodeRecordedCut(body));
        this.#lateCuts += this.#close === undefined ? 0 : 1;
        return;
      case 'end':
        this.#end = parseShape(EndBodyShape, parseCanonicalJson(body, 'an end'), 'an end');
        return;
      case 'repair':
        this.#repairs.push(repairPlace(body));
        return;
      case 'gap':
      case 'recovered':
        return;
    }
  }

  #cut(header: FrameHeader, cut: RecordedCut): void {
    const signed =
      this.#options.side === 'client' || cut.type === 'proposed'
        ? undefined
        : pointOf(cut.type === 'agreed' ? cut.ack : cut.cut);
    if (signed && !(signed.frames === header.seq && sameBytes(signed.head, this.#lastHead))) {
      throw new FormatError(`the cut in frame ${header.seq} was signed for another place`);
    }
    this.#cuts.push(cut);
  }

  #timeMs(segment: SegmentHeader, header: FrameHeader): number {
    return segment.startMs + Math.floor(header.timeUs / 1000);
  }

  #data(segment: number, header: FrameHeader, data: DataBody, position: number): void {
    const { stream, direction, offset, bytes } = data;
    const before = this.#offsets.get(stream) ?? { stream, up: 0, down: 0 };
    if (offset !== (direction === 0 ? before.up : before.down)) {
      throw new FormatError(`stream ${stream} has a gap at ${offset}`);
    }
    if (bytes.length === 0) {
      throw new FormatError(`stream ${stream} has a piece without a byte`);
    }
    const end = offset + bytes.length;
    this.#offsets.set(stream, direction === 0 ? { ...before, up: end } : { ...before, down: end });
    const place = { segment, position, length: frameLength(header), seq: header.seq };
    this.#index.add(stream, direction, offset, bytes.length, place);
  }

  #event(event: RecordingEvent): void {
    if (event.type === 'stream.open') {
      this.#streams.set(event.stream, event.kind);
    } else if (event.type === 'result') {
      this.#maskedValues += event.maskedValues;
    } else if (event.type === 'session.close') {
      this.#close = event;
      this.#closedMs ||= this.#lastMs;
    }
  }
}
