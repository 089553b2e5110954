/**
 * A private CA and server certificates for loopback, made with node:crypto alone. Node can read
 * X.509 but not write it, so the few DER structures that a TLS server needs are encoded here
 * (RFC 5280, https://www.rfc-editor.org/rfc/rfc5280#section-4.1). ECDSA P-256, because browsers
 * and libpq do not all take Ed25519 in TLS, and SCRAM cannot be bound to one (RFC 5929 §4.1). For
 * the local port, which has a CA of its own per session, for the demo and for tests.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

export interface CertificateAuthority {
  readonly name: string;
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: KeyObject;
  /** SHA-1 of the public key: how its certificates name it (RFC 5280 §4.2.1.1). */
  readonly keyId: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface IssuedCertificate {
  /** PEM of the certificate alone; clients trust the CA's. */
  readonly certificate: string;
  /** PEM, PKCS #8. */
  readonly privateKey: string;
}

export interface CertificateNames {
  readonly names: readonly string[];
  readonly ips: readonly string[];
}

const DAY_MS = 86_400_000;
/** Certificates start a little in the past, for clocks that differ. */
const BACKDATE_MS = 5 * 60_000;

const OID = {
  commonName: '2.5.4.3',
  ecPublicKeySha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
} as const;

export function createCertificateAuthority(
  options: { readonly name?: string; readonly now?: Date; readonly days?: number } = {},
): CertificateAuthority {
  const name = options.name ?? 'hoop demo CA';
  const now = options.now ?? new Date();
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyId = keyIdentifier(publicKey);
  const notBefore = new Date(now.getTime() - BACKDATE_MS);
  const notAfter = new Date(now.getTime() + (options.days ?? 365) * DAY_MS);
  const certificate = encodeCertificate({
    issuer: name,
    subject: name,
    notBefore,
    notAfter,
    publicKey,
    signingKey: privateKey,
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true), integer(Buffer.from([0])))),
      // keyCertSign (5) and cRLSign (6): bits count from the left.
      extension(OID.keyUsage, true, bitString(Buffer.from([0b0000_0110]), 1)),
      extension(OID.subjectKeyIdentifier, false, octetString(keyId)),
    ],
  });
  return { name, certificate, privateKey, keyId, notBefore, notAfter };
}

/** @throws RangeError for an address that is none, TypeError when there is no name at all. */
export function issueServerCertificate(
  ca: CertificateAuthority,
  { names, ips }: CertificateNames,
): IssuedCertificate {
  const subject = names[0] ?? ips[0];
  if (subject === undefined) {
    throw new TypeError('a server certificate needs at least one name or address');
  }
  const alternatives = [
    ...names.map((name) => element(0x82, Buffer.from(name, 'ascii'))),
    ...ips.map((ip) => element(0x87, addressBytes(ip))),
  ];
  return issueCertificate(ca, subject, [
    extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(OID.serverAuth))),
    extension(OID.subjectAltName, false, sequence(...alternatives)),
  ]);
}

/** @param commonName what PostgreSQL takes for the name of the role (`cert` in pg_hba.conf). */
export function issueClientCertificate(
  ca: CertificateAuthority,
  commonName: string,
): IssuedCertificate {
  return issueCertificate(ca, commonName, [
    extension(OID.extendedKeyUsage, false, sequence(objectIdentifier(OID.clientAuth))),
  ]);
}

function issueCertificate(
  ca: CertificateAuthority,
  subject: string,
  extensions: readonly Uint8Array[],
): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = encodeCertificate({
    issuer: ca.name,
    subject,
    notBefore: ca.notBefore,
    notAfter: ca.notAfter,
    publicKey,
    signingKey: ca.privateKey,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      // digitalSignature (0).
      extension(OID.keyUsage, true, bitString(Buffer.from([0b1000_0000]), 7)),
      ...extensions,
      extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(publicKey))),
      extension(OID.authorityKeyIdentifier, false, sequence(element(0x80, ca.keyId))),
    ],
  });
  return {
    certificate,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

interface CertificateFields {
  readonly issuer: string;
  readonly subject: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly publicKey: KeyObject;
  readonly signingKey: KeyObject;
  readonly extensions: readonly Uint8Array[];
}

function encodeCertificate(fields: CertificateFields): string {
  const algorithm = sequence(objectIdentifier(OID.ecPublicKeySha256));
  const serial = randomBytes(16);
  // Positive and without a leading zero byte, as DER wants it.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const body = sequence(
    element(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serial),
    algorithm,
    distinguishedName(fields.issuer),
    sequence(time(fields.notBefore), time(fields.notAfter)),
    distinguishedName(fields.subject),
    fields.publicKey.export({ type: 'spki', format: 'der' }),
    element(0xa3, sequence(...fields.extensions)),
  );
  const signature = sign('sha256', body, { key: fields.signingKey, dsaEncoding: 'der' });
  const der = sequence(body, algorithm, bitString(signature, 0));
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** SHA-1 over the key's BIT STRING, RFC 5280 §4.2.1.2 method 1: an identifier, not a safeguard. */
function keyIdentifier(publicKey: KeyObject): Uint8Array {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  // An uncompressed P-256 point is the last 65 bytes of its SubjectPublicKeyInfo.
  return createHash('sha1').update(spki.subarray(-65)).digest();
}

function distinguishedName(name: string): Uint8Array {
  const attribute = sequence(objectIdentifier(OID.commonName), element(0x0c, Buffer.from(name)));
  return sequence(element(0x31, attribute));
}

function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  // FALSE is the default and DER leaves defaults out.
  const flag = critical ? [boolean(true)] : [];
  return sequence(objectIdentifier(oid), ...flag, octetString(value));
}

function addressBytes(ip: string): Uint8Array {
  if (isIP(ip) === 4) {
    return Buffer.from(ip.split('.').map(Number));
  }
  if (isIP(ip) === 6 && !ip.includes('.') && !ip.includes('%')) {
    const [head = '', tail] = ip.split('::');
    const left = head === '' ? [] : head.split(':');
    const right = tail === undefined || tail === '' ? [] : tail.split(':');
    const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
    const bytes = Buffer.alloc(16);
    [...left, ...zeros, ...right].forEach((group, index) => {
      bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2);
    });
    return bytes;
  }
  throw new RangeError(`"${ip}" is not an IP address`);
}

// ---------------------------------------------------------------- DER (X.690)

function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = Buffer.concat(parts);
  const length: number[] = [];
  if (content.length < 0x80) {
    length.push(content.length);
  } else {
    for (let rest = content.length; rest > 0; rest >>>= 8) {
      length.unshift(rest & 0xff);
    }
    length.unshift(0x80 | length.length);
  }
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

function integer(bytes: Uint8Array): Uint8Array {
  return element(0x02, bytes);
}

function boolean(value: boolean): Uint8Array {
  return element(0x01, Buffer.from([value ? 0xff : 0]));
}

function octetString(bytes: Uint8Array): Uint8Array {
  return element(0x04, bytes);
}

function bitString(bytes: Uint8Array, unusedBits: number): Uint8Array {
  return element(0x03, Buffer.from([unusedBits]), bytes);
}

function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left & 0x7f) | 0x80);
    }
    bytes.push(...groups);
  }
  return element(0x06, Buffer.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime after it (RFC 5280 §4.1.2.5). */
function time(at: Date): Uint8Array {
  const digits = at.toISOString().replace(/[-:T]/g, '').slice(0, 14);
  return at.getUTCFullYear() < 2050
    ? element(0x17, Buffer.from(`${digits.slice(2)}Z`))
    : element(0x18, Buffer.from(`${digits}Z`));
}
