/** Forwards that rest on a `*`, to all interfaces of a real server: this machine. */
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ssh2 } from '../../../../src/connectors/ssh/shared/ssh2.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { networkFrom } from '../../../../src/policy/address-class.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';
import { startSsh2Server } from './ssh2-server.ts';

const ANY = grantOf('allow: { ssh: forward, destinations: ["*:*"] }');
/** Of nobody (RFC 5737). */
const ELSEWHERE = '203.0.113.9';

let bench: SshStreamBench;

function forward(stream: TestStream, channel: number, host: string): void {
  const origin = { originHost: '127.0.0.1', originPort: 1 };
  const target = { kind: 'direct-tcpip', host, port: 9, ...origin } as const;
  stream.send({ type: 'open', channel, target, window: 1 });
}

async function refusal(stream: TestStream, channel: number, host: string): Promise<string> {
  forward(stream, channel, host);
  return (await stream.frame('openFailed', channel)).message;
}

/** It has been decided; the server dials for minutes, perhaps. */
async function isAllowed(stream: TestStream, channel: number, host: string): Promise<boolean> {
  const before = stream.events.length;
  forward(stream, channel, host);
  const decision = await stream.until(() =>
    stream.events.slice(before).find(({ type }) => type === 'decision'),
  );
  return decision.type === 'decision' && decision.effect === 'allow';
}

describe.skipIf(findSshd() === undefined)('a forward to any host', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start();
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test('leads to no interface of the server, by address or by name, and elsewhere as ever', async () => {
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map(({ address }) => address);
    const stream = await bench.connected({
      grant: () => ANY,
      resolver: {
        resolve: async (name) => (name === 'evil.example' ? own.slice(-1) : [ELSEWHERE]),
      },
    });
    for (const [channel, address] of own.entries()) {
      expect(await refusal(stream, channel, address)).toContain('not allowed by policy');
    }
    expect(await refusal(stream, 100, 'evil.example')).toContain('leads to');
    expect(await isAllowed(stream, 101, 'db.example')).toBe(true);
    expect(await isAllowed(stream, 102, ELSEWHERE)).toBe(true);
  });

  test('is refused, with what to do, where the server cannot be asked', async () => {
    const pair = ssh2.utils.generateKeyPairSync('ed25519');
    await using server = await startSsh2Server(pair, (connection) => {
      connection.on('session', (accept) => accept());
    });
    const stream = await bench.connected({
      grant: () => ANY,
      target: { kind: 'ssh', name: 'web-1', connectTimeoutMs: 10_000, ...server.target },
    });
    const message = await refusal(stream, 1, ELSEWHERE);
    expect(message).toContain('cannot determine the server');
    expect(message).toContain('list the target’s ownAddresses');
    expect(stream.events.find(({ type }) => type === 'decision')).toMatchObject({
      effect: 'refuse',
      code: 'HOOP_NOT_ALLOWED',
    });
  });

  test('asks nothing of the server where the policy lists its addresses, and takes them', async () => {
    const listed = networkFrom('203.0.113.0/28');
    const stream = await bench.connected({
      grant: () => ANY,
      target: bench.target({ ownAddresses: listed === undefined ? [] : [listed] }),
    });
    expect(await refusal(stream, 1, ELSEWHERE)).toContain('not allowed by policy');
    expect(await isAllowed(stream, 2, '203.0.113.99')).toBe(true);
  });

  test('a rule that names an address of the server is enough', async () => {
    const grant = grantOf('allow: { ssh: forward, destinations: ["127.0.0.1:9", "*:*"] }');
    const stream = await bench.connected({ grant: () => grant });
    expect(await isAllowed(stream, 1, '127.0.0.1')).toBe(true);
  });
});
