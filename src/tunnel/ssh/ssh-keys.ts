/** Ed25519 keys of the local side: one that the port shows, one that lets the user in. */
import ssh2 from 'ssh2';
import { Secret } from '../../secret.ts';

export interface SshKeyPair {
  /** In OpenSSH's own format, as ssh(1) reads it from a file. */
  readonly privateKey: Secret<string>;
  /** `ssh-ed25519 AAAA…`, as in known_hosts and authorized_keys. */
  readonly publicKey: string;
}

export const SSH_KEY_TYPE = 'ssh-ed25519';

export function generateSshKeys(): SshKeyPair {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519');
  return { privateKey: new Secret(privateKey), publicKey: publicKey.trim() };
}

/** What stands on the wire: RFC 8709 §4. */
export function publicKeyBytes({ publicKey }: Pick<SshKeyPair, 'publicKey'>): Buffer {
  return Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
}
