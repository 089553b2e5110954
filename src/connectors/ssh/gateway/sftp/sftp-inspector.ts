/**
 * Stands between the client and the target of a channel whose subsystem is sftp: every request is
 * understood, decided, and sent to the target with the path that was decided. What is denied gets
 * SSH_FX_PERMISSION_DENIED from here, and the channel goes on.
 *
 *   client              inspector                     target
 *     |-- OPEN /a/../b ---->|-- LSTAT /a, LSTAT /b ---->|   where does it lead? (links: READLINK)
 *     |                     |<-- ATTRS, ATTRS ----------|
 *     |                     |   decide(read, /b)        |
 *     |                     |-- OPEN /b --------------->|
 *     |                     |<-- HANDLE ----------------|
 *     |                     |-- FSTAT, LSTAT, FSTAT --->|   is it still that file?
 *     |<-- HANDLE ----------|<-- ATTRS… ----------------|
 *     |-- READ ------------>|-------------------------->|   as it came; data is hashed as it passes
 *
 * Requests are dealt with in their order: while one waits (for the target, for an approval) those
 * behind it wait too, in what the client has credit for. Only one thing may then be under way, so a
 * path is never resolved before the requests in front of it have reached the target.
 */
import { HoopError, ProtocolError } from '../../../../errors.ts';
import type { Refusal } from '../../../../policy/types.ts';
import { MalformedPacket } from '../../protocol/sftp/packet-reader.ts';
import type { SftpItem } from '../../protocol/sftp/packet-scanner.ts';
import { SFTP_VERSION, STATUS } from '../../protocol/sftp/packet-types.ts';
import { encodeReply, encodeVersion } from '../../protocol/sftp/reply.ts';
import { decodeRequest, encodeInit, type SftpRequest } from '../../protocol/sftp/request.ts';
import { ReorderRoom } from './sequential-hash.ts';
import { SftpAnswers } from './sftp-answers.ts';
import { copyFields, EXTENSIONS, handleField } from './sftp-extensions.ts';
import type { SftpFile } from './sftp-file.ts';
import { SftpHandles } from './sftp-handles.ts';
import { SftpHello } from './sftp-hello.ts';
import { SftpPathRequests } from './sftp-path-requests.ts';
import { ChannelOver, SftpQuestions } from './sftp-questions.ts';
import { type PendingRequest, SftpReplies } from './sftp-replies.ts';
import { SftpRequestQueue } from './sftp-request-queue.ts';
import { SftpRun } from './sftp-run.ts';
import type { FileAct, SftpChannel } from './sftp-types.ts';

/** Requests that the target has not answered; more of them wait here. sftp(1) has 64 under way. */
const MAX_PENDING = 4096;
/** Packets that are dealt with before others have their turn, in none of which a path is decided. */
const MAX_IN_TURN = 64;

export class SftpInspector {
  readonly #channel: SftpChannel;
  readonly #questions: SftpQuestions;
  readonly #paths: SftpPathRequests;
  readonly #room = new ReorderRoom();
  readonly #handles = new SftpHandles();

  readonly #toTarget: SftpRun;
  readonly #requests: SftpRequestQueue;
  /** The WRITE whose data is passing; undefined: it is dropped. */
  #writing: { readonly file: SftpFile; offset: bigint } | undefined;
  /** What is waited for, one within the other; nothing else of the client is looked at meanwhile. */
  #busy = 0;
  #isPumping = false;
  /** Since others had their turn. */
  #inTurn = 0;

  readonly #toClient: SftpRun;
  readonly #replies: SftpReplies;
  readonly #answers: SftpAnswers;

  readonly #hello = new SftpHello();
  #isOver = false;

  constructor(channel: SftpChannel) {
    this.#channel = channel;
    this.#toTarget = new SftpRun((bytes) => channel.toTarget(bytes));
    this.#requests = new SftpRequestQueue(channel, this.#toTarget);
    this.#toClient = new SftpRun((bytes) => channel.toClient(bytes));
    this.#questions = new SftpQuestions(
      (bytes) => this.#toTarget.write(bytes),
      (id) => this.#replies.isPending(id),
    );
    this.#replies = new SftpReplies({
      hello: this.#hello,
      questions: this.#questions,
      toClient: this.#toClient,
      onClosed: (file, status) => this.#record(file, status, undefined),
    });
    this.#answers = new SftpAnswers({
      toClient: this.#toClient,
      down: this.#replies,
      toStderr: (text) => channel.toStderr(text),
    });
    this.#paths = new SftpPathRequests({
      channel,
      questions: this.#questions,
      room: this.#room,
      answer: (id, packet) => this.#answer(id, packet),
      deny: (id, refusal) => this.#deny(id, refusal),
      addFile: (handle, file) => this.#handles.add(handle, file),
      hasRoom: () => this.#handles.hasRoom,
    });
  }

  /**
   * @param bytes may be a view of more memory than they are: what has to wait is copied, but for the
   *   chunk that is under way
   * @param at offset of the frame in the up stream
   */
  fromClient(bytes: Uint8Array, at: number): void {
    if (!this.#isOver && bytes.length > 0) {
      this.#requests.push(bytes, at, this.#mayGoOn());
      this.#pump();
    }
  }

  clientEof(): void {
    this.#requests.end();
    this.#pump();
  }

  fromTarget(bytes: Uint8Array): void {
    if (this.#isOver) {
      return;
    }
    try {
      this.#replies.receive(bytes, () => this.#answers.sendWaiting());
      this.#toClient.flush();
    } catch (error) {
      this.#fail(error);
    }
    this.#pump();
  }

  targetDrained(): void {
    this.#toTarget.isFull = false;
    this.#pump();
  }

  clientDrained(): void {
    this.#toClient.isFull = false;
    this.#pump();
  }

  /** What the open handles let the client do. */
  get openFiles(): FileAct[] {
    return this.#handles.acts;
  }

  /** The channel is over, by whomever: files that are open are recorded as far as they came. */
  ended(note = 'the channel ended before the file was closed'): void {
    if (this.#isOver) {
      return;
    }
    this.#isOver = true;
    for (const file of [...this.#handles.clear(), ...this.#replies.end()]) {
      this.#record(file, undefined, note);
    }
    this.#requests.clear();
    this.#hello.end();
    this.#questions.end();
  }

  // --- from the client

  #pump(): void {
    if (this.#isPumping) {
      return;
    }
    this.#isPumping = true;
    try {
      while (this.#mayGoOn()) {
        const item = this.#requests.next();
        if (item === undefined) {
          break;
        }
        this.#inTurn += 1;
        this.#fromClient(item);
        if (this.#inTurn >= MAX_IN_TURN) {
          this.#inTurn = 0;
          this.#busy += 1;
          this.#goOnInNextTurn();
        }
      }
      this.#toTarget.flush();
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isPumping = false;
    }
  }

  #mayGoOn(): boolean {
    return !(
      this.#isOver ||
      this.#busy > 0 ||
      this.#toTarget.isFull ||
      this.#toClient.isFull ||
      // A client that takes half a packet, and asks on: nothing can be said to it.
      this.#answers.length >= MAX_PENDING ||
      this.#replies.size >= MAX_PENDING
    );
  }

  #fromClient(item: SftpItem): void {
    if (item.kind === 'data' || item.kind === 'pass') {
      this.#writePiece(item.bytes);
      return;
    }
    if (this.#questions.has(item.id)) {
      // The client has come upon an id of ours: its turn is when that one is answered.
      this.#wait(this.#questions.settled(item.id).then(() => this.#fromClient(item)));
      return;
    }
    if (!this.#hello.isDone) {
      this.#init(item);
      return;
    }
    if (this.#replies.isPending(item.id)) {
      throw new ProtocolError(`sftp request id ${item.id} is used twice at the same time`);
    }
    if (item.kind === 'head') {
      this.#write(item);
      return;
    }
    try {
      const request = decodeRequest(item.type, item.body);
      if (request === undefined) {
        this.#status(item.id, STATUS.opUnsupported, `unknown request ${item.type}`);
        return;
      }
      this.#request(item.id, request, item.bytes);
    } catch (error) {
      if (!(error instanceof MalformedPacket)) {
        throw error;
      }
      this.#status(item.id, STATUS.badMessage, error.message);
    }
  }

  #init(item: Extract<SftpItem, { kind: 'packet' | 'head' }>): void {
    this.#hello.asked(item);
    this.#toTarget.write(encodeInit(SFTP_VERSION));
    this.#wait(this.#greet());
  }

  async #greet(): Promise<void> {
    const extensions = await this.#hello.extensions();
    await this.#paths.start();
    this.#hello.done();
    this.#answers.send(encodeVersion(SFTP_VERSION, extensions));
  }

  #request(id: number, request: SftpRequest, bytes: Uint8Array): void {
    switch (request.type) {
      case 'read': {
        const file = this.#fileOf(id, request.handle, 'reads');
        if (file !== undefined) {
          file.readAsked(request.offset);
          this.#forward(id, bytes, { kind: 'read', file, offset: request.offset });
        }
        return;
      }
      case 'close': {
        const file = this.#fileOf(id, request.handle);
        if (file !== undefined) {
          this.#handles.delete(request.handle);
          this.#forward(id, bytes, { kind: 'close', file });
        }
        return;
      }
      case 'fstat':
      case 'readdir':
        if (this.#fileOf(id, request.handle) !== undefined) {
          this.#forward(id, bytes, { kind: 'plain' });
        }
        return;
      case 'fsetstat': {
        const file = this.#fileOf(id, request.handle);
        if (file !== undefined) {
          this.#ours(id, () => this.#paths.setHandle(id, request, file, this.#requests.at));
        }
        return;
      }
      case 'realpath':
        this.#forward(id, bytes, { kind: 'plain' });
        return;
      case 'extended':
        this.#extended(id, request, bytes);
        return;
      default:
        this.#ours(id, () => this.#paths.handle(id, request, this.#requests.at));
    }
  }

  #extended(
    id: number,
    request: Extract<SftpRequest, { type: 'extended' }>,
    bytes: Uint8Array,
  ): void {
    const use = Object.hasOwn(EXTENSIONS, request.name) ? EXTENSIONS[request.name] : undefined;
    switch (use) {
      case undefined:
        this.#status(id, STATUS.opUnsupported, 'this extension is not available through hoop');
        return;
      case 'pass':
        this.#forward(id, bytes, { kind: 'plain' });
        return;
      case 'handle': {
        const handle = handleField(request);
        if (this.#fileOf(id, handle) !== undefined) {
          this.#forward(id, bytes, { kind: 'plain' });
        }
        return;
      }
      case 'copy': {
        const fields = copyFields(request);
        const from = this.#fileOf(id, fields.from, 'reads');
        const to = from && this.#fileOf(id, fields.to, 'writes');
        if (to !== undefined) {
          from?.copiedTo(to);
          this.#forward(id, bytes, { kind: 'plain' });
        }
        return;
      }
      case 'rename':
      case 'stat':
        this.#ours(id, () => this.#paths.handleExtended(id, request, use, this.#requests.at));
    }
  }

  #write(item: Extract<SftpItem, { kind: 'head' }>): void {
    const file = this.#fileOf(item.id, item.handle, 'writes');
    this.#writing = undefined;
    if (file !== undefined) {
      this.#forward(item.id, item.bytes, { kind: 'write', file, length: item.dataLength });
      this.#writing = { file, offset: item.offset };
    }
  }

  #writePiece(bytes: Uint8Array): void {
    const writing = this.#writing;
    if (writing !== undefined) {
      writing.file.writePiece(writing.offset, bytes);
      writing.offset += BigInt(bytes.length);
      this.#toTarget.add(bytes);
    }
  }

  #fileOf(id: number, handle: Uint8Array, use?: 'reads' | 'writes'): SftpFile | undefined {
    const file = this.#handles.find(handle);
    if (file === undefined) {
      this.#status(id, STATUS.failure, 'no such handle');
      return undefined;
    }
    if (use !== undefined && !file[use]) {
      this.#status(id, STATUS.permissionDenied, 'the file was not opened for this');
      return undefined;
    }
    return file;
  }

  #forward(id: number, bytes: Uint8Array, pending: PendingRequest): void {
    this.#replies.expect(id, pending);
    this.#toTarget.add(bytes);
  }

  #ours(id: number, work: () => Promise<void>): void {
    this.#replies.expect(id, { kind: 'ours' });
    this.#wait(work());
  }

  #wait(work: Promise<void>): void {
    this.#busy += 1;
    this.#toTarget.flush();
    work.then(
      // Of what is refused nothing has to be waited for: without this, nobody else has a turn.
      () => this.#goOnInNextTurn(),
      (error: unknown) => this.#fail(error),
    );
  }

  #goOnInNextTurn(): void {
    setImmediate(() => {
      this.#busy -= 1;
      this.#pump();
    });
  }

  // --- to the client

  #answer(id: number, packet: Uint8Array): void {
    this.#replies.answered(id);
    if (!this.#isOver) {
      this.#answers.send(packet);
    }
  }

  #status(id: number, code: number, message: string): void {
    this.#answer(id, encodeReply(id, { type: 'status', code, message }));
  }

  #deny(id: number, refusal: Refusal): void {
    if (this.#isOver) {
      // It waited for people, and the client did not.
      return;
    }
    const { message, hint } = refusal;
    this.#status(id, STATUS.permissionDenied, hint === undefined ? message : `${message}. ${hint}`);
    this.#answers.showRefusal(refusal);
  }

  // --- files, the end

  #record(file: SftpFile, status: number | undefined, note: string | undefined): void {
    const record = file.finish(status, note);
    if (record !== undefined) {
      this.#channel.record(record);
    }
  }

  #fail(error: unknown): void {
    if (this.#isOver || error instanceof ChannelOver) {
      return;
    }
    const why =
      error instanceof HoopError
        ? error
        : new HoopError('HOOP_INTERNAL', 'sftp cannot continue', { cause: error });
    this.ended(why.message);
    this.#channel.fail(why);
  }
}
