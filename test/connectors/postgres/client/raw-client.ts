import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { decodeBackendKeyData } from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import type { ChannelBinding } from '../../../../src/connectors/postgres/protocol/channel-binding.ts';
import {
  encodeSASLInitialResponse,
  encodeSASLResponse,
} from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import {
  type ScramClientState,
  scramClientFinal,
  scramClientFirst,
} from '../../../../src/connectors/postgres/protocol/scram-client.ts';
import { encodeStartupMessage } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';

export interface RawMessage {
  readonly type: number;
  readonly body: Buffer;
}

/** A PostgreSQL client that does exactly what a test tells it, right or wrong. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  /** All that came and was not read yet. */
  received: Buffer = Buffer.alloc(0);
  /** Types of the messages that were read. */
  readonly seen: string[] = [];
  splitWrites = false;
  #wake = Promise.withResolvers<void>();

  static async connect(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = connect({ host, port, noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve();
      this.#wake.resolve();
    });
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#wake.resolve();
      this.#wake = Promise.withResolvers();
    });
  }

  send(bytes: Uint8Array): void {
    if (this.splitWrites) {
      for (const byte of bytes) {
        this.socket.write(Uint8Array.of(byte));
      }
    } else {
      this.socket.write(bytes);
    }
  }

  close(): void {
    this.socket.destroy();
  }

  async bytes(length: number): Promise<Buffer> {
    while (this.received.length < length) {
      if (this.socket.closed) {
        throw new Error(`closed after ${this.received.length} of ${length} bytes`);
      }
      await this.#wake.promise;
    }
    const bytes = this.received.subarray(0, length);
    this.received = this.received.subarray(length);
    return bytes;
  }

  async message(): Promise<RawMessage> {
    const header = await this.bytes(5);
    const body = await this.bytes(header.readUInt32BE(1) - 4);
    const type = header[0] ?? 0;
    this.seen.push(String.fromCharCode(type));
    return { type, body };
  }

  sendStartup(user: string, minorVersion = 0): void {
    const parameters = new Map([
      ['user', user],
      ['database', 'postgres'],
    ]);
    this.send(encodeStartupMessage({ majorVersion: 3, minorVersion, parameters }));
  }

  /** Up to server-first. */
  async startScram(
    user: string,
    nonce?: string,
  ): Promise<{ state: ScramClientState; serverFirst: string }> {
    this.sendStartup(user);
    return this.#clientFirst(nonce);
  }

  async logIn(user: string, password: string, minorVersion = 0): Promise<string[]> {
    this.sendStartup(user, minorVersion);
    return this.finishLogin(password);
  }

  /** From AuthenticationSASL to ReadyForQuery. @returns the types of all messages on the way. */
  async finishLogin(password: string, binding?: ChannelBinding): Promise<string[]> {
    const messages = await this.#finish(password, binding);
    return messages.map(({ type }) => String.fromCharCode(type));
  }

  /** The same. @returns the cancel key. */
  async keyOf(password: string): Promise<{ processId: number; secretKey: Uint8Array }> {
    const messages = await this.#finish(password);
    const key = messages.find(({ type }) => String.fromCharCode(type) === 'K');
    if (key === undefined) {
      throw new Error('there was no BackendKeyData');
    }
    return decodeBackendKeyData(key.body);
  }

  async #finish(password: string, binding?: ChannelBinding): Promise<RawMessage[]> {
    const { state, serverFirst } = await this.#clientFirst(undefined, binding);
    const final = await scramClientFinal(state, password, serverFirst);
    this.send(encodeSASLResponse({ data: Buffer.from(final.message) }));
    const messages: RawMessage[] = [];
    while (messages.at(-1)?.type !== 'Z'.charCodeAt(0)) {
      messages.push(await this.message());
    }
    return messages;
  }

  async #clientFirst(
    nonce = 'fyko+d2lbbFgONRv9qkxdawL',
    binding: ChannelBinding = { flag: 'n' },
  ): Promise<{ state: ScramClientState; serverFirst: string }> {
    await this.message();
    const first = scramClientFirst(nonce, '', binding);
    const mechanism = binding.flag === 'p' ? 'SCRAM-SHA-256-PLUS' : 'SCRAM-SHA-256';
    this.send(encodeSASLInitialResponse({ mechanism, data: Buffer.from(first.message) }));
    const answer = await this.message();
    return { state: first.state, serverFirst: answer.body.subarray(4).toString('latin1') };
  }
}
