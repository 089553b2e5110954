import { describe, expect, test } from 'vitest';
import { HoopError } from '../../../src/errors.ts';
import { classifyAddress } from '../../../src/policy/address-class.ts';
import {
  isAddressAllowed,
  isNameAllowed,
  normalizeName,
  parseAllowedHost,
  refusalOf,
} from '../../../src/run/fence/allowed-hosts.ts';

function list(...texts: string[]) {
  return texts.map(parseAllowedHost);
}

describe('the list of hosts', () => {
  test('takes names, wildcards, addresses and networks, with 443 as the port', () => {
    expect(list('api.Example.com', 'pypi.org:8443', '*.example.com')).toEqual([
      { type: 'name', name: 'api.example.com', isWildcard: false, port: 443 },
      { type: 'name', name: 'pypi.org', isWildcard: false, port: 8443 },
      { type: 'name', name: 'example.com', isWildcard: true, port: 443 },
    ]);
    expect(list('10.1.2.3', '10.1.0.0/16:5000', '[fd00::1]:8443', 'fd00::/8')).toEqual([
      { type: 'network', network: '10.1.2.3', prefix: 32, port: 443 },
      { type: 'network', network: '10.1.0.0', prefix: 16, port: 5000 },
      { type: 'network', network: 'fd00::1', prefix: 128, port: 8443 },
      { type: 'network', network: 'fd00::', prefix: 8, port: 443 },
    ]);
  });

  test.each([
    '',
    '*',
    '*.com',
    'a b',
    'https://example.com',
    'example.com:0',
    'example.com:99999',
    '10.0.0.0/33',
    '10.0.0.0/x',
    '2130706433',
    '0x7f.1',
    'a..b',
    '-a.example',
  ])('refuses %j', (text) => {
    expect(() => parseAllowedHost(text)).toThrow(HoopError);
  });

  test('compares names without case and the dot at the end, and nothing else', () => {
    const allowed = list('api.example.com', '*.pypi.org');
    const isAllowed = (host: string, port = 443): boolean => {
      const name = normalizeName(host);
      return name !== undefined && isNameAllowed(allowed, name, port);
    };
    expect(isAllowed('API.example.com.')).toBe(true);
    expect(isAllowed('files.pypi.org')).toBe(true);
    expect(isAllowed('a.b.pypi.org')).toBe(true);
    expect(isAllowed('pypi.org')).toBe(false);
    expect(isAllowed('evilpypi.org')).toBe(false);
    expect(isAllowed('api.example.com', 80)).toBe(false);
    expect(isAllowed('api.example.com.evil.example')).toBe(false);
    expect(isAllowed('api.example.com\0.evil.example')).toBe(false);
  });
});

describe('addresses', () => {
  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '::1',
    '::',
    '169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    '100.100.100.200',
    '168.63.129.16',
    '224.0.0.1',
    '255.255.255.255',
    // the same in other clothes
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    '64:ff9b:1::a9fe:a9fe',
    '64:ff9b:1:a9fe:a9:fe00::',
    '2001:0:4136:e378:8000:63bf:5601:5601',
    'fd20:ce::254',
    'fd00:ec2::23',
    'fd00:c1::a9fe:a9fe',
    'fd00:a9fe:a9fe::1',
    'fd00:42::42',
    '100.96.0.96',
    '100.80.80.80',
    '::ffff:0:127.0.0.1',
    '2001:db8::5efe:169.254.169.254',
    '2001:db8::200:5efe:7f00:1',
    'fe80::5efe:8.8.8.8',
    '192.0.0.192',
    '::ffff:169.254.169.254',
  ])('%s is never connected to, not even when the list names it', (address) => {
    expect(classifyAddress(address).type).toBe('never');
    const allowed = list('0.0.0.0/0', '::/0');
    expect(refusalOf(allowed, { address, port: 443, own: [] })).toBeDefined();
  });

  test('an address of this machine is not connected to, on whichever interface it is', () => {
    const own = ['192.0.2.7', '2001:db8::7'];
    expect(classifyAddress('192.0.2.7', own).type).toBe('never');
    expect(classifyAddress('::ffff:192.0.2.7', own).type).toBe('never');
    expect(classifyAddress('2001:db8:0::7', own).type).toBe('never');
    expect(classifyAddress('192.0.2.8', own).type).toBe('public');
  });

  test.each(['10.0.0.5', '172.16.3.4', '192.168.1.1', '100.64.0.1', 'fd12::1', '::ffff:10.0.0.5'])(
    '%s is private: only when the list names the address',
    (address) => {
      expect(classifyAddress(address)).toEqual({ type: 'private' });
      const own: string[] = [];
      expect(refusalOf(list('db.example.com:443'), { address, port: 443, own })).toContain(
        'private',
      );
    },
  );

  test('a private address that the list names is connected to, on that port', () => {
    const allowed = list('10.1.0.0/16:8443');
    const ask = (address: string, port: number) => refusalOf(allowed, { address, port, own: [] });
    expect(ask('10.1.2.3', 8443)).toBeUndefined();
    expect(ask('10.1.2.3', 5432)).toContain('private');
    expect(ask('10.2.2.3', 8443)).toContain('private');
    expect(isAddressAllowed(allowed, '10.1.2.3', 8443)).toBe(true);
  });

  test.each(['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c', '172.32.0.1', '11.0.0.1'])(
    '%s is public',
    (address) => {
      expect(classifyAddress(address)).toEqual({ type: 'public' });
    },
  );
});
