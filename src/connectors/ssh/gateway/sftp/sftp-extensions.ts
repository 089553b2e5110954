import { PacketReader } from '../../protocol/sftp/packet-reader.ts';
import type { SftpRequest } from '../../protocol/sftp/request.ts';

/**
 * Extensions of OpenSSH (its file PROTOCOL, section 4) that a client may see and use. All others
 * are taken out of VERSION and answered with SSH_FX_OP_UNSUPPORTED, so that clients do without them:
 * `hardlink` gives a file a second path, and what comes later is not known here.
 */
export const EXTENSIONS: Readonly<Record<string, ExtensionUse>> = {
  /** Two paths; decided as rename. */
  'posix-rename@openssh.com': 'rename',
  /** One path; decided as stat. */
  'statvfs@openssh.com': 'stat',
  'fstatvfs@openssh.com': 'handle',
  'fsync@openssh.com': 'handle',
  /** Two handles, of a file to read and of one to write. */
  'copy-data': 'copy',
  /** Sizes of packets. */
  'limits@openssh.com': 'pass',
  /** As REALPATH, with `~`. */
  'expand-path@openssh.com': 'pass',
  'home-directory': 'pass',
  /** Names of users for `ls -l`. */
  'users-groups-by-id@openssh.com': 'pass',
};

export type ExtensionUse = 'copy' | 'rename' | 'stat' | 'handle' | 'pass';

/** @returns the only field of fsync and fstatvfs. @throws MalformedPacket */
export function handleField({
  name,
  data,
}: Extract<SftpRequest, { type: 'extended' }>): Uint8Array {
  const reader = new PacketReader(name, data);
  const handle = reader.string();
  reader.end();
  return handle;
}

/** OpenSSH's PROTOCOL, section 4.10. @throws MalformedPacket */
export function copyFields({ name, data }: Extract<SftpRequest, { type: 'extended' }>): {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
} {
  const reader = new PacketReader(name, data);
  const from = reader.string();
  // Where to begin, and how many.
  reader.u64();
  reader.u64();
  const to = reader.string();
  reader.u64();
  reader.end();
  return { from, to };
}
