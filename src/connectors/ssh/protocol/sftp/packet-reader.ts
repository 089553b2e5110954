import { ProtocolError } from '../../../../errors.ts';
import { FieldReader } from '../../../../protocol/field-reader.ts';

/** A packet whose fields do not fit its length. The server answers SSH_FX_BAD_MESSAGE and goes on. */
export class MalformedPacket extends ProtocolError {
  constructor(message: string) {
    super(message);
    this.name = 'MalformedPacket';
  }
}

/** The body of one packet. Names of files are strings of bytes: on a target they need not be UTF-8. */
export class PacketReader extends FieldReader {
  protected fault(text: string): MalformedPacket {
    return new MalformedPacket(text);
  }

  string(): Uint8Array {
    return this.bytes(this.u32());
  }

  /** A name of a file. With a NUL, what the server opens would be another one than what was decided. */
  path(): Uint8Array {
    const path = this.string();
    if (path.includes(0)) {
      throw this.fault(`${this.name} has a path with a NUL character`);
    }
    return path;
  }

  /** Names of extensions. */
  ascii(): string {
    return String.fromCharCode(...this.string().subarray(0, 1024));
  }
}
