/** From frames to bytes. */
import { BodyWriter } from './body-writer.ts';
import {
  type CollectedDown,
  type CollectedUp,
  DATA_TYPE,
  type DownFrame,
  FRAME_HEADER_BYTES,
  FRAMES,
  MAX_DATA_BYTES,
  type UpFrame,
} from './frame.ts';

/** Longest data that is copied behind its header: for less, one part costs less than two. */
const COPIED_BYTES = 1024;
const MAX_CHANNEL = 0xffffffff;

/**
 * The bytes of a frame, in one part or two: data of some length goes as it is, without a copy, so
 * it must not change until it has left.
 * @throws RangeError for what no frame may have: a text with a NUL, a string or data too long.
 */
export function encodeFrame(frame: UpFrame | DownFrame): readonly Uint8Array[] {
  if ('data' in frame) {
    return dataParts(DATA_TYPE[frame.type], frame.channel, frame.data);
  }
  const body = new BodyWriter();
  const type = isUp(frame) ? writeAs(FRAMES.up, frame, body) : writeAs(FRAMES.down, frame, body);
  const bytes = body.finish(FRAME_HEADER_BYTES);
  const channel = 'channel' in frame ? frame.channel : 0;
  writeHeader(bytes, type, channel, bytes.length - FRAME_HEADER_BYTES);
  return [bytes];
}

/** @returns its type as a number */
function writeAs<Frame>(
  frames: { code(frame: Frame): number; write(body: BodyWriter, frame: Frame): void },
  frame: Frame,
  body: BodyWriter,
): number {
  frames.write(body, frame);
  return frames.code(frame);
}

/** What goes both ways is one and the same. */
function isUp(frame: CollectedUp | CollectedDown): frame is CollectedUp {
  return frame.type === 'hello' ? frame.from === 'client' : FRAMES.up.has(frame.type);
}

function dataParts(type: number, channel: number, data: Uint8Array): readonly Uint8Array[] {
  const isShort = data.length <= COPIED_BYTES;
  const first = new Uint8Array(FRAME_HEADER_BYTES + (isShort ? data.length : 0));
  writeDataHeader(first, type, channel, data.length);
  if (isShort) {
    first.set(data, FRAME_HEADER_BYTES);
    return [first];
  }
  return [first, data];
}

/**
 * What stands before data that comes in several pieces.
 * @param length of all of them
 * @throws RangeError as `encodeFrame`
 */
export function encodeDataHeader(
  type: 'data' | 'stderr',
  channel: number,
  length: number,
): Uint8Array {
  const header = new Uint8Array(FRAME_HEADER_BYTES);
  writeDataHeader(header, DATA_TYPE[type], channel, length);
  return header;
}

function writeDataHeader(into: Uint8Array, type: number, channel: number, length: number): void {
  if (length < 1 || length > MAX_DATA_BYTES) {
    throw new RangeError(`a frame cannot have ${length} bytes of data`);
  }
  writeHeader(into, type, channel, length);
}

function writeHeader(into: Uint8Array, type: number, channel: number, length: number): void {
  if (!Number.isInteger(channel) || channel < 0 || channel > MAX_CHANNEL) {
    throw new RangeError(`a channel cannot have number ${channel}`);
  }
  const view = new DataView(into.buffer, into.byteOffset);
  view.setUint32(0, length);
  view.setUint8(4, type);
  view.setUint32(5, channel);
}
