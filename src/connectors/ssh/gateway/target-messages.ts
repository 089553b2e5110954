/** Messages of RFC 4254 that the gateway sends to a target: what ssh2 has no public way to say. */
import { BodyWriter } from '../protocol/body-writer.ts';
import { CHANNEL_REQUEST, type ChannelRequest, type ChannelTarget } from '../protocol/frame.ts';

/** RFC 4250 §4.1.2. */
const MESSAGE = {
  requestFailure: 82,
  open: 90,
  openFailure: 92,
  windowAdjust: 93,
  data: 94,
  eof: 96,
  close: 97,
  request: 98,
  failure: 100,
} as const;

const MAX_STRING = 0xffffffff;
/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED, RFC 4254 §5.1. */
const PROHIBITED = 1;
/** Of a data message: its type, the channel, the length. */
export const DATA_HEADER_BYTES = 9;

export function openMessage(
  own: number,
  window: number,
  maxPacket: number,
  target: ChannelTarget,
): Uint8Array {
  const body = new BodyWriter().byte(MESSAGE.open).text(target.kind, MAX_STRING);
  body.number(own).number(window).number(maxPacket);
  if (target.kind === 'direct-tcpip') {
    body.text(target.host, MAX_STRING).number(target.port);
    body.text(target.originHost, MAX_STRING).number(target.originPort);
  }
  return body.finish(0);
}

/** To what the server asks for outside of channels. */
export function requestFailureMessage(): Uint8Array {
  return new BodyWriter().byte(MESSAGE.requestFailure).finish(0);
}

/** Nothing on a server connects back. */
export function prohibitedMessage(channel: number): Uint8Array {
  const body = new BodyWriter().byte(MESSAGE.openFailure).number(channel).number(PROHIBITED);
  return body.text('', 0).text('', 0).finish(0);
}

export function windowAdjustMessage(channel: number, bytes: number): Uint8Array {
  return new BodyWriter().byte(MESSAGE.windowAdjust).number(channel).number(bytes).finish(0);
}

/** Into memory of the caller, before the data. */
export function writeDataHeader(into: Uint8Array, at: number, channel: number, length: number) {
  into.set(new BodyWriter().byte(MESSAGE.data).number(channel).number(length).finish(0), at);
}

export function eofMessage(channel: number): Uint8Array {
  return new BodyWriter().byte(MESSAGE.eof).number(channel).finish(0);
}

export function closeMessage(channel: number): Uint8Array {
  return new BodyWriter().byte(MESSAGE.close).number(channel).finish(0);
}

export function failureMessage(channel: number): Uint8Array {
  return new BodyWriter().byte(MESSAGE.failure).number(channel).finish(0);
}

export function requestMessage(
  channel: number,
  wantReply: boolean,
  request: ChannelRequest,
): Uint8Array {
  const name = request.kind === 'eow' ? 'eow@openssh.com' : request.kind;
  const body = new BodyWriter().byte(MESSAGE.request).number(channel);
  body.text(name, MAX_STRING).flag(wantReply);
  CHANNEL_REQUEST.writeFields(body, request);
  return body.finish(0);
}
