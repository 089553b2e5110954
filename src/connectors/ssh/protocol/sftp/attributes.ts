import { MalformedPacket, type PacketReader, type SftpField } from './packet-reader.ts';
import type { PacketWriter } from './packet-writer.ts';

/**
 * ATTRS, section 5 of the draft: which fields there are is in `flags`, in this order.
 *
 *   u32 flags | u64 size (0x1) | u32 uid, u32 gid (0x2) | u32 permissions (0x4)
 *   | u32 atime, u32 mtime (0x8) | u32 count, (string, string)… (0x80000000)
 */
export interface Attributes {
  readonly size?: bigint;
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** With the type of the file, as in POSIX. */
  readonly permissions?: number;
  /** Seconds since 1970. */
  readonly times?: { readonly atime: number; readonly mtime: number };
  readonly extended?: readonly { readonly type: Uint8Array; readonly data: Uint8Array }[];
}

const FLAG = { size: 0x1, owner: 0x2, permissions: 0x4, times: 0x8, extended: 0x80000000 } as const;
const KNOWN = FLAG.size | FLAG.owner | FLAG.permissions | FLAG.times;

function readAttributes(reader: PacketReader): Attributes {
  const flags = reader.u32();
  // A field that we do not know has a length that we do not know.
  if ((((flags & ~KNOWN) >>> 0) & ~FLAG.extended) !== 0) {
    throw new MalformedPacket(`attributes have unknown flags 0x${flags.toString(16)}`);
  }
  return {
    ...((flags & FLAG.size) === 0 ? {} : { size: reader.u64() }),
    ...((flags & FLAG.owner) === 0 ? {} : { owner: { uid: reader.u32(), gid: reader.u32() } }),
    ...((flags & FLAG.permissions) === 0 ? {} : { permissions: reader.u32() }),
    ...((flags & FLAG.times) === 0 ? {} : { times: { atime: reader.u32(), mtime: reader.u32() } }),
    ...((flags & FLAG.extended) === 0 ? {} : { extended: readExtended(reader) }),
  };
}

function readExtended(reader: PacketReader): { type: Uint8Array; data: Uint8Array }[] {
  const count = reader.u32();
  reader.expect(count, 8);
  return Array.from({ length: count }, () => ({ type: reader.string(), data: reader.string() }));
}

function writeAttributes(writer: PacketWriter, attributes: Attributes): void {
  const { size, owner, permissions, times, extended } = attributes;
  writer.u32(
    ((size === undefined ? 0 : FLAG.size) |
      (owner === undefined ? 0 : FLAG.owner) |
      (permissions === undefined ? 0 : FLAG.permissions) |
      (times === undefined ? 0 : FLAG.times) |
      (extended === undefined ? 0 : FLAG.extended)) >>>
      0,
  );
  if (size !== undefined) writer.u64(size);
  if (owner !== undefined) writer.u32(owner.uid).u32(owner.gid);
  if (permissions !== undefined) writer.u32(permissions);
  if (times !== undefined) writer.u32(times.atime).u32(times.mtime);
  if (extended !== undefined) {
    writer.u32(extended.length);
    for (const { type, data } of extended) {
      writer.string(type).string(data);
    }
  }
}

export const ATTRIBUTES: SftpField<Attributes> = { read: readAttributes, write: writeAttributes };
