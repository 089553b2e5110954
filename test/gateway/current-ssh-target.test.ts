/** What a policy commit means for sessions on servers that are open. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findSshd, type OpensshServer } from '../../src/demo/openssh-server.ts';
import { HOST_KEY } from '../policy/ssh/ssh-fixture.ts';
import { type BegunSession, SshGatewayBench } from './ssh/ssh-gateway-bench.ts';

let bench: SshGatewayBench;
let server: OpensshServer;

/** `targets/web-1.yaml` as a commit that is in force when this resolves. */
async function setTarget(hostKeys: readonly string[], ...lines: readonly string[]): Promise<void> {
  const text = ['name: web-1', 'kind: ssh', `hostKeys: ${JSON.stringify(hostKeys)}`, ...lines];
  const commit = await bench.gateway.policy.commit({
    files: { 'targets/web-1.yaml': `${text.join('\n')}\n` },
    message: lines.join(' '),
  });
  const client = await bench.gateway.client('engineer');
  await expect
    .poll(async () => (await client.policy(bench.gateway.signal)).commit, { timeout: 20_000 })
    .toBe(commit);
}

function live(): Promise<BegunSession> {
  return bench.begin('cat');
}

describe.skipIf(findSshd() === undefined)('a commit, for a session that is open', () => {
  beforeAll(async () => {
    bench = await SshGatewayBench.start();
    server = bench.server;
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
  });
  let change = 0;
  beforeEach(async () => {
    change += 1;
    await setTarget(server.hostKeys, 'credential: web-1', `# test ${change}`);
  });

  test('that adds a host key and a login disturbs nobody; new connections have both', async () => {
    const { session, stream, client, another } = await live();
    await setTarget(
      [HOST_KEY, ...server.hostKeys],
      `logins: [{ user: ${server.user}, credential: web-1 }, { user: more, credential: web-1 }]`,
    );
    const next = await another(2);
    await next.client.start('echo also', server.user);
    next.stream.carrier.end(1000);
    const third = await another(3);
    third.client.hello('neither');
    expect((await third.client.until('disconnect')).message).toContain(`${server.user}, more`);
    await third.stream.closed;
    client.send({ type: 'data', channel: 0, data: Buffer.from('still here') });
    client.send({ type: 'eof', channel: 0 });
    await client.until('close');
    expect(client.text('data')).toBe('still here');
    stream.carrier.end(1000);
    await session.close();
  });

  test('that takes the login away ends its connections, and lets nobody in by it', async () => {
    const { session, stream, client, another } = await live();
    await setTarget(server.hostKeys, 'logins: [{ user: other, credential: web-1 }]');
    await client.until('disconnect');
    expect(client.text('stderr')).toContain(
      `the policy no longer offers the login "${server.user}" on target "web-1"`,
    );
    await stream.closed;
    const next = await another(2);
    next.client.hello(server.user);
    expect((await next.client.until('disconnect')).message).toContain(
      `no login "${server.user}" on target "web-1": There is other.`,
    );
    await next.stream.closed;
    await session.close();
  });

  test('that logs in by another credential, whoever that is, ends its connections', async () => {
    const { session, stream, client } = await live();
    await setTarget(server.hostKeys, 'credential: prod-db');
    await client.until('disconnect');
    await stream.closed;
    await session.close();
  });

  test('that no longer pins the host key ends its connections, and makes none', async () => {
    const { session, stream, client, another } = await live();
    await setTarget([HOST_KEY], 'credential: web-1');
    expect((await client.until('disconnect')).message).toContain('no longer pins the host key');
    await stream.closed;
    const next = await another(2);
    next.client.hello();
    expect((await next.client.until('disconnect')).message).toContain('not the host key');
    await next.stream.closed;
    await session.close();
  });
});
