/** What VS Code Remote-SSH and editors like it do on a server, under the demo's own policy. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeLoopbackPort } from '../../src/demo/loopback-server.ts';
import { findSshd } from '../../src/demo/openssh-server.ts';
import { type Bench, openBench } from './demo-bench.ts';

describe.skipIf(findSshd() === undefined)('an editor that works on a server of the demo', () => {
  let bench: Bench;
  let place: string;
  let config: string;
  beforeAll(async () => {
    bench = await openBench();
    place = mkdtempSync(join(tmpdir(), 'hoop-editors-'));
    config = join(place, 'config');
    const block = await bench.hoop('engineer', 'ssh-config', 'web-1');
    writeFileSync(config, block.stdout);
  });
  afterAll(async () => {
    await bench?.[Symbol.asyncDispose]();
    rmSync(place, { recursive: true, force: true });
  });

  test('asks what the server is, runs an install script in bash, and reaches a port of it with -D', async () => {
    const kind = await promisify(execFile)('ssh', ['-F', config, 'web-1', 'uname -sm']);
    expect(kind.stdout).toMatch(/^\w+ \w+\n$/);

    // The part of the editor on the server listens on loopback.
    const server = createServer((_request, response) => response.end('the editor'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    // A server that listens on TCP has an address with a port.
    const { port } = server.address() as AddressInfo;
    const proxy = String(await freeLoopbackPort());
    const child = spawn('ssh', ['-F', config, '-T', '-D', proxy, 'web-1', 'bash']);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    child.stdin.write(
      'VSCODE_AGENT_FOLDER="$HOME/x"\nif true; then echo "ready: $((6 * 7))"; fi\n',
    );
    expect((await lines.next()).value).toBe('ready: 42');
    const args = ['-sS', '--socks5', `127.0.0.1:${proxy}`, `http://127.0.0.1:${port}/`];
    const fetched = await promisify(execFile)('curl', args);
    expect(fetched.stdout).toBe('the editor');
    child.stdin.end('exit 0\n');
    expect(await once(child, 'exit')).toEqual([0, null]);
    server.close();
  });

  test('is refused rm in a command of its own, as before', async () => {
    const ran = await bench.hoop('engineer', 'ssh', 'web-1', 'rm /tmp/none');
    expect(ran).toMatchObject({ exitCode: 126 });
    expect(ran.stderr).toContain('rm is denied by policy');
  });
});
