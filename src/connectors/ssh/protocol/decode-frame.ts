/** From the body of one frame that has come whole to what it says. Data is not among them. */
import { ProtocolError } from '../../../errors.ts';
import { BodyReader } from './body-reader.ts';
import { readRequest } from './channel-request.ts';
import {
  type ChannelTarget,
  type DownFrame,
  MAX_MESSAGE_BYTES,
  MAX_NAME_BYTES,
  type UpFrame,
} from './frame.ts';
import { FRAME_TYPE, NOT_CARRIED_TYPE, TARGET_TYPE } from './frame-types.ts';
import type { NotCarried } from './not-carried.ts';

const NOT_CARRIED_CODES: ReadonlyMap<number, NotCarried> = new Map(
  // Its own keys, which are what its type says.
  Object.entries(NOT_CARRIED_TYPE).map(([what, code]) => [code, what as NotCarried]),
);

/** @throws ProtocolError */
export function decodeUp(type: number, channel: number, bytes: Uint8Array): UpFrame {
  const body = new BodyReader(bytes);
  const frame = readUp(type, channel, body);
  body.end();
  return frame;
}

/** @throws ProtocolError */
export function decodeDown(type: number, channel: number, bytes: Uint8Array): DownFrame {
  const body = new BodyReader(bytes);
  const frame = readDown(type, channel, body);
  body.end();
  return frame;
}

function readUp(type: number, channel: number, body: BodyReader): UpFrame {
  switch (type) {
    case FRAME_TYPE.hello: {
      const user = body.text(MAX_NAME_BYTES);
      return { type: 'hello', from: 'client', user, software: body.text(MAX_NAME_BYTES) };
    }
    case FRAME_TYPE.open: {
      const window = body.number();
      return { type: 'open', channel, target: readTarget(body), window };
    }
    case FRAME_TYPE.request: {
      const wantReply = body.flag();
      return { type: 'request', channel, wantReply, request: readRequest(body) };
    }
    case FRAME_TYPE.notCarried:
      return { type: 'notCarried', what: readNotCarried(body) };
    default:
      return readEither(type, channel, body);
  }
}

function readNotCarried(body: BodyReader): NotCarried {
  const code = body.byte();
  const what = NOT_CARRIED_CODES.get(code);
  if (what === undefined) {
    throw new ProtocolError(`nothing that is not carried has number ${code}`);
  }
  return what;
}

function readDown(type: number, channel: number, body: BodyReader): DownFrame {
  switch (type) {
    case FRAME_TYPE.hello:
      return { type: 'hello', from: 'gateway', software: body.text(MAX_NAME_BYTES) };
    case FRAME_TYPE.opened:
      return { type: 'opened', channel, window: body.number() };
    case FRAME_TYPE.openFailed: {
      const reason = body.number();
      return { type: 'openFailed', channel, reason, message: body.text(MAX_MESSAGE_BYTES) };
    }
    case FRAME_TYPE.success:
      return { type: 'success', channel };
    case FRAME_TYPE.failure:
      return { type: 'failure', channel };
    case FRAME_TYPE.exitStatus:
      return { type: 'exitStatus', channel, status: body.number() };
    case FRAME_TYPE.exitSignal: {
      const name = body.text(MAX_NAME_BYTES);
      const coreDumped = body.flag();
      const message = body.text(MAX_MESSAGE_BYTES);
      return { type: 'exitSignal', channel, name, coreDumped, message };
    }
    case FRAME_TYPE.disconnect:
      return { type: 'disconnect', message: body.text(MAX_MESSAGE_BYTES) };
    default:
      return readEither(type, channel, body);
  }
}

function readEither(type: number, channel: number, body: BodyReader): UpFrame & DownFrame {
  switch (type) {
    case FRAME_TYPE.window: {
      const bytes = body.number();
      if (bytes === 0) {
        throw new ProtocolError('a window frame gives no credit');
      }
      return { type: 'window', channel, bytes };
    }
    case FRAME_TYPE.eof:
      return { type: 'eof', channel };
    case FRAME_TYPE.close:
      return { type: 'close', channel };
    default:
      throw new ProtocolError(`no frame has type ${type}`);
  }
}

function readTarget(body: BodyReader): ChannelTarget {
  const type = body.byte();
  switch (type) {
    case TARGET_TYPE.session:
      return { kind: 'session' };
    case TARGET_TYPE['direct-tcpip']:
      return {
        kind: 'direct-tcpip',
        host: body.text(MAX_NAME_BYTES),
        port: body.number(0xffff),
        originHost: body.text(MAX_NAME_BYTES),
        originPort: body.number(0xffff),
      };
    default:
      throw new ProtocolError(`no channel has type ${type}`);
  }
}
