/** What a policy commit means for sessions on servers that are open. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findSshd, type OpensshServer } from '../../../../src/demo/openssh-server.ts';
import { HOST_KEY } from '../policy/ssh-fixture.ts';
import { type BegunSession, SshGatewayBench } from './ssh-gateway-bench.ts';

let bench: SshGatewayBench;
let server: OpensshServer;

/** `targets/web-1.yaml` as a commit that is in force when this resolves. */
function setTarget(hostKeys: readonly string[], ...lines: readonly string[]): Promise<void> {
  const text = ['name: web-1', 'kind: ssh', `hostKeys: ${JSON.stringify(hostKeys)}`, ...lines];
  return commit({ 'targets/web-1.yaml': `${text.join('\n')}\n` });
}

/** `web-2` is the same server; its address is the policy's, while the gateway knows that of `web-1`. */
function setAddresses(...addresses: readonly string[]): Promise<void> {
  return commit({
    'targets/web-2.yaml': [
      'name: web-2',
      'kind: ssh',
      `address: ${JSON.stringify(addresses)}`,
      `hostKeys: ${JSON.stringify(server.hostKeys)}`,
      'credential: web-1',
      '',
    ].join('\n'),
    'policies/web-2.yaml': `name: web-2
who: { groups: [engineering] }
targets: { names: [web-2] }
rules: [{ name: run, allow: { ssh: [exec] } }]
`,
  });
}

async function commit(files: Readonly<Record<string, string>>): Promise<void> {
  const made = await bench.gateway.policy.commit({ files, message: 'another target' });
  const client = await bench.gateway.client('engineer');
  await expect.poll(async () => (await client.policy(bench.gateway.signal)).commit).toBe(made);
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
      `no login "${server.user}" on target "web-1". Available: other. `,
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

  test('that adds an address, or tries them in another order, disturbs nobody', async () => {
    const here = `127.0.0.1:${server.port}`;
    await setAddresses(here);
    const { session, stream, client } = await bench.begin('cat', 'web-2');
    await setAddresses('127.0.0.1:1', here);
    client.send({ type: 'data', channel: 0, data: Buffer.from('still here') });
    client.send({ type: 'eof', channel: 0 });
    await client.until('close');
    expect(client.text('data')).toBe('still here');
    stream.carrier.end(1000);
    await session.close();
  });

  test('that takes the address away ends its connections, and new ones go to the new address', async () => {
    await setAddresses(`127.0.0.1:${server.port}`);
    const { session, stream, client, another } = await bench.begin('cat', 'web-2');
    await setAddresses('127.0.0.1:1');
    expect((await client.until('disconnect')).message).toContain(
      'the address of target "web-2" has changed in the policy',
    );
    await stream.closed;
    const next = await another(2);
    next.client.hello();
    expect((await next.client.until('disconnect')).message).toContain('cannot reach target');
    await next.stream.closed;
    await setAddresses(`127.0.0.1:${server.port}`);
    const last = await another(3);
    await last.client.start('true');
    last.stream.carrier.end(1000);
    await last.stream.closed;
    await session.close();
  });
});
