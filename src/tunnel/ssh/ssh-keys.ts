/** Ed25519 keys of the local side: one that the port shows, one that lets the user in. */
import ssh2 from 'ssh2';
import { HoopError } from '../../errors.ts';
import { Secret } from '../../secret.ts';

export interface SshKeyPair {
  /** In OpenSSH's own format, as ssh(1) reads it from a file. */
  readonly privateKey: Secret<string>;
  /** `ssh-ed25519 AAAA…`, as in known_hosts and authorized_keys. */
  readonly publicKey: string;
}

const SSH_KEY_TYPE = 'ssh-ed25519';

export function generateSshKeys(): SshKeyPair {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519');
  return { privateKey: new Secret(privateKey), publicKey: publicKey.trim() };
}

/** What stands on the wire: RFC 8709 §4. */
export function publicKeyBytes({ publicKey }: Pick<SshKeyPair, 'publicKey'>): Buffer {
  return Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
}

/** @throws HoopError HOOP_LOCAL_STATE it is no such key */
export function readSshKeys(privateKey: string, path: string): SshKeyPair {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error || parsed.type !== SSH_KEY_TYPE || !parsed.isPrivateKey()) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
      detail: 'It is no Ed25519 key in the format of OpenSSH.',
      hint: 'Remove it: another one is made, and nothing else depends on it.',
    });
  }
  const publicKey = `${SSH_KEY_TYPE} ${parsed.getPublicSSH().toString('base64')}`;
  return { privateKey: new Secret(privateKey), publicKey };
}
