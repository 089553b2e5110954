/**
 * The keys of a target's local side that stay on this machine, because ~/.ssh/config names their
 * files: the same for every session. They open nothing but the local side of sessions of this user.
 * One process makes them, however many start at once.
 */
import { join } from 'node:path';
import { withStateLock } from '../../../auth/state-lock.ts';
import { HoopError } from '../../../errors.ts';
import { readPrivateFile, writePrivateFile } from '../../../recording/keys/private-file.ts';
import { Secret } from '../../../secret.ts';
import { ssh2 } from '../shared/ssh2.ts';
import { sshPlaceOf } from './shared-socket.ts';
import { knownHostsLines } from './ssh-config.ts';
import {
  generateRsaKeys,
  generateSshKeys,
  HOST_KEY_TYPES,
  type LocalSshKeys,
  type QuickKeyType,
  type SshKeyPair,
  USER_KEY_TYPES,
} from './ssh-keys.ts';

export interface KeptSshKeys extends LocalSshKeys {
  /** In the order of the user keys. */
  readonly identityFiles: readonly string[];
  readonly knownHostsFile: string;
}

/** Files for the types; those of Ed25519 have the names that were there first. */
const SUFFIXES: Readonly<Record<QuickKeyType, string>> = {
  'ssh-ed25519': '',
  'ecdsa-sha2-nistp256': '-ecdsa256',
  'ecdsa-sha2-nistp384': '-ecdsa384',
  'ecdsa-sha2-nistp521': '-ecdsa521',
};

/** @throws HoopError HOOP_LOCAL_STATE, HOOP_CONFIG (others may read them), HOOP_LOCAL_PORT */
export async function keptSshKeys(
  home: { readonly state: string },
  target: string,
  signal: AbortSignal,
): Promise<KeptSshKeys> {
  const place = sshPlaceOf(home, target);
  const rsa = await keptRsaKeys(join(home.state, 'ssh-rsa'), signal);
  return withStateLock(join(place, 'keys.lock'), signal, async () => {
    const hostKeys = HOST_KEY_TYPES.map((type) => quickKey(join(place, 'host_key'), type));
    const users = USER_KEY_TYPES.map((type) => quickKey(join(place, 'id'), type));
    const kept = {
      hostKeys: [...hostKeys.map(({ key }) => key), rsa.host.key],
      userKeys: [...users.map(({ key }) => key), rsa.user.key],
      identityFiles: [...users.map(({ path }) => path), rsa.user.path],
      knownHostsFile: join(place, 'known_hosts'),
    };
    const known = knownHostsLines(target, kept.hostKeys);
    // An earlier version had fewer keys.
    if (Buffer.from(readPrivateFile(kept.knownHostsFile) ?? '').toString() !== known) {
      writePrivateFile(kept.knownHostsFile, known);
    }
    return kept;
  });
}

interface KeptKey {
  readonly key: SshKeyPair;
  readonly path: string;
}

/** All targets share these, since they take long to make. */
function keptRsaKeys(
  place: string,
  signal: AbortSignal,
): Promise<{ readonly host: KeptKey; readonly user: KeptKey }> {
  const kept = async (path: string): Promise<KeptKey> => {
    const key = readKey(path, 'ssh-rsa') ?? written(path, await generateRsaKeys());
    return { key, path };
  };
  return withStateLock(join(place, 'keys.lock'), signal, async () => {
    const [host, user] = await Promise.all([
      kept(join(place, 'host_key')),
      kept(join(place, 'id')),
    ]);
    return { host, user };
  });
}

function quickKey(base: string, type: QuickKeyType): KeptKey {
  const path = `${base}${SUFFIXES[type]}`;
  return { key: readKey(path, type) ?? written(path, generateSshKeys(type)), path };
}

function written(path: string, made: SshKeyPair): SshKeyPair {
  writePrivateFile(path, made.privateKey.expose());
  return made;
}

function readKey(path: string, type: string): SshKeyPair | undefined {
  const kept = readPrivateFile(path);
  return kept === undefined
    ? undefined
    : readSshKeys(Buffer.from(kept).toString('utf8'), path, type);
}

// Apart from ssh-keys.ts: a run makes keys at its start, and ssh2 is long to load.

/** @throws HoopError HOOP_LOCAL_STATE it is no such key */
export function readSshKeys(privateKey: string, path: string, type: string): SshKeyPair {
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error || parsed.type !== type || !parsed.isPrivateKey()) {
    throw new HoopError('HOOP_LOCAL_STATE', `"${path}" is damaged`, {
      detail: `It is not a private key of type ${type}.`,
      hint: 'Remove it: hoop creates a new one, and nothing else depends on it.',
    });
  }
  const publicKey = `${type} ${parsed.getPublicSSH().toString('base64')}`;
  return { privateKey: new Secret(privateKey), publicKey };
}
