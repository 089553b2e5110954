import { expect, test } from 'vitest';
import {
  localNetworks,
  OwnPlaces,
} from '../../../../src/connectors/ssh/gateway/server-addresses.ts';

/** Two interfaces, a local route of a whole network, one of another table. */
const FIB = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.0.0/24 2 0 2
        |-- 10.1.0.0
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 2 0 2
     +-- 127.0.0.0/31 1 0 0
        |-- 127.0.0.0
           /8 host LOCAL
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 192.0.2.2
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
     |-- 10.1.0.5
        /32 host LOCAL
     |-- 10.64.0.0
        /16 host LOCAL
Id 200:
     |-- 198.51.100.7
        /32 host LOCAL tos=0x10
`;
const ZERO = '0'.repeat(32);
const route = (address: string, prefix: string, flags: string): string =>
  `${address} ${prefix} ${ZERO} 00 ${ZERO} 00000000 00000002 00000000 ${flags}     eth0`;
const ROUTES = [
  route('fd000000000000000000000000000000', '40', '00000001'),
  route('fd000000000000000000000000000002', '80', '80200001'),
  route('fd000000000000000000000000000000', '80', '00300001'),
  route('fd110000000000000000000000000000', '40', '80200001'),
].join('\n');

test.each([
  ['192.0.2.2', true],
  ['10.1.0.5', true],
  ['10.64.77.1', true],
  ['198.51.100.7', true],
  ['127.4.4.4', true],
  ['fd00::2', true],
  ['fd00::', true],
  ['fd11::99', true],
  ['::ffff:10.1.0.5', true],
  ['64:ff9b::a01:5', true],
  ['10.1.0.6', false],
  ['192.0.2.255', false],
  ['8.8.8.8', false],
  ['fd00::3', false],
  ['db.internal', false],
  ['web-1.internal', true],
])('%s is the server’s own: %s', (place, isOwn) => {
  const networks = localNetworks(FIB, `${ROUTES}\n`);
  expect(new OwnPlaces(['web-1.internal'], networks).has(place)).toBe(isOwn);
});

test.each([
  ['', ''],
  ['Welcome to web-1\n', undefined],
  [FIB, 'not a route\n'],
  [FIB.replace('|-- 10.1.0.5', '|-- 10.1.0.555'), ROUTES],
  [FIB.replace('/32 host LOCAL', '/33 host LOCAL'), ROUTES],
  [FIB.replaceAll('LOCAL', 'UNICAST'), ROUTES],
])('what no kernel says tells nothing', (ipv4, ipv6) => {
  expect(localNetworks(ipv4, ipv6)).toBeUndefined();
});

test('a kernel without IPv6 has addresses all the same', () => {
  expect(localNetworks(FIB, undefined)).toContainEqual({ address: '10.1.0.5', prefix: 32 });
});
