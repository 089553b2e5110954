/** Public keys as OpenSSH writes them. */

/** Kinds that sshd makes and that are no certificates, security keys or DSA. */
const KINDS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
];
const LINE = /^([a-z0-9-]+) +([A-Za-z0-9+/]{16,8192}={0,2})(?: .*)?$/;

/** @returns `ssh-ed25519 AAAA…`, without the comment; undefined: it is no such line. */
export function hostKey(text: string): string | undefined {
  const [, kind = '', base64 = ''] = LINE.exec(text.trim()) ?? [];
  if (!KINDS.includes(kind)) {
    return undefined;
  }
  const key = Buffer.from(base64, 'base64');
  // RFC 4253 §6.6: the key begins with its kind; what was cut off when it was copied does not.
  const prefix = Buffer.concat([Buffer.from([0, 0, 0, kind.length]), Buffer.from(kind)]);
  const isWhole =
    key.toString('base64') === base64 && key.subarray(0, prefix.length).equals(prefix);
  return isWhole && isComplete(key, prefix.length) ? `${kind} ${base64}` : undefined;
}

/** Length-prefixed fields up to the very end. */
function isComplete(key: Buffer, from: number): boolean {
  let at = from;
  while (at + 4 <= key.length) {
    at += 4 + key.readUInt32BE(at);
  }
  return at === key.length && at > from;
}
