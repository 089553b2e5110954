/** A server that says what a test wants it to, also what no server says. */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import type { Connection } from 'ssh2';
import type { SshTarget } from '../../../../src/connectors/ssh/gateway/types.ts';
import { ssh2 } from '../../../../src/connectors/ssh/shared/ssh2.ts';
import { Secret } from '../../../../src/secret.ts';

export interface Ssh2Server extends AsyncDisposable {
  /** Where it is, its key, and a login that it takes. */
  readonly target: Pick<SshTarget, 'hosts' | 'hostKeys' | 'logins'>;
  /** Connections that have logged in. */
  readonly connections: readonly Connection[];
}

/** @param onReady for each login. @param key its host key: private, and as in known_hosts */
export async function startSsh2Server(
  key: { readonly private: string; readonly public: string },
  onReady: (connection: Connection) => void,
): Promise<Ssh2Server> {
  const connections: Connection[] = [];
  const sockets = new Set<Socket>();
  const server = new ssh2.Server({ hostKeys: [key.private] }, (connection) => {
    connection
      .on('error', () => undefined)
      .on('authentication', (context) => context.accept())
      .on('ready', () => {
        connections.push(connection);
        onReady(connection);
      });
  });
  // It passes its sockets on, and keeps none.
  Reflect.get(server, '_srv').on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const password = new Secret('password');
  return {
    target: {
      hosts: [{ host: '127.0.0.1', port, shown: undefined }],
      hostKeys: [key.public],
      logins: [
        {
          user: 'deploy',
          credentialName: 'web-1',
          credential: async () => ({ password, privateKey: undefined }),
        },
      ],
    },
    connections,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** A packet of the server's, whatever it says. */
export function sendPacket(connection: Connection, ...parts: (number | string | Buffer)[]): void {
  const payload = Buffer.concat(parts.map((part) => partBytes(part)));
  const protocol = Reflect.get(connection, '_protocol');
  const writer = protocol._packetRW.write;
  const packet = writer.alloc(payload.length);
  packet.set(payload, writer.allocStart);
  protocol._cipher.encrypt(writer.finalize(packet));
}

/** A number is four bytes, a text a string of RFC 4251 §5; a buffer is as it is. */
function partBytes(part: number | string | Buffer): Buffer {
  if (typeof part === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(part);
    return bytes;
  }
  return typeof part === 'string'
    ? Buffer.concat([partBytes(Buffer.byteLength(part)), Buffer.from(part)])
    : part;
}

export function socketOf(connection: Connection): Socket {
  return Reflect.get(connection, '_sock');
}
