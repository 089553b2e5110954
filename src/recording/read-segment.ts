/** Reads one segment file from front to back in windows, so that a scan takes little memory. */
import { open } from 'node:fs/promises';
import { FormatError } from '../format-error.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_LENGTH,
  type FrameHeader,
  frameLength,
  hasValidChecksum,
  MAX_BODY_LENGTH,
} from './frame.ts';
import { SEGMENT_HEADER_LENGTH } from './segment-header.ts';

/** Holds the largest frame; what is in it is handled between two turns of the event loop. */
const WINDOW_BYTES = 2 * MAX_BODY_LENGTH;

export type SegmentPart =
  | { readonly type: 'header'; readonly bytes: Uint8Array }
  | {
      readonly type: 'frame';
      readonly header: FrameHeader;
      readonly position: number;
      /** The whole frame; valid until the next part is asked for. */
      readonly bytes: Uint8Array;
    }
  /** From `position` on no whole, unbroken frame follows; the last part. */
  | { readonly type: 'torn'; readonly position: number; readonly bytes: number };

/** Checks lengths and checksums and nothing else. */
export async function* readSegment(path: string): AsyncGenerator<SegmentPart> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const window = Buffer.allocUnsafe(WINDOW_BYTES);
  let start = 0;
  let filled = 0;
  let position = 0;
  for (;;) {
    const available = window.subarray(position - start, filled);
    const part = position === 0 ? headerPart(available) : framePart(available, position);
    if (part !== undefined) {
      position += part.bytes.length;
      yield part;
      continue;
    }
    // Without a header there is no segment yet, also where not a byte of it was written: the name is
    // taken, and whoever appends must not begin a segment of that name.
    if (position === size && position !== 0) {
      return;
    }
    if (start + filled >= size || (position === start && filled === WINDOW_BYTES)) {
      yield { type: 'torn', position, bytes: size - position };
      return;
    }
    // The rest of this window to the front, and more behind it.
    window.copyWithin(0, position - start, filled);
    filled -= position - start;
    start = position;
    const { bytesRead } = await file.read(window, filled, WINDOW_BYTES - filled, start + filled);
    if (bytesRead === 0) {
      throw new FormatError('a segment became shorter while it was read');
    }
    filled += bytesRead;
  }
}

function headerPart(bytes: Uint8Array): Extract<SegmentPart, { type: 'header' }> | undefined {
  return bytes.length < SEGMENT_HEADER_LENGTH
    ? undefined
    : { type: 'header', bytes: Uint8Array.from(bytes.subarray(0, SEGMENT_HEADER_LENGTH)) };
}

/** @returns undefined when the bytes do not begin with one whole, unbroken frame */
function framePart(
  bytes: Uint8Array,
  position: number,
): Extract<SegmentPart, { type: 'frame' }> | undefined {
  if (bytes.length < FRAME_HEADER_LENGTH) {
    return undefined;
  }
  let header: FrameHeader;
  try {
    header = decodeFrameHeader(bytes);
  } catch (error) {
    if (error instanceof FormatError) {
      return undefined;
    }
    throw error;
  }
  const length = frameLength(header);
  const frame = bytes.subarray(0, length);
  return frame.length === length && hasValidChecksum(frame)
    ? { type: 'frame', header, position, bytes: frame }
    : undefined;
}
