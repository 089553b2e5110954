/** A gateway on a socket that it inherits: restarts refuse no connection. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { LAUNCHER } from '../../../src/demo/hoop-process.ts';
import { inheritedSocket } from '../../../src/gateway/http/inherited-socket.ts';
import { startGatewayBench } from '../gateway-bench.ts';

const MANAGER = fileURLToPath(new URL('../../fixtures/socket-manager.py', import.meta.url));
const CONNECTIONS = 1000;
const AT_ONCE = 20;

test('a socket that is meant for another process is refused, and so is none or a second one', () => {
  expect(inheritedSocket({ LISTEN_FDS: '1', LISTEN_PID: '7' }, 7)).toBe(3);
  for (const env of [
    {},
    { LISTEN_FDS: '1', LISTEN_PID: '8' },
    { LISTEN_FDS: '2', LISTEN_PID: '7' },
    { LISTEN_FDS: '1' },
  ]) {
    expect(() => inheritedSocket(env, 7)).toThrow('no socket was passed to the gateway');
  }
});

test('a gateway that restarts twice on an inherited socket refuses none of 1,000 connections', async () => {
  const bench = await startGatewayBench({ isPolicyFixed: true });
  const file = join(bench.directory, 'inherited.yaml');
  await bench.gateway().close();
  await writeFile(file, bench.configText().replace(/^listen: .*$/m, 'listen: systemd'));
  const command = [LAUNCHER, 'gateway', 'start', '--json', '--config', file];
  const manager = spawn('python3', [MANAGER, '3', process.execPath, ...command], {
    env: { ...process.env, PROD_DB: 'unused' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  try {
    const lines = createInterface({ input: manager.stdout });
    const [port] = await once(lines, 'line');
    const ready = readyLines(manager);
    await ready.next();
    const ca = await readFile(join(bench.directory, 'ca.pem'), 'utf8');
    let answered = 0;
    const restarts = (async () => {
      for (const at of [CONNECTIONS / 4, CONNECTIONS / 2]) {
        await expect.poll(() => answered >= at, { interval: 5 }).toBe(true);
        manager.kill('SIGTERM');
        // A second signal during the stop would end the process at once.
        await ready.next();
      }
    })();
    const failures: string[] = [];
    const clients = Array.from({ length: AT_ONCE }, async () => {
      while (answered + failures.length < CONNECTIONS) {
        const failure = await connect(Number(port), ca);
        if (failure === undefined) answered += 1;
        // A connection that the old process had accepted may be cut. It was not refused.
        else if (failure !== 'ECONNRESET') failures.push(failure);
      }
    });
    await Promise.all([...clients, restarts]);
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThanOrEqual(CONNECTIONS);
    const ended = once(manager, 'exit');
    manager.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  } finally {
    manager.kill('SIGKILL');
    await bench[Symbol.asyncDispose]();
  }
});

/** One item for each start of the gateway. */
async function* readyLines({ stderr }: ChildProcess): AsyncGenerator<string> {
  if (stderr === null) return;
  for await (const line of createInterface({ input: stderr })) {
    if (line.includes('"gateway.started"')) yield line;
  }
}

/** Asks a new connection whether the gateway lives. @returns why it failed */
async function connect(port: number, ca: string): Promise<string | undefined> {
  const agent = new Agent({ ca, keepAlive: false });
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  get({ host: '127.0.0.1', port, path: '/healthz', agent }, (response) => {
    response.resume().once('end', () => {
      resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`);
    });
  }).once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  return await promise;
}
