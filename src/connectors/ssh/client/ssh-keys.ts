/** Ed25519 keys of the local side: one that the port shows, one that lets the user in. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Secret } from '../../../secret.ts';

export interface SshKeyPair {
  /** In OpenSSH's own format, as ssh(1) reads it from a file. */
  readonly privateKey: Secret<string>;
  /** `ssh-ed25519 AAAA…`, as in known_hosts and authorized_keys. */
  readonly publicKey: string;
}

export const SSH_KEY_TYPE = 'ssh-ed25519';
/** Of the cipher `none`. */
const UNENCRYPTED_BLOCK = 8;

/**
 * Not by ssh2's generator, which drops a zero byte at the end of a public key: one in 256 is broken.
 * https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
export function generateSshKeys(): SshKeyPair {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const seed = Buffer.from(jwk.d ?? '', 'base64url');
  const point = Buffer.from(jwk.x ?? '', 'base64url');
  const publicBlob = fields(SSH_KEY_TYPE, point);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    fields(SSH_KEY_TYPE, point, Buffer.concat([seed, point]), ''),
  ]);
  const padding = Buffer.from(
    Array.from({ length: -secret.length & (UNENCRYPTED_BLOCK - 1) }, (_, index) => index + 1),
  );
  const whole = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    fields('none', 'none', ''),
    Buffer.from([0, 0, 0, 1]),
    fields(publicBlob, Buffer.concat([secret, padding])),
  ]);
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  const name = 'OPENSSH PRIVATE KEY';
  return {
    privateKey: new Secret(`-----BEGIN ${name}-----\n${lines.join('\n')}\n-----END ${name}-----\n`),
    publicKey: `${SSH_KEY_TYPE} ${publicBlob.toString('base64')}`,
  };
}

/** Strings of RFC 4251 §5. */
function fields(...values: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(value));
      return [length, Buffer.from(value)];
    }),
  );
}

/** What stands on the wire: RFC 8709 §4. */
export function publicKeyBytes({ publicKey }: Pick<SshKeyPair, 'publicKey'>): Buffer {
  return Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
}
