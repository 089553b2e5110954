/**
 * The gateway's own secrets, each for one use, in files of the keys directory. Nodes that share it
 * have the same: a login at one of them is good at the others, and what waits can be read there.
 */
import { createPrivateKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { HoopError } from '../../errors.ts';
import { generateSigningKey } from '../../recording/keys/ed25519.ts';
import { createPrivateFile } from '../../recording/keys/private-file.ts';
import { Secret } from '../../secret.ts';

export interface GatewaySecrets {
  /**
   * Of `mask: hash`: the same for as long as the gateway lives, so that equal values stay equal
   * across sessions, and unknown outside, so that a hash cannot be guessed.
   */
  readonly mask: Secret<Uint8Array>;
  /** Seals what people typed in requests for approval. */
  readonly approvals: Secret<Uint8Array>;
  /** MACs of refresh handles: a new one ends all logins. */
  readonly handles: Secret<Uint8Array>;
  /** Ed25519; signs session tokens. Not that which countersigns recordings. */
  readonly tokens: KeyObject;
}

/** What a directory of before these files were there has instead. */
export interface SecretsBefore {
  /** The gateway signed tokens, and derived what MACs refresh handles, with the key of recordings. */
  readonly gatewayKey: KeyObject;
  /** There was none: the directory is new. */
  readonly isNew: boolean;
}

const KEY_BYTES = 32;

/**
 * Made at the first start. Of a directory from before, what logins and requests rest on is derived
 * as it was then, once: they go on. Tokens that are out, of ten minutes, are renewed by their clients.
 * @throws HOOP_LOCAL_STATE, HOOP_CONFIG
 */
export function openGatewaySecrets(directory: string, before: SecretsBefore): GatewaySecrets {
  const secret = (name: string, make: () => Uint8Array): Secret<Uint8Array> => {
    const path = join(directory, name);
    const key = createPrivateFile(path, make);
    if (key.length !== KEY_BYTES) {
      throw notAKey(path, `It has ${key.length} bytes, not ${KEY_BYTES}.`);
    }
    return new Secret(key);
  };
  const random = (): Uint8Array => randomBytes(KEY_BYTES);
  const asBefore = (from: Uint8Array, use: string): Uint8Array =>
    before.isNew ? random() : new Uint8Array(hkdfSync('sha256', from, '', use, KEY_BYTES));
  const mask = secret('mask.key', random);
  return {
    mask,
    approvals: secret('approvals.key', () => asBefore(mask.expose(), 'hoop/approval-details/v1')),
    handles: secret('handles.key', () => {
      const der = before.gatewayKey.export({ type: 'pkcs8', format: 'der' });
      return asBefore(der, 'hoop/refresh-handle/v1');
    }),
    tokens: tokensKey(join(directory, 'tokens.key')),
  };
}

function tokensKey(path: string): KeyObject {
  const pem = createPrivateFile(path, () =>
    Buffer.from(generateSigningKey().privateKey.export({ type: 'pkcs8', format: 'pem' })),
  );
  try {
    const key = createPrivateKey(Buffer.from(pem));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch (cause) {
    throw notAKey(path, 'It is not a PEM private key.', cause);
  }
  throw notAKey(path, 'It is not an Ed25519 key.');
}

function notAKey(path: string, detail: string, cause?: unknown): HoopError {
  return new HoopError('HOOP_LOCAL_STATE', `"${path}" does not contain a key`, {
    detail,
    hint: 'Restore all files of the keys directory from the same backup.',
    cause,
  });
}
