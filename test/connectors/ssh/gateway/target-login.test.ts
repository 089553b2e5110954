/** Who the gateway logs in to: the server that the policy pins, with the credential of the login. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AuthContext, ServerConfig } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SshTarget } from '../../../../src/connectors/ssh/gateway/types.ts';
import { ssh2 } from '../../../../src/connectors/ssh/shared/ssh2.ts';
import { findSshd } from '../../../../src/demo/openssh-server.ts';
import { Secret } from '../../../../src/secret.ts';
import { HOST_KEY } from '../policy/ssh-fixture.ts';
import { SshStreamBench, type TestStream } from './ssh-stream-bench.ts';

const { Server } = ssh2;

let bench: SshStreamBench;

async function failureOf(stream: TestStream, user = ''): Promise<{ code: string; text: string }> {
  stream.send({ type: 'hello', from: 'client', user, software: 'test' });
  const { problem } = await stream.done;
  const last = stream.frames.at(-1);
  return { code: problem?.code ?? '', text: last?.type === 'disconnect' ? last.message : '' };
}

function toTarget(changes: Partial<SshTarget>): TestStream {
  return bench.stream({ target: bench.target(changes) });
}

/** A server made with ssh2, where sshd cannot be made to do it. */
async function withServer<T>(
  config: Partial<ServerConfig>,
  authenticate: (context: AuthContext) => void,
  use: (target: Partial<SshTarget>) => Promise<T>,
): Promise<T> {
  const key = makeKey();
  const server = new Server({ hostKeys: [key.private], ...config }, (client) => {
    client
      .on('authentication', authenticate)
      .on('error', () => undefined)
      .on('session', (accept) => {
        const session = accept();
        session.on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.exit(0);
          channel.end('served\n');
        });
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await use({ hosts: [hostOf(server)], hostKeys: [key.public] });
  } finally {
    server.close();
  }
}

function hostOf(server: { address(): unknown }) {
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, shown: undefined };
}

function withPassword(password: string, privateKey?: string): SshTarget['logins'] {
  return [
    {
      user: 'deploy',
      credentialName: 'web-1',
      credential: async () => ({
        password: new Secret(password),
        privateKey: privateKey === undefined ? undefined : new Secret(privateKey),
      }),
    },
  ];
}

describe.skipIf(findSshd() === undefined)('the login on the target', () => {
  beforeAll(async () => {
    bench = await SshStreamBench.start({ hostKeyTypes: ['ed25519', 'ecdsa', 'rsa'] });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
  });

  test.each([0, 1, 2])('takes each kind of host key that is pinned (%d)', async (index) => {
    const key = bench.server.hostKeys[index] ?? '';
    const stream = toTarget({ hostKeys: [key] });
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await stream.frame('hello');
    expect((await stream.run(0, 'echo in')).stdout.toString()).toBe('in\n');
  });

  test('refuses a server that shows another key, and says which it showed and which are pinned', async () => {
    const { code, text } = await failureOf(toTarget({ hostKeys: [HOST_KEY] }));
    expect(code).toBe('HOOP_TARGET_HOST_KEY');
    const [shown = '', pinned = ''] = [bench.server.hostKeys[0] ?? '', HOST_KEY].map(fingerprint);
    expect(text).toContain(`showed ${shown}`);
    expect(text).toContain(`pins ${pinned}`);
    expect(text).not.toContain(String(bench.server.port));
    // The credential has not been shown to it.
    expect(bench.server.log()).not.toContain(`for ${bench.server.user} from 127.0.0.1 port 0`);
  });

  test('refuses a server that has no key of the kind that is pinned', async () => {
    await withServer(
      {},
      (context) => context.accept(),
      async (target) => {
        const stream = toTarget({ ...target, hostKeys: [bench.server.hostKeys[1] ?? ''] });
        expect(await failureOf(stream)).toMatchObject({
          code: 'HOOP_TARGET_HOST_KEY',
          text: expect.stringContaining('ecdsa-sha2-nistp256'),
        });
      },
    );
  });

  test.each<[string, NonNullable<ServerConfig['algorithms']>]>([
    ['CBC', { cipher: ['aes128-cbc'] }],
    ['CTR with MACs that Terrapin is about', { cipher: ['aes128-ctr'] }],
    ['chacha20', { cipher: ['chacha20-poly1305@openssh.com'] }],
    ['SHA-1 in the key exchange', { kex: ['diffie-hellman-group14-sha1'] }],
  ])('refuses a server that speaks %s only', async (_, algorithms) => {
    await withServer(
      { algorithms },
      (context) => context.accept(),
      async (target) => {
        expect(await failureOf(toTarget(target))).toMatchObject({
          code: 'HOOP_TARGET_LOGIN',
          text: expect.stringContaining('no algorithms in common'),
        });
      },
    );
  });

  test('sends a password, also where PAM asks for it', async () => {
    for (const method of ['password', 'keyboard-interactive']) {
      await withServer(
        {},
        (context) => {
          if (context.method === 'password' && method === 'password') {
            return context.password === 'right' ? context.accept() : context.reject();
          }
          if (context.method === 'keyboard-interactive') {
            return context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
              answers[0] === 'right' ? context.accept() : context.reject(),
            );
          }
          return context.reject([method as 'password']);
        },
        async (target) => {
          const stream = toTarget({ ...target, logins: withPassword('right') });
          stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
          await stream.frame('hello');
          expect((await stream.run(0, 'x')).stdout.toString()).toBe('served\n');
          const wrong = toTarget({ ...target, logins: withPassword('wrong-secret') });
          const failure = await failureOf(wrong);
          expect(failure.code).toBe('HOOP_TARGET_LOGIN');
          expect(failure.text).toContain('refused the gateway’s credential for user "deploy"');
          expect(failure.text).not.toContain('wrong-secret');
        },
      );
    }
  });

  test('says which logins there are when another is asked for, and takes the first for none', async () => {
    const [first] = bench.target().logins;
    const logins = first === undefined ? [] : [first, { ...first, user: 'second' }];
    const failure = await failureOf(toTarget({ logins }), 'root-of-all');
    expect(failure.code).toBe('HOOP_ACCESS_DENIED');
    expect(failure.text).toContain('no login "root-of-all" on target "web-1"');
    expect(failure.text).toContain(`${bench.server.user}, second`);
    const stream = toTarget({ logins });
    stream.send({ type: 'hello', from: 'client', user: 'hoop', software: 'test' });
    await stream.frame('hello');
  });

  test('goes on to the next address when one is not to be reached, and not after a refusal', async () => {
    const [reachable] = bench.target().hosts;
    const nobody = { host: '127.0.0.1', port: 1, shown: 'server 1 of 2' };
    const stream = toTarget({ hosts: reachable === undefined ? [] : [nobody, reachable] });
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await stream.frame('hello');
    const failure = await failureOf(
      toTarget({ hosts: [nobody, { ...nobody, shown: 'server 2' }] }),
    );
    expect(failure.code).toBe('HOOP_TARGET_UNREACHABLE');
    expect(failure.text).toContain('server 1 of 2: The connection was refused');
    const before = (bench.server.log().match(/Connection from|Accepted/g) ?? []).length;
    const hosts = reachable === undefined ? [] : [reachable, reachable];
    expect(await failureOf(toTarget({ hosts, hostKeys: [HOST_KEY] }))).toMatchObject({
      code: 'HOOP_TARGET_HOST_KEY',
    });
    expect((bench.server.log().match(/Accepted/g) ?? []).length).toBeLessThanOrEqual(before);
  });

  test('gives up on a server that says nothing, and on one that is no SSH server', async () => {
    const silent = createServer();
    const web = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    for (const [server, text] of [
      [silent, 'did not finish the login'],
      [web, 'does not speak SSH'],
    ] as const) {
      await listening(server);
      const stream = toTarget({ hosts: [hostOf(server)], connectTimeoutMs: 500 });
      expect(await failureOf(stream)).toMatchObject({
        code: 'HOOP_TARGET_UNREACHABLE',
        text: expect.stringContaining(text),
      });
      server.close();
    }
  });

  test('stops when the session ends in the middle of it', async () => {
    const silent = createServer();
    await listening(silent);
    const stream = toTarget({ hosts: [hostOf(silent)] });
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await once(silent, 'connection');
    stream.session.abort(new Error('over'));
    await stream.done;
    expect(stream.frames).toMatchObject([{ type: 'disconnect' }]);
    silent.close();
  });

  test('says what is wrong with a key that cannot be used', async () => {
    const privateKey = new Secret(makeKey('passphrase').private);
    const credential = async () => ({ password: undefined, privateKey });
    const logins = [{ user: 'x', credentialName: 'web-1', credential }];
    const failure = await failureOf(toTarget({ logins }));
    expect(failure).toMatchObject({
      code: 'HOOP_CONFIG',
      text: expect.stringContaining('passphrase'),
    });
    expect(failure.text).not.toContain('OPENSSH PRIVATE KEY');
  });
});

/** Not with ssh2, whose keys lack a byte now and then. */
function makeKey(passphrase = ''): { readonly private: string; readonly public: string } {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-key-'));
  try {
    const file = join(directory, 'key');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', file]);
    const [kind, key] = readFileSync(`${file}.pub`, 'utf8').split(' ');
    return { private: readFileSync(file, 'utf8'), public: `${kind} ${key}` };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function listening(server: TcpServer): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function fingerprint(key: string): string {
  const out = execFileSync('ssh-keygen', ['-lf', '-'], { input: `${key}\n`, encoding: 'utf8' });
  return /SHA256:\S+/.exec(out)?.[0] ?? '';
}
