/**
 * Numbers of the SSH File Transfer Protocol, version 3
 * (https://www.openssh.com/txt/draft-ietf-secsh-filexfer-02.txt), as OpenSSH speaks it: its file
 * PROTOCOL lists the extensions, and that SYMLINK has its arguments the other way round.
 */
export const SFTP_VERSION = 3;

/** Of a packet without its length field: SFTP_MAX_MSG_LENGTH of OpenSSH, which refuses longer ones too. */
export const MAX_PACKET_LENGTH = 256 * 1024;
/** SFTP_MAX_HANDLE of the draft, section 3: "must not be longer than 256 bytes". */
export const MAX_HANDLE_LENGTH = 256;

/** From the client. */
export const REQUEST = {
  init: 1,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  extended: 200,
} as const;

/** From the server. */
export const REPLY = {
  version: 2,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 201,
} as const;

/** Codes of STATUS, section 7. */
export const STATUS = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  opUnsupported: 8,
} as const;

/** pflags of OPEN, section 6.3. */
export const OPEN_FLAG = {
  read: 0x01,
  write: 0x02,
  append: 0x04,
  create: 0x08,
  truncate: 0x10,
  exclusive: 0x20,
} as const;

/** Type bits of permissions, POSIX. */
export const FILE_TYPE = {
  mask: 0o170000,
  directory: 0o040000,
  regular: 0o100000,
  link: 0o120000,
} as const;
