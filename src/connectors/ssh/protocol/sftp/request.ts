import { type OneOf, variants } from '../../../../protocol/layout.ts';
import { ATTRIBUTES } from './attributes.ts';
import { HANDLE, NAME, PATH, PacketReader, REST, U32, U64 } from './packet-reader.ts';
import { REQUEST } from './packet-types.ts';
import { PacketWriter } from './packet-writer.ts';

const OF_HANDLE = { handle: HANDLE } as const;
const OF_PATH = { path: PATH } as const;

/**
 * Everything that a client asks, section 6 of the draft, except WRITE: its data passes without being
 * collected, so the scanner takes it apart. Paths are bytes, as the target's file system has them.
 */
const REQUESTS = {
  open: { code: REQUEST.open, fields: { path: PATH, flags: U32, attributes: ATTRIBUTES } },
  close: { code: REQUEST.close, fields: OF_HANDLE },
  read: { code: REQUEST.read, fields: { handle: HANDLE, offset: U64, length: U32 } },
  lstat: { code: REQUEST.lstat, fields: OF_PATH },
  fstat: { code: REQUEST.fstat, fields: OF_HANDLE },
  setstat: { code: REQUEST.setstat, fields: { path: PATH, attributes: ATTRIBUTES } },
  fsetstat: { code: REQUEST.fsetstat, fields: { handle: HANDLE, attributes: ATTRIBUTES } },
  opendir: { code: REQUEST.opendir, fields: OF_PATH },
  readdir: { code: REQUEST.readdir, fields: OF_HANDLE },
  remove: { code: REQUEST.remove, fields: OF_PATH },
  mkdir: { code: REQUEST.mkdir, fields: { path: PATH, attributes: ATTRIBUTES } },
  rmdir: { code: REQUEST.rmdir, fields: OF_PATH },
  realpath: { code: REQUEST.realpath, fields: OF_PATH },
  stat: { code: REQUEST.stat, fields: OF_PATH },
  rename: { code: REQUEST.rename, fields: { path: PATH, to: PATH } },
  readlink: { code: REQUEST.readlink, fields: OF_PATH },
  /**
   * `path` is made and has the text `to`. The draft has the link first; OpenSSH, and who talks to
   * it, the text of the link (its PROTOCOL, section 4.1).
   */
  symlink: { code: REQUEST.symlink, fields: { to: PATH, path: PATH } },
  extended: { code: REQUEST.extended, fields: { name: NAME, data: REST } },
} as const;

export type SftpRequest = OneOf<'type', typeof REQUESTS>;

const requests = variants('type', REQUESTS);

/**
 * @param body after the id
 * @returns undefined: no type of version 3
 * @throws MalformedPacket
 */
export function decodeRequest(type: number, body: Uint8Array): SftpRequest | undefined {
  const reader = new PacketReader(nameOf(type), body);
  const request = requests.read(type, reader);
  if (request !== undefined) reader.end();
  return request;
}

/** @throws RangeError when it is longer than a packet may be */
export function encodeRequest(id: number, request: SftpRequest): Uint8Array {
  const writer = new PacketWriter(requests.code(request), id);
  requests.write(writer, request);
  return writer.finish();
}

/** INIT has the version where others have the id. Extensions of clients are none that anybody knows. */
export function encodeInit(version: number): Uint8Array {
  return new PacketWriter(REQUEST.init, version).finish();
}

function nameOf(type: number): string {
  const found = Object.entries(REQUEST).find(([, number]) => number === type);
  return found === undefined ? `packet of type ${type}` : found[0].toUpperCase();
}
