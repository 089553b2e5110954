/** Reads small files of a target over sftp, on a channel of the gateway's own. */
import { ProtocolError } from '../../../../errors.ts';
import { onAbort } from '../../../../until.ts';
import { PacketScanner } from '../../protocol/sftp/packet-scanner.ts';
import { REPLY, SFTP_VERSION, STATUS } from '../../protocol/sftp/packet-types.ts';
import { decodeReply, type SftpReply } from '../../protocol/sftp/reply.ts';
import { encodeInit, encodeRequest, type SftpRequest } from '../../protocol/sftp/request.ts';
import type { TargetChannel, TargetChannels } from '../target-channels.ts';

/** Of one file; what has more is no small one. */
const MAX_FILE_BYTES = 1024 * 1024;
const READ_BYTES = 32_768;
const WINDOW_BYTES = 4 * MAX_FILE_BYTES;
/** SSH_FXF_READ. */
const OPEN_READ = 1;

/**
 * @returns the text of each file; null: there is none
 * @throws ProtocolError, or the signal's reason: it cannot be read
 */
export async function readRemoteFiles(
  targets: TargetChannels,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<readonly (string | null)[]> {
  const conversation = new Conversation(targets);
  using _ = onAbort(signal, () => conversation.fail(signal.reason));
  try {
    await conversation.begin();
    const texts: (string | null)[] = [];
    for (const path of paths) texts.push(await read(conversation, path));
    return texts;
  } finally {
    conversation.close();
  }
}

async function read(conversation: Conversation, path: string): Promise<string | null> {
  const opened = await conversation.ask({
    type: 'open',
    path: Buffer.from(path),
    flags: OPEN_READ,
    attributes: {},
  });
  if (opened.type === 'status' && opened.code === STATUS.noSuchFile) return null;
  if (opened.type !== 'handle') throw new ProtocolError('the server does not open a file');
  const { handle } = opened;
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const offset = BigInt(length);
    const reply = await conversation.ask({ type: 'read', handle, offset, length: READ_BYTES });
    if (reply.type === 'status' && reply.code === STATUS.eof) break;
    if (reply.type !== 'data') throw new ProtocolError('the server does not read a file');
    parts.push(reply.data);
    length += reply.data.length;
    if (reply.data.length === 0 || length > MAX_FILE_BYTES) {
      throw new ProtocolError('a file of the server has no end');
    }
  }
  await conversation.ask({ type: 'close', handle });
  return Buffer.concat(parts).toString('latin1');
}

/** One request after the other. */
class Conversation {
  readonly #opened = Promise.withResolvers<TargetChannel>();
  readonly #scanner = new PacketScanner(() => 'whole');
  #channel: TargetChannel | undefined;
  #waiting: PromiseWithResolvers<SftpReply | undefined> | undefined;
  #unsent: Uint8Array | undefined;
  #failure: unknown;
  #lastId = 0;

  constructor(targets: TargetChannels) {
    const over = (): void => this.fail(new ProtocolError('the server ended sftp'));
    // It may fail before anybody waits for it.
    this.#opened.promise.catch(() => undefined);
    targets.open({ kind: 'session' }, WINDOW_BYTES, {
      opened: (channel) => {
        this.#channel = channel;
        if (this.#failure === undefined) this.#opened.resolve(channel);
        else channel.close();
      },
      openFailed: over,
      data: (bytes) => this.#received(bytes),
      stderr: (bytes) => this.#channel?.giveWindow(bytes.length),
      window: () => this.#flush(),
      exitStatus: () => undefined,
      exitSignal: () => undefined,
      eof: over,
      closed: over,
    });
  }

  async begin(): Promise<void> {
    const channel = await this.#opened.promise;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    channel.request({ kind: 'subsystem', name: 'sftp' }, resolve);
    this.#waiting = Promise.withResolvers();
    const version = this.#waiting.promise;
    version.catch(() => undefined);
    this.#send(encodeInit(SFTP_VERSION));
    if (!(await Promise.race([promise, version.then(() => true)]))) {
      throw new ProtocolError('the server has no sftp');
    }
    await version;
  }

  async ask(request: SftpRequest): Promise<SftpReply> {
    if (this.#failure !== undefined) throw this.#failure;
    this.#waiting = Promise.withResolvers();
    this.#lastId += 1;
    this.#send(encodeRequest(this.#lastId, request));
    const reply = await this.#waiting.promise;
    if (reply === undefined) throw new ProtocolError('the server sent no answer of sftp');
    return reply;
  }

  fail(error: unknown): void {
    this.#failure ??= error;
    this.#opened.reject(error);
    this.#waiting?.reject(error);
  }

  close(): void {
    this.fail(new ProtocolError('sftp is closed'));
    this.#channel?.close();
  }

  #send(bytes: Uint8Array): void {
    this.#unsent = bytes;
    this.#flush();
  }

  /** A server takes nothing before the program of the channel runs. */
  #flush(): void {
    const bytes = this.#unsent;
    if (bytes === undefined || this.#channel === undefined || this.#channel.room < bytes.length)
      return;
    this.#unsent = undefined;
    this.#channel.data(bytes);
  }

  #received(bytes: Uint8Array): void {
    this.#channel?.giveWindow(bytes.length);
    try {
      this.#scanner.feed(Buffer.from(bytes));
      for (let item = this.#scanner.next(); item !== undefined; item = this.#scanner.next()) {
        if (item.kind !== 'packet') continue;
        const isVersion = item.type === REPLY.version && this.#lastId === 0;
        if (!isVersion && item.id !== this.#lastId)
          throw new ProtocolError('an answer of sftp to nothing');
        this.#waiting?.resolve(isVersion ? undefined : decodeReply(item.type, item.body));
      }
    } catch (error) {
      this.fail(error);
    }
  }
}
