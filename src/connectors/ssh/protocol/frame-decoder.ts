import { ProtocolError } from '../../../errors.ts';
import { BodyReader } from './body-reader.ts';
import {
  BODY_LENGTHS,
  DATA_TYPE,
  type DownFrame,
  FRAME_HEADER_BYTES,
  FRAMES,
  type FrameDirection,
  OF_THE_STREAM,
  type OnItsChannel,
  type UpFrame,
} from './frame.ts';

/**
 * Finds the frames in one direction of a stream. Pulled: `feed` a chunk, then `next` until
 * undefined. Data is not collected: a data or stderr frame comes as the pieces that its bytes came
 * in, each a view of its chunk. Anything else is kept until it is whole, within BODY_LENGTHS.
 */
export class FrameDecoder<Frame extends UpFrame | DownFrame> {
  readonly #direction: FrameDirection;
  readonly #decode: (type: number, body: BodyReader, channel: number) => Frame;
  readonly #data: (type: number, channel: number, data: Uint8Array) => Frame;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerLength = 0;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  /** Bytes of the stream before the chunk. */
  #passed = 0;
  #frameStart = 0;
  #type = 0;
  #channel = 0;
  #dataLeft = 0;
  #body: Uint8Array | undefined;
  #bodyLength = 0;
  #broken: unknown;

  private constructor(
    direction: FrameDirection,
    decode: (type: number, body: BodyReader, channel: number) => Frame,
    data: (type: number, channel: number, data: Uint8Array) => Frame,
  ) {
    this.#direction = direction;
    this.#decode = decode;
    this.#data = data;
  }

  /** Of what the CLI sends. */
  static up(): FrameDecoder<UpFrame> {
    return new FrameDecoder<UpFrame>(
      'up',
      (type, body, channel) => onItsChannel(type, channel, FRAMES.up.read(type, body)),
      (_type, channel, data) => ({ type: 'data', channel, data }),
    );
  }

  /** Of what the gateway sends. */
  static down(): FrameDecoder<DownFrame> {
    return new FrameDecoder<DownFrame>(
      'down',
      (type, body, channel) => onItsChannel(type, channel, FRAMES.down.read(type, body)),
      (type, channel, data) => ({
        type: type === DATA_TYPE.stderr ? 'stderr' : 'data',
        channel,
        data,
      }),
    );
  }

  /** Offset in the stream of the first byte of the frame that `next` gave last. */
  get frameStart(): number {
    return this.#frameStart;
  }

  /** The stream may end here: no frame has begun that is not whole. */
  get isBetweenFrames(): boolean {
    return this.#headerLength === 0 && this.#dataLeft === 0 && this.#body === undefined;
  }

  /** All of the chunk before has been taken with `next`. */
  feed(chunk: Uint8Array): void {
    if (this.#at < this.#chunk.length) {
      throw new TypeError('there is more in the chunk before');
    }
    this.#passed += this.#chunk.length;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** @throws ProtocolError for anything that no frame may be; the same again from then on. */
  next(): Frame | undefined {
    if (this.#broken !== undefined) {
      throw this.#broken;
    }
    try {
      return this.#next();
    } catch (error) {
      this.#broken = error;
      throw error;
    }
  }

  #next(): Frame | undefined {
    while (this.#at < this.#chunk.length || this.#body !== undefined) {
      if (this.#dataLeft > 0) {
        const start = this.#at;
        this.#at = Math.min(this.#chunk.length, start + this.#dataLeft);
        this.#dataLeft -= this.#at - start;
        return this.#data(this.#type, this.#channel, this.#chunk.subarray(start, this.#at));
      }
      if (this.#body === undefined) {
        this.#readHeader();
      } else if (this.#fill(this.#body)) {
        const body = this.#body;
        this.#body = undefined;
        return this.#whole(body);
      } else {
        return undefined;
      }
    }
    return undefined;
  }

  #readHeader(): void {
    if (this.#headerLength === 0) {
      this.#frameStart = this.#passed + this.#at;
    }
    const missing = FRAME_HEADER_BYTES - this.#headerLength;
    const part = this.#chunk.subarray(this.#at, this.#at + missing);
    this.#header.set(part, this.#headerLength);
    this.#at += part.length;
    this.#headerLength += part.length;
    if (this.#headerLength === FRAME_HEADER_BYTES) {
      this.#headerLength = 0;
      this.#begin(new DataView(this.#header.buffer));
    }
  }

  #begin(header: DataView): void {
    const length = header.getUint32(0);
    this.#type = header.getUint8(4);
    this.#channel = header.getUint32(5);
    const [least, most] = BODY_LENGTHS[this.#direction].get(this.#type) ?? [1, 0];
    if (length < least || length > most) {
      throw new ProtocolError(`no frame has type ${this.#type} and length ${length}`);
    }
    if (OF_THE_STREAM.has(this.#type) && this.#channel !== 0) {
      throw new ProtocolError(`a frame of type ${this.#type} has no channel`);
    }
    if (this.#type === DATA_TYPE.data || this.#type === DATA_TYPE.stderr) {
      this.#dataLeft = length;
    } else {
      this.#body = new Uint8Array(length);
      this.#bodyLength = 0;
    }
  }

  #whole(bytes: Uint8Array): Frame {
    const body = new BodyReader(bytes);
    const frame = this.#decode(this.#type, body, this.#channel);
    body.end();
    return frame;
  }

  /** @returns it is whole */
  #fill(body: Uint8Array): boolean {
    const part = this.#chunk.subarray(this.#at, this.#at + body.length - this.#bodyLength);
    body.set(part, this.#bodyLength);
    this.#bodyLength += part.length;
    this.#at += part.length;
    return this.#bodyLength === body.length;
  }
}

function onItsChannel<Frame extends { readonly type: string }>(
  type: number,
  channel: number,
  frame: Frame | undefined,
): OnItsChannel<Frame> {
  if (frame === undefined) throw new ProtocolError(`no frame has type ${type}`);
  // As its type says; those of the stream have no channel.
  return (OF_THE_STREAM.has(type) ? frame : { ...frame, channel }) as OnItsChannel<Frame>;
}
