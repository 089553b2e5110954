/**
 * A bundle as what happened: streams, events and evidence lines with their times. Checks as much
 * as it needs to read; whether it is true is verify.ts's question.
 */
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import type { StreamKind } from '../../stream-kinds.ts';
import { readBundleContents } from '../bundle/bundle-contents.ts';
import type { BundleSource } from '../bundle/bundle-source.ts';
import { type EventsRecord, readEventsMember } from '../bundle/events-member.ts';
import { decodeRepairPiece, type RepairPiece } from '../client/repair.ts';
import { parseCanonicalJson } from '../formats/canonical-json.ts';
import { ChunkMap, chunkPlaces } from '../formats/chunk-map.ts';
import type { DataBody } from '../formats/data-body.ts';
import type { Manifest } from '../formats/manifest.ts';
import { CONTROL_STREAM, type Direction, DOWN, type RecordingEvent, UP } from '../formats/types.ts';
import type { SessionCertificate } from '../keys/certificate.ts';
import { type EvidenceLine, EvidenceLines } from '../verify/evidence-lines.ts';

export interface Piece {
  /** Wall clock of the gateway. */
  readonly timeMs: number;
  readonly seq: number;
  readonly stream: number;
  readonly direction: Direction;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export interface TimedEvent {
  readonly timeMs: number;
  readonly seq: number;
  readonly event: RecordingEvent;
}

export interface TimedEvidence {
  readonly timeMs: number;
  readonly seq: number;
  readonly direction: Direction;
  readonly line: EvidenceLine;
}

export type TimelineItem =
  | { readonly type: 'data'; readonly piece: Piece }
  | ({ readonly type: 'event' } & TimedEvent)
  | ({ readonly type: 'evidence' } & TimedEvidence);

export interface StreamReading {
  readonly stream: number;
  readonly kind: 'evidence' | StreamKind;
  /** Both directions, in the order in which they were recorded. */
  pieces(): Iterable<Piece>;
}

export interface LostPiece extends Omit<RepairPiece, 'timeMs' | 'signature'> {
  /** When the gateway was given it, by its clock. */
  readonly timeMs: number;
  /** By the clock of the client, which may say anything. */
  readonly sentMs: number;
}

export interface SessionReading {
  readonly manifest: Manifest;
  readonly certificate: SessionCertificate;
  readonly streams: readonly StreamReading[];
  readonly events: readonly TimedEvent[];
  readonly evidence: readonly TimedEvidence[];
  /** What the gateway has lost and the client says it was: nothing else may rest on it. */
  lost(): Iterable<LostPiece>;
  /** Everything, in the order in which it was recorded; stream 0 as evidence lines. */
  timeline(): Iterable<TimelineItem>;
}

/** @throws HoopError HOOP_VERIFY_FAILED for what cannot be read */
export function readSession(source: BundleSource): SessionReading {
  return readable(() => {
    const { manifest, certificate, members } = readBundleContents(source);
    if (members.named.has('leaves')) {
      throw new HoopError('HOOP_RECORDING_LOST', 'the contents of this recording were erased', {
        detail: 'The signed parts remain; `hoop sessions verify ID` says what they still prove.',
      });
    }
    const places = chunkPlaces(manifest.cuts, members.chunks.length);
    const chunks = new ChunkMap(source);
    for (const [index, place] of places.entries()) {
      const member = members.chunks[index];
      if (member?.size !== place.length) {
        throw new FormatError(`chunk ${index} is missing or has another length`);
      }
      chunks.add(place, member);
    }
    const member = members.named.get('events');
    if (member === undefined) {
      throw new FormatError('the events are not in the bundle');
    }
    const reader = new SessionReader(source, member, chunks);
    const items = [...reader.timeline(false)];
    return {
      manifest,
      certificate,
      streams: manifest.streams.map(({ stream, kind }) => ({
        stream,
        kind,
        pieces: () => reader.pieces(stream),
      })),
      events: items.filter((item) => item.type === 'event'),
      evidence: items.filter((item) => item.type === 'evidence'),
      lost: () => reader.lost(),
      timeline: () => reader.timeline(true),
    };
  });
}

class SessionReader {
  readonly #source: BundleSource;
  readonly #member: { readonly offset: number; readonly size: number };
  readonly #chunks: ChunkMap;

  constructor(
    source: BundleSource,
    member: { readonly offset: number; readonly size: number },
    chunks: ChunkMap,
  ) {
    this.#source = source;
    this.#member = member;
    this.#chunks = chunks;
  }

  *timeline(withData: boolean): Generator<TimelineItem> {
    const lines = [new EvidenceLines(UP), new EvidenceLines(DOWN)] as const;
    for (const item of this.#records((stream) => withData || stream === CONTROL_STREAM)) {
      if (item.type === 'event') {
        yield item;
      } else if (item.piece.stream === CONTROL_STREAM) {
        const { timeMs, seq, direction } = item.piece;
        for (const line of lines[direction].push(item.piece.bytes)) {
          yield { type: 'evidence', timeMs, seq, direction, line };
        }
      } else {
        yield item;
      }
    }
  }

  *pieces(stream: number): Generator<Piece> {
    for (const item of this.#records((candidate) => candidate === stream)) {
      if (item.type === 'data') {
        yield item.piece;
      }
    }
  }

  *lost(): Generator<LostPiece> {
    let startMs = 0;
    for (const record of this.#all()) {
      if (record.type === 'segment') {
        startMs = record.header.startMs;
      } else if (record.type === 'frame' && record.header.type === 'repair') {
        const { stream, direction, offset, timeMs: sentMs, bytes } = decodeRepairPiece(record.body);
        const timeMs = startMs + record.header.timeUs / 1000;
        yield { timeMs, sentMs, stream, direction, offset, bytes };
      }
    }
  }

  #all(): Generator<EventsRecord> {
    const { offset: base, size } = this.#member;
    return readEventsMember(size, (offset, length) => this.#source.read(base + offset, length));
  }

  *#records(
    wanted: (stream: number) => boolean,
  ): Generator<Extract<TimelineItem, { type: 'data' | 'event' }>> {
    let startMs = 0;
    for (const record of this.#all()) {
      if (record.type === 'segment') {
        startMs = record.header.startMs;
        continue;
      }
      const { seq, timeUs, type } = record.header;
      const timeMs = startMs + timeUs / 1000;
      if (record.type === 'data' && wanted(record.data.stream)) {
        yield { type: 'data', piece: this.#piece(record, { timeMs, seq }) };
      } else if (record.type === 'frame' && type === 'event') {
        yield { type: 'event', timeMs, seq, event: parseEvent(record.body) };
      } else if (record.type === 'group') {
        for (const part of record.records) {
          if (part.type === 'event') {
            yield { type: 'event', timeMs, seq, event: parseEvent(part.body) };
          } else if (wanted(part.data.stream)) {
            yield { type: 'data', piece: this.#piece(part, { timeMs, seq }) };
          }
        }
      }
    }
  }

  #piece(
    place: { readonly data: Omit<DataBody, 'bytes'>; readonly length: number },
    when: { readonly timeMs: number; readonly seq: number },
  ): Piece {
    const { stream, direction, offset } = place.data;
    const parts = this.#chunks.read(stream, direction, offset, place.length);
    if (parts === undefined) {
      throw new FormatError(`the data of event ${when.seq} is missing`);
    }
    const bytes = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts);
    return { ...when, stream, direction, offset, bytes };
  }
}

function parseEvent(body: Uint8Array): RecordingEvent {
  const value = parseCanonicalJson(body, 'an event');
  if (!isObject(value) || !('type' in value) || typeof value.type !== 'string') {
    throw new FormatError('an event has no type');
  }
  // Written by the gateway and covered by the head chain; newer types are left to the reader.
  return value as RecordingEvent;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof FormatError) {
      throw new HoopError('HOOP_VERIFY_FAILED', `the recording cannot be read: ${cause.message}`, {
        cause,
      });
    }
    throw cause;
  }
}
