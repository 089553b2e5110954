/**
 * The only way from a fenced child to other hosts: an HTTP proxy that knows CONNECT and the list of
 * allowed hosts. Names are resolved here, once, and the connection goes to the address that was
 * looked at, so that a name that changes its mind gains nothing.
 */
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { isIP, type Server as NetServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errorCode } from '../../error-code.ts';
import {
  type AllowedHost,
  isAddressAllowed,
  isNameAllowed,
  normalizeName,
  refusalOf,
} from './allowed-hosts.ts';
import { connectTo, splice } from './splice.ts';

/** Of one child; a browser that loads a page needs some dozens. */
const MAX_CONNECTIONS = 256;
const HEADERS_WITHIN_MS = 10_000;
/** More addresses of one name than this are not tried. */
const MAX_ADDRESSES = 4;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1'];
/** How many hosts are kept for the summary. */
const MAX_REFUSED = 100;

export interface EgressProxyOptions {
  readonly allowed: readonly AllowedHost[];
  /** Of the person's loopback; some programs ask a proxy for them, too. */
  readonly loopbackPorts?: ReadonlySet<number>;
  /** All addresses of a name. For tests; default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  /** Addresses of this machine. */
  readonly ownAddresses?: () => readonly string[];
  /** For tests, which have no other host to connect to. */
  readonly dial?: (address: string, port: number) => Promise<Socket>;
  /** Once for each host and port. */
  readonly onRefused?: (host: string, because: string) => void;
}

/** Why it is not connected: the status line and the body that say so. */
class Refused extends Error {
  readonly status: string;

  constructor(status: string, message: string) {
    super(message);
    this.status = status;
  }
}

export class EgressProxy implements AsyncDisposable {
  readonly #options: EgressProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #refused = new Map<string, number>();

  constructor(options: EgressProxyOptions) {
    this.#options = options;
    this.#server = createServer({ headersTimeout: HEADERS_WITHIN_MS }, (_request, response) => {
      response.writeHead(405, { 'content-type': 'text/plain', connection: 'close' });
      response.end('hoop: the fence allows only CONNECT: use https instead of http.\n');
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on('connection', (socket) => this.#keep(socket));
    this.#server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      void this.#connect(request, socket, head);
    });
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  /** @param listener of the child's network */
  serve(listener: NetServer): void {
    this.#server.listen(listener);
  }

  /** How often, by host and port. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    if (this.#server.listening) {
      this.#server.close();
      await once(this.#server, 'close');
    }
  }

  async #connect(request: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    const asked = request.url ?? '';
    try {
      const target = await this.#reach(asked);
      this.#keep(target);
      if (client.destroyed) {
        target.destroy();
        return;
      }
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      splice(client, target, head, () => this.note(asked, 'it speaks PostgreSQL'));
    } catch (error) {
      const { status, message } =
        error instanceof Refused
          ? error
          : new Refused('502 Bad Gateway', `cannot reach ${asked}: ${describe(error)}`);
      if (error instanceof Refused) {
        this.note(asked, message);
      }
      const body = `hoop: ${message}\n`;
      client.end(
        `HTTP/1.1 ${status}\r\ncontent-type: text/plain\r\nconnection: close\r\n` +
          `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    }
  }

  async #reach(asked: string): Promise<Socket> {
    const { host, port } = parseAuthority(asked);
    const addresses = await this.#addresses(host, port);
    let failure: unknown;
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      try {
        return await (this.#options.dial ?? connectTo)(address, port);
      } catch (error) {
        failure = error;
      }
    }
    throw failure ?? new Refused('502 Bad Gateway', `${host} has no address`);
  }

  /** All that may be connected to. One that may not makes the name suspicious as a whole. */
  async #addresses(host: string, port: number): Promise<readonly string[]> {
    const { allowed, resolve = resolveName, ownAddresses = addressesOfMachine } = this.#options;
    if (LOOPBACK_NAMES.includes(host.toLowerCase()) && this.#options.loopbackPorts?.has(port)) {
      return ['127.0.0.1'];
    }
    const own = ownAddresses();
    if (isIP(host) !== 0) {
      const because = refusalOf(allowed, { address: host, port, own });
      if (because !== undefined || !isAddressAllowed(allowed, host, port)) {
        throw notAllowed(host, port, because);
      }
      return [host];
    }
    const name = normalizeName(host);
    if (name === undefined || !isNameAllowed(allowed, name, port)) {
      throw notAllowed(host, port, undefined);
    }
    const addresses = await resolve(name);
    for (const address of addresses) {
      const because = refusalOf(allowed, { address, port, own });
      if (because !== undefined) {
        throw notAllowed(host, port, `${address} is ${because}`);
      }
    }
    return addresses;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    // What fails on one side ends the other; there is nobody else to tell.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /** Also of what goes by another way. */
  note(asked: string, because: string): void {
    const times = this.#refused.get(asked) ?? 0;
    if (times > 0 || this.#refused.size < MAX_REFUSED) {
      this.#refused.set(asked, times + 1);
    }
    if (times === 0) {
      this.#options.onRefused?.(asked, because);
    }
  }
}

/** `host:port` or `[address]:port`, as RFC 9110 §9.3.6 has it. */
function parseAuthority(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port >= 1 && port <= 65_535)) {
    throw new Refused('400 Bad Request', 'CONNECT takes HOST:PORT');
  }
  return { host, port };
}

function notAllowed(host: string, port: number, because: string | undefined): Refused {
  const why = because ?? 'it is not on the list of allowed hosts';
  const hint = `Whoever starts the run can allow hosts with --fence-allow HOST:PORT.`;
  return new Refused(
    '403 Forbidden',
    `the fence does not let ${host}:${port} through: ${why}. ${hint}`,
  );
}

async function resolveName(name: string): Promise<readonly string[]> {
  const found = await lookup(name, { all: true, verbatim: true });
  return found.map(({ address }) => address);
}

function addressesOfMachine(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((entries) =>
    (entries ?? []).map(({ address }) => address),
  );
}

/** The system's code says enough; the message would repeat the address. */
function describe(error: unknown): string {
  const code = errorCode(error);
  if (code !== undefined) return code === 'ENOTFOUND' ? 'there is no such host' : code;
  return error instanceof Error ? error.message : String(error);
}
