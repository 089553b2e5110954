/** A connection through a proxy: CONNECT (RFC 9110 §9.3.6), and TLS to what is behind it. */
import { once } from 'node:events';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { errorCode } from './error-code.ts';
import { HoopError } from './errors.ts';
import { type HttpProxy, proxyFor } from './proxy.ts';

const CONNECT_WITHIN_MS = 10_000;
/** The head of the answer to CONNECT. */
const MAX_HEAD_BYTES = 16 * 1024;
const END_OF_HEAD = '\r\n\r\n';

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name cannot be resolved now',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'the connection timed out',
  ABORT_ERR: 'it did not answer in time',
};

/**
 * Opens a connection to the address through the proxy of the environment.
 * @param address https or wss
 * @returns undefined: no proxy is set for it
 * @throws HoopError HOOP_PROXY; HOOP_CONFIG the variable names no HTTP proxy
 */
export async function openThroughProxy(
  address: string | URL,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Socket | undefined> {
  const proxy = proxyFor(address, env);
  if (proxy === undefined) {
    return undefined;
  }
  const { hostname, port, protocol } = new URL(address);
  return connectThrough(proxy, authorityOf(hostname, port, protocol));
}

/** As undici's Agent takes it for `connect`. */
export type Connect = (
  options: { readonly hostname: string; readonly port: string; readonly protocol: string },
  callback: (...result: [error: null, socket: Socket] | [error: Error, socket: null]) => void,
) => void;

/** Connects through the proxy, with TLS where the address wants it. @param tls e.g. its CA */
export function connectorThrough(proxy: HttpProxy, tls: ConnectionOptions): Connect {
  return ({ hostname, port, protocol }, callback) => {
    const isSecure = protocol === 'https:';
    connectThrough(proxy, authorityOf(hostname, port, protocol))
      .then(async (socket): Promise<Socket> => {
        return isSecure ? secure(socket, hostname, tls) : socket;
      })
      .then(
        (socket) => callback(null, socket),
        (error: unknown) =>
          callback(error instanceof Error ? error : new Error(String(error)), null),
      );
  };
}

/** `host:port`; an IPv6 address stands in brackets, which undici takes away. */
function authorityOf(hostname: string, port: string, protocol: string): string {
  const isSecure = protocol === 'https:' || protocol === 'wss:';
  const host = isIP(hostname) === 6 ? `[${hostname}]` : hostname;
  return `${host}:${port || (isSecure ? '443' : '80')}`;
}

async function secure(
  socket: Socket,
  hostname: string,
  tls: ConnectionOptions,
): Promise<TLSSocket> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const secured = connectTls({
    ...tls,
    socket,
    // Without a name the certificate is checked against the address.
    host,
    ...(isIP(host) ? {} : { servername: host }),
    ALPNProtocols: ['http/1.1'],
  });
  try {
    await once(secured, 'secureConnect', { signal: AbortSignal.timeout(CONNECT_WITHIN_MS) });
    return secured;
  } catch (error) {
    secured.on('error', () => undefined).destroy();
    socket.destroy();
    throw error;
  }
}

async function connectThrough(proxy: HttpProxy, authority: string): Promise<Socket> {
  const signal = AbortSignal.timeout(CONNECT_WITHIN_MS);
  const { host, port } = proxy;
  const socket = proxy.isSecure
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }) })
    : connectTcp({ host, port });
  // One that comes between two readers is followed by a close.
  socket.on('error', () => undefined);
  try {
    await once(socket, proxy.isSecure ? 'secureConnect' : 'connect', { signal });
    socket.setNoDelay(true);
    socket.write(requestFor(authority, proxy));
    const status = await readAnswer(socket, signal);
    if (status < 200 || status > 299) {
      throw refused(proxy, authority, status);
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error instanceof HoopError ? error : unreachable(proxy, error);
  }
}

function requestFor(authority: string, { authorization }: HttpProxy): string {
  const lines = [
    `CONNECT ${authority} HTTP/1.1`,
    `Host: ${authority}`,
    ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
  ];
  return `${lines.join('\r\n')}${END_OF_HEAD}`;
}

/** @returns the status; what follows the head stays in the socket */
async function readAnswer(socket: Socket, signal: AbortSignal): Promise<number> {
  let head = Buffer.alloc(0);
  while (!socket.readableEnded) {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      await Promise.race([once(socket, 'readable', { signal }), once(socket, 'end', { signal })]);
      continue;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(END_OF_HEAD);
    if (end >= 0) {
      const rest = head.subarray(end + END_OF_HEAD.length);
      if (rest.length > 0) {
        socket.unshift(rest);
      }
      return statusOf(head.toString('latin1', 0, end));
    }
    if (head.length > MAX_HEAD_BYTES) {
      break;
    }
  }
  return 0;
}

/** @returns 0: this is no HTTP */
function statusOf(head: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})(?:\s|$)/.exec(head)?.[1] ?? 0);
}

function refused({ shown, variable, authorization }: HttpProxy, authority: string, status: number) {
  const direct = `If "${authority}" can be reached directly, add its host to NO_PROXY.`;
  const [why, hint] =
    status === 407
      ? [
          authorization === undefined
            ? 'it wants a user name and a password (407)'
            : 'it does not accept the user name and password (407)',
          `Write them into ${variable}: http://USER:PASSWORD@${shown}, with %40 for an @.`,
        ]
      : status === 403
        ? [
            `it does not allow connections to "${authority}" (403)`,
            `Ask its administrator to allow CONNECT to "${authority}". ${direct}`,
          ]
        : status === 0
          ? ['its answer is not HTTP', `Check ${variable}. ${direct}`]
          : [
              `it cannot connect to "${authority}" (status ${status})`,
              `Check that "${authority}" is right and can be reached from the proxy. ${direct}`,
            ];
  return new HoopError('HOOP_PROXY', `the proxy "${shown}" refused the connection: ${why}`, {
    detail: `The variable ${variable} names it.`,
    hint,
  });
}

function unreachable({ shown, variable, isSecure }: HttpProxy, cause: unknown): HoopError {
  const code = errorCode(cause) ?? (cause instanceof Error ? cause.name : '');
  const isCertificate = isSecure && REASONS[code] === undefined && code !== '';
  const why = REASONS[code] ?? (isCertificate ? `no TLS (${code})` : 'the connection failed');
  return new HoopError('HOOP_PROXY', `cannot reach the proxy "${shown}": ${why}`, {
    detail: `The variable ${variable} names it.`,
    hint: isCertificate
      ? 'If the proxy’s certificate is from a private CA, name its PEM file in NODE_EXTRA_CA_CERTS.'
      : `Check ${variable}, or list the hosts that are reached directly in NO_PROXY.`,
    cause,
  });
}
