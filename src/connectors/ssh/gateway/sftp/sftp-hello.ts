/**
 * The first packet of each side. Whatever the client would like, version 3 is what is understood
 * here, and of the extensions of the target those that are known.
 */
import { ProtocolError } from '../../../../errors.ts';
import type { SftpItem } from '../../protocol/sftp/packet-scanner.ts';
import { REPLY, REQUEST, SFTP_VERSION } from '../../protocol/sftp/packet-types.ts';
import { decodeExtensions, type Extension } from '../../protocol/sftp/reply.ts';
import { EXTENSIONS } from './sftp-extensions.ts';
import { ChannelOver } from './sftp-questions.ts';

export class SftpHello {
  readonly #version = Promise.withResolvers<readonly Extension[]>();
  #state: 'none' | 'asked' | 'done' = 'none';

  constructor() {
    // The channel may end before anybody waits for it.
    this.#version.promise.catch(() => undefined);
  }

  /** The client has its answer: what comes from here on is requests and replies. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** What the client begins with. @throws ProtocolError */
  asked(item: Extract<SftpItem, { kind: 'packet' | 'head' }>): void {
    if (this.#state !== 'none' || item.type !== REQUEST.init || item.id < SFTP_VERSION) {
      throw new ProtocolError('sftp begins with something else than INIT of version 3');
    }
    this.#state = 'asked';
  }

  /** What the target begins with. @throws ProtocolError */
  answered(item: Extract<SftpItem, { kind: 'packet' }>): void {
    if (item.type !== REPLY.version || item.id !== SFTP_VERSION || this.#state !== 'asked') {
      throw new ProtocolError('the sftp server of the target does not speak version 3');
    }
    this.#version.resolve(
      decodeExtensions(item.body).map(({ name, data }) => ({ name, data: Uint8Array.from(data) })),
    );
  }

  /** What the target can do, and the client may. @throws ChannelOver */
  async extensions(): Promise<readonly Extension[]> {
    const offered = await this.#version.promise;
    return offered.filter(({ name }) => Object.hasOwn(EXTENSIONS, name));
  }

  done(): void {
    this.#state = 'done';
  }

  /** The channel is over. */
  end(): void {
    this.#version.reject(new ChannelOver());
  }
}
