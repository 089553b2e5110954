/** The choice of a carrier, with what may be between a client and a real gateway. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { MultiplexedStream } from '../../src/carrier/multiplexed-stream.ts';
import type { StreamCarrier } from '../../src/carrier/stream-carrier.ts';
import { WebSocketCarrier } from '../../src/carrier/web-socket-carrier.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import type { GatewayClient } from '../../src/client/gateway-client.ts';
import { encodeStartupMessage } from '../../src/connectors/postgres/protocol/startup-packet.ts';
import { locateHome } from '../../src/home.ts';
import type { UpgradeClient } from '../../src/tunnel/open-stream-connection.ts';
import { type CarrierChoice, StreamOpener } from '../../src/tunnel/stream-opener.ts';
import { type GatewayBench, startGatewayBench } from '../gateway/gateway-bench.ts';
import { TestSession } from '../gateway/test-session.ts';

let bench: GatewayBench;
beforeAll(async () => {
  bench = await startGatewayBench({ isPolicyFixed: true });
  await bench.client('engineer');
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

/** What a middlebox does with an upgrade that is not to a WebSocket. */
type Treatment = (upgrade: {
  readonly socket: Duplex;
  readonly forward: (head: string) => void;
}) => void;

const passes: Treatment = ({ forward }) => forward('');
const FORBIDDEN =
  'HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n<h1>No</h1>';

const OBSTACLES: readonly (readonly [string, Treatment, string])[] = [
  ['refuses it with a page', ({ socket }) => socket.end(FORBIDDEN), 'status 403'],
  ['takes the header away', ({ forward }) => forward('upgrade'), 'status 426'],
  ['closes the connection', ({ socket }) => socket.destroy(), 'closed'],
  ['never answers', () => undefined, 'no answer'],
  [
    'switches to something else',
    ({ socket }) => socket.write('HTTP/1.1 101 Ok\r\nupgrade: websocket\r\n\r\n'),
    'another protocol',
  ],
  [
    'switches and sends something else',
    ({ socket }) => socket.write('HTTP/1.1 101 Ok\r\nupgrade: hoop-streams/1\r\n\r\nwhat?'),
    'not what the gateway sends',
  ],
  ['is no HTTP server', ({ socket }) => socket.write('SSH-2.0-x\r\n\r\n'), 'not HTTP'],
];

interface Middlebox extends AsyncDisposable {
  readonly url: string;
  readonly ca: string;
  /** Upgrades that were not to a WebSocket. */
  readonly raw: number;
  /** Cuts off what goes through it. */
  cut(): void;
}

/** Ends TLS, as a company's proxy does, and connects to the gateway by itself. */
async function openMiddlebox(treat: Treatment): Promise<Middlebox> {
  const authority = createCertificateAuthority();
  const issued = issueServerCertificate(authority, { names: [], ips: ['127.0.0.1'] });
  const server = createServer({ cert: issued.certificate, key: issued.privateKey });
  const sockets = new Set<Duplex>();
  const own = (socket: Duplex): Duplex => {
    sockets.add(socket);
    return socket.on('error', () => socket.destroy());
  };
  let raw = 0;
  server.on('upgrade', (request, socket, head) => {
    own(socket);
    const forward = (without: string): void => {
      const lines = Object.entries(request.headers)
        .filter(([name]) => name !== without)
        .map(([name, value]) => `${name}: ${name === 'host' ? gatewayHost() : value}\r\n`);
      const { hostname, port } = new URL(bench.gateway().url);
      const upstream = own(connect({ host: hostname, port: Number(port), ca: bench.ca }));
      upstream.write(`GET ${request.url} HTTP/1.1\r\n${lines.join('')}\r\n`);
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    };
    if (request.headers.upgrade === 'websocket') {
      forward('');
    } else {
      raw += 1;
      treat({ socket, forward });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: authority.certificate,
    get raw() {
      return raw;
    },
    cut() {
      for (const socket of sockets) {
        socket.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function gatewayHost(): string {
  return new URL(bench.gateway().url).host;
}

/** The client of the gateway, sent by way of the middlebox. */
function through({ url, ca }: Middlebox, client: GatewayClient): UpgradeClient {
  return {
    baseUrl: url,
    ca,
    userAgent: client.userAgent,
    webSocketUrl: (path) => `${url.replace('https', 'wss')}${path}`,
    authHeaders: (method, target, signal) =>
      client.authHeaders(method, target.replace(/^\w+:\/\/[^/]+/, client.baseUrl), signal),
    upgradeRefused: (status, headers) => client.upgradeRefused(status, headers),
  };
}

/** There is no target here: what comes back is the gateway's own FATAL. */
async function answers(carrier: StreamCarrier): Promise<void> {
  const parameters = new Map([
    ['user', 'postgres'],
    ['database', 'postgres'],
  ]);
  const parts: Buffer[] = [];
  carrier.on('data', (bytes) => parts.push(bytes));
  const closed = once(carrier, 'close');
  carrier.resume();
  carrier.send([encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters })]);
  expect((await closed)[0]).toBe(1000);
  expect(Buffer.concat(parts).toString('latin1')).toContain('FATAL');
}

async function withOpener(
  treat: Treatment,
  use: (opener: {
    readonly open: (stream: number, kind?: string) => Promise<StreamCarrier>;
    readonly opener: StreamOpener;
    readonly fallbacks: readonly string[];
    readonly middlebox: Middlebox;
  }) => Promise<void>,
  choice: CarrierChoice = 'auto',
): Promise<void> {
  await using middlebox = await openMiddlebox(treat);
  const session = await TestSession.open(bench, 'engineer');
  // A client that has no nonce yet: the first upgrade is refused for it, and sent again.
  const env = bench.environment('engineer');
  rmSync(join(locateHome(env).state, 'nonce.json'), { force: true });
  await using gateway = await openGateway({ env });
  const fallbacks: string[] = [];
  const opener = new StreamOpener({
    client: through(middlebox, gateway.client),
    session: session.id,
    choice,
    onFallback: (because) => fallbacks.push(because),
    answerWithinMs: 500,
  });
  const open = (stream: number, kind = 'postgres'): Promise<StreamCarrier> =>
    opener.open(stream, kind, bench.signal);
  await use({ open, fallbacks, middlebox, opener });
  opener.close();
  session.control.terminate();
}

describe('a stream', () => {
  test('shares a connection with the others where that gets through, also past something that ends TLS', async () => {
    await withOpener(passes, async ({ open, fallbacks, middlebox }) => {
      const first = await open(1);
      expect(first).toBeInstanceOf(MultiplexedStream);
      await answers(first);
      await answers(await open(2));
      expect(fallbacks).toEqual([]);
      // One connection for both, and one that was refused for the nonce.
      expect(middlebox.raw).toBe(2);
    });
  });

  test.each(OBSTACLES)(
    'goes over a WebSocket when a middlebox %s',
    async (_what, treat, because) => {
      await withOpener(treat, async ({ open, fallbacks, middlebox }) => {
        const first = await open(1);
        expect(first).toBeInstanceOf(WebSocketCarrier);
        await answers(first);
        const second = await open(2);
        expect(second).toBeInstanceOf(WebSocketCarrier);
        await answers(second);
        // Once a session, and said once.
        expect(middlebox.raw).toBe(1);
        expect(fallbacks).toEqual([expect.stringContaining(because)]);
      });
    },
  );

  test('that the gateway refuses is refused, and no reason to fall back', async () => {
    await withOpener(passes, async ({ open, fallbacks }) => {
      await expect(open(1, 'telnet')).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
      const next = await open(1);
      expect(next).toBeInstanceOf(MultiplexedStream);
      await answers(next);
      expect(fallbacks).toEqual([]);
    });
  });

  test('that cannot be opened either way leaves the choice open', async () => {
    let broken = true;
    const treat: Treatment = (upgrade) =>
      broken ? upgrade.socket.end(FORBIDDEN) : passes(upgrade);
    await withOpener(treat, async ({ open, fallbacks }) => {
      await expect(open(1, 'telnet')).rejects.toMatchObject({ code: 'HOOP_PROTOCOL' });
      broken = false;
      expect(await open(1)).toBeInstanceOf(MultiplexedStream);
      expect(fallbacks).toEqual([]);
    });
  });

  test('finds the connection that was made ahead, and a new one when that was lost', async () => {
    await withOpener(passes, async ({ open, opener, middlebox, fallbacks }) => {
      opener.prepare();
      const first = await open(1);
      expect(middlebox.raw).toBe(2);
      const closed = once(first, 'close');
      first.resume();
      middlebox.cut();
      expect((await closed)[0]).toBe(1006);
      const next = await open(2);
      await answers(next);
      expect(middlebox.raw).toBe(3);
      expect(fallbacks).toEqual([]);
    });
  });

  test('does not wait again for what has not answered ahead of it', async () => {
    const silent: Treatment = () => undefined;
    await withOpener(silent, async ({ open, opener, middlebox, fallbacks }) => {
      opener.prepare();
      await expect.poll(() => middlebox.raw).toBe(1);
      // The answer is overdue by now.
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect(await open(1)).toBeInstanceOf(WebSocketCarrier);
      expect(middlebox.raw).toBe(1);
      expect(fallbacks).toEqual([expect.stringContaining('no answer')]);
    });
  });

  test('goes over a WebSocket of its own when those were asked for', async () => {
    const choose = async ({
      open,
      middlebox,
    }: {
      open: (n: number) => Promise<StreamCarrier>;
      middlebox: Middlebox;
    }) => {
      expect(await open(1)).toBeInstanceOf(WebSocketCarrier);
      expect(middlebox.raw).toBe(0);
    };
    await withOpener(passes, choose, 'websocket');
  });

  test('to a gateway that is not there fails with what is wrong, without a second try', async () => {
    await using gone = await openMiddlebox(passes);
    const client = through(gone, await bench.client('engineer'));
    await gone[Symbol.asyncDispose]();
    const opener = new StreamOpener({
      client,
      session: 'x',
      choice: 'auto',
      onFallback: () => undefined,
    });
    await expect(opener.open(1, 'postgres', bench.signal)).rejects.toMatchObject({
      code: 'HOOP_UNREACHABLE',
      message: expect.stringContaining('connection refused'),
    });
  });

  test('to a gateway with a certificate of somebody else is not opened', async () => {
    await using middlebox = await openMiddlebox(passes);
    const client = { ...through(middlebox, await bench.client('engineer')), ca: bench.ca };
    const opener = new StreamOpener({
      client,
      session: 'x',
      choice: 'auto',
      onFallback: () => undefined,
    });
    await expect(opener.open(1, 'postgres', bench.signal)).rejects.toMatchObject({
      code: 'HOOP_GATEWAY_TLS',
    });
    expect(middlebox.raw).toBe(0);
  });

  test('that nobody waits for any more is given up with the reason', async () => {
    await using middlebox = await openMiddlebox(() => undefined);
    const client = through(middlebox, await bench.client('engineer'));
    const opener = new StreamOpener({
      client,
      session: 'x',
      choice: 'auto',
      onFallback: () => undefined,
    });
    const abort = new AbortController();
    const opening = opener.open(1, 'postgres', abort.signal);
    await expect.poll(() => middlebox.raw).toBe(1);
    abort.abort(new Error('the local client has gone'));
    await expect(opening).rejects.toThrow('the local client has gone');
    opener.close();
  });
});
