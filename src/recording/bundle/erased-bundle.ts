/**
 * The bundle of a session whose keys were erased: what was signed, and what is left to check it by.
 * Leaves and headers are in the clear, so root and head can still be computed; there are no contents.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FormatError } from '../../format-error.ts';
import { requireSegments } from '../ended/ended-files.ts';
import { readSegment } from '../ended/read-segment.ts';
import { FRAME_HEADER_LENGTH } from '../formats/frame.ts';
import { encodeTarHeader, TAR_END_LENGTH, tarPadding } from '../formats/tar.ts';
import { hasRecordingKeys } from '../keys/recording-keys.ts';
import {
  CERTIFICATE_FILE,
  LEAVES_FILE,
  MANIFEST_FILE,
  type RecordingStore,
  recordingDirectory,
} from '../write/recording-store.ts';
import { segmentName } from '../write/segment-writer.ts';
import { type Bundle, bundleSize, member } from './build-bundle.ts';
import type { MemberName } from './bundle-members.ts';
import { EVENTS_MAGIC, encodeSegmentRecord, encodeWithheldRecord } from './events-member.ts';

/** @returns undefined unless it was signed and its keys were erased since */
export async function erasedBundle(
  store: RecordingStore,
  session: string,
): Promise<Bundle | undefined> {
  const directory = recordingDirectory(store, session);
  const isSigned = [MANIFEST_FILE, LEAVES_FILE].every((name) => existsSync(join(directory, name)));
  if (!isSigned || hasRecordingKeys(store.keysDir, session)) {
    return undefined;
  }
  await requireSegments(store, session, 1);
  const before: readonly (readonly [MemberName, Uint8Array])[] = [
    ['manifest.dsse', await readFile(join(directory, MANIFEST_FILE))],
    ['cert.dsse', await readFile(join(directory, CERTIFICATE_FILE))],
    ['keyring.note', await readFile(join(store.keysDir, 'keyring.note'))],
  ];
  const leaves = await readFile(join(directory, LEAVES_FILE));
  let eventsSize = 0;
  for await (const part of eventsOf(directory)) {
    eventsSize += part.length;
  }
  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [name, bytes] of before) {
      yield* member(name, bytes);
    }
    yield encodeTarHeader('events', eventsSize);
    yield* eventsOf(directory);
    yield new Uint8Array(tarPadding(eventsSize));
    yield* member('leaves', leaves);
    yield new Uint8Array(TAR_END_LENGTH);
  }
  const sizes = [...before.map(([, bytes]) => bytes.length), eventsSize, leaves.length];
  return { size: bundleSize(sizes), parts: parts() };
}

/** Every frame withheld. */
async function* eventsOf(directory: string): AsyncGenerator<Uint8Array> {
  yield EVENTS_MAGIC;
  for (let segment = 1; existsSync(join(directory, segmentName(segment))); segment += 1) {
    for await (const part of readSegment(join(directory, segmentName(segment)))) {
      if (part.type === 'torn') {
        throw new FormatError(`segment ${segment} is damaged at byte ${part.position}`);
      }
      yield part.type === 'header'
        ? encodeSegmentRecord(part.bytes)
        : encodeWithheldRecord(part.bytes.subarray(0, FRAME_HEADER_LENGTH));
    }
  }
}
