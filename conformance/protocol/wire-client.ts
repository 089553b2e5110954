/**
 * A client of the wire protocol that sends exactly what it is told and keeps exactly what comes.
 * Bodies above a limit are kept as length and digest, so that a row of a gigabyte can be compared.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from '../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  scramClientFinal,
  scramClientFirst,
  verifyScramServerFinal,
} from '../../src/connectors/postgres/protocol/scram-client.ts';
import {
  encodeCancelRequest,
  encodeStartupMessage,
} from '../../src/connectors/postgres/protocol/startup-packet.ts';

export interface WireAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface Received {
  /** The letter of the message type. */
  readonly type: string;
  /** Bytes after type and length; empty when only the digest was kept. */
  readonly body: Buffer;
  readonly digest?: string;
}

/** Longest body that is kept as it is. */
const KEEP_BYTES = 64 * 1024;
/** Nothing here takes this long unless an answer never comes. */
const ANSWER_WITHIN_MS = 120_000;
const HEADER_LENGTH = 5;

export class WireTimeout extends Error {
  override readonly name = 'WireTimeout';
}

export class WireClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly received: Received[] = [];
  readonly #address: WireAddress;
  #head = Buffer.alloc(0);
  #open:
    | { type: string; left: number; parts: Buffer[]; hash: Hash | undefined; length: number }
    | undefined;
  #changed: () => void = () => undefined;
  #isClosed = false;
  #hasEnded = false;
  #lastAt = 0;

  private constructor(socket: Socket, address: WireAddress) {
    this.socket = socket;
    this.#address = address;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#changed();
    });
    socket.on('close', () => {
      this.#isClosed = true;
      this.#changed();
    });
  }

  /** Logs in; what came up to the first ReadyForQuery is in `received`. */
  static async open(
    address: WireAddress,
    options: {
      readonly minorVersion?: number;
      readonly parameters?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<WireClient> {
    const socket = connect({ host: address.host, port: address.port, allowHalfOpen: true });
    return WireClient.logIn(socket, address, options);
  }

  /** The same, on a connection of another kind. */
  static async logIn(
    socket: Socket,
    address: WireAddress,
    options: Parameters<typeof WireClient.open>[1] = {},
  ): Promise<WireClient> {
    await once(socket, 'connect');
    const client = new WireClient(socket, address);
    const parameters = new Map(
      Object.entries({ user: address.user, database: address.database, ...options.parameters }),
    );
    const minorVersion = options.minorVersion ?? 0;
    client.write(encodeStartupMessage({ majorVersion: 3, minorVersion, parameters }));
    await client.#logIn();
    await client.until(() => client.count('Z') > 0);
    return client;
  }

  write(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  /** The other side has closed, at least its half. */
  get isOver(): boolean {
    return this.#isClosed || this.#hasEnded;
  }

  count(type: string): number {
    return this.received.reduce((sum, one) => sum + (one.type === type ? 1 : 0), 0);
  }

  /** @throws WireTimeout. Returns early when the connection is over. */
  async until(isDone: () => boolean, withinMs = ANSWER_WITHIN_MS): Promise<void> {
    const timer = new AbortController();
    const late = setTimeout(() => timer.abort(), withinMs);
    try {
      while (!isDone() && !this.isOver) {
        if (timer.signal.aborted) throw new WireTimeout('no answer');
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
          timer.signal.addEventListener('abort', () => resolve(), { once: true });
        });
      }
    } finally {
      clearTimeout(late);
    }
  }

  over(withinMs?: number): Promise<void> {
    return this.until(() => this.isOver, withinMs);
  }

  /** Resolves when nothing has come for this long. */
  async quiet(quietMs: number): Promise<void> {
    this.#lastAt = performance.now();
    for (;;) {
      const left = this.#lastAt + quietMs - performance.now();
      if (left <= 0 || this.isOver) return;
      await new Promise((resolve) => setTimeout(resolve, left));
    }
  }

  /** The key of this connection, as BackendKeyData gave it. */
  get cancelKey(): { readonly processId: number; readonly secretKey: Buffer } {
    const body = this.received.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
    return { processId: body.readInt32BE(0), secretKey: body.subarray(4) };
  }

  /** As libpq does it: on a connection of its own, which the server closes. */
  async cancel(key = this.cancelKey): Promise<void> {
    const socket = connect(this.#address.port, this.#address.host);
    await once(socket, 'connect');
    socket.on('error', () => undefined).resume();
    socket.write(encodeCancelRequest(key));
    await once(socket, 'close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    const closed = once(this.socket, 'close');
    this.socket.destroy();
    await closed;
  }

  async #logIn(): Promise<void> {
    const request = await this.#authentication();
    if (request.code === 0) return;
    if (request.code !== 10) throw new Error(`authentication ${request.code} is not SCRAM`);
    const first = scramClientFirst(randomBytes(18).toString('base64'));
    this.write(
      encodeSASLInitialResponse({ mechanism: 'SCRAM-SHA-256', data: Buffer.from(first.message) }),
    );
    const challenge = await this.#authentication();
    const final = await scramClientFinal(
      first.state,
      this.#address.password,
      challenge.data.toString(),
    );
    this.write(encodeSASLResponse({ data: Buffer.from(final.message) }));
    verifyScramServerFinal(final.state, (await this.#authentication()).data.toString());
  }

  #authentications = 0;

  async #authentication(): Promise<{ code: number; data: Buffer }> {
    this.#authentications += 1;
    await this.until(() => this.count('R') >= this.#authentications || this.count('E') > 0);
    const found = this.received.filter(({ type }) => type === 'R')[this.#authentications - 1];
    if (found === undefined) throw new Error('the login was refused');
    return { code: found.body.readInt32BE(0), data: found.body.subarray(4) };
  }

  #take(chunk: Buffer): void {
    this.#lastAt = performance.now();
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#open === undefined) {
        const need = HEADER_LENGTH - this.#head.length;
        this.#head = Buffer.concat([this.#head, rest.subarray(0, need)]);
        rest = rest.subarray(need);
        if (this.#head.length < HEADER_LENGTH) break;
        const length = this.#head.readInt32BE(1) - 4;
        const hash = length > KEEP_BYTES ? createHash('sha256') : undefined;
        const type = this.#head.toString('latin1', 0, 1);
        this.#open = { type, left: length, parts: [], hash, length };
        this.#head = Buffer.alloc(0);
      }
      const open = this.#open;
      const part = rest.subarray(0, open.left);
      rest = rest.subarray(part.length);
      open.left -= part.length;
      if (open.hash === undefined) open.parts.push(part);
      else open.hash.update(part);
      if (open.left > 0) break;
      this.#open = undefined;
      const { type, hash, length } = open;
      this.received.push(
        hash === undefined
          ? { type, body: Buffer.concat(open.parts) }
          : { type, body: Buffer.alloc(0), digest: `${length} bytes ${hash.digest('hex')}` },
      );
    }
    this.#changed();
  }
}

/** Fields of an ErrorResponse or NoticeResponse. */
export function reportFields(body: Buffer): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (let at = 0; at < body.length && body[at] !== 0; ) {
    const end = body.indexOf(0, at + 1);
    fields.set(body.toString('latin1', at, at + 1), body.toString('utf8', at + 1, end));
    at = end + 1;
  }
  return fields;
}
