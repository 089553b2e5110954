import { type Attributes, readAttributes, writeAttributes } from './attributes.ts';
import { MalformedPacket, PacketReader } from './packet-reader.ts';
import { MAX_HANDLE_LENGTH, REQUEST } from './packet-types.ts';
import { PacketWriter } from './packet-writer.ts';

/**
 * Everything that a client asks, section 6 of the draft, except WRITE: its data passes without being
 * collected, so the scanner takes it apart. Paths are bytes, as the target's file system has them.
 */
export type SftpRequest =
  | {
      readonly type: 'open';
      readonly path: Uint8Array;
      readonly flags: number;
      readonly attributes: Attributes;
    }
  | {
      readonly type: 'read';
      readonly handle: Uint8Array;
      readonly offset: bigint;
      readonly length: number;
    }
  | { readonly type: 'close' | 'fstat' | 'readdir'; readonly handle: Uint8Array }
  | { readonly type: 'fsetstat'; readonly handle: Uint8Array; readonly attributes: Attributes }
  | {
      readonly type: 'lstat' | 'stat' | 'opendir' | 'remove' | 'rmdir' | 'readlink';
      readonly path: Uint8Array;
    }
  | {
      readonly type: 'setstat' | 'mkdir';
      readonly path: Uint8Array;
      readonly attributes: Attributes;
    }
  | { readonly type: 'realpath'; readonly path: Uint8Array }
  | { readonly type: 'rename'; readonly path: Uint8Array; readonly to: Uint8Array }
  /** `path` is made and has the text `to`. */
  | { readonly type: 'symlink'; readonly path: Uint8Array; readonly to: Uint8Array }
  | { readonly type: 'extended'; readonly name: string; readonly data: Uint8Array };

/**
 * @param body after the id
 * @returns undefined: no type of version 3
 * @throws MalformedPacket
 */
export function decodeRequest(type: number, body: Uint8Array): SftpRequest | undefined {
  const reader = new PacketReader(nameOf(type), body);
  const request = fields(type, reader);
  if (request !== undefined) {
    reader.end();
  }
  return request;
}

function fields(type: number, reader: PacketReader): SftpRequest | undefined {
  switch (type) {
    case REQUEST.open:
      return {
        type: 'open',
        path: reader.path(),
        flags: reader.u32(),
        attributes: readAttributes(reader),
      };
    case REQUEST.read:
      return {
        type: 'read',
        handle: handle(reader),
        offset: reader.u64(),
        length: reader.u32(),
      };
    case REQUEST.close:
      return { type: 'close', handle: handle(reader) };
    case REQUEST.fstat:
      return { type: 'fstat', handle: handle(reader) };
    case REQUEST.readdir:
      return { type: 'readdir', handle: handle(reader) };
    case REQUEST.fsetstat:
      return { type: 'fsetstat', handle: handle(reader), attributes: readAttributes(reader) };
    case REQUEST.lstat:
      return { type: 'lstat', path: reader.path() };
    case REQUEST.stat:
      return { type: 'stat', path: reader.path() };
    case REQUEST.opendir:
      return { type: 'opendir', path: reader.path() };
    case REQUEST.remove:
      return { type: 'remove', path: reader.path() };
    case REQUEST.rmdir:
      return { type: 'rmdir', path: reader.path() };
    case REQUEST.realpath:
      return { type: 'realpath', path: reader.path() };
    case REQUEST.readlink:
      return { type: 'readlink', path: reader.path() };
    case REQUEST.setstat:
      return { type: 'setstat', path: reader.path(), attributes: readAttributes(reader) };
    case REQUEST.mkdir:
      return { type: 'mkdir', path: reader.path(), attributes: readAttributes(reader) };
    case REQUEST.rename:
      return { type: 'rename', path: reader.path(), to: reader.path() };
    case REQUEST.symlink: {
      // The draft has the link first; OpenSSH, and who talks to it, the text of the link
      // (its PROTOCOL, section 4.1).
      const to = reader.path();
      return { type: 'symlink', path: reader.path(), to };
    }
    case REQUEST.extended:
      return { type: 'extended', name: reader.ascii(), data: reader.rest() };
    default:
      return undefined;
  }
}

/** @throws RangeError when it is longer than a packet may be */
export function encodeRequest(id: number, request: SftpRequest): Uint8Array {
  const writer = new PacketWriter(REQUEST[request.type], id);
  switch (request.type) {
    case 'open':
      writer.string(request.path).u32(request.flags);
      writeAttributes(writer, request.attributes);
      break;
    case 'read':
      writer.string(request.handle).u64(request.offset).u32(request.length);
      break;
    case 'close':
    case 'fstat':
    case 'readdir':
      writer.string(request.handle);
      break;
    case 'fsetstat':
      writer.string(request.handle);
      writeAttributes(writer, request.attributes);
      break;
    case 'setstat':
    case 'mkdir':
      writer.string(request.path);
      writeAttributes(writer, request.attributes);
      break;
    case 'rename':
      writer.string(request.path).string(request.to);
      break;
    case 'symlink':
      writer.string(request.to).string(request.path);
      break;
    case 'extended':
      writer.text(request.name).bytes(request.data);
      break;
    default:
      writer.string(request.path);
  }
  return writer.finish();
}

/** INIT has the version where others have the id. Extensions of clients are none that anybody knows. */
export function encodeInit(version: number): Uint8Array {
  return new PacketWriter(REQUEST.init, version).finish();
}

function handle(reader: PacketReader): Uint8Array {
  const value = reader.string();
  if (value.length > MAX_HANDLE_LENGTH) {
    throw new MalformedPacket(`handle of ${value.length} bytes is too long`);
  }
  return value;
}

function nameOf(type: number): string {
  const found = Object.entries(REQUEST).find(([, number]) => number === type);
  return found === undefined ? `packet of type ${type}` : found[0].toUpperCase();
}
