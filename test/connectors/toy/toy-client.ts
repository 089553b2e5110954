/**
 * The client's side of a protocol that hoop does not speak. Who connects says the password of the
 * session in the first line.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ClientConnector, ClientEntry, LocalOffer } from '../../../src/tunnel/connector.ts';
import { LocalConnections } from '../../../src/tunnel/local-connections.ts';
import { LocalRefusal } from '../../../src/tunnel/local-refusal.ts';
import { pump } from '../../../src/tunnel/pump.ts';
import { SocketReader } from '../../../src/tunnel/socket-reader.ts';

const toyClient: ClientConnector = {
  noun: 'a toy',
  briefing: {
    title: 'Toys',
    recorded: 'Every line is',
    way: ({ connect }) => `Connect with the URL in \`${connect.urlVariable}\`.`,
    denials: 'A line that is refused is answered with ERR.',
  },
  open: toyOffer,
};

function toyOffer(): LocalOffer {
  const urls = new Map<string, string>();
  return {
    async serve({ target, listener, openTunnel, ...rest }) {
      const password = randomBytes(16).toString('hex');
      const connections = new LocalConnections({ listener, ...rest });
      const serve = async (socket: Socket): Promise<void> => {
        await logIn(socket, password, connections.closing);
        const tunnel = await openTunnel('toy', connections.closing);
        await Promise.all([pump(socket, tunnel).then(() => tunnel.end()), pump(tunnel, socket)]);
        socket.destroy();
      };
      listener.serve((socket) => void connections.accept(socket, serve(socket)));
      urls.set(target.name, `toy://${password}@${listener.host}:${listener.port}`);
      return connections;
    },
    endpoint: () => ({ env: { TOYS: [...urls.keys()].join(',') }, urls }),
    told() {
      const [[, line] = ['', '']] = urls;
      return { facts: { kind: 'toy' }, secrets: { url: line }, line };
    },
  };
}

async function logIn(socket: Socket, password: string, signal: AbortSignal): Promise<void> {
  using reader = new SocketReader(socket, signal);
  const said = await reader.exactly(password.length + 1);
  if (said?.toString() !== `${password}\n`) throw new LocalRefusal('wrong password');
}

export const TOY_CLIENT: ClientEntry = { kind: 'toy', client: async () => toyClient };
