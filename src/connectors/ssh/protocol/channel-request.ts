/** Bodies of `request` frames, behind the flag that says whether a reply is wanted. */
import { ProtocolError } from '../../../errors.ts';
import type { BodyReader } from './body-reader.ts';
import type { BodyWriter } from './body-writer.ts';
import { type ChannelRequest, MAX_MODES_BYTES, MAX_NAME_BYTES, MAX_STRING_BYTES } from './frame.ts';
import { REQUEST_TYPE } from './frame-types.ts';

type Size = Omit<Extract<ChannelRequest, { kind: 'window-change' }>, 'kind'>;

/** @throws RangeError for a text with a NUL, a string that is too long. */
export function writeRequest(body: BodyWriter, request: ChannelRequest): void {
  body.byte(REQUEST_TYPE[request.kind]);
  if (request.kind === 'exec' && request.command.includes(0)) {
    throw new RangeError('a command has a NUL');
  }
  writeRequestFields(body, request);
}

/** As RFC 4254 §6 has them, too. @throws RangeError for a text with a NUL, a string that is too long. */
export function writeRequestFields(body: BodyWriter, request: ChannelRequest): void {
  switch (request.kind) {
    case 'pty-req':
      body.text(request.term, MAX_NAME_BYTES);
      writeSize(body, request);
      body.bytes(request.modes, MAX_MODES_BYTES);
      return;
    case 'window-change':
      writeSize(body, request);
      return;
    case 'env':
      body.text(request.name, MAX_NAME_BYTES).text(request.value, MAX_STRING_BYTES);
      return;
    case 'exec':
      body.bytes(request.command, MAX_STRING_BYTES);
      return;
    case 'subsystem':
    case 'signal':
      body.text(request.name, MAX_NAME_BYTES);
      return;
    case 'break':
      body.number(request.milliseconds);
      return;
    case 'shell':
    case 'eow':
      return;
  }
}

/** @throws ProtocolError */
export function readRequest(body: BodyReader): ChannelRequest {
  const type = body.byte();
  switch (type) {
    case REQUEST_TYPE['pty-req']: {
      const term = body.text(MAX_NAME_BYTES);
      return { kind: 'pty-req', term, ...readSize(body), modes: body.bytes(MAX_MODES_BYTES) };
    }
    case REQUEST_TYPE['window-change']:
      return { kind: 'window-change', ...readSize(body) };
    case REQUEST_TYPE.env:
      return { kind: 'env', name: body.text(MAX_NAME_BYTES), value: body.text(MAX_STRING_BYTES) };
    case REQUEST_TYPE.shell:
      return { kind: 'shell' };
    case REQUEST_TYPE.exec: {
      const command = body.bytes(MAX_STRING_BYTES);
      if (command.includes(0)) {
        throw new ProtocolError('a command has a NUL');
      }
      return { kind: 'exec', command };
    }
    case REQUEST_TYPE.subsystem:
      return { kind: 'subsystem', name: body.text(MAX_NAME_BYTES) };
    case REQUEST_TYPE.signal:
      return { kind: 'signal', name: body.text(MAX_NAME_BYTES) };
    case REQUEST_TYPE.break:
      return { kind: 'break', milliseconds: body.number() };
    case REQUEST_TYPE.eow:
      return { kind: 'eow' };
    default:
      throw new ProtocolError(`no request of a channel has type ${type}`);
  }
}

function writeSize(body: BodyWriter, size: Size): void {
  body.number(size.columns).number(size.rows).number(size.widthPixels).number(size.heightPixels);
}

function readSize(body: BodyReader): Size {
  return {
    columns: body.number(),
    rows: body.number(),
    widthPixels: body.number(),
    heightPixels: body.number(),
  };
}
