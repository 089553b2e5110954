/** A client that sends exactly what the test says and keeps exactly what came. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeEmptyFrontend } from '../../../../src/connectors/postgres/protocol/empty-messages.ts';
import {
  encodeBind,
  encodeClose,
  encodeDescribe,
  encodeExecute,
  encodeParse,
  encodeQuery,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { encodeStartupMessage } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';

export interface Received {
  /** The letter of the message type. */
  readonly type: string;
  readonly body: Buffer;
}

export const query = (sql: string): Uint8Array => encodeQuery({ sql });
export const parse = (sql: string, statement = '', parameterTypes: number[] = []): Uint8Array =>
  encodeParse({ statement, sql, parameterTypes });
export const bind = (
  options: {
    portal?: string;
    statement?: string;
    formats?: number[];
    values?: (string | null)[];
    valueFormats?: number[];
  } = {},
): Uint8Array =>
  encodeBind({
    portal: options.portal ?? '',
    statement: options.statement ?? '',
    parameterFormats: options.valueFormats ?? [],
    parameters: (options.values ?? []).map((value) => (value === null ? null : Buffer.from(value))),
    resultFormats: options.formats ?? [],
  });
export const describePortal = (name = ''): Uint8Array => encodeDescribe({ what: 'portal', name });
export const describeStatement = (name = ''): Uint8Array =>
  encodeDescribe({ what: 'statement', name });
export const execute = (portal = '', maxRows = 0): Uint8Array => encodeExecute({ portal, maxRows });
export const closeStatement = (name: string): Uint8Array =>
  encodeClose({ what: 'statement', name });
export const closePortal = (name: string): Uint8Array => encodeClose({ what: 'portal', name });
export const sync = encodeEmptyFrontend('Sync');
export const flush = encodeEmptyFrontend('Flush');
export const terminate = encodeEmptyFrontend('Terminate');
export const copyDone = encodeEmptyFrontend('CopyDone');
export const run = (sql: string): Uint8Array[] => [parse(sql), bind(), execute()];

export function message(type: string, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export class RawClient implements AsyncDisposable {
  readonly socket: Socket;
  readonly received: Received[] = [];
  #chunks: Buffer[] = [];
  #length = 0;
  /** How many bytes the next message has, as far as it is known: its type and length at least. */
  #wanted = 5;
  #wake: () => void = () => undefined;
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  static async open(port: number, parameters: Record<string, string> = {}): Promise<RawClient> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    const client = new RawClient(socket);
    client.send(
      encodeStartupMessage({
        majorVersion: 3,
        minorVersion: 0,
        parameters: new Map(Object.entries({ user: 'x', database: 'postgres', ...parameters })),
      }),
    );
    await client.until((all) => all.some(({ type }) => type === 'Z' || type === 'E'));
    return client;
  }

  /** In one write. */
  send(...messages: readonly (Uint8Array | readonly Uint8Array[])[]): void {
    this.socket.write(Buffer.concat(messages.flat() as Uint8Array[]));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  async until(done: (received: readonly Received[]) => boolean): Promise<void> {
    while (!done(this.received) && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Sends, waits for `count` more ReadyForQuery, and gives what came. */
  async ask(
    messages: readonly (Uint8Array | readonly Uint8Array[])[],
    count = 1,
  ): Promise<Received[]> {
    const from = this.received.length;
    this.send(...messages);
    await this.until((all) => all.slice(from).filter(({ type }) => type === 'Z').length >= count);
    return this.received.slice(from);
  }

  closed(): Promise<void> {
    return this.until(() => this.#isClosed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    // A long message comes in many chunks: they are put together once, when it is there.
    if (this.#length >= this.#wanted) {
      this.#read(Buffer.concat(this.#chunks));
    }
    this.#wake();
  }

  #read(bytes: Buffer): void {
    let rest = bytes;
    this.#wanted = 5;
    while (rest.length >= this.#wanted) {
      this.#wanted = rest.readInt32BE(1) + 1;
      if (rest.length < this.#wanted) break;
      const type = String.fromCharCode(rest[0] ?? 0);
      this.received.push({ type, body: rest.subarray(5, this.#wanted) });
      rest = rest.subarray(this.#wanted);
      this.#wanted = 5;
    }
    this.#chunks = [rest];
    this.#length = rest.length;
  }
}

/** The letters of what came, asynchronous messages left out: `1 2 D C Z`. */
export function letters(received: readonly Received[]): string {
  return received
    .filter(({ type }) => !'SAN'.includes(type))
    .map(({ type }) => type)
    .join(' ');
}

export function rows(received: readonly Received[]): (string | null)[][] {
  return received.filter(({ type }) => type === 'D').map(({ body }) => columns(body));
}

export function columns(body: Buffer): (string | null)[] {
  const values: (string | null)[] = [];
  let offset = 2;
  for (let index = 0; index < body.readInt16BE(0); index += 1) {
    const length = body.readInt32BE(offset);
    offset += 4;
    values.push(length < 0 ? null : body.toString('utf8', offset, offset + length));
    offset += Math.max(length, 0);
  }
  return values;
}

export function errors(received: readonly Received[]): Record<string, string>[] {
  return received.filter(({ type }) => type === 'E').map(({ body }) => report(body));
}

export function report(body: Buffer): Record<string, string> {
  const fields: Record<string, string> = {};
  let offset = 0;
  while (offset < body.length && body[offset] !== 0) {
    const end = body.indexOf(0, offset + 1);
    fields[String.fromCharCode(body[offset] ?? 0)] = body.toString('utf8', offset + 1, end);
    offset = end + 1;
  }
  return fields;
}

/** Transaction status of the last ReadyForQuery. */
export function status(received: readonly Received[]): string | undefined {
  return received.findLast(({ type }) => type === 'Z')?.body.toString('latin1');
}
