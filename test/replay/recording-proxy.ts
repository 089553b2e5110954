/** A real PostgreSQL server behind a TCP proxy that keeps what passes, as a recording would. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { encodeStartupMessage } from '../../src/connectors/postgres/protocol/startup-packet.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';
import type { RecordedItem } from '../../src/replay/build-timeline.ts';
import type { Statement, TimelineEntry } from '../../src/replay/timeline.ts';
import { bind, describePortal, execute, parse, sync } from './recorded-stream.ts';
import { buildTimeline } from './timeline.ts';

export class RecordingProxy implements AsyncDisposable {
  readonly items: RecordedItem[] = [];
  readonly #postgres: EmbeddedPostgres;
  readonly #server: Server;
  #streams = 0;

  /** Without a password, as it is inside the tunnel. */
  static async start(): Promise<RecordingProxy> {
    const postgres = await startEmbeddedPostgres({ hba: 'host all all 127.0.0.1/32 trust\n' });
    const proxy = new RecordingProxy(postgres);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  private constructor(postgres: EmbeddedPostgres) {
    this.#postgres = postgres;
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#streams += 1;
      const stream = this.#streams;
      this.items.push({
        type: 'event',
        timeMs: Date.now(),
        event: { type: 'stream.open', stream, kind: 'postgres' },
      });
      const target = connect(postgres.port, postgres.host);
      const keep = (direction: 0 | 1) => (bytes: Buffer) => {
        const piece = { timeMs: Date.now(), stream, direction, offset: 0, bytes };
        this.items.push({ type: 'data', piece });
        (direction === 0 ? target : client).write(bytes);
      };
      client.on('data', keep(0));
      target.on('data', keep(1));
      client.on('error', () => target.destroy());
      target.on('error', () => client.destroy());
      client.on('end', () => target.end());
      target.on('end', () => client.end());
    });
  }

  get port(): number {
    const address = this.#server.address();
    return isAddress(address) ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await this.#postgres[Symbol.asyncDispose]();
  }

  timeline(): TimelineEntry[] {
    return [...buildTimeline(this.items)];
  }

  /** Runs the statements on a connection of their own. @returns the rows of the last, as replay shows them. */
  async rows(
    statements: readonly string[],
    { binary }: { binary: boolean },
  ): Promise<readonly (readonly (string | null)[])[]> {
    this.items.length = 0;
    const socket = connect({ port: this.port, host: '127.0.0.1', allowHalfOpen: true });
    const parameters = new Map([
      ['user', 'postgres'],
      ['database', 'postgres'],
    ]);
    socket.write(encodeStartupMessage({ majorVersion: 3, minorVersion: 0, parameters }));
    for (const sql of statements) {
      const formats = { resultFormats: [binary ? 1 : 0] };
      for (const message of [parse(sql), bind([], formats), describePortal(), execute(), sync()]) {
        socket.write(message);
      }
    }
    socket.end(Uint8Array.of(0x58, 0, 0, 0, 4));
    socket.resume();
    await once(socket, 'close');
    const last = this.timeline().findLast(
      (entry): entry is Statement => entry.type === 'statement',
    );
    if (last?.error) {
      throw new Error(last.error.message);
    }
    return last?.results.at(-1)?.rows ?? [];
  }
}

function isAddress(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
