import { isIPv6, SocketAddress } from 'node:net';

/** One place where a target can be reached. */
export interface TargetHost {
  readonly host: string;
  readonly port: number;
  /** How a client's error may call it. undefined: not at all, only the operator knows where it is. */
  readonly shown: string | undefined;
}

/** Whether it is the same place, however it is written. */
export function isSameHost(
  one: Pick<TargetHost, 'host' | 'port'>,
  other: Pick<TargetHost, 'host' | 'port'>,
): boolean {
  return one.port === other.port && canonicalHost(one.host) === canonicalHost(other.host);
}

/** Where a target is, as text: under one name it may be another server by now. */
export function placesOf(hosts: readonly TargetHost[]): readonly string[] {
  return hosts.map(({ host, port }) => JSON.stringify([canonicalHost(host), port])).sort();
}

/** IPv6 as RFC 5952 has it; names are the same in any case (RFC 4343). */
function canonicalHost(host: string): string {
  // Of an address with an interface Node would give the address alone.
  return isIPv6(host) && !host.includes('%')
    ? new SocketAddress({ address: host, family: 'ipv6' }).address
    : host.toLowerCase();
}
