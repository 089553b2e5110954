/**
 * A client that logs in with the pg driver and then only counts bytes, so that the tunnel is
 * measured and not the driver: a driver that builds row objects is slower than any lane.
 */
import type { Socket } from 'node:net';
import pg from 'pg';
import { MessageScanner } from '../src/protocol/pg/message-scanner.ts';
import { BACKEND } from '../src/protocol/pg/message-types.ts';
import { encodeQuery } from '../src/protocol/pg/query.ts';

const MAX_WHOLE_LENGTH = 1 << 20;

export class RawClient {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async connect(url: string): Promise<RawClient> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const socket = socketOf(client);
    // The driver's own listeners would take the end of the connection for a failure of its own.
    for (const event of ['data', 'end', 'close', 'error']) {
      socket.removeAllListeners(event);
    }
    return new RawClient(socket);
  }

  /** Runs one simple Query. @returns bytes received until ReadyForQuery. */
  query(text: string): Promise<number> {
    let bytes = 0;
    const scanner = new MessageScanner({
      decide: (type) =>
        type === BACKEND.ReadyForQuery || type === BACKEND.ErrorResponse ? 'whole' : 'pass',
      maxWholeLength: MAX_WHOLE_LENGTH,
    });
    const socket = this.#socket;
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      scanner.push(chunk, (item) => {
        if (item.kind === 'pass') {
          return;
        }
        if (item.type === BACKEND.ErrorResponse) {
          const answer = Buffer.from(item.body).toString('latin1').replaceAll('\u0000', ' ');
          reject(new Error(`${text.slice(0, 60)}: ${answer}`));
        } else {
          resolve(bytes);
        }
      });
    };
    const onClose = (): void => reject(new Error('the connection was closed'));
    socket.on('data', onData).on('close', onClose).on('error', reject);
    socket.write(encodeQuery({ sql: text }));
    return promise.finally(() => {
      socket.off('data', onData).off('close', onClose).off('error', reject);
    });
  }

  /** Runs one simple Query, and stops reading after about `limit` bytes. */
  async readSome(text: string, limit: number): Promise<void> {
    const socket = this.#socket;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let bytes = 0;
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes >= limit) {
        socket.pause();
        resolve();
      }
    };
    socket.on('data', onData).on('close', reject).on('error', reject);
    socket.write(encodeQuery({ sql: text }));
    await promise.finally(() => socket.off('data', onData).off('close', reject));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** The driver's socket, which it does not publish in its types. */
function socketOf(client: object): Socket {
  const connection: unknown = Object.entries(client).find(([name]) => name === 'connection')?.[1];
  if (typeof connection === 'object' && connection !== null && 'stream' in connection) {
    // As the driver's own SSL code does: the stream of a connection is a socket.
    return connection.stream as Socket;
  }
  throw new Error('this version of pg keeps its socket elsewhere');
}
