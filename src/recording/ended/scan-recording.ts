/**
 * Reads all segments of one recording and checks everything that can be checked without the other
 * side: headers, tags, digests, sequence, head chain, contiguous offsets, and that cuts were signed
 * where they stand.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { eventRecordLength, SEGMENT_RECORD_LENGTH } from '../bundle/events-member.ts';
import { decodeRepairPiece, RepairedRanges } from '../client/repair.ts';
import { parseCanonicalJson } from '../formats/canonical-json.ts';
import { decodeRecordedCut, pointOf, type RecordedCut } from '../formats/cut.ts';
import { type DataBody, decodeDataBody } from '../formats/data-body.ts';
import { sameBytes } from '../formats/encoding.ts';
import { type FrameHeader, openFrame, segmentKey } from '../formats/frame.ts';
import { eventKeyOf, FrameDigests } from '../formats/frame-digest.ts';
import { decodeGroup } from '../formats/group-body.ts';
import { HeadChain } from '../formats/head-chain.ts';
import type { LostRange } from '../formats/manifest.ts';
import { type EndBody, EndBodyShape } from '../formats/notice-bodies.ts';
import { parseShape } from '../formats/parse-shape.ts';
import { decodeSegmentHeader, type SegmentHeader } from '../formats/segment-header.ts';
import {
  type RecordingEvent,
  type RecordingPoint,
  type StreamOffsets,
  UP,
} from '../formats/types.ts';
import { segmentName } from '../write/segment-writer.ts';
import { DataIndex } from './data-index.ts';
import { readSegment, type SegmentPart } from './read-segment.ts';

/**
 * What is opened, checked and hashed in one turn: some ten milliseconds. A gateway does this at the
 * end of every session, while others work.
 */
export const SCAN_LOT = { frames: 100, bytes: 512 * 1024 } as const;

/** As the gateway's recording has them. */
type GatewaysCut = Exclude<RecordedCut, { type: 'proposed' }>;

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
  readonly cuts: readonly GatewaysCut[];
  /** What the client has sent back, by place. */
  readonly lost: readonly LostRange[];
  /** The process that wrote it died: its disk may have lost what came last. */
  readonly isRecovered: boolean;
  /** Of these, agreed on after the session had ended. */
  readonly lateCuts: number;
  readonly events: ScannedEvents;
  readonly end: EndBody | undefined;
  /** Wall clock of the session.close event; of the last frame before a recovery. */
  readonly closedMs: number;
  /** Size of the bundle's events member. */
  readonly eventBytes: number;
  /** Where whole frames end in the last segment, when bytes follow that are none. */
  readonly torn: TornTail | undefined;
}

export interface TornTail {
  readonly segment: number;
  readonly position: number;
  readonly bytes: number;
  /** No dying process leaves this: a power cut wrote some of it and not what is before. */
  readonly isDamaged: boolean;
  /** Segments behind it. */
  readonly later: readonly string[];
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
  readonly dataKey: Uint8Array;
}

export interface ScanRepair {
  /**
   * So many cuts were countersigned: what lies before the last of them was synced, and damage there is
   * thrown. What is behind it may be damaged by a power cut, and counts as torn.
   */
  readonly signedCuts: number;
  /** So many frames were on disk before somebody was answered; undefined: nothing may be cut. */
  readonly vouchedFrames: number | undefined;
}

/**
 * @param repair what may not be cut; absent: damage anywhere is thrown
 * @throws FormatError for anything that a crash cannot have left: a frame that does not open, a wrong
 * order, a missing segment. A torn end is reported, not thrown.
 */
export async function scanRecording(
  options: ScanOptions,
  repair?: ScanRepair,
): Promise<ScannedRecording> {
  const scan = new Scan(options, repair);
  const names = await segmentNames(options.directory);
  for (const [index, name] of names.entries()) {
    if (name !== segmentName(index + 1)) {
      throw new FormatError(`segment ${index + 1} is missing`);
    }
    await scan.segment(join(options.directory, name), names.slice(index + 1));
    if (scan.isTorn) {
      break;
    }
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
  readonly #repair: ScanRepair | undefined;
  readonly #digests: FrameDigests;
  readonly #index = new DataIndex();
  readonly #offsets = new Map<number, StreamOffsets>();
  readonly #cuts: GatewaysCut[] = [];
  readonly #streams = new Map<number, StreamKind>();
  readonly #repaired = new RepairedRanges((stream, direction) => {
    const { up, down } = this.#offsets.get(stream) ?? { up: 0, down: 0 };
    return direction === UP ? up : down;
  });
  #isRecovered = false;
  #lateCuts = 0;
  #close: ScannedEvents['close'];
  #maskedValues = 0;
  #end: EndBody | undefined;
  #segments = 0;
  #frames = 0;
  /** Before this segment. */
  #framesBefore = 0;
  readonly #chain = new HeadChain();
  #startedMs = 0;
  #lastMs = 0;
  #closedMs = 0;
  #eventBytes = 0;
  #torn: TornTail | undefined;
  /** Since others had their turn. */
  readonly #lot = { frames: 0, bytes: 0 };

  constructor(options: ScanOptions, repair: ScanRepair | undefined) {
    this.#options = options;
    this.#repair = repair;
    this.#digests = new FrameDigests(eventKeyOf(options.dataKey));
  }

  get isTorn(): boolean {
    return this.#torn !== undefined;
  }

  /** @param later the segments behind it */
  async segment(path: string, later: readonly string[]): Promise<void> {
    const number = this.#segments + 1;
    this.#framesBefore = this.#frames;
    let key: ReturnType<typeof segmentKey> | undefined;
    let segment: SegmentHeader | undefined;
    for await (const part of readSegment(path)) {
      if (part.type === 'header') {
        segment = decodeSegmentHeader(part.bytes);
        this.#checkHeader(segment, number);
        key = segmentKey(this.#options.dataKey, number, part.bytes);
        this.#segments = number;
        this.#startedMs ||= segment.startMs;
        this.#chain.startSegment(part.bytes);
        this.#eventBytes += SEGMENT_RECORD_LENGTH;
      } else if (part.type === 'frame' && segment !== undefined && key !== undefined) {
        const body = await openOrTorn(key, number, part);
        if (body instanceof Uint8Array === false) {
          this.#tornAt(number, body, later);
          return;
        }
        this.#frame(segment, part.header, body, part.position);
        this.#chain.add(part.bytes);
        const turn = this.#mayTakeTurn(part.bytes.length);
        if (turn !== undefined) await turn;
      } else if (part.type === 'torn') {
        // The process died in the middle of a write, or between creating a file and its header.
        this.#tornAt(number, part, later);
        return;
      }
    }
  }

  #tornAt(segment: number, { position, behind, error }: TornPart, later: readonly string[]): void {
    if (this.#end !== undefined) {
      throw new FormatError('bytes follow the end of the recording');
    }
    const isDamaged = error !== undefined || later.length > 0;
    if (isDamaged && !this.#mayBeCut()) {
      throw error ?? new FormatError(`segment ${segment} is damaged at byte ${position}`);
    }
    this.#torn = { segment, position, bytes: behind, isDamaged, later };
  }

  /** Nothing that was signed or answered is behind this, and with another key nothing would have opened. */
  #mayBeCut(): boolean {
    const { signedCuts, vouchedFrames } = this.#repair ?? {};
    if (signedCuts === undefined || vouchedFrames === undefined) {
      return false;
    }
    const agreed = this.#cuts.filter(({ type }) => type === 'agreed').length;
    // What comes after a recording was closed begins a segment of its own.
    return this.#frames > 0 && this.#framesBefore >= vouchedFrames && agreed >= signedCuts;
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
      head: this.#chain.head,
      point: { head: this.#chain.lastHead, frames: this.#frames },
      index: this.#index,
      offsets: this.#offsets,
      cuts: this.#cuts,
      lost: this.#repaired.ranges,
      isRecovered: this.#isRecovered,
      lateCuts: this.#lateCuts,
      events: {
        streams: this.#streams,
        close: this.#close,
        maskedValues: this.#maskedValues,
      },
      end: this.#end,
      closedMs: this.#closedMs || this.#lastMs,
      eventBytes: this.#eventBytes,
      torn: this.#torn,
    };
  }

  #checkHeader(header: SegmentHeader, number: number): void {
    if (header.session !== this.#options.session) {
      throw new FormatError(`segment ${number} belongs to another recording`);
    }
    if (header.segment !== number || Buffer.compare(header.previousHead, this.#chain.head) !== 0) {
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
      this.#isRecovered = true;
    }
    this.#lastMs = this.#timeMs(segment, header);
    this.#eventBytes += eventRecordLength(header, body);
    switch (header.type) {
      case 'data':
        this.#data(segment.segment, decodeDataBody(body), position);
        return;
      case 'group':
        for (const record of decodeGroup(body)) {
          if (record.type === 'data') {
            this.#data(segment.segment, { ...record.data, bytes: record.bytes }, position);
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
        this.#repaired.take(decodeRepairPiece(body));
        return;
      case 'gap':
      case 'recovered':
        return;
    }
  }

  #cut(header: FrameHeader, cut: RecordedCut): void {
    if (cut.type === 'proposed') {
      throw new FormatError(`the cut in frame ${header.seq} was not agreed on`);
    }
    const signed = pointOf(cut.type === 'agreed' ? cut.ack : cut.cut);
    if (signed.frames !== header.seq || !sameBytes(signed.head, this.#chain.lastHead)) {
      throw new FormatError(`the cut in frame ${header.seq} was signed for another place`);
    }
    this.#cuts.push(cut);
  }

  #timeMs(segment: SegmentHeader, header: FrameHeader): number {
    return segment.startMs + Math.floor(header.timeUs / 1000);
  }

  #data(segment: number, data: DataBody, position: number): void {
    const { stream, direction, offset, bytes } = data;
    const before = this.#offsets.get(stream) ?? { stream, up: 0, down: 0 };
    if (this.#repaired.ranges.length > 0) {
      throw new FormatError(`stream ${stream} continues after a repair`);
    }
    if (offset !== (direction === 0 ? before.up : before.down)) {
      throw new FormatError(`stream ${stream} has a gap at ${offset}`);
    }
    if (bytes.length === 0) {
      throw new FormatError(`stream ${stream} has a piece without a byte`);
    }
    const end = offset + bytes.length;
    this.#offsets.set(stream, direction === 0 ? { ...before, up: end } : { ...before, down: end });
    this.#index.add(stream, direction, offset, bytes.length, { segment, position });
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

type TornPart = Extract<SegmentPart, { type: 'torn' }>;

/** @returns why it is none, when it does not open */
async function openOrTorn(
  key: ReturnType<typeof segmentKey>,
  segment: number,
  part: Extract<SegmentPart, { type: 'frame' }>,
): Promise<Uint8Array | TornPart> {
  try {
    return openFrame(key, segment, part.header, part.bytes);
  } catch (error) {
    if (!(error instanceof FormatError)) {
      throw error;
    }
    const { position, behind } = part;
    const isUnwritten = await part.isUnwritten();
    return { type: 'torn', position, behind, ...(isUnwritten ? {} : { error }) };
  }
}
