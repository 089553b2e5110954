/** From frames to bytes. */
import { BodyWriter } from './body-writer.ts';
import { writeRequest } from './channel-request.ts';
import {
  type ChannelTarget,
  type DownFrame,
  MAX_DATA_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_NAME_BYTES,
  type UpFrame,
} from './frame.ts';
import { FRAME_HEADER_BYTES, FRAME_TYPE, NOT_CARRIED_TYPE, TARGET_TYPE } from './frame-types.ts';

/** Longest data that is copied behind its header: for less, one part costs less than two. */
const COPIED_BYTES = 1024;
const MAX_CHANNEL = 0xffffffff;

/**
 * The bytes of a frame, in one part or two: data of some length goes as it is, without a copy, so
 * it must not change until it has left.
 * @throws RangeError for what no frame may have: a text with a NUL, a string or data too long.
 */
export function encodeFrame(frame: UpFrame | DownFrame): readonly Uint8Array[] {
  switch (frame.type) {
    case 'data':
      return dataParts(FRAME_TYPE.data, frame.channel, frame.data);
    case 'stderr':
      return dataParts(FRAME_TYPE.stderr, frame.channel, frame.data);
    default: {
      const body = new BodyWriter();
      writeBody(body, frame);
      const bytes = body.finish(FRAME_HEADER_BYTES);
      const channel = 'channel' in frame ? frame.channel : 0;
      writeHeader(bytes, FRAME_TYPE[frame.type], channel, bytes.length - FRAME_HEADER_BYTES);
      return [bytes];
    }
  }
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
  writeDataHeader(header, FRAME_TYPE[type], channel, length);
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

function writeBody(
  body: BodyWriter,
  frame: Exclude<UpFrame | DownFrame, { type: 'data' | 'stderr' }>,
): void {
  switch (frame.type) {
    case 'hello':
      if (frame.from === 'client') {
        body.text(frame.user, MAX_NAME_BYTES);
      }
      body.text(frame.software, MAX_NAME_BYTES);
      return;
    case 'open':
      body.number(frame.window);
      writeTarget(body, frame.target);
      return;
    case 'request':
      body.flag(frame.wantReply);
      writeRequest(body, frame.request);
      return;
    case 'notCarried':
      body.byte(NOT_CARRIED_TYPE[frame.what]);
      return;
    case 'window':
      body.number(frame.bytes);
      return;
    case 'opened':
      body.number(frame.window);
      return;
    case 'openFailed':
      body.number(frame.reason).text(frame.message, MAX_MESSAGE_BYTES);
      return;
    case 'exitStatus':
      body.number(frame.status);
      return;
    case 'exitSignal':
      body.text(frame.name, MAX_NAME_BYTES).flag(frame.coreDumped);
      body.text(frame.message, MAX_MESSAGE_BYTES);
      return;
    case 'disconnect':
      body.text(frame.message, MAX_MESSAGE_BYTES);
      return;
    case 'success':
    case 'failure':
    case 'eof':
    case 'close':
      return;
  }
}

function writeTarget(body: BodyWriter, target: ChannelTarget): void {
  body.byte(TARGET_TYPE[target.kind]);
  if (target.kind === 'direct-tcpip') {
    body.text(target.host, MAX_NAME_BYTES).number(target.port, 0xffff);
    body.text(target.originHost, MAX_NAME_BYTES).number(target.originPort, 0xffff);
  }
}
