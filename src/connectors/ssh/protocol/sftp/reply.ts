import { type Attributes, readAttributes, writeAttributes } from './attributes.ts';
import { MalformedPacket, PacketReader } from './packet-reader.ts';
import { MAX_HANDLE_LENGTH, REPLY } from './packet-types.ts';
import { PacketWriter } from './packet-writer.ts';

/** Section 7 of the draft. */
export type SftpReply =
  | { readonly type: 'status'; readonly code: number; readonly message: string }
  | { readonly type: 'handle'; readonly handle: Uint8Array }
  | { readonly type: 'data'; readonly data: Uint8Array }
  | { readonly type: 'name'; readonly entries: readonly NameEntry[] }
  | { readonly type: 'attrs'; readonly attributes: Attributes };

export interface NameEntry {
  readonly name: Uint8Array;
  /** A line of `ls -l`. */
  readonly longName: Uint8Array;
  readonly attributes: Attributes;
}

/** Section 4; OpenSSH's PROTOCOL, section 4. */
export interface Extension {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Of NAME: two strings and the flags of the attributes. */
const MIN_ENTRY_LENGTH = 12;

/**
 * @param body after the id
 * @returns undefined: a type that is no answer to what we ask
 * @throws MalformedPacket
 */
export function decodeReply(type: number, body: Uint8Array): SftpReply | undefined {
  const reader = new PacketReader('reply', body);
  const reply = fields(type, reader);
  if (reply !== undefined) {
    reader.end();
  }
  return reply;
}

function fields(type: number, reader: PacketReader): SftpReply | undefined {
  switch (type) {
    case REPLY.status: {
      const code = reader.u32();
      // Servers of version 2 stop here, and some of version 3 with them.
      const message = reader.remaining === 0 ? new Uint8Array(0) : reader.string();
      if (reader.remaining > 0) {
        reader.string();
      }
      return { type: 'status', code, message: new TextDecoder().decode(message) };
    }
    case REPLY.handle: {
      const handle = reader.string();
      if (handle.length > MAX_HANDLE_LENGTH) {
        throw new MalformedPacket(`handle of ${handle.length} bytes is too long`);
      }
      return { type: 'handle', handle };
    }
    case REPLY.data:
      return { type: 'data', data: reader.string() };
    case REPLY.name: {
      const count = reader.u32();
      reader.expect(count, MIN_ENTRY_LENGTH);
      const entries = Array.from({ length: count }, () => ({
        name: reader.string(),
        longName: reader.string(),
        attributes: readAttributes(reader),
      }));
      return { type: 'name', entries };
    }
    case REPLY.attrs:
      return { type: 'attrs', attributes: readAttributes(reader) };
    default:
      return undefined;
  }
}

export function encodeReply(id: number, reply: SftpReply): Uint8Array {
  const writer = new PacketWriter(REPLY[reply.type], id);
  switch (reply.type) {
    case 'status':
      // Language tag: none.
      writer.u32(reply.code).text(reply.message).text('');
      break;
    case 'handle':
      writer.string(reply.handle);
      break;
    case 'data':
      writer.string(reply.data);
      break;
    case 'name':
      writer.u32(reply.entries.length);
      for (const { name, longName, attributes } of reply.entries) {
        writer.string(name).string(longName);
        writeAttributes(writer, attributes);
      }
      break;
    case 'attrs':
      writeAttributes(writer, reply.attributes);
      break;
  }
  return writer.finish();
}

/** @param body of VERSION, after the version. @throws MalformedPacket */
export function decodeExtensions(body: Uint8Array): Extension[] {
  const reader = new PacketReader('VERSION', body);
  const extensions: Extension[] = [];
  while (reader.remaining > 0) {
    extensions.push({ name: reader.ascii(), data: reader.string() });
  }
  return extensions;
}

export function encodeVersion(version: number, extensions: readonly Extension[]): Uint8Array {
  const writer = new PacketWriter(REPLY.version, version);
  for (const { name, data } of extensions) {
    writer.text(name).string(data);
  }
  return writer.finish();
}
