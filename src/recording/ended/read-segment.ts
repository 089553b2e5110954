/** Reads one segment file from front to back in windows, so that a scan takes little memory. */
import { type FileHandle, open } from 'node:fs/promises';
import { FormatError } from '../../format-error.ts';
import {
  decodeFrameHeader,
  FRAME_HEADER_LENGTH,
  type FrameHeader,
  frameLength,
  MAX_BODY_LENGTH,
} from '../formats/frame.ts';
import {
  decodeSegmentHeader,
  refuseOldFormat,
  SEGMENT_HEADER_LENGTH,
} from '../formats/segment-header.ts';

/** Holds the largest frame; what is in it is handled between two turns of the event loop. */
const WINDOW_BYTES = 2 * MAX_BODY_LENGTH;
const ZERO_WINDOW_BYTES = 64 * 1024;
/** A disk writes no less than this at once, from multiples of it on. */
const SECTOR_BYTES = 512;

export type SegmentPart =
  | { readonly type: 'header'; readonly bytes: Uint8Array }
  | {
      readonly type: 'frame';
      readonly header: FrameHeader;
      readonly position: number;
      /** The whole frame; valid until the next part is asked for. */
      readonly bytes: Uint8Array;
      /** From `position` to the end of the file. */
      readonly behind: number;
      /**
       * Of a frame that does not open: whether its end was never written. A power cut leaves zeros in
       * a file that had been made longer already.
       */
      readonly isUnwritten: () => Promise<boolean>;
    }
  /** From `position` on there is no whole frame; the last part. */
  | {
      readonly type: 'torn';
      readonly position: number;
      readonly behind: number;
      /** Neither a dying process nor zeros that stand for what was never written explain it. */
      readonly error?: FormatError;
    };

/**
 * Checks headers and lengths and nothing else.
 * @throws OldFormatError
 */
export async function* readSegment(path: string): AsyncGenerator<SegmentPart> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const window = Buffer.allocUnsafe(WINDOW_BYTES);
  let start = 0;
  let filled = 0;
  let position = 0;
  for (;;) {
    const available = window.subarray(position - start, filled);
    const beginning = beginningOf(available, position);
    if (beginning?.error !== undefined) {
      const { error, length } = beginning;
      const behind = size - position;
      const isTorn = await isUnwritten(file, size, position, position + length);
      yield { type: 'torn', position, behind, ...(isTorn ? {} : { error }) };
      return;
    }
    if (beginning !== undefined && beginning.length <= available.length) {
      const begin = position;
      const end = position + beginning.length;
      const bytes = available.subarray(0, beginning.length);
      const { header } = beginning;
      yield header === undefined
        ? { type: 'header', bytes: Uint8Array.from(bytes) }
        : {
            type: 'frame',
            header,
            position,
            bytes,
            behind: size - position,
            isUnwritten: () => isUnwritten(file, size, begin, end),
          };
      position = end;
      continue;
    }
    // Without a header there is no segment yet, also where not a byte of it was written: the name is
    // taken, and whoever appends must not begin a segment of that name.
    if (position === size && position !== 0) {
      return;
    }
    if (start + filled >= size) {
      yield { type: 'torn', position, behind: size - position };
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

/** What begins here: a frame, or the segment's header. */
interface Beginning {
  readonly length: number;
  readonly header?: FrameHeader;
  /** Its header cannot be read, and is `length` bytes long. */
  readonly error?: FormatError;
}

/** @returns undefined when there are too few bytes to say. @throws OldFormatError */
function beginningOf(bytes: Uint8Array, position: number): Beginning | undefined {
  const length = position === 0 ? SEGMENT_HEADER_LENGTH : FRAME_HEADER_LENGTH;
  if (position === 0) {
    refuseOldFormat(bytes);
  }
  if (bytes.length < length) {
    return undefined;
  }
  try {
    if (position === 0) {
      decodeSegmentHeader(bytes);
      return { length };
    }
    const header = decodeFrameHeader(bytes);
    return { length: frameLength(header), header };
  } catch (cause) {
    if (cause instanceof FormatError) {
      const message = `a segment is damaged at byte ${position}: ${cause.message}`;
      return { length, error: new FormatError(message, { cause }) };
    }
    throw cause;
  }
}

/** Whether the file holds nothing but zeros from some sector between these two on. */
async function isUnwritten(
  file: FileHandle,
  size: number,
  begin: number,
  end: number,
): Promise<boolean> {
  const window = Buffer.allocUnsafe(ZERO_WINDOW_BYTES);
  const sector = Math.floor((end - 1) / SECTOR_BYTES) * SECTOR_BYTES;
  for (let at = Math.max(begin, sector); at < size; ) {
    const { bytesRead } = await file.read(window, 0, ZERO_WINDOW_BYTES, at);
    if (bytesRead === 0 || !window.subarray(0, bytesRead).every((byte) => byte === 0)) {
      return false;
    }
    at += bytesRead;
  }
  return true;
}
