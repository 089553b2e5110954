import { ProtocolError } from '../../../errors.ts';

/** A packet whose fields do not fit its length. The server answers SSH_FX_BAD_MESSAGE and goes on. */
export class MalformedPacket extends ProtocolError {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedPacket';
  }
}

/**
 * Reads the body of one packet, never past its end. Bytes it gives out are views of the body.
 * Names of files are strings of bytes: on a target they need not be UTF-8.
 */
export class PacketReader {
  readonly #name: string;
  readonly #body: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(name: string, body: Uint8Array) {
    this.#name = name;
    this.#body = body;
    this.#view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  }

  get remaining(): number {
    return this.#body.length - this.#at;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  string(): Uint8Array {
    const length = this.u32();
    const start = this.#take(length);
    return this.#body.subarray(start, start + length);
  }

  /** A name of a file. With a NUL, what the server opens would be another one than what was decided. */
  path(): Uint8Array {
    const path = this.string();
    if (path.includes(0)) {
      throw new MalformedPacket(`${this.#name} has a path with a NUL character`);
    }
    return path;
  }

  /** Names of extensions. */
  ascii(): string {
    return String.fromCharCode(...this.string().subarray(0, 1024));
  }

  rest(): Uint8Array {
    return this.#body.subarray(this.#take(this.remaining));
  }

  /** `count` items, each of which takes so many bytes at least: refused before any is read. */
  expect(count: number, minimumLength: number): void {
    if (count * minimumLength > this.remaining) {
      throw new MalformedPacket(`${this.#name} is too short for its count of ${count}`);
    }
  }

  end(): void {
    if (this.remaining !== 0) {
      throw new MalformedPacket(`${this.#name} has ${this.remaining} bytes too many`);
    }
  }

  #take(length: number): number {
    if (length > this.remaining) {
      throw new MalformedPacket(
        `${this.#name} ends early: ${length} bytes wanted, ${this.remaining} left`,
      );
    }
    const start = this.#at;
    this.#at += length;
    return start;
  }
}
