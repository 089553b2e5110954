import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  forwardAddresses,
  forwardDestination,
} from '../../../../src/connectors/ssh/gateway/forward-destination.ts';
import { systemResolver } from '../../../../src/connectors/ssh/gateway/name-resolver.ts';
import { OwnPlaces } from '../../../../src/connectors/ssh/gateway/server-addresses.ts';
import { HoopError } from '../../../../src/errors.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { NameServer } from './name-server.ts';

describe('what may be asked for', () => {
  test.each([
    ['DB.Internal.', 'db.internal'],
    ['10.0.0.5', '10.0.0.5'],
    ['::1', '::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::FFFF:7f00:1', '127.0.0.1'],
    ['under_score.example', 'under_score.example'],
    ['3com', '3com'],
  ])('%s is %s', (host, usual) => {
    expect(forwardDestination(host, 5432)).toEqual({
      ...{ host: usual, port: 5432, isServer: false },
    });
  });

  test.each([
    '',
    '.',
    'a..b',
    'two words',
    'db\0.internal',
    'db\n.internal',
    '127.1',
    '0x7f.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.01',
    '1.2.3.4.5',
    'host.0x',
    'fe80::1%eth0',
    '[::1]',
    '-db',
    'db-',
    'a/b',
    'user@host',
    '*',
    'ｌocalhost',
    'a'.repeat(64),
    'a.'.repeat(130),
  ])('%j is nothing that can be told', (host) => {
    expect(() => forwardDestination(host, 5432)).toThrow(HoopError);
  });

  test.each([0, -1, 65_536, 1.5])('port %d is none', (port) => {
    expect(() => forwardDestination('db.internal', port)).toThrow('cannot forward to port');
  });
});

/** An address on the network of the server that dials. */
const SERVER = '10.0.0.1';

describe('where a name leads', () => {
  async function addressesOf(
    host: string,
    options: { names?: ConstructorParameters<typeof NameServer>[0]; rules: readonly string[] },
  ): Promise<readonly string[] | string> {
    await using server = await new NameServer(options.names ?? {}).listen();
    try {
      return await forwardAddresses({
        destination: forwardDestination(host, 5432),
        grant: grantOf(...options.rules),
        user: 'deploy',
        own: new OwnPlaces([SERVER]),
        resolver: systemResolver({ servers: [server.address], hostsFile: '/dev/null' }),
        signal: new AbortController().signal,
      });
    } catch (error) {
      return error instanceof HoopError ? `${error.code} ${error.message}` : String(error);
    }
  }
  const allow = (destination: string) =>
    `{ allow: { ssh: forward, destinations: ["${destination}"] } }`;
  const deny = (destination: string) =>
    `{ deny: { ssh: forward, destinations: ["${destination}"] } }`;

  test('to all its addresses, IPv4 first', async () => {
    const names = { 'db.internal': ['10.0.0.5', '10.0.0.6', '2001:db8:0:0:0:0:0:5'] };
    expect(await addressesOf('db.internal', { names, rules: [allow('db.internal:5432')] })).toEqual(
      ['10.0.0.5', '10.0.0.6', '2001:db8::5'],
    );
  });

  test.each([
    '127.0.0.1',
    '127.9.9.9',
    '169.254.169.254',
    '0.0.0.0',
    '224.0.0.1',
    '0:0:0:0:0:0:0:1',
    'fd00:ec2:0:0:0:0:0:254',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fe80:0:0:0:0:0:0:1',
    '64:ff9b:0:0:0:0:a9fe:a9fe',
    '64:ff9b:1:0:0:0:7f00:1',
    '2002:7f00:1:0:0:0:0:1',
    '10.0.0.1',
  ])('not to %s, when the rule names only the name, or any host', async (address) => {
    const names = { 'db.internal': ['10.0.0.5', address] };
    expect(await addressesOf('db.internal', { names, rules: [allow('*:*')] })).toMatch(
      /^HOOP_NOT_ALLOWED "db.internal" resolves to /,
    );
    if (address === SERVER) return;
    expect(await addressesOf('db.internal', { names, rules: [allow('db.internal:5432')] })).toMatch(
      /^HOOP_NOT_ALLOWED "db.internal" resolves to /,
    );
  });

  test('to the server itself, when a rule names that as well', async () => {
    const names = { 'db.internal': ['127.0.0.1'] };
    const rules = [allow('db.internal:5432'), allow('127.0.0.1:5432')];
    expect(await addressesOf('db.internal', { names, rules })).toEqual(['127.0.0.1']);
    expect(await addressesOf('localhost', { rules: [allow('localhost:5432')] })).toEqual([
      '127.0.0.1',
    ]);
  });

  test('to the address of the server on its network, when a rule names that or the name', async () => {
    const names = { 'web-1.internal': [SERVER] };
    for (const named of ['web-1.internal:5432', `${SERVER}:5432`]) {
      const rules = [allow('*:*'), allow(named)];
      expect(await addressesOf('web-1.internal', { names, rules })).toEqual([SERVER]);
    }
    const rules = [allow('*:*'), deny('localhost:5432')];
    expect(await addressesOf('web-1.internal', { names, rules })).toMatch(/^HOOP_DENIED/);
  });

  test('to any other address, where any host is allowed', async () => {
    const names = {
      'db.internal': [
        '10.0.0.5',
        '192.168.1.1',
        '2606:2800:21f:0:0:0:0:1',
        '64:ff9b:0:0:0:0:a00:5',
      ],
    };
    expect(await addressesOf('db.internal', { names, rules: [allow('*:*')] })).toEqual([
      ...['10.0.0.5', '192.168.1.1', '2606:2800:21f::1', '64:ff9b::a00:5'],
    ]);
  });

  test('not to an address that a rule denies', async () => {
    const names = { 'db.internal': ['10.0.0.9'] };
    const rules = [allow('db.internal:5432'), deny('10.0.0.9:5432')];
    expect(await addressesOf('db.internal', { names, rules })).toMatch(
      /^HOOP_DENIED "db.internal" resolves to 10.0.0.9/,
    );
  });

  test('an address is dialled as it is, and nobody is asked', async () => {
    await using server = await new NameServer({}).listen();
    const addresses = await forwardAddresses({
      destination: forwardDestination('10.0.0.5', 5432),
      grant: grantOf(allow('10.0.0.5:5432')),
      user: 'deploy',
      resolver: systemResolver({ servers: [server.address] }),
      signal: new AbortController().signal,
    });
    expect(addresses).toEqual(['10.0.0.5']);
    expect(server.asked).toEqual([]);
  });

  test('a name that nobody knows is said to be one', async () => {
    expect(await addressesOf('db.nowhere', { rules: [allow('db.nowhere:5432')] })).toBe(
      'HOOP_TARGET_UNREACHABLE the gateway finds no address of "db.nowhere"',
    );
  });

  test('who stops waiting is not kept by a name server that never answers', async () => {
    await using server = await new NameServer({ 'slow.internal': null }).listen();
    const stop = new AbortController();
    const resolving = systemResolver({ servers: [server.address], hostsFile: '/dev/null' }).resolve(
      'slow.internal',
      stop.signal,
    );
    stop.abort();
    await expect(resolving).rejects.toThrow();
  });

  test('the hosts file counts, as it does for programs of the gateway', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'hoop-hosts-'));
    const hostsFile = join(folder, 'hosts');
    writeFileSync(hostsFile, '# comment db.internal\n10.1.2.3\tother DB.internal # db\n');
    const resolver = systemResolver({ hostsFile });
    const found = await resolver.resolve('db.internal', new AbortController().signal);
    rmSync(folder, { recursive: true });
    expect(found).toEqual(['10.1.2.3']);
  });
});
