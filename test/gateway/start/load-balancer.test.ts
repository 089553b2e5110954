/** Checks of a load balancer: what HAProxy sends, and HAProxy itself with the example of docs/deploy.md. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../../wait-for.ts';
import { type GatewayBench, startGatewayBench } from '../gateway-bench.ts';
import { rawRequest } from '../raw-request.ts';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench();
});
afterAll(() => bench[Symbol.asyncDispose]());

async function answer(request: string): Promise<string> {
  const port = Number(new URL(bench.gateway().url).port);
  const socket = connect({ host: '127.0.0.1', port, ca: bench.ca, servername: 'localhost' });
  socket.end(request);
  return await text(socket);
}

test.each(['/healthz', '/readyz'])('HTTP/1.0 without a Host gets an answer at %s', async (path) => {
  expect(await answer(`GET ${path} HTTP/1.0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
});

test.each([
  'GET /v1/info HTTP/1.0\r\n\r\n',
  'GET /readyz HTTP/1.1\r\nconnection: close\r\n\r\n',
  'GET /readyz/../v1/info HTTP/1.0\r\n\r\n',
  'GET //readyz HTTP/1.0\r\n\r\n',
])('any other request without a Host is refused: %j', async (request) => {
  expect(await answer(request)).toMatch(/^HTTP\/1\.1 400 /);
});

test('HAProxy with the documented configuration finds the gateway up, and passes TLS through', async () => {
  const [port, closed] = [await freePort(), await freePort()];
  const page = await readFile('docs/deploy.md', 'utf8');
  const example = /```\n(# \/etc\/haproxy\/haproxy\.cfg\n[\s\S]*?)```/.exec(page)?.[1] ?? '';
  const ca = join(bench.directory, 'ca.pem');
  const configuration = example
    .replace('bind :8443', `bind 127.0.0.1:${port}`)
    .replace('127.0.0.1:8444', `127.0.0.1:${new URL(bench.gateway().url).port}`)
    .replace('127.0.0.1:8445', `127.0.0.1:${closed}`)
    .replaceAll('gw.example.com', 'localhost')
    .replace('/etc/ssl/certs/ca-certificates.crt', ca)
    .replace('defaults\n', 'defaults\n  log global\n  option log-health-checks\n')
    .replace('default-server ', 'default-server inter 200ms ');
  const file = join(bench.directory, 'haproxy.cfg');
  await writeFile(file, `global\n  log stdout format raw local0\n${configuration}`);
  const haproxy = spawn('/usr/sbin/haproxy', ['-db', '-f', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(haproxy, 'exit');
  let said = '';
  for (const stream of [haproxy.stdout, haproxy.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
  }
  try {
    await waitFor(() => expect(said).toContain('gw-2 is DOWN'));
    await waitFor(() => expect(said).toMatch(/gw-1 succeeded, .*code: 200/));
    expect(said).not.toContain('gw-1 is DOWN');
    const { status } = await rawRequest(bench, {
      path: '/readyz',
      to: `https://localhost:${port}`,
    });
    expect(status).toBe(200);
  } finally {
    haproxy.kill('SIGKILL');
    await ended;
  }
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}
