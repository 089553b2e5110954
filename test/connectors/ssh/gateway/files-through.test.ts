import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { grantOf } from '../policy/ssh-fixture.ts';
import { NameServer } from './name-server.ts';
import { EVERYTHING } from './ssh-stream-bench.ts';
import { SshThrough } from './ssh-through.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe('files through a session', () => {
  test('sftp and scp move them whole, and the record has path, size and digest', async () => {
    await using through = await SshThrough.start(EVERYTHING);
    const root = realpathSync(through.local.directory);
    const bytes = randomBytes(5_000_000);
    writeFileSync(join(root, 'here'), bytes);
    writeFileSync(join(root, 'batch'), `put here ${root}/there\nget ${root}/there back\n`);
    const sftp = await through.local.run('sftp', '-b', 'batch', 'web-1');
    expect(sftp.stderr).toBe('');
    const scp = await through.local.run('scp', '-s', `web-1:${root}/there`, 'again');
    expect(scp).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(root, 'back')).equals(bytes)).toBe(true);
    expect(readFileSync(join(root, 'again')).equals(bytes)).toBe(true);
    const moved = { bytes: bytes.length, from: 0, sha256: sha256(bytes), whole: true };
    const path = join(root, 'there');
    expect(await through.events('ssh.file')).toMatchObject([
      { operation: 'write', path, status: 0, written: moved },
      { operation: 'read', path, status: 0, read: moved },
      { operation: 'read', path, status: 0, read: moved },
    ]);
    const decisions = await through.events('decision');
    expect(decisions.map(({ verbs: [verb], effect }) => `${effect} ${verb}`)).toContain(
      'allow sftp write',
    );
  });

  test('scp of old is a command like any other', async () => {
    await using through = await SshThrough.start(EVERYTHING);
    const root = realpathSync(through.local.directory);
    const bytes = randomBytes(1_000_000);
    writeFileSync(join(root, 'here'), bytes);
    const up = await through.local.run('scp', '-O', 'here', `web-1:${root}/there`);
    expect(up).toMatchObject({ status: 0, stderr: '' });
    expect(readFileSync(join(root, 'there')).equals(bytes)).toBe(true);
    const decisions = await through.events('decision');
    expect(decisions.map(({ verbs }) => verbs[0])).toEqual(['exec']);
  });

  test('rules about paths hold where the path leads to, and the terminal says which', async () => {
    await using files = await SshThrough.start(EVERYTHING);
    const root = realpathSync(files.local.directory);
    mkdirSync(join(root, 'open'));
    mkdirSync(join(root, 'closed'));
    writeFileSync(join(root, 'closed/secret'), 'secret');
    symlinkSync('../closed/secret', join(root, 'open/link'));
    await using through = await SshThrough.start(
      grantOf(
        `{ name: open, allow: { ssh: sftp, paths: ["${root}/open/**"] } }`,
        `{ name: never, deny: { ssh: sftp, paths: ["${root}/closed/**"] }, hint: "Ask the owners." }`,
      ),
    );
    for (const path of ['closed/secret', 'open/../closed/secret', 'open/link']) {
      const ran = await through.local.run('scp', '-s', `web-1:${root}/${path}`, 'stolen');
      expect(ran.status, path).not.toBe(0);
      expect(ran.stderr.match(/hoop: Ask the owners\./g), path).toHaveLength(1);
    }
    expect(existsSync(join(through.local.directory, 'stolen'))).toBe(false);
    const refused = (await through.events('decision')).filter(({ effect }) => effect === 'refuse');
    expect(new Set(refused.flatMap(({ relations }) => relations))).toEqual(
      new Set([join(root, 'closed/secret')]),
    );
  });
});

describe('forwards through a session', () => {
  /** Says hello, and gives back what it gets. */
  async function echoServer() {
    const server = createServer((socket) => {
      socket.write('hello ');
      socket.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    return {
      port,
      async [Symbol.asyncDispose]() {
        server.close();
        await once(server, 'close');
      },
    };
  }

  test('an allowed one carries bytes, and is recorded with the address and both counts', async () => {
    await using echo = await echoServer();
    await using names = await new NameServer({ 'echo.internal': ['127.0.0.1'] }).listen();
    const rule = `destinations: ["echo.internal:${echo.port}", "127.0.0.1:${echo.port}"]`;
    await using through = await SshThrough.start(
      grantOf(`{ name: echo, allow: { ssh: forward, ${rule} } }`),
      { nameServer: names.address },
    );
    const ran = await through.local.withInput(
      Buffer.from('and back'),
      'ssh',
      '-W',
      `echo.internal:${echo.port}`,
      'web-1',
    );
    expect(ran.stdout).toBe('hello and back');
    expect(await through.events('decision')).toMatchObject([
      { effect: 'allow', verbs: ['forward'], relations: [`echo.internal:${echo.port}`] },
    ]);
    expect(await through.events('result')).toMatchObject([{ tag: `127.0.0.1:${echo.port}` }]);
    expect(await through.events('ssh.channel')).toMatchObject([{ up: 8, down: 14 }]);
  });

  test('a name that leads to the server itself is refused, when only the name is allowed', async () => {
    await using echo = await echoServer();
    await using names = await new NameServer({ 'echo.internal': ['127.0.0.1'] }).listen();
    await using through = await SshThrough.start(
      grantOf(
        `{ name: echo, allow: { ssh: forward, destinations: ["echo.internal:${echo.port}"] } }`,
      ),
      { nameServer: names.address },
    );
    const ran = await through.local.ssh('-W', `echo.internal:${echo.port}`, 'web-1');
    expect(ran.stdout).toBe('');
    expect(ran.stderr).toContain('administratively prohibited');
    expect(ran.stderr).toContain('resolves to 127.0.0.1');
    expect(await through.events('decision')).toMatchObject([{ effect: 'refuse' }]);
  });
});
