/**
 * The keys of a target's local side that stay on this machine, because ~/.ssh/config names their
 * files: one host key, one user key, the same for every session. They open nothing but the local
 * side of sessions of this user. One process makes them, however many start at once.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { withStateLock } from '../../../auth/state-lock.ts';
import { HoopError } from '../../../errors.ts';
import { readPrivateFile, writePrivateFile } from '../../../recording/private-file.ts';
import { Secret } from '../../../secret.ts';
import { ssh2 } from '../../../ssh2.ts';
import { sshPlaceOf } from './shared-socket.ts';
import { knownHostsLine } from './ssh-config.ts';
import { generateSshKeys, SSH_KEY_TYPE, type SshKeyPair } from './ssh-keys.ts';

export interface KeptSshKeys {
  readonly hostKey: SshKeyPair;
  readonly userKey: SshKeyPair;
  readonly identityFile: string;
  readonly knownHostsFile: string;
}

/** @throws HoopError HOOP_LOCAL_STATE, HOOP_CONFIG (others may read them), HOOP_LOCAL_PORT */
export async function keptSshKeys(
  home: { readonly state: string },
  target: string,
  signal: AbortSignal,
): Promise<KeptSshKeys> {
  const place = sshPlaceOf(home, target);
  const identityFile = join(place, 'id');
  const knownHostsFile = join(place, 'known_hosts');
  return withStateLock(join(place, 'keys.lock'), signal, async () => {
    const hostKey = keptKey(join(place, 'host_key'));
    const userKey = keptKey(identityFile);
    if (!existsSync(knownHostsFile)) {
      writePrivateFile(knownHostsFile, knownHostsLine(target, hostKey.publicKey));
    }
    return { hostKey, userKey, identityFile, knownHostsFile };
  });
}

function keptKey(path: string): SshKeyPair {
  const kept = readPrivateFile(path);
  if (kept !== undefined) {
    return readSshKeys(Buffer.from(kept).toString('utf8'), path);
  }
  const made = generateSshKeys();
  writePrivateFile(path, made.privateKey.expose());
  return made;
}

// Apart from ssh-keys.ts: a run makes keys at its start, and ssh2 is long to load.

/** @throws HoopError HOOP_LOCAL_STATE it is no such key */
export function readSshKeys(privateKey: string, path: string): SshKeyPair {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error || parsed.type !== SSH_KEY_TYPE || !parsed.isPrivateKey()) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
      detail: 'It is not an Ed25519 key in OpenSSH format.',
      hint: 'Remove it: hoop creates a new one, and nothing else depends on it.',
    });
  }
  const publicKey = `${SSH_KEY_TYPE} ${parsed.getPublicSSH().toString('base64')}`;
  return { privateKey: new Secret(privateKey), publicKey };
}
