import { expect, test } from 'vitest';
import { isSameHost } from '../../../src/gateway/targets/target-host.ts';

const isSame = (one: string, other: string, port = 5432): boolean =>
  isSameHost({ host: one, port: 5432 }, { host: other, port });

test.each([
  ['a name in another case', 'Db.Example', 'db.example'],
  ['zeros that are left out', '2001:db8:0:0:0:0:0:1', '2001:db8::1'],
  ['leading zeros and capitals', '2001:0DB8::00a', '2001:db8::a'],
  ['the end as IPv4', '::ffff:192.0.2.1', '::ffff:c000:201'],
])('%s is the same place', (_what, one, other) => {
  expect(isSame(one, other)).toBe(true);
});

test.each([
  ['another name', 'db.example', 'db2.example'],
  ['another IPv6 address', '2001:db8::1', '2001:db8:1::'],
  ['another interface', 'fe80::1%eth0', 'fe80::1%eth1'],
  ['another IPv4 address', '192.0.2.1', '192.0.2.10'],
])('%s is another place', (_what, one, other) => {
  expect(isSame(one, other)).toBe(false);
});

test('another port is another place', () => {
  expect(isSame('2001:db8::1', '2001:db8::1', 5433)).toBe(false);
});
