import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { errorCode } from '../error-code.ts';
import { HoopError } from '../errors.ts';

/** The first port of the range that RFC 6335 §6 sets aside, and where macOS begins. */
const FIRST_EPHEMERAL_PORT = 49_152;
/** Below that range; services that are well known have lower ports, most of them. */
const PORTS_BELOW = 12_000;
const FIRST_UNPRIVILEGED_PORT = 1024;
const ATTEMPTS = 50;
const START_ATTEMPTS = 3;

/**
 * Without a port: one outside the range from which the system gives ports to outgoing connections.
 * What listens here keeps its port, for the next start of the same demo and while it is started
 * again; within that range any connection might have taken it by then.
 *
 * @throws HoopError HOOP_LOCAL_PORT when another program has the given port
 */
export async function loopbackServer(
  port?: number,
): Promise<{ readonly server: Server; readonly url: string }> {
  for (let attempt = 1; ; attempt += 1) {
    const server = createServer();
    const wanted = port ?? (attempt < ATTEMPTS ? portBelow(firstEphemeralPort()) : 0);
    server.listen(wanted, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch (error) {
      if (port !== undefined) {
        throw cannotListen(port, error);
      }
      if (attempt < ATTEMPTS) {
        continue;
      }
      throw error;
    }
    const address = server.address();
    if (address === null || typeof address === 'string') {
      throw new TypeError('a TCP server has an address with a port');
    }
    return { server, url: `http://127.0.0.1:${address.port}` };
  }
}

/** @param port - One that must be free. @returns a port on which a server can listen now. */
export async function freeLoopbackPort(port?: number): Promise<number> {
  const { server, url } = await loopbackServer(port);
  server.close();
  await once(server, 'close');
  return Number(new URL(url).port);
}

/**
 * For what takes no port 0, and takes a while to start: where another program has taken the port in
 * between, it is started on another one.
 */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freeLoopbackPort();
    try {
      return await start(port);
    } catch (error) {
      if (attempt === START_ATTEMPTS || (await isFree(port))) throw error;
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  try {
    return (await freeLoopbackPort(port)) === port;
  } catch {
    return false;
  }
}

/** @returns 0, for any port, where the range leaves too few below it. */
export function portBelow(firstEphemeral: number): number {
  const lowest = Math.max(FIRST_UNPRIVILEGED_PORT, firstEphemeral - PORTS_BELOW);
  return firstEphemeral - lowest < ATTEMPTS ? 0 : randomInt(lowest, firstEphemeral);
}

function firstEphemeralPort(): number {
  try {
    const range = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8');
    return Number.parseInt(range, 10);
  } catch {
    return FIRST_EPHEMERAL_PORT;
  }
}

function cannotListen(port: number, cause: unknown): HoopError {
  const isTaken = errorCode(cause) === 'EADDRINUSE';
  return new HoopError('HOOP_LOCAL_PORT', `the demo cannot listen on its port ${port}`, {
    detail: isTaken
      ? 'Another program listens there, perhaps another demo on the same data. The port is part of the data.'
      : undefined,
    hint: 'Stop that program, or give another directory with --data.',
    cause,
  });
}
