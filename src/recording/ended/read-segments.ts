/**
 * What a gateway has recorded, straight from its segment files, whether the session has ended or
 * not: for looking something up. Nothing is repaired, agreed on or hashed here, so what it yields
 * is the gateway's own word; each frame is still checked against the data key.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import { parseCanonicalJson } from '../formats/canonical-json.ts';
import { decodeDataBody } from '../formats/data-body.ts';
import { openFrame, segmentKey } from '../formats/frame.ts';
import { decodeGroup } from '../formats/group-body.ts';
import { decodeSegmentHeader, type SegmentHeader } from '../formats/segment-header.ts';
import { CONTROL_STREAM, type Direction, DOWN, type RecordingEvent, UP } from '../formats/types.ts';
import { EvidenceLines } from '../verify/evidence-lines.ts';
import { segmentName } from '../write/segment-writer.ts';
import { readSegment } from './read-segment.ts';
import type { TimelineItem } from './read-session.ts';

export interface SegmentsOptions {
  readonly directory: string;
  readonly session: string;
  readonly dataKey: Uint8Array;
  /** Of a live session the last frame may be half written. */
  readonly isLive: boolean;
  /** Bytes of segment files; `onCut` is called, and nothing more is read, before one that goes beyond. */
  readonly maxBytes: number;
  readonly onCut: () => void;
  /** Called when the gateway lost the end of it and its client sent that back, which is not read. */
  readonly onLost?: () => void;
}

/**
 * Frame by frame, in the order in which they were recorded.
 * @throws FormatError for frames that were not written with this key; HoopError
 * HOOP_RECORDING_LOST when there are no files
 */
export async function* readSegments(options: SegmentsOptions): AsyncGenerator<TimelineItem[]> {
  const { directory, maxBytes, onCut } = options;
  const lines = [new EvidenceLines(UP), new EvidenceLines(DOWN)] as const;
  let bytes = 0;
  for (const [index, name] of (await segmentNames(directory)).entries()) {
    if (name !== segmentName(index + 1)) {
      throw new FormatError(`segment ${index + 1} is missing`);
    }
    const path = join(directory, name);
    bytes += (await stat(path)).size;
    if (bytes > maxBytes) {
      onCut();
      return;
    }
    yield* oneSegment(path, options, lines);
  }
}

async function* oneSegment(
  path: string,
  { session, dataKey, isLive, onLost }: SegmentsOptions,
  lines: readonly [EvidenceLines, EvidenceLines],
): AsyncGenerator<TimelineItem[]> {
  let segment: SegmentHeader | undefined;
  let key: ReturnType<typeof segmentKey> | undefined;
  for await (const part of readSegment(path)) {
    if (part.type === 'header') {
      segment = decodeSegmentHeader(part.bytes);
      if (segment.session !== session) {
        throw new FormatError('a segment belongs to another recording');
      }
      key = segmentKey(dataKey, segment.segment, part.bytes);
    } else if (part.type === 'frame' && segment !== undefined && key !== undefined) {
      const { header } = part;
      const body = openFrame(key, segment.segment, header, part.bytes);
      const when = { timeMs: segment.startMs + header.timeUs / 1000, seq: header.seq };
      if (header.type === 'data') {
        yield dataItems(decodeDataBody(body), when, lines);
      } else if (header.type === 'event') {
        yield [eventItem(body, when)];
      } else if (header.type === 'repair') {
        onLost?.();
      } else if (header.type === 'group') {
        yield decodeGroup(body).flatMap((record) =>
          record.type === 'event'
            ? [eventItem(record.body, when)]
            : dataItems({ ...record.data, bytes: record.bytes }, when, lines),
        );
      }
    } else if (part.type === 'torn' && (part.error !== undefined || !isLive)) {
      throw part.error ?? new FormatError(`a segment is damaged at byte ${part.position}`);
    }
  }
}

interface When {
  readonly timeMs: number;
  readonly seq: number;
}

function eventItem(body: Uint8Array, when: When): TimelineItem {
  // Written by the gateway and covered by the frame's tag: the type says what the members are.
  return { type: 'event', ...when, event: parseCanonicalJson(body, 'an event') as RecordingEvent };
}

function dataItems(
  data: {
    readonly stream: number;
    readonly direction: Direction;
    readonly offset: number;
    readonly bytes: Uint8Array;
  },
  when: When,
  lines: readonly [EvidenceLines, EvidenceLines],
): TimelineItem[] {
  const { stream, direction, offset, bytes } = data;
  return stream === CONTROL_STREAM
    ? lines[direction]
        .push(bytes)
        .map((line) => ({ type: 'evidence' as const, ...when, direction, line }))
    : [{ type: 'data', piece: { ...when, stream, direction, offset, bytes } }];
}

async function segmentNames(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.hrs')).sort();
  } catch (cause) {
    throw new HoopError('HOOP_RECORDING_LOST', 'the files of this recording are gone', { cause });
  }
}
