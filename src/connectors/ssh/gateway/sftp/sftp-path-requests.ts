/**
 * The requests of an sftp channel that name files by path, and what is done to an open file by what
 * was allowed for its path: decided first, then made again with the path that was decided.
 */

import type { Refusal } from '../../../../policy/types.ts';
import type { FileRecord } from '../../../../recording/formats/file-record.ts';
import type { SftpOperation } from '../../policy/types.ts';
import { PacketReader } from '../../protocol/sftp/packet-reader.ts';
import { OPEN_FLAG, STATUS } from '../../protocol/sftp/packet-types.ts';
import { PacketWriter } from '../../protocol/sftp/packet-writer.ts';
import { decodeReply, encodeReply } from '../../protocol/sftp/reply.ts';
import type { SftpRequest } from '../../protocol/sftp/request.ts';
import type { ReorderRoom } from './sequential-hash.ts';
import { type PathsQuestion, SftpDecidedPaths } from './sftp-decided-paths.ts';
import { mayRead, mayWrite, SftpFile } from './sftp-file.ts';
import { openDirectoryOnTarget, openOnTarget } from './sftp-open.ts';
import { ChannelOver, fromBytes, type SftpQuestions, toBytes } from './sftp-questions.ts';
import type { SftpChannel } from './sftp-types.ts';

export interface PathRequestsOptions {
  readonly channel: SftpChannel;
  readonly questions: SftpQuestions;
  readonly room: ReorderRoom;
  readonly answer: (id: number, packet: Uint8Array) => void;
  readonly deny: (id: number, refusal: Refusal) => void;
  readonly addFile: (handle: Uint8Array, file: SftpFile) => void;
  readonly hasRoom: () => boolean;
}

/** Requests that name files by path. */
export type PathRequest = Exclude<
  SftpRequest,
  { type: 'read' | 'close' | 'fstat' | 'readdir' | 'fsetstat' | 'realpath' | 'extended' }
>;

/** What is decided, and then sent; paths of `send` are resolved, strings of bytes. */
interface Step extends PathsQuestion {
  /** Whether a record is made of it. What only looks is a decision and nothing else. */
  readonly changes: boolean;
  readonly send: (path: string, to: string) => SftpRequest;
}

/** Not followed at the end: what the operation acts upon is the link itself. POSIX. */
const ACTS_ON_LINKS: ReadonlySet<string> = new Set([
  'lstat',
  'readlink',
  'remove',
  'rmdir',
  'mkdir',
]);

const OPERATIONS = {
  lstat: 'stat',
  stat: 'stat',
  setstat: 'setstat',
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  remove: 'remove',
  readlink: 'readlink',
} as const satisfies Record<string, SftpOperation>;

/** Each is decided with the path where it leads, and sent to the target with that path. */
export class SftpPathRequests {
  readonly #options: PathRequestsOptions;
  readonly #paths: SftpDecidedPaths;

  constructor(options: PathRequestsOptions) {
    this.#options = options;
    const { channel, questions, deny } = options;
    const status = (id: number, code: number, message: string): void =>
      this.#status(id, code, message);
    this.#paths = new SftpDecidedPaths({ channel, questions, deny, status });
  }

  /** Once, before the first request. */
  async start(): Promise<void> {
    await this.#paths.start();
  }

  async handle(id: number, request: PathRequest, at: number): Promise<void> {
    switch (request.type) {
      case 'open':
        return await this.#open(id, request, at);
      case 'opendir':
        return await this.#opendir(id, request, at);
      case 'rename':
        return await this.#step({
          id,
          at,
          operations: ['rename'],
          asked: [
            { path: request.path, follow: false },
            { path: request.to, follow: false },
          ],
          changes: true,
          send: (path, to) => ({ type: 'rename', path: toBytes(path), to: toBytes(to) }),
        });
      case 'symlink':
        return await this.#symlink(id, request, at);
      default: {
        const { type } = request;
        return await this.#step({
          id,
          at,
          operations: [OPERATIONS[type]],
          asked: [{ path: request.path, follow: !ACTS_ON_LINKS.has(type) }],
          changes: type !== 'stat' && type !== 'lstat' && type !== 'readlink',
          send: (path) => ({ ...request, path: toBytes(path) }),
        });
      }
    }
  }

  /** posix-rename@openssh.com and statvfs@openssh.com. @throws MalformedPacket */
  handleExtended(
    id: number,
    { name, data }: Extract<SftpRequest, { type: 'extended' }>,
    use: 'rename' | 'stat',
    at: number,
  ): Promise<void> {
    const reader = new PacketReader(name, data);
    const path = reader.path();
    const asked =
      use === 'stat'
        ? [{ path, follow: true }]
        : [
            { path, follow: false },
            { path: reader.path(), follow: false },
          ];
    reader.end();
    return this.#step({
      id,
      at,
      operations: [use],
      asked,
      changes: use === 'rename',
      send: (...paths) => ({
        type: 'extended',
        name,
        data: strings(paths.slice(0, asked.length)),
      }),
    });
  }

  /** FSETSTAT: what may be done to a path may be done to a file that was opened there. */
  async setHandle(
    id: number,
    request: Extract<SftpRequest, { type: 'fsetstat' }>,
    file: SftpFile,
    at: number,
  ): Promise<void> {
    const { path } = file.opened;
    const verdict = await this.#options.channel.decide(
      { kind: 'file', operation: 'setstat', path },
      at,
    );
    if (verdict.effect === 'refuse') {
      this.#options.deny(id, verdict.refusal);
      return;
    }
    const code = await this.#relay(id, request, { at, operation: 'setstat', path });
    if (code === STATUS.ok) {
      file.attributesSet(request.attributes);
    }
  }

  async #step(step: Step): Promise<void> {
    const decided = await this.#paths.decide(step);
    if (decided === undefined) {
      return;
    }
    const { paths, said } = decided;
    const [path = '/', to = '/'] = paths;
    const record = { at: step.at, operation: step.operations[0] ?? '', ...said };
    await this.#relay(step.id, step.send(path, to), step.changes ? record : undefined);
  }

  async #open(
    id: number,
    request: Extract<SftpRequest, { type: 'open' }>,
    at: number,
  ): Promise<void> {
    if (!this.#options.hasRoom()) {
      this.#status(id, STATUS.failure, 'too many files are open on this connection');
      return;
    }
    // Bits of later versions mean nothing in this one.
    const flags = request.flags & Object.values(OPEN_FLAG).reduce((all, bit) => all | bit, 0);
    const makesOnly = (flags & OPEN_FLAG.create) !== 0 && (flags & OPEN_FLAG.exclusive) !== 0;
    const decided = await this.#paths.decide({
      id,
      at,
      operations: [
        ...(mayRead(flags) ? ['read' as const] : []),
        ...(mayWrite(flags) ? ['write' as const] : []),
      ],
      asked: [{ path: request.path, follow: !makesOnly }],
    });
    if (decided === undefined) {
      return;
    }
    const { paths, said } = decided;
    const [path = '/'] = paths;
    const opened = await openOnTarget(this.#options, path, { ...request, flags });
    if ('failure' in opened) {
      const { failure, changed } = opened;
      this.#options.channel.record({
        at,
        operation: mayWrite(flags) ? 'write' : 'read',
        ...said,
        status: failure.code,
        ...(changed ? { note: failure.message } : {}),
      });
      this.#status(id, failure.code, failure.message);
      return;
    }
    const { handle, size } = opened;
    const file = new SftpFile(
      { kind: 'file', ...withAsked(said), at, flags, size },
      this.#options.room,
    );
    this.#options.addFile(handle, file);
    this.#options.answer(id, encodeReply(id, { type: 'handle', handle }));
  }

  async #opendir(
    id: number,
    request: Extract<PathRequest, { path: Uint8Array }>,
    at: number,
  ): Promise<void> {
    if (!this.#options.hasRoom()) {
      this.#status(id, STATUS.failure, 'too many files are open on this connection');
      return;
    }
    const decided = await this.#paths.decide({
      id,
      at,
      operations: ['list'],
      asked: [{ path: request.path, follow: true }],
    });
    if (decided === undefined) {
      return;
    }
    const { paths, said } = decided;
    const [path = '/'] = paths;
    const opened = await openDirectoryOnTarget(this.#options, path);
    if ('failure' in opened) {
      this.#status(id, opened.failure.code, opened.failure.message);
      return;
    }
    const file = new SftpFile(
      { kind: 'directory', ...withAsked(said), at, flags: 0, size: undefined },
      this.#options.room,
    );
    this.#options.addFile(opened.handle, file);
    this.#options.answer(id, encodeReply(id, { type: 'handle', handle: opened.handle }));
  }

  /** The text of a link is sent as it is: it is relative to where the link stands. */
  async #symlink(
    id: number,
    request: Extract<SftpRequest, { type: 'symlink' }>,
    at: number,
  ): Promise<void> {
    if (!/^OpenSSH/.test(this.#options.channel.targetSoftware)) {
      // Servers that follow the draft would make the other of the two paths.
      this.#status(id, STATUS.opUnsupported, 'links can be created only on servers with OpenSSH');
      return;
    }
    const text = fromBytes(request.to);
    await this.#step({
      id,
      at,
      operations: ['symlink'],
      asked: [
        { path: request.path, follow: false },
        { path: request.to, follow: true },
      ],
      changes: true,
      send: (path) => ({ type: 'symlink', path: toBytes(path), to: toBytes(text) }),
    });
  }

  /** @returns status of the target, undefined if it is no STATUS */
  async #relay(
    id: number,
    request: SftpRequest,
    record: FileRecord | undefined,
  ): Promise<number | undefined> {
    const { questions, answer, channel } = this.#options;
    try {
      const { type, body } = await questions.ask(request);
      const reply = decodeReply(type, body);
      const code = reply?.type === 'status' ? reply.code : undefined;
      if (record !== undefined) {
        channel.record({ ...record, ...(code === undefined ? {} : { status: code }) });
      }
      answer(id, new PacketWriter(type, id).bytes(body).finish());
      return code;
    } catch (error) {
      if (record !== undefined && error instanceof ChannelOver) {
        channel.record({ ...record, note: 'the channel ended before the target answered' });
      }
      throw error;
    }
  }

  #status(id: number, code: number, message: string): void {
    this.#options.answer(id, encodeReply(id, { type: 'status', code, message }));
  }
}

function withAsked(said: { readonly path: string; readonly asked?: string }): {
  readonly path: string;
  readonly asked: string | undefined;
} {
  return { path: said.path, asked: said.asked };
}

function strings(values: readonly string[]): Uint8Array {
  return Buffer.concat(
    values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(value.length);
      return [length, toBytes(value)];
    }),
  );
}
