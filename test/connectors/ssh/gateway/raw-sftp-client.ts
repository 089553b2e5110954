import { connect, type Socket } from 'node:net';
import { PacketScanner } from '../../../../src/connectors/ssh/protocol/sftp/packet-scanner.ts';
import { REQUEST } from '../../../../src/connectors/ssh/protocol/sftp/packet-types.ts';
import { PacketWriter } from '../../../../src/connectors/ssh/protocol/sftp/packet-writer.ts';
import { decodeReply, type SftpReply } from '../../../../src/connectors/ssh/protocol/sftp/reply.ts';
import {
  encodeInit,
  encodeRequest,
  type SftpRequest,
} from '../../../../src/connectors/ssh/protocol/sftp/request.ts';

export interface Answer {
  readonly type: number;
  readonly id: number;
  readonly body: Uint8Array;
}

export function writePacket(
  id: number,
  handle: Uint8Array,
  offset: number,
  data: Uint8Array,
): Uint8Array {
  return new PacketWriter(REQUEST.write, id)
    .string(handle)
    .u64(BigInt(offset))
    .string(data)
    .finish();
}

/** Says whatever a test wants it to say. */
export class RawSftpClient implements Disposable {
  readonly socket: Socket;
  readonly #answers: Answer[] = [];
  readonly #scanner = new PacketScanner(() => 'whole');
  #nextId = 100;
  #wake: () => void = () => undefined;

  private constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on('error', () => undefined);
    this.socket.on('end', () => this.#wake());
    this.socket.on('close', () => this.#wake());
    this.socket.on('data', (bytes) => {
      this.#scanner.feed(bytes);
      for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
        if (item.kind === 'packet') {
          this.#answers.push({ type: item.type, id: item.id, body: item.body.slice() });
        }
      }
      this.#wake();
    });
  }

  /** After INIT and VERSION. */
  static async open(path: string): Promise<RawSftpClient> {
    const client = RawSftpClient.silent(path);
    client.send(encodeInit(3));
    await client.next();
    return client;
  }

  static silent(path: string): RawSftpClient {
    return new RawSftpClient(path);
  }

  get answers(): readonly Answer[] {
    return this.#answers;
  }

  send(...packets: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(packets));
  }

  /** The other side has hung up. */
  async ended(): Promise<void> {
    while (!this.socket.closed && !this.socket.readableEnded) {
      await this.#woken();
    }
  }

  async #woken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    await promise;
  }

  /** The next answer, in the order in which they come. */
  async next(): Promise<Answer> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer !== undefined) {
        return answer;
      }
      if (this.socket.closed || this.socket.readableEnded) {
        throw new Error('the connection is closed');
      }
      await this.#woken();
    }
  }

  async nextReply(): Promise<SftpReply & { readonly id: number }> {
    const { type, id, body } = await this.next();
    const reply = decodeReply(type, body);
    if (reply === undefined) {
      throw new Error(`answer of type ${type}`);
    }
    return { ...reply, id };
  }

  async ask(request: SftpRequest): Promise<SftpReply & { readonly id: number }> {
    this.#nextId += 1;
    this.send(encodeRequest(this.#nextId, request));
    return await this.nextReply();
  }

  async handleOf(path: string, flags: number): Promise<Uint8Array> {
    const reply = await this.ask({ type: 'open', path: Buffer.from(path), flags, attributes: {} });
    if (reply.type !== 'handle') {
      throw new Error(`OPEN of ${path}: ${JSON.stringify(reply)}`);
    }
    return reply.handle;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
