/**
 * Addresses that nobody means who allows "any host": what answers there takes whoever can connect
 * for somebody it trusts. A name is somebody else's to point anywhere (DNS rebinding). The fence of
 * a run and the forwards over SSH share this list.
 */

/** Never, unless somebody names exactly this (for the fence: whatever its list of hosts says). */
const NEVER: readonly (readonly [string, number, string])[] = [
  ['0.0.0.0', 8, 'an address of this machine'],
  ['127.0.0.0', 8, 'an address of this machine'],
  ['169.254.0.0', 16, 'a link-local address, where clouds provide credentials'],
  // Metadata services that are not link-local: Alibaba's, Volcengine's, UCloud's, Azure's, Oracle's.
  ['100.100.100.200', 32, 'a metadata service, which provides credentials'],
  ['100.96.0.96', 32, 'a metadata service, which provides credentials'],
  ['100.80.80.80', 32, 'a metadata service, which provides credentials'],
  ['168.63.129.16', 32, 'a metadata service, which provides credentials'],
  ['192.0.0.192', 32, 'a metadata service, which provides credentials'],
  ['224.0.0.0', 3, 'not the address of a single host'],
  ['::', 128, 'an address of this machine'],
  ['::1', 128, 'an address of this machine'],
  ['fe80::', 10, 'a link-local address'],
  ['ff00::', 8, 'not the address of a single host'],
  // AWS's, GCP's, Oracle's, Akamai's, Scaleway's.
  ['fd00:ec2::', 32, 'a metadata service, which provides credentials'],
  ['fd20:ce::', 32, 'a metadata service, which provides credentials'],
  ['fd00:c1::', 32, 'a metadata service, which provides credentials'],
  ['fd00:a9fe:a9fe::', 48, 'a metadata service, which provides credentials'],
  ['fd00:42::42', 128, 'a metadata service, which provides credentials'],
];

/** Only when the list names the address itself: the database stands in one of these. */
const PRIVATE: readonly (readonly [string, number])[] = [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['fc00::', 7],
  ['fec0::', 10],
];

export interface Network {
  readonly address: string;
  /** Bits. */
  readonly prefix: number;
}

/** Bits of the prefix of IPv4-mapped addresses: RFC 4291 §2.5.5.2. */
const MAPPED = 96;

/** @param text an address, or with the length of its prefix: `10.0.0.0/8` */
export function networkFrom(text: string): Network | undefined {
  const [, address = '', written] = /^([0-9a-f:.]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const bits = (bytesOf(address)?.length ?? 0) * 8;
  const prefix = written === undefined ? bits : Number(written);
  if (bits === 0 || prefix > bits) return undefined;
  // ::ffff:10.0.0.5 is 10.0.0.5 in another spelling, and is compared with that.
  const [mapped] =
    prefix >= MAPPED && isInside(address, '::ffff:0:0', MAPPED) ? carriedIPv4(address) : [];
  return mapped === undefined ? { address, prefix } : { address: mapped, prefix: prefix - MAPPED };
}

export type AddressClass =
  | { readonly type: 'public' }
  | { readonly type: 'private' }
  | { readonly type: 'never'; readonly because: string };

/**
 * @param own addresses of this machine, on any interface: what listens on all of them is as near as
 *   what listens on loopback
 */
export function classifyAddress(text: string, own: readonly string[] = []): AddressClass {
  const address = text.replace(/%.*$/, '');
  const inner = carriedIPv4(address).map((one) => classifyAddress(one, own));
  // A network of its own may be around it as well: fe80::5efe:8.8.8.8 is link-local.
  const all = [...inner, classOfItself(address, own)];
  const worst = all.find(({ type }) => type === 'never');
  return worst ?? all.find(({ type }) => type === 'private') ?? { type: 'public' };
}

function classOfItself(address: string, own: readonly string[]): AddressClass {
  if (bytesOf(address) === undefined) {
    return { type: 'never', because: 'not an address' };
  }
  if (own.some((other) => isInside(address, other, 128))) {
    return { type: 'never', because: 'an address of this machine' };
  }
  const never = NEVER.find(([network, prefix]) => isInside(address, network, prefix));
  if (never !== undefined) {
    return { type: 'never', because: never[2] };
  }
  return PRIVATE.some(([network, prefix]) => isInside(address, network, prefix))
    ? { type: 'private' }
    : { type: 'public' };
}

/** @param prefix bits; more than the address has: all of them */
export function isInside(address: string, network: string, prefix: number): boolean {
  const [one, other] = [bytesOf(address), bytesOf(network)];
  if (one === undefined || other === undefined || one.length !== other.length) {
    return false;
  }
  return one.every((byte, index) => {
    const bits = Math.min(Math.max(prefix - index * 8, 0), 8);
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === ((other[index] ?? 0) & mask);
  });
}

/** IPv6 that stands for an IPv4 address, and where in it that is, as indices of bytes. */
const CARRIERS: readonly {
  readonly network: string;
  readonly prefix: number;
  readonly at: readonly (readonly number[])[];
  readonly isInverted?: boolean;
}[] = [
  // Mapped, translated (RFC 7915), compatible.
  { network: '::ffff:0:0:0', prefix: 96, at: [[12, 13, 14, 15]] },
  { network: '::ffff:0:0', prefix: 96, at: [[12, 13, 14, 15]] },
  { network: '::', prefix: 96, at: [[12, 13, 14, 15]] },
  // NAT64; how long the prefix of a network is that chose its own, nobody can see (RFC 6052 §2.2).
  { network: '64:ff9b::', prefix: 96, at: [[12, 13, 14, 15]] },
  {
    network: '64:ff9b:1::',
    prefix: 48,
    at: [
      [12, 13, 14, 15],
      [6, 7, 9, 10],
      [7, 9, 10, 11],
      [9, 10, 11, 12],
    ],
  },
  // 6to4 (RFC 3056), Teredo (RFC 4380 §4).
  { network: '2002::', prefix: 16, at: [[2, 3, 4, 5]] },
  { network: '2001::', prefix: 32, at: [[12, 13, 14, 15]], isInverted: true },
];

/** In any network: RFC 5214 §6.1. */
const ISATAP: (typeof CARRIERS)[number] = { network: '::', prefix: 0, at: [[12, 13, 14, 15]] };

function isIsatap(bytes: readonly number[]): boolean {
  // The bit for addresses that are unique in the world may be set.
  return ((bytes[8] ?? 0) & ~2) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe;
}

/** Where a packet to this IPv6 address may end, as IPv4; empty: it is about IPv6 alone. */
export function carriedIPv4(address: string): readonly string[] {
  const bytes = bytesOf(address);
  if (bytes?.length !== 16 || isInside(address, '::', 127)) {
    return [];
  }
  const carrier =
    CARRIERS.find(({ network, prefix }) => isInside(address, network, prefix)) ??
    (isIsatap(bytes) ? ISATAP : undefined);
  const flip = carrier?.isInverted === true ? 0xff : 0;
  const found = carrier?.at.map((places) => places.map((at) => (bytes[at] ?? 0) ^ flip)) ?? [];
  // Nothing but zeros stands where another length of the prefix has the address.
  return found.filter((inner, index) => index === 0 || inner[0] !== 0).map((one) => one.join('.'));
}

function bytesOf(address: string): readonly number[] | undefined {
  if (/^(?:(?:0|[1-9]\d{0,2})(?:\.(?!$)|$)){4}$/.test(address)) {
    const bytes = address.split('.').map(Number);
    return bytes.every((byte) => byte <= 255) ? bytes : undefined;
  }
  if (!/^[0-9a-f:.]+$/i.test(address) || !address.includes(':')) {
    return undefined;
  }
  // The URL standard writes eight groups, in hexadecimal, with one "::" at most.
  const plain = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1);
  if (plain === undefined) {
    return undefined;
  }
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back]
    .map((group) => Number.parseInt(group, 16))
    .flatMap((group) => [group >> 8, group & 0xff]);
}
