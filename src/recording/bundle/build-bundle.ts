/** Writes one recording as one tar file, piece by piece: a session of any size takes little memory. */
import { join } from 'node:path';
import { FormatError } from '../../format-error.ts';
import { leafAt, type OpenedRecording, readChunks } from '../ended/opened-recording.ts';
import { readSegment } from '../ended/read-segment.ts';
import { toHex, utf8 } from '../formats/encoding.ts';
import { FRAME_HEADER_LENGTH, openFrame, segmentKey } from '../formats/frame.ts';
import { encodeTarHeader, TAR_END_LENGTH, tarMemberLength, tarPadding } from '../formats/tar.ts';
import type { RecordingKeys } from '../keys/recording-keys.ts';
import { segmentName } from '../write/segment-writer.ts';
import { encodeBundleKeys } from './bundle-keys.ts';
import type { MemberName } from './bundle-members.ts';
import { EVENTS_MAGIC, encodeFrameRecord, encodeSegmentRecord } from './events-member.ts';

export interface BundleInput {
  readonly opened: OpenedRecording;
  readonly keys: RecordingKeys;
  readonly manifest: string;
  readonly certificate: string;
  readonly keyring: string;
}

export interface Bundle {
  /** Bytes of all parts together. */
  readonly size: number;
  readonly parts: AsyncIterable<Uint8Array>;
}

export function buildBundle(input: BundleInput): Bundle {
  const { opened, keys } = input;
  const texts: readonly (readonly [MemberName, Uint8Array])[] = [
    ['manifest.dsse', utf8(input.manifest)],
    ['cert.dsse', utf8(input.certificate)],
    ['keyring.note', utf8(input.keyring)],
  ];
  const keysMember = encodeBundleKeys(keys);
  const eventsSize = EVENTS_MAGIC.length + opened.scan.eventBytes;
  const sizes = [
    ...texts.map(([, bytes]) => bytes.length),
    eventsSize,
    keysMember.length,
    ...opened.places.map(({ length }) => length),
  ];
  const size = bundleSize(sizes);
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [name, bytes] of texts) {
      yield* member(name, bytes);
    }
    yield encodeTarHeader('events', eventsSize);
    yield* eventsOf(opened, keys);
    yield new Uint8Array(tarPadding(eventsSize));
    yield* member('keys', keysMember);
    let index = 0;
    for (const bytes of readChunks(opened, keys.dataKey)) {
      yield* member(`chunks/${toHex(leafAt(opened, index))}`, bytes);
      index += 1;
    }
    yield new Uint8Array(TAR_END_LENGTH);
  }
  return { size, parts: parts() };
}

/** @param sizes of all members */
export function bundleSize(sizes: readonly number[]): number {
  return sizes.reduce((sum, length) => sum + tarMemberLength(length), TAR_END_LENGTH);
}

export function* member(name: string, bytes: Uint8Array): Generator<Uint8Array> {
  yield encodeTarHeader(name, bytes.length);
  yield bytes;
  yield new Uint8Array(tarPadding(bytes.length));
}

async function* eventsOf(opened: OpenedRecording, keys: RecordingKeys): AsyncGenerator<Uint8Array> {
  yield EVENTS_MAGIC;
  for (let segment = 1; segment <= opened.scan.segments; segment += 1) {
    let key: ReturnType<typeof segmentKey> | undefined;
    for await (const part of readSegment(join(opened.scan.directory, segmentName(segment)))) {
      if (part.type === 'torn') {
        throw new FormatError(`segment ${segment} was damaged after it was read`);
      }
      if (part.type === 'header') {
        key = segmentKey(keys.dataKey, segment, part.bytes);
        yield encodeSegmentRecord(part.bytes);
        continue;
      }
      if (key === undefined) {
        throw new FormatError(`segment ${segment} has no header`);
      }
      const { header, bytes } = part;
      const body = openFrame(key, segment, header, bytes);
      const headerBytes = bytes.subarray(0, FRAME_HEADER_LENGTH);
      yield encodeFrameRecord(header, headerBytes, body);
    }
  }
}
