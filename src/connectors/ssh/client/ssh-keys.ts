/**
 * Keys of the local side: those that the port shows, and those that let the user in. There are
 * several types, because clients are often configured to accept only some.
 */
import { generateKeyPair, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../../../secret.ts';

export interface SshKeyPair {
  /** Ed25519 in OpenSSH's own format; the others in PEM, which older libraries read, too. */
  readonly privateKey: Secret<string>;
  /** `ssh-ed25519 AAAA…`, as in known_hosts and authorized_keys. */
  readonly publicKey: string;
}

const ED25519 = 'ssh-ed25519';
const RSA = 'ssh-rsa';
/** RFC 5656 §10.1, by the names that Node.js has for the curves. */
const CURVES = {
  'ecdsa-sha2-nistp256': 'P-256',
  'ecdsa-sha2-nistp384': 'P-384',
  'ecdsa-sha2-nistp521': 'P-521',
} as const;

type EcdsaType = keyof typeof CURVES;
/** The types that are made in an instant. */
export type QuickKeyType = typeof ED25519 | EcdsaType;

/** The first is the one that every client has, also under FIPS and in libraries of 2018. */
export const USER_KEY_TYPES = ['ecdsa-sha2-nistp256', ED25519] as const;
export const HOST_KEY_TYPES = [
  ED25519,
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
] as const;
/** What the strictest crypto policies of distributions ask for. */
const RSA_BITS = 3072;
/** Of the cipher `none`. */
const UNENCRYPTED_BLOCK = 8;

export interface LocalSshKeys {
  /** One of each type. */
  readonly hostKeys: readonly SshKeyPair[];
  /** In the order in which clients should try them. */
  readonly userKeys: readonly SshKeyPair[];
}

/** Keys for one session. Without RSA, which takes 0.15 s of the processor. */
export function generateLocalSshKeys(): LocalSshKeys {
  return {
    hostKeys: HOST_KEY_TYPES.map((type) => generateSshKeys(type)),
    userKeys: USER_KEY_TYPES.map((type) => generateSshKeys(type)),
  };
}

export function generateSshKeys(type: QuickKeyType = ED25519): SshKeyPair {
  return type === ED25519 ? generateEd25519() : generateEcdsa(type);
}

export async function generateRsaKeys(): Promise<SshKeyPair> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS });
  const { e, n } = privateKey.export({ format: 'jwk' });
  return pemPair(privateKey, 'pkcs1', RSA, [RSA, positive(e), positive(n)]);
}

function generateEcdsa(type: EcdsaType): SshKeyPair {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVES[type] });
  const { x, y } = privateKey.export({ format: 'jwk' });
  const uncompressed = Buffer.from([4]);
  const point = Buffer.concat([uncompressed, bytes(x), bytes(y)]);
  return pemPair(privateKey, 'sec1', type, [type, type.replace('ecdsa-sha2-', ''), point]);
}

function pemPair(
  key: KeyObject,
  form: 'sec1' | 'pkcs1',
  type: string,
  publicFields: readonly (string | Buffer)[],
): SshKeyPair {
  return {
    privateKey: new Secret(key.export({ format: 'pem', type: form }).toString()),
    publicKey: `${type} ${fields(...publicFields).toString('base64')}`,
  };
}

/**
 * Not by ssh2's generator, which drops a zero byte at the end of a public key: one in 256 is broken.
 * https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
function generateEd25519(): SshKeyPair {
  const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const seed = bytes(jwk.d);
  const point = bytes(jwk.x);
  const publicBlob = fields(ED25519, point);
  const check = randomBytes(4);
  const secret = Buffer.concat([
    check,
    check,
    fields(ED25519, point, Buffer.concat([seed, point]), ''),
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
    publicKey: `${ED25519} ${publicBlob.toString('base64')}`,
  };
}

/** A member of a JWK; those of keys have their full length, with zeros in front. */
function bytes(member: string | undefined): Buffer {
  return Buffer.from(member ?? '', 'base64url');
}

/** A positive mpint (RFC 4251 §5). */
function positive(member: string | undefined): Buffer {
  const value = bytes(member);
  return (value[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), value]) : value;
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

/** Returns the public key as it is sent: RFC 8709 §4, RFC 5656 §3.1, RFC 4253 §6.6. */
export function publicKeyBytes({ publicKey }: Pick<SshKeyPair, 'publicKey'>): Buffer {
  return Buffer.from(publicKey.split(' ')[1] ?? '', 'base64');
}
