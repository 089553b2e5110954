/**
 * The client's side and the replay of a protocol that hoop does not speak: lines, `GET key` and
 * `SET key value`. Who connects says the password of the session in the first line.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import type {
  ReplayConnector,
  ReplayEntry,
  StreamContext,
  StreamDecoder,
} from '../../../src/replay/connector.ts';
import { decisionOf, operationEntry } from '../../../src/replay/operation-entry.ts';
import type { Decision, Statement } from '../../../src/replay/timeline.ts';
import type {
  ClientConnector,
  ClientEntry,
  LocalOffer,
  ServedTarget,
  SessionPort,
} from '../../../src/tunnel/connector.ts';
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
  open: () => new ToyOffer(),
};

class ToyOffer implements LocalOffer {
  readonly #urls = new Map<string, string>();

  async serve({ target, listener, openTunnel, ...rest }: ServedTarget): Promise<SessionPort> {
    const password = randomBytes(16).toString('hex');
    const { allowedUids, onRefused } = rest;
    const connections = new LocalConnections({ listener, allowedUids, onRefused });
    const serve = async (socket: Socket): Promise<void> => {
      await logIn(socket, password, connections.closing);
      const tunnel = await openTunnel('toy', connections.closing);
      await Promise.all([pump(socket, tunnel).then(() => tunnel.end()), pump(tunnel, socket)]);
      socket.destroy();
    };
    listener.serve((socket) => void connections.accept(socket, serve(socket)));
    this.#urls.set(target.name, `toy://${password}@${listener.host}:${listener.port}`);
    return connections;
  }

  endpoint() {
    return {
      env: { TOYS: [...this.#urls.keys()].join(',') },
      hides: () => false,
      urls: this.#urls,
      main: undefined,
      notes: [],
    };
  }

  told() {
    const [[, url] = ['', '']] = this.#urls;
    return {
      facts: { kind: 'toy' },
      secrets: { url },
      hasMasks: false,
      before: [],
      line: url,
      after: [],
    };
  }
}

async function logIn(socket: Socket, password: string, signal: AbortSignal): Promise<void> {
  using reader = new SocketReader(socket, signal);
  const said = await reader.exactly(password.length + 1);
  if (said?.toString() !== `${password}\n`) {
    throw new LocalRefusal('wrong password');
  }
}

const toyReplay: ReplayConnector = { open: (_kind, context) => new ToyDecoder(context) };

class ToyDecoder implements StreamDecoder {
  readonly #context: StreamContext;
  readonly #open: Statement[] = [];
  readonly #decisions = new Map<number, Decision>();
  readonly #rest = { up: '', down: '' };
  #at = 0;

  constructor(context: StreamContext) {
    this.#context = context;
  }

  up(bytes: Uint8Array, startMs: number): void {
    for (const text of this.#lines('up', bytes)) {
      const { stream, nextNumber, prompt } = this.#context;
      const start = { stream, number: nextNumber(), prompt: prompt(), at: this.#at, startMs };
      this.#open.push(operationEntry({ ...start, text }));
      this.#at += text.length + 1;
    }
  }

  down(bytes: Uint8Array, endMs: number): void {
    for (const answer of this.#lines('down', bytes)) {
      if (!answer.startsWith('HELD')) {
        this.#end(answer.startsWith('ERR HOOP') ? 'denied' : 'ok', endMs);
      }
    }
  }

  event(event: Parameters<StreamDecoder['event']>[0]): void {
    if (event.type === 'decision') this.#decisions.set(event.at, decisionOf(event));
  }

  approval(): undefined {
    return undefined;
  }

  end(): void {
    while (this.#open.length > 0) {
      this.#end('unanswered', undefined);
    }
  }

  #end(outcome: Statement['outcome'], endMs: number | undefined): void {
    const line = this.#open.shift();
    const decision = this.#decisions.get(line?.at ?? -1);
    if (line !== undefined) {
      this.#context.emit({ ...line, outcome, endMs, decisions: decision ? [decision] : [] });
    }
  }

  #lines(side: 'up' | 'down', bytes: Uint8Array): string[] {
    const parts = (this.#rest[side] + Buffer.from(bytes).toString('latin1')).split('\n');
    this.#rest[side] = parts.pop() ?? '';
    return parts;
  }
}

export const TOY_CLIENT: ClientEntry & ReplayEntry = {
  kind: 'toy',
  streamKinds: ['toy'],
  client: async () => toyClient,
  replay: async () => toyReplay,
};
