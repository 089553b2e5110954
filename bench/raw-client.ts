/**
 * A client that logs in with the pg driver and then only counts bytes, so that the tunnel is
 * measured and not the driver: a driver that builds row objects is slower than any lane.
 */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import pg from 'pg';
import { encodeEmptyFrontend } from '../src/connectors/postgres/protocol/empty-messages.ts';
import {
  encodeBind,
  encodeCopyData,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../src/connectors/postgres/protocol/frontend-messages.ts';
import { MessageScanner } from '../src/connectors/postgres/protocol/message-scanner.ts';
import { BACKEND } from '../src/connectors/postgres/protocol/message-types.ts';

const MAX_WHOLE_LENGTH = 1 << 20;
/** psql sends about 8 kB of a file in one CopyData. */
const COPY_DATA_BYTES = 8000;
const COPY_DATA_PER_WRITE = 8;
const BINARY = 1;

export class RawClient {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** TCP connection, SCRAM, ReadyForQuery. */
  static async connect(url: string): Promise<RawClient> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const socket = socketOf(client);
    // The driver's own listeners would take the end of the connection for a failure of its own.
    for (const event of ['data', 'end', 'close', 'error']) {
      socket.removeAllListeners(event);
    }
    // Idle connections are reset when their lane ends; who waits for an answer has a listener.
    socket.on('error', () => undefined);
    return new RawClient(socket);
  }

  /** Runs one simple Query, with its result in text. @returns bytes received. */
  query(sql: string): Promise<number> {
    return this.#untilReady(sql, encodeQuery({ sql }));
  }

  /** Runs one statement in the extended protocol, with its result in binary. @returns bytes received. */
  queryBinary(sql: string): Promise<number> {
    const messages = Buffer.concat([
      encodeParse({ statement: '', sql, parameterTypes: [] }),
      encodeBind({
        portal: '',
        statement: '',
        parameterFormats: [],
        parameters: [],
        resultFormats: [BINARY],
      }),
      encodeExecute({ portal: '', maxRows: 0 }),
      encodeEmptyFrontend('Sync'),
    ]);
    return this.#untilReady(sql, messages);
  }

  /**
   * COPY FROM STDIN of at least this many bytes, in lines of `lineBytes` with the line feed.
   * @returns bytes sent.
   */
  async copyIn(sql: string, bytes: number, lineBytes: number): Promise<number> {
    const lines = Math.floor(COPY_DATA_BYTES / lineBytes);
    const message = encodeCopyData({
      data: Buffer.from(`${'x'.repeat(lineBytes - 1)}\n`.repeat(lines)),
    });
    const block = Buffer.concat(Array.from({ length: COPY_DATA_PER_WRITE }, () => message));
    let sent = 0;
    const send = async (): Promise<void> => {
      for (; sent < bytes; sent += block.length) {
        if (!this.#socket.write(block)) {
          await once(this.#socket, 'drain');
        }
      }
      this.#socket.write(encodeEmptyFrontend('CopyDone'));
    };
    await this.#untilReady(sql, encodeQuery({ sql }), send);
    return sent;
  }

  /** Runs one simple Query, and stops reading after about `limit` bytes. */
  async readSome(sql: string, limit: number): Promise<void> {
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
    socket.write(encodeQuery({ sql }));
    await promise.finally(() => socket.off('data', onData).off('close', reject));
  }

  close(): void {
    this.#socket.destroy();
  }

  #untilReady(
    sql: string,
    messages: Uint8Array,
    onCopyIn: () => Promise<void> = async () => undefined,
  ): Promise<number> {
    let bytes = 0;
    const scanner = new MessageScanner({
      decide: (type) =>
        type === BACKEND.ReadyForQuery ||
        type === BACKEND.ErrorResponse ||
        type === BACKEND.CopyInResponse
          ? 'whole'
          : 'pass',
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
          reject(new Error(`${sql.slice(0, 60)}: ${answer}`));
        } else if (item.type === BACKEND.CopyInResponse) {
          onCopyIn().catch(reject);
        } else {
          resolve(bytes);
        }
      });
    };
    const onClose = (): void => reject(new Error('the connection was closed'));
    socket.on('data', onData).on('close', onClose).on('error', reject);
    socket.write(messages);
    return promise.finally(() => {
      socket.off('data', onData).off('close', onClose).off('error', reject);
    });
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
