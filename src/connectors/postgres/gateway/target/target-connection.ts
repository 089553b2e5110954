/**
 * A connection to a target, logged in with the gateway's credential: as a byte stream for the
 * relay, or with `query` for the gateway's own conversation (never both on one connection).
 */
import { finished } from 'node:stream/promises';
import { parse, serialize } from 'pg-protocol';
import { HoopError } from '../../../../errors.ts';
import type { TargetHost } from '../../../../gateway/targets/target-host.ts';
import type { Grant } from '../../../../policy/types.ts';
import { encodeEmptyFrontend } from '../../protocol/empty-messages.ts';
import type { ReportFields } from '../../protocol/report-fields.ts';
import { encodeCancelRequest } from '../../protocol/startup-packet.ts';
import type { PostgresTarget } from '../types.ts';
import { type LoggedInHost, logInToHost } from './target-hosts.ts';
import { openTargetSocket, type TargetSocket } from './target-socket.ts';

export interface ConnectTargetOptions {
  readonly target: PostgresTarget;
  /** Startup parameters beside user and database, already checked. */
  readonly startup?: ReadonlyMap<string, string>;
  /** Of the client that it is for; none: what the server says of the login reaches nobody. */
  readonly grant?: Grant;
  readonly signal: AbortSignal;
}

/** Text values of one row. */
export type TextRow = readonly (string | null)[];

/** How long the server may take to close a connection that said Terminate, and for a cancel. */
const CLOSE_TIMEOUT_MS = 1000;

/** @throws HoopError HOOP_TARGET_UNREACHABLE | HOOP_TARGET_LOGIN | HOOP_TARGET_TLS; or the signal's reason. */
export async function connectTarget(options: ConnectTargetOptions): Promise<TargetConnection> {
  const { target, startup = new Map(), grant, signal } = options;
  return new TargetConnection(target, await logInToHost({ target, startup, grant, signal }));
}

export class TargetConnection implements AsyncDisposable {
  /** At the first byte after ReadyForQuery. */
  readonly socket: TargetSocket['socket'];
  readonly tls: boolean;
  readonly parameters: ReadonlyMap<string, string>;
  readonly notices: readonly ReportFields[];
  readonly processId: number;
  /** `host:port`. */
  readonly server: string;
  /** The one of the target's hosts that this is. */
  readonly host: TargetHost;
  readonly #target: PostgresTarget;
  readonly #opened: LoggedInHost;
  #conversation: Conversation | undefined;

  constructor(target: PostgresTarget, opened: LoggedInHost) {
    this.#target = target;
    this.#opened = opened;
    this.socket = opened.socket;
    this.tls = opened.tls;
    this.host = opened.host;
    this.parameters = opened.login.parameters;
    this.notices = opened.login.notices;
    this.processId = opened.login.processId;
    this.server = `${opened.host.host}:${opened.host.port}`;
    // 'close' follows and is what callers wait for; a listener keeps the error from being thrown.
    this.socket.on('error', () => undefined);
  }

  /**
   * Asks the server to stop what it is doing, on a connection of its own, as the protocol wants it,
   * and at the same address: a name may lead to another server now. Resolves when the server has
   * taken the request; the statement may have ended before.
   */
  async cancel(): Promise<void> {
    const { host, address, tls, login } = this.#opened;
    const signal = AbortSignal.timeout(this.#target.connectTimeoutMs);
    const encryption = tls ? 'tls' : 'none';
    const target = this.#target;
    const { socket } = await openTargetSocket({ target, host, address, encryption, signal });
    socket.on('error', () => undefined);
    const { processId, secretKey } = login;
    socket.end(encodeCancelRequest({ processId, secretKey }));
    socket.resume();
    try {
      await finished(socket, { signal });
    } catch (error) {
      // The server closes without an answer, some with a reset: the request has arrived.
      if (signal.aborted) throw error;
    } finally {
      socket.destroy();
    }
  }

  /** Runs one simple Query. @returns the rows of its last result. */
  query(sql: string): Promise<readonly TextRow[]> {
    this.#conversation ??= new Conversation(this.socket, this.#target.name);
    return this.#conversation.query(sql);
  }

  /** A query has begun a transaction, and none has ended it. */
  get isInTransaction(): boolean {
    return this.#conversation?.isInTransaction ?? false;
  }

  async close(): Promise<void> {
    if (this.socket.destroyed) return;
    this.socket.end(encodeEmptyFrontend('Terminate'));
    this.socket.resume();
    try {
      await finished(this.socket, { signal: AbortSignal.timeout(CLOSE_TIMEOUT_MS) });
    } catch {
      // Late or broken: either way it is over, and the next line frees it.
    }
    this.socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The gateway's own queries, by pg-protocol; they run one after the other. */
class Conversation {
  readonly #socket: TargetSocket['socket'];
  readonly #target: string;
  #rows: TextRow[] = [];
  #error: HoopError | undefined;
  #waiting: PromiseWithResolvers<readonly TextRow[]> | undefined;
  /** When the server was ready last. */
  isInTransaction = false;

  constructor(socket: TargetSocket['socket'], target: string) {
    this.#socket = socket;
    this.#target = target;
    const over = (): void => this.#end();
    void parse(socket, (message) => this.#received(message)).then(over, over);
    socket.on('close', over);
  }

  query(sql: string): Promise<readonly TextRow[]> {
    if (this.#waiting !== undefined) throw new TypeError('a query is already running');
    if (!this.#socket.writable) return Promise.reject(this.#closed());
    this.#waiting = Promise.withResolvers();
    this.#rows = [];
    this.#error = undefined;
    this.#socket.write(serialize.query(sql));
    return this.#waiting.promise;
  }

  #received(message: Parameters<Parameters<typeof parse>[1]>[0]): void {
    switch (message.name) {
      case 'rowDescription':
        this.#rows = [];
        break;
      case 'dataRow':
        if ('fields' in message && Array.isArray(message.fields)) this.#rows.push(message.fields);
        break;
      case 'error':
        this.#error = new HoopError(
          'HOOP_TARGET_UNREACHABLE',
          `target "${this.#target}" refused a query of the gateway`,
          { cause: message },
        );
        break;
      case 'readyForQuery':
        this.isInTransaction = 'status' in message && message.status !== 'I';
        this.#settle();
        break;
      default:
        break;
    }
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (this.#error === undefined) waiting?.resolve(this.#rows);
    else waiting?.reject(this.#error);
  }

  #end(): void {
    this.#error ??= this.#closed();
    this.#settle();
  }

  #closed(): HoopError {
    return new HoopError(
      'HOOP_TARGET_UNREACHABLE',
      `target "${this.#target}" closed the connection`,
    );
  }
}
