/**
 * What the target of an sftp channel says. Each reply is held against what it answers: a request
 * that the client made, a question of the gateway's own, or INIT; one that answers nothing, or in
 * another way than the request allows, ends the channel. Data of files is hashed as it passes.
 */
import { ProtocolError } from '../../../../errors.ts';
import {
  type PacketHandling,
  PacketScanner,
  type SftpItem,
} from '../../protocol/sftp/packet-scanner.ts';
import { REPLY } from '../../protocol/sftp/packet-types.ts';
import { decodeReply } from '../../protocol/sftp/reply.ts';
import type { SftpFile } from './sftp-file.ts';
import type { SftpHello } from './sftp-hello.ts';
import type { SftpQuestions } from './sftp-questions.ts';
import type { SftpRun } from './sftp-run.ts';

/** A request of the client that the target has, or that is being dealt with. */
export type PendingRequest =
  | { readonly kind: 'read'; readonly file: SftpFile; readonly offset: bigint }
  | { readonly kind: 'write'; readonly file: SftpFile; readonly length: number }
  | { readonly kind: 'close'; readonly file: SftpFile }
  /** Its answer passes, whatever it is. */
  | { readonly kind: 'plain' }
  /** Answered from here. */
  | { readonly kind: 'ours' };

export interface SftpRepliesOptions {
  readonly hello: SftpHello;
  readonly questions: SftpQuestions;
  readonly toClient: SftpRun;
  readonly onClosed: (file: SftpFile, status: number) => void;
}

export class SftpReplies {
  readonly #options: SftpRepliesOptions;
  readonly #pending = new Map<number, PendingRequest>();
  readonly #scanner = new PacketScanner((type, id) => this.#handling(type, id));
  /** Of the DATA that is passing. */
  #reading: { readonly file: SftpFile; offset: bigint } | undefined;

  constructor(options: SftpRepliesOptions) {
    this.#options = options;
  }

  /** Half a packet has gone to the client. */
  get isInside(): boolean {
    return this.#scanner.isInside;
  }

  /** Requests without an answer. */
  get size(): number {
    return this.#pending.size;
  }

  isPending(id: number): boolean {
    return this.#pending.has(id);
  }

  expect(id: number, request: PendingRequest): void {
    this.#pending.set(id, request);
  }

  /** Answered from here. */
  answered(id: number): void {
    this.#pending.delete(id);
  }

  /** No reply counts any more. @returns files of which it is not known whether they were closed */
  end(): SftpFile[] {
    const closing = [...this.#pending.values()].flatMap((pending) =>
      pending.kind === 'close' ? [pending.file] : [],
    );
    this.#pending.clear();
    return closing;
  }

  /** @param between called after each packet, or piece of one. @throws ProtocolError */
  receive(bytes: Uint8Array, between: () => void): void {
    this.#scanner.feed(bytes);
    for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
      this.#pass(item);
      between();
    }
  }

  #handling(type: number, id: number): PacketHandling {
    const { hello, questions } = this.#options;
    if (!hello.isDone || questions.has(id) || type === REPLY.status) {
      return 'whole';
    }
    const pending = this.#pending.get(id);
    const fits =
      pending?.kind === 'plain'
        ? type !== REPLY.data && type !== REPLY.handle && type !== REPLY.version
        : pending?.kind === 'read' && type === REPLY.data;
    if (!fits) {
      throw new ProtocolError(`target sent an sftp reply of type ${type} that nobody asked for`);
    }
    if (type === REPLY.data) {
      return 'stream';
    }
    this.#pending.delete(id);
    return 'pass';
  }

  #pass(item: SftpItem): void {
    const { toClient } = this.#options;
    switch (item.kind) {
      case 'pass':
        toClient.add(item.bytes);
        return;
      case 'data':
        if (this.#reading !== undefined) {
          this.#reading.file.readPiece(this.#reading.offset, item.bytes);
          this.#reading.offset += BigInt(item.bytes.length);
        }
        toClient.add(item.bytes);
        return;
      case 'head': {
        const pending = this.#pending.get(item.id);
        this.#pending.delete(item.id);
        this.#reading =
          pending?.kind === 'read' ? { file: pending.file, offset: pending.offset } : undefined;
        toClient.add(item.bytes);
        return;
      }
      case 'packet':
        this.#reply(item);
    }
  }

  #reply(item: Extract<SftpItem, { kind: 'packet' }>): void {
    const { hello, questions, toClient, onClosed } = this.#options;
    if (questions.has(item.id) && item.type !== REPLY.version) {
      questions.answer(item.type, item.id, item.body);
      return;
    }
    if (!hello.isDone) {
      hello.answered(item);
      return;
    }
    const pending = this.#pending.get(item.id);
    const reply = decodeReply(item.type, item.body);
    if (pending === undefined || pending.kind === 'ours' || reply?.type !== 'status') {
      throw new ProtocolError(`target answered sftp request ${item.id}, which nobody made`);
    }
    this.#pending.delete(item.id);
    if (pending.kind === 'read') {
      pending.file.readStatus(reply.code);
    } else if (pending.kind === 'write') {
      pending.file.writeStatus(pending.length, reply.code);
    } else if (pending.kind === 'close') {
      onClosed(pending.file, reply.code);
    }
    toClient.add(item.bytes);
  }
}
