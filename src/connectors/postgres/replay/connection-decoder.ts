/**
 * One recorded Postgres connection: bytes of both directions in, finished statements and notices
 * out. It frames the messages and hands them to the conversation; rows beyond what a replay shows
 * and COPY data are counted by their headers and never buffered.
 */

import { ProtocolError } from '../../../errors.ts';
import { MAX_DECODED_LENGTH } from '../../../replay/replay-limits.ts';
import { type Handling, MessageScanner } from '../protocol/message-scanner.ts';
import { BACKEND, backendName, FRONTEND, frontendName } from '../protocol/message-types.ts';
import { StartupPacketReader } from '../protocol/startup-packet.ts';
import { ClientMessages } from './client-messages.ts';
import { Conversation, type ConversationOptions } from './conversation.ts';
import { ServerMessages } from './server-messages.ts';

/** Type and length. */
const HEADER_LENGTH = 5;

export class ConnectionDecoder {
  readonly #conversation: Conversation;
  readonly #client: ClientMessages;
  readonly #server: ServerMessages;
  readonly #startup = new StartupPacketReader();
  #started = false;
  readonly #up: MessageScanner;
  readonly #down: MessageScanner;
  /** Offset of the message whose header was read last, and of the one after it. */
  #upAt = 0;
  #upNext = 0;

  constructor(options: ConversationOptions) {
    this.#conversation = new Conversation(options);
    this.#client = new ClientMessages(this.#conversation);
    this.#server = new ServerMessages(this.#conversation);
    this.#up = new MessageScanner({
      decide: (type, bodyLength) => this.#decideUp(type, bodyLength),
      maxWholeLength: MAX_DECODED_LENGTH,
    });
    this.#down = new MessageScanner({
      decide: (type, bodyLength) => this.#decideDown(type, bodyLength),
      maxWholeLength: MAX_DECODED_LENGTH,
    });
  }

  /** @throws ProtocolError, HoopError: what was recorded cannot be read from here on. */
  up(bytes: Uint8Array, timeMs: number): void {
    let rest = bytes;
    if (!this.#started) {
      const first = this.#startup.push(bytes);
      if (!first) {
        return;
      }
      this.#started = true;
      this.#upNext = first.bytes.length;
      this.#client.startup(first.packet, timeMs);
      rest = first.rest;
    }
    this.#up.push(rest, (item) => {
      if (item.kind === 'message') {
        this.#client.take(item.type, item.body, { at: this.#upAt, timeMs });
      }
    });
  }

  /** @throws ProtocolError, HoopError: what was recorded cannot be read from here on. */
  down(bytes: Uint8Array, timeMs: number): void {
    this.#down.push(bytes, (item) => {
      if (item.kind === 'message') {
        this.#server.take(item.type, item.body, timeMs);
      }
    });
  }

  /** The recording of this connection ends here. */
  end(): void {
    this.#conversation.end();
  }

  #decideUp(type: number, bodyLength: number): Handling {
    this.#upAt = this.#upNext;
    this.#upNext += HEADER_LENGTH + bodyLength;
    if (frontendName(type) === undefined) {
      throw new ProtocolError(`unknown message type ${type} from the client`);
    }
    switch (type) {
      case FRONTEND.CopyData:
        this.#server.copyData(bodyLength);
        return 'pass';
      case FRONTEND.PasswordMessage:
        throw new ProtocolError('a password message after startup');
      default:
        return 'whole';
    }
  }

  #decideDown(type: number, bodyLength: number): Handling {
    if (backendName(type) === undefined) {
      throw new ProtocolError(`unknown message type ${type} from the gateway`);
    }
    switch (type) {
      case BACKEND.DataRow:
        return this.#server.wantsRow(bodyLength) ? 'whole' : 'pass';
      case BACKEND.CopyData:
        this.#server.copyData(bodyLength);
        return 'pass';
      // The cancel key is a secret of the session while it lives, and nobody's business after.
      case BACKEND.BackendKeyData:
      case BACKEND.Authentication:
        return 'pass';
      default:
        return 'whole';
    }
  }
}
