/** Which addresses are a Linux machine's own, from what its kernel says of its routes. */
import { type Network, networkFrom } from '../../../policy/address-class.ts';

/** https://www.kernel.org/doc/html/latest/networking/fib_trie.html */
const FIB_TRIE = '/proc/net/fib_trie';
/** Of linux/ipv6_route.h and linux/in6.h: RTF_LOCAL, RTF_ANYCAST. */
const RTF_OWN = 0x8010_0000;

export const LOCAL_TABLES = { ipv4: FIB_TRIE, ipv6: '/proc/net/ipv6_route' } as const;

/**
 * @param ipv6 undefined: the kernel has no IPv6
 * @returns undefined: that is not what a kernel says, which always has an address of its own
 */
export function localNetworks(
  ipv4: string,
  ipv6: string | undefined,
): readonly Network[] | undefined {
  const [four, six] = [localIPv4(ipv4), ipv6 === undefined ? [] : localIPv6(ipv6)];
  return four === undefined || four.length === 0 || six === undefined
    ? undefined
    : [...four, ...six];
}

/**
 *     |-- 192.0.2.2
 *        /32 host LOCAL
 */
function localIPv4(text: string): Network[] | undefined {
  const found: Network[] = [];
  let address: string | undefined;
  for (const line of text.split('\n')) {
    address = /^ +\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line)?.[1] ?? address;
    const prefix = /^ +\/(\d+) \S+ (?:LOCAL|ANYCAST)\b/.exec(line)?.[1];
    if (prefix === undefined) continue;
    const network = networkFrom(`${address}/${prefix}`);
    if (network === undefined) return undefined;
    found.push(network);
  }
  return found;
}

/** destination, length of its prefix, source, length, next hop, metric, counters, flags, interface. */
function localIPv6(text: string): Network[] | undefined {
  const found: Network[] = [];
  for (const line of text.split('\n').filter(Boolean)) {
    const fields = /^([0-9a-f]{32}) ([0-9a-f]{2})(?: [0-9a-f]+){6} ([0-9a-f]{8}) +\S+$/.exec(line);
    if (fields === null) return undefined;
    const [, digits = '', prefix = '', flags = ''] = fields;
    if ((Number.parseInt(flags, 16) & RTF_OWN) === 0) continue;
    const address = (digits.match(/.{4}/g) ?? []).join(':');
    found.push({ address, prefix: Number.parseInt(prefix, 16) });
  }
  return found;
}
