/**
 * The two protobuf messages of one call, `FetchJWTSVID` of the SPIFFE Workload API, and the frame
 * that gRPC puts around a message. A gRPC library would be twenty times the size of what it is
 * needed for here.
 * https://github.com/spiffe/spiffe/blob/main/standards/workloadapi.proto
 * https://protobuf.dev/programming-guides/encoding/
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */

/** Field numbers. */
const REQUEST_AUDIENCE = 1;
const REQUEST_SPIFFE_ID = 2;
const RESPONSE_SVIDS = 1;
const SVID_SPIFFE_ID = 1;
const SVID_TOKEN = 2;

const WIRE_VARINT = 0;
const WIRE_64_BIT = 1;
const WIRE_BYTES = 2;
const WIRE_32_BIT = 5;

/** Compressed flag and length. */
const FRAME_HEADER_BYTES = 5;
/** An agent that gives a workload more identities than this is not one. */
const MAX_SVIDS = 100;

export interface JwtSvid {
  readonly spiffeId: string;
  readonly token: string;
}

/** Bytes that are not the answer of a Workload API. */
export class SpiffeFormatError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SpiffeFormatError';
  }
}

/** JWTSVIDRequest: `repeated string audience = 1; string spiffe_id = 2;`, framed for gRPC. */
export function encodeJwtSvidRequest(audience: string, spiffeId: string | undefined): Buffer {
  const message = Buffer.concat([
    encodeText(REQUEST_AUDIENCE, audience),
    ...(spiffeId === undefined ? [] : [encodeText(REQUEST_SPIFFE_ID, spiffeId)]),
  ]);
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/**
 * JWTSVIDResponse: `repeated JWTSVID svids = 1;` with `string spiffe_id = 1; string svid = 2;`.
 * Fields that are not known are skipped, as protobuf wants it.
 * @param body the whole body of the gRPC answer: exactly one frame
 * @throws SpiffeFormatError
 */
export function decodeJwtSvidResponse(body: Buffer): JwtSvid[] {
  if (body.length < FRAME_HEADER_BYTES) {
    throw new SpiffeFormatError('it has no message');
  }
  if (body[0] !== 0) {
    throw new SpiffeFormatError(
      body[0] === 1
        ? 'its message is compressed, which was not asked for'
        : 'it does not begin as a message of gRPC does',
    );
  }
  if (body.readUInt32BE(1) !== body.length - FRAME_HEADER_BYTES) {
    throw new SpiffeFormatError('the length of its message is wrong');
  }
  const svids: JwtSvid[] = [];
  for (const { field, bytes } of readFields(body.subarray(FRAME_HEADER_BYTES))) {
    if (field !== RESPONSE_SVIDS || bytes === undefined) {
      continue;
    }
    if (svids.length === MAX_SVIDS) {
      throw new SpiffeFormatError(`it has more than ${MAX_SVIDS} identities`);
    }
    svids.push(decodeSvid(bytes));
  }
  return svids;
}

function decodeSvid(message: Buffer): JwtSvid {
  let spiffeId = '';
  let token = '';
  for (const { field, bytes } of readFields(message)) {
    if (field === SVID_SPIFFE_ID && bytes !== undefined) {
      spiffeId = bytes.toString('utf8');
    } else if (field === SVID_TOKEN && bytes !== undefined) {
      token = bytes.toString('utf8');
    }
  }
  if (spiffeId === '' || token === '') {
    throw new SpiffeFormatError('an identity in it has no name or no token');
  }
  return { spiffeId, token };
}

interface Field {
  readonly field: number;
  /** A view of the message; undefined for numbers, which none of ours is. */
  readonly bytes: Buffer | undefined;
}

function* readFields(message: Buffer): Generator<Field> {
  let at = 0;
  const take = (length: number): Buffer => {
    if (length > message.length - at) {
      throw new SpiffeFormatError('a field in it is cut short');
    }
    at += length;
    return message.subarray(at - length, at);
  };
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = take(1)[0] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        return value;
      }
    }
    throw new SpiffeFormatError('a number in it is too long');
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    switch (tag % 8) {
      case WIRE_VARINT:
        varint();
        yield { field, bytes: undefined };
        break;
      case WIRE_64_BIT:
        take(8);
        yield { field, bytes: undefined };
        break;
      case WIRE_BYTES:
        yield { field, bytes: take(varint()) };
        break;
      case WIRE_32_BIT:
        take(4);
        yield { field, bytes: undefined };
        break;
      default:
        throw new SpiffeFormatError('a field in it has an unknown form');
    }
  }
}

function encodeText(field: number, text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  return Buffer.concat([Buffer.from([field * 8 + WIRE_BYTES]), encodeVarint(bytes.length), bytes]);
}

function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}
