/** Apart from ssh-keys.ts: a run makes keys at its start, and ssh2 is long to load. */

import { HoopError } from '../../../errors.ts';
import { Secret } from '../../../secret.ts';
import { ssh2 } from '../../../ssh2.ts';
import { SSH_KEY_TYPE, type SshKeyPair } from './ssh-keys.ts';

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
