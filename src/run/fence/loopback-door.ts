/**
 * A port of the person's own loopback that a fence lets through: a model server, a proxy of keys, a
 * web server that is worked on. The same port inside leads there, and nowhere else.
 */
import type { Server, Socket } from 'node:net';
import { HoopError } from '../../errors.ts';
import { connectTo, splice } from './splice.ts';

const HOSTS = ['localhost', '127.0.0.1'];
/** Who is no root cannot listen on others, and inside of a fence nobody is root. */
const MIN_PORT = 1024;

/**
 * `localhost:PORT` or `127.0.0.1:PORT`; undefined: it is not of the loopback.
 * @throws HoopError HOOP_USAGE when it is, and cannot be let through
 */
export function parseLoopback(text: string): number | undefined {
  const [host = '', port, ...rest] = text.trim().toLowerCase().split(':');
  if (HOSTS.includes(host) && rest.length === 0) {
    const number = Number(port ?? Number.NaN);
    if (/^\d{4,5}$/.test(port ?? '') && number >= MIN_PORT && number <= 65_535) {
      return number;
    }
    throw refused(
      text,
      `It needs a port from ${MIN_PORT} up, because the same port is opened inside.`,
    );
  }
  if (
    /^(127\.\d+\.\d+\.\d+|0\.0\.0\.0)([:/].*)?$|^\[?::1?\]?(:\d+)?$|\.localhost(:\d+)?$/.test(
      text.trim(),
    )
  ) {
    throw refused(text, 'Only single ports of 127.0.0.1 can be allowed on this machine.');
  }
  return undefined;
}

function refused(text: string, detail: string): HoopError {
  return new HoopError('HOOP_USAGE', `"${text}" cannot be let through the fence`, {
    detail,
    hint: 'Example: --fence-allow 127.0.0.1:11434.',
  });
}

export class LoopbackDoor implements AsyncDisposable {
  readonly #listener: Server;
  readonly #sockets = new Set<Socket>();

  /** @param listener of the child's network, on the same port */
  constructor(listener: Server, port: number, onPostgres: () => void) {
    this.#listener = listener;
    listener.on('connection', (client) => {
      void this.#pass(client, port, onPostgres);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) {
      socket.destroy();
    }
    await new Promise<void>((resolve) => this.#listener.close(() => resolve()));
  }

  async #pass(client: Socket, port: number, onPostgres: () => void): Promise<void> {
    this.#keep(client);
    try {
      const target = await connectTo('127.0.0.1', port);
      this.#keep(target);
      splice(client, target, Buffer.alloc(0), onPostgres);
    } catch {
      // As outside: nobody listens there. The client sees a connection that ends at once.
      client.resetAndDestroy();
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => this.#sockets.delete(socket));
  }
}
