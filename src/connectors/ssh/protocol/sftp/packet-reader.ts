import { ProtocolError } from '../../../../errors.ts';
import { FieldReader } from '../../../../protocol/field-reader.ts';
import type { Field } from '../../../../protocol/layout.ts';
import { MAX_HANDLE_LENGTH } from './packet-types.ts';
import type { PacketWriter } from './packet-writer.ts';

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

export type SftpField<Value> = Field<PacketReader, PacketWriter, Value>;

export const U32: SftpField<number> = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(value),
};

export const U64: SftpField<bigint> = {
  read: (reader) => reader.u64(),
  write: (writer, value) => writer.u64(value),
};

export const STRING: SftpField<Uint8Array> = {
  read: (reader) => reader.string(),
  write: (writer, value) => writer.string(value),
};

export const PATH: SftpField<Uint8Array> = { ...STRING, read: (reader) => reader.path() };

export const HANDLE: SftpField<Uint8Array> = {
  ...STRING,
  read(reader) {
    const handle = reader.string();
    if (handle.length > MAX_HANDLE_LENGTH) {
      throw new MalformedPacket(`handle of ${handle.length} bytes is too long`);
    }
    return handle;
  },
};

export const NAME: SftpField<string> = {
  read: (reader) => reader.ascii(),
  write: (writer, value) => writer.text(value),
};

export const REST: SftpField<Uint8Array> = {
  read: (reader) => reader.rest(),
  write: (writer, value) => writer.bytes(value),
};
