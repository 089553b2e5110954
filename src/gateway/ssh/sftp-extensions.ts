import { PacketReader } from '../../protocol/ssh/sftp/packet-reader.ts';
import type { SftpRequest } from '../../protocol/ssh/sftp/request.ts';

/**
 * Extensions of OpenSSH (its file PROTOCOL, section 4) that a client may see and use. All others
 * are taken out of VERSION and answered with SSH_FX_OP_UNSUPPORTED, so that clients do without them:
 * `hardlink` gives a file a second path, `copy-data` moves bytes that nobody could hash, and what
 * comes later is not known here.
 */
export const EXTENSIONS: Readonly<Record<string, ExtensionUse>> = {
  /** Two paths; decided as rename. */
  'posix-rename@openssh.com': 'rename',
  /** One path; decided as stat. */
  'statvfs@openssh.com': 'stat',
  'fstatvfs@openssh.com': 'handle',
  'fsync@openssh.com': 'handle',
  /** Sizes of packets. */
  'limits@openssh.com': 'pass',
  /** As REALPATH, with `~`. */
  'expand-path@openssh.com': 'pass',
  'home-directory': 'pass',
  /** Names of users for `ls -l`. */
  'users-groups-by-id@openssh.com': 'pass',
};

export type ExtensionUse = 'rename' | 'stat' | 'handle' | 'pass';

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
