/**
 * Addresses that no fenced child reaches by a name: what answers there takes whoever can connect
 * for somebody it trusts. A name is somebody else's to point anywhere (DNS rebinding).
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** Never, whatever the list of allowed hosts says. */
const NEVER: readonly (readonly [string, number, string])[] = [
  ['0.0.0.0', 8, 'an address of this machine'],
  ['127.0.0.0', 8, 'an address of this machine'],
  ['169.254.0.0', 16, 'a link-local address, where clouds give out credentials'],
  // Metadata services that are not link-local: Alibaba's, Azure's, Oracle's.
  ['100.100.100.200', 32, 'a metadata service, which gives out credentials'],
  ['168.63.129.16', 32, 'a metadata service, which gives out credentials'],
  ['192.0.0.192', 32, 'a metadata service, which gives out credentials'],
  ['224.0.0.0', 3, 'no address of one host'],
  ['::', 128, 'an address of this machine'],
  ['::1', 128, 'an address of this machine'],
  ['fe80::', 10, 'a link-local address'],
  ['ff00::', 8, 'no address of one host'],
  // AWS's and GCP's.
  ['fd00:ec2::', 32, 'a metadata service, which gives out credentials'],
  ['fd20:ce::', 32, 'a metadata service, which gives out credentials'],
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
  const inner = carriedIPv4(address);
  if (inner !== undefined) {
    return classifyAddress(inner, own);
  }
  if (!isIPv4(address) && !isIPv6(address)) {
    return { type: 'never', because: 'no address' };
  }
  if (own.some((other) => isInside(address, other, isIPv4(other) ? 32 : 128))) {
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

export function isInside(address: string, network: string, prefix: number): boolean {
  const family = isIPv4(network) ? 'ipv4' : 'ipv6';
  if (isIPv4(address) !== (family === 'ipv4')) {
    return false;
  }
  const list = new BlockList();
  list.addSubnet(network, prefix, family);
  return list.check(address, family);
}

/** IPv6 that stands for an IPv4 address: mapped, compatible, NAT64 (RFC 6052), 6to4 (RFC 3056). */
const CARRIERS: readonly (readonly [string, number, number])[] = [
  ['::ffff:0:0', 96, 6],
  ['::', 96, 6],
  ['64:ff9b::', 96, 6],
  ['64:ff9b:1::', 48, 6],
  ['2002::', 16, 1],
];

function carriedIPv4(address: string): string | undefined {
  if (!isIPv6(address) || address === '::' || address === '::1') {
    return undefined;
  }
  const carrier = CARRIERS.find(([network, prefix]) => isInside(address, network, prefix));
  if (carrier === undefined) {
    return undefined;
  }
  const groups = expand(address);
  const [high = 0, low = 0] = groups.slice(carrier[2], carrier[2] + 2);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The eight groups of an IPv6 address, as the URL standard writes them. */
function expand(address: string): number[] {
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail] = plain.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return [...front, ...zeros, ...back].map((group) => Number.parseInt(group, 16));
}
