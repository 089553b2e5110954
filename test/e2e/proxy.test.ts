/** The CLI behind a real proxy: login, requests, streams, WebSockets and uploads all go through CONNECT. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HoopRun, runHoop, startHoop } from '../../src/demo/hoop-process.ts';
import { waitFor } from '../wait-for.ts';
import { type Bench, openBench } from './demo-bench.ts';

let bench: Bench;
let directory: string;
beforeAll(async () => {
  bench = await openBench();
  directory = mkdtempSync(join(tmpdir(), 'hoop-proxy-'));
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

interface Tinyproxy extends AsyncDisposable {
  readonly port: number;
  /** Lines of its log about CONNECT. */
  connects(): readonly string[];
  stop(): Promise<void>;
}

let proxies = 0;

/** @param lines of its configuration */
async function startTinyproxy(...lines: readonly string[]): Promise<Tinyproxy> {
  return startTinyproxyOn(await freePort(), ...lines);
}

async function startTinyproxyOn(port: number, ...lines: readonly string[]): Promise<Tinyproxy> {
  proxies += 1;
  const log = join(directory, `tinyproxy-${proxies}.log`);
  const file = join(directory, `tinyproxy-${proxies}.conf`);
  const common = [
    `Port ${port}`,
    'Listen 127.0.0.1',
    'Timeout 600',
    'MaxClients 100',
    `LogFile "${log}"`,
    'LogLevel Connect',
    `PidFile "${join(directory, `tinyproxy-${proxies}.pid`)}"`,
  ];
  writeFileSync(file, `${[...common, ...lines].join('\n')}\n`);
  writeFileSync(log, '');
  const child: ChildProcess = spawn('tinyproxy', ['-d', '-c', file], { stdio: 'ignore' });
  const text = () => readFileSync(log, 'utf8');
  await waitFor(async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      // In order, it would wait for the tunnels to end.
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  };
  return {
    port,
    connects: () =>
      text()
        .split('\n')
        .filter((line) => /Request.*CONNECT /.test(line)),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function hoop(variables: Record<string, string>, ...args: string[]): Promise<HoopRun> {
  return runHoop(args, { home: bench.home('engineer'), variables });
}

/** As the URL has it: a reader must decode it. */
const SECRET = 's3cret%5Fword';
const gatewayOf = () => new URL(bench.demo.gateway);

describe('with HTTPS_PROXY set', () => {
  test('a session, its streams and its upload go through the proxy, and nothing past it', async () => {
    await using proxy = await startTinyproxy();
    const variables = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const whoami = await hoop(variables, 'whoami', '--json');
    expect(whoami).toMatchObject({ exitCode: 0 });
    const { host } = gatewayOf();
    const before = proxy.connects().length;
    expect(before).toBeGreaterThan(0);
    const lines: Readonly<Record<string, unknown>>[] = [];
    const service = await startHoop(['connect', 'prod-db', '--json'], 'listening', {
      home: bench.home('engineer'),
      variables,
      onLine: (line) => lines.push(line),
    });
    await using _ = service;
    const client = new pg.Client({ connectionString: String(service.ready['url']) });
    client.on('error', () => undefined);
    await client.connect();
    const { rows } = await client.query('SELECT count(*) AS n FROM orders');
    expect(Number(rows[0].n)).toBeGreaterThan(0);
    // Requests, the control channel, and the connection for streams: each a tunnel of its own.
    expect(proxy.connects().length).toBeGreaterThanOrEqual(before + 3);
    expect(proxy.connects().every((line) => line.includes(`CONNECT ${host} `))).toBe(true);
    // Nothing of the open session goes another way: without the proxy there is none.
    const lost = once(client, 'error');
    await proxy.stop();
    const [error] = await lost;
    // The stream or the control channel is the first to notice: each has its own SQLSTATE.
    expect(error).toMatchObject({
      severity: 'FATAL',
      code: expect.stringMatching(/^(57P01|08006)$/),
      message: expect.stringContaining('the connection to the gateway was lost'),
    });
    const away = new pg.Client({ connectionString: String(service.ready['url']) });
    await expect(away.connect()).rejects.toMatchObject({
      message: expect.stringContaining('cannot reach the proxy'),
    });
    // The line is there again: the same URL serves, and both recordings are delivered.
    await using back = await startTinyproxyOn(proxy.port);
    const again = new pg.Client({ connectionString: String(service.ready['url']) });
    await again.connect();
    await again.end();
    expect(back.connects().length).toBeGreaterThan(0);
    service.kill('SIGINT');
    expect(await service.exited).toBe(130);
    expect(lines.filter(({ event }) => event === 'uploaded')).toHaveLength(2);
  });

  test('WebSockets go through it as well, with the name and password in its URL', async () => {
    await using proxy = await startTinyproxy('BasicAuth bob s3cret_word');
    const variables = {
      https_proxy: `http://bob:${SECRET}@127.0.0.1:${proxy.port}`,
      // Lower case comes first.
      HTTPS_PROXY: 'http://127.0.0.1:9',
      HOOP_CARRIER: 'websocket',
    };
    const run = await hoop(variables, 'connect', 'prod-db', '--', 'psql', '-XAtc', 'SELECT 1');
    expect(run).toMatchObject({ stdout: '1\n', exitCode: 0 });
    expect(run.stderr).toContain('signed by both sides');
    expect(proxy.connects().length).toBeGreaterThanOrEqual(3);
  });

  test('`hoop run` uses it for its own traffic', async () => {
    await using proxy = await startTinyproxy();
    const variables = { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` };
    const command = ['run', '--target', 'prod-db', '--', 'psql', '-XAtc', 'SELECT 1'];
    expect(await hoop(variables, ...command)).toMatchObject({ stdout: '1\n', exitCode: 0 });
    expect(proxy.connects().length).toBeGreaterThanOrEqual(3);
  });

  test('`hoop doctor` names the proxy without its password, and checks through it', async () => {
    await using proxy = await startTinyproxy('BasicAuth bob s3cret_word');
    const variables = { HTTPS_PROXY: `http://bob:${SECRET}@127.0.0.1:${proxy.port}` };
    const run = await hoop(variables, 'doctor', '--json');
    expect(run.stdout).toContain(`through 127.0.0.1:${proxy.port} (HTTPS_PROXY)`);
    expect(run.output).not.toMatch(/s3cret|bob/);
  });

  test.each([
    ['all of the host’s ports', () => gatewayOf().hostname],
    ['the port', () => gatewayOf().host],
    ['everything', () => '*'],
  ])('NO_PROXY with %s leads past a proxy that is down', async (_what, noProxy) => {
    const variables = { HTTPS_PROXY: 'http://127.0.0.1:9', NO_PROXY: `x.example, ${noProxy()}` };
    expect(await hoop(variables, 'whoami')).toMatchObject({ exitCode: 0 });
  });
});

describe('a proxy that lets nothing through', () => {
  test('is named when it is down, with the variable and what to do', async () => {
    const port = await freePort();
    const variables = { HTTPS_PROXY: `http://bob:${SECRET}@127.0.0.1:${port}` };
    for (const args of [['whoami'], ['connect', 'prod-db'], ['run', '--', 'true']]) {
      const run = await hoop(variables, ...args);
      expect(run.stderr).toContain(
        `cannot reach the proxy "127.0.0.1:${port}": connection refused`,
      );
      expect(run.stderr).toContain('HTTPS_PROXY');
      expect(run.stderr).toContain('NO_PROXY');
      expect(run.stderr).not.toContain('This is a bug');
      expect(run.output).not.toMatch(/s3cret|bob/);
      expect(run.exitCode).toBe(args[0] === 'whoami' || args.length === 2 ? 5 : 255);
    }
  });

  test('is an error that says how to log in to it, when it wants a password or another one', async () => {
    await using proxy = await startTinyproxy('BasicAuth bob right');
    const none = await hoop({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }, 'whoami');
    expect(none.exitCode).toBe(5);
    const { stderr } = await hoop(
      { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` },
      'whoami',
      '--json',
    );
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'HOOP_PROXY' } });
    expect(none.stderr).toContain('it wants a user name and a password (407)');
    expect(none.stderr).toContain('http://USER:PASSWORD@');
    const wrong = `http://bob:${SECRET}@127.0.0.1:${proxy.port}`;
    const refused = await hoop({ HTTPS_PROXY: wrong, NODE_DEBUG: 'hoop:tunnel' }, 'whoami');
    expect(refused.exitCode).toBe(5);
    expect(refused.output).not.toMatch(/s3cret|bob/);
  });

  test('is an error that names what it refuses, when it does not allow CONNECT there', async () => {
    await using proxy = await startTinyproxy('ConnectPort 1');
    const run = await hoop({ HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` }, 'whoami');
    expect(run.exitCode).toBe(5);
    expect(run.stderr).toContain(`does not allow connections to "${gatewayOf().host}" (403)`);
  });

  test('is an error that names the address, when it cannot reach the gateway', async () => {
    await using proxy = await startTinyproxy();
    const home = join(directory, 'elsewhere');
    cpSync(bench.home('engineer'), home, { recursive: true });
    const run = await runHoop(['login', '--no-browser', '--gateway', 'https://gw.invalid'], {
      home,
      variables: { HTTPS_PROXY: `http://127.0.0.1:${proxy.port}` },
    });
    expect(run.exitCode).toBe(5);
    expect(run.stderr).toMatch(/the proxy "127\.0\.0\.1:\d+" refused the connection/);
    expect(run.stderr).toContain('gw.invalid:443');
  });
});
