import { HoopError, ProtocolError } from '../../../../errors.ts';
import type { Attributes } from '../../protocol/sftp/attributes.ts';
import { decodeReply, type SftpReply } from '../../protocol/sftp/reply.ts';
import { encodeRequest, type SftpRequest } from '../../protocol/sftp/request.ts';
import type { Failure, PathQuestions } from './sftp-paths.ts';

export interface RawReply {
  readonly type: number;
  /** After the id. */
  readonly body: Uint8Array;
}

interface Waiter {
  readonly promise: Promise<RawReply>;
  readonly resolve: (reply: RawReply) => void;
  readonly reject: (error: unknown) => void;
}

/** The channel is over: whoever waits for the target stops without a word. */
export class ChannelOver extends HoopError {
  constructor() {
    super('HOOP_SESSION_ENDED', 'the sftp channel has ended');
  }
}

/** Requests that the gateway itself makes on a client's channel, with ids that the client does not use. */
export class SftpQuestions implements PathQuestions {
  readonly #waiting = new Map<number, Waiter>();
  readonly #send: (bytes: Uint8Array) => void;
  readonly #isTaken: (id: number) => boolean;
  #over = false;
  /** Clients count from 0 or 1. */
  #nextId = 0x80000000;

  constructor(send: (bytes: Uint8Array) => void, isTaken: (id: number) => boolean) {
    this.#send = send;
    this.#isTaken = isTaken;
  }

  has(id: number): boolean {
    return this.#waiting.has(id);
  }

  /** When the question with this id is answered. @throws ChannelOver */
  async settled(id: number): Promise<void> {
    await this.#waiting.get(id)?.promise;
  }

  /** @throws ChannelOver */
  async ask(request: SftpRequest): Promise<RawReply> {
    if (this.#over) {
      throw new ChannelOver();
    }
    const id = this.#freeId();
    const { promise, resolve, reject } = Promise.withResolvers<RawReply>();
    this.#waiting.set(id, { promise, resolve, reject });
    this.#send(encodeRequest(id, request));
    return await promise;
  }

  /** @throws ChannelOver, ProtocolError on an answer that is none */
  async askFor(request: SftpRequest): Promise<SftpReply> {
    const { type, body } = await this.ask(request);
    const reply = decodeReply(type, body);
    if (reply === undefined) {
      throw new ProtocolError(`target answers ${request.type} with a packet of type ${type}`);
    }
    return reply;
  }

  async lstat(paths: readonly string[]): Promise<readonly (Attributes | Failure)[]> {
    const replies = await Promise.all(
      paths.map((path) => this.askFor({ type: 'lstat', path: toBytes(path) })),
    );
    return replies.map(attributesOf);
  }

  async readlink(path: string): Promise<string | Failure> {
    const reply = await this.askFor({ type: 'readlink', path: toBytes(path) });
    if (reply.type === 'status') {
      return reply;
    }
    const [entry] = reply.type === 'name' ? reply.entries : [];
    if (entry === undefined) {
      throw new ProtocolError('target answers READLINK without a name');
    }
    return fromBytes(entry.name);
  }

  async fstat(handle: Uint8Array): Promise<Attributes | Failure> {
    return attributesOf(await this.askFor({ type: 'fstat', handle }));
  }

  /** @param body is copied */
  answer(type: number, id: number, body: Uint8Array): void {
    const waiter = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiter?.resolve({ type, body: Uint8Array.from(body) });
  }

  end(): void {
    this.#over = true;
    for (const { reject } of this.#waiting.values()) {
      reject(new ChannelOver());
    }
    this.#waiting.clear();
  }

  #freeId(): number {
    do {
      this.#nextId = (this.#nextId + 1) >>> 0;
    } while (this.#waiting.has(this.#nextId) || this.#isTaken(this.#nextId));
    return this.#nextId;
  }
}

/** Names of files as strings of bytes, one character each. */
export function fromBytes(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function toBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function attributesOf(reply: SftpReply): Attributes | Failure {
  if (reply.type === 'attrs') {
    return reply.attributes;
  }
  if (reply.type === 'status') {
    return reply;
  }
  throw new ProtocolError(`target answers with ${reply.type} where it was asked for attributes`);
}
