/**
 * The channels of one local connection that is logged in: what the client says becomes frames for
 * the gateway, and the gateway's frames become what the client hears. What hoop does not carry is
 * refused here, and the connection goes on.
 */
import { ProtocolError } from '../../../errors.ts';
import type { ClientMessage } from '../protocol/client-message.ts';
import {
  CHANNEL_WINDOW_BYTES,
  type ChannelTarget,
  type DownFrame,
  MAX_CHANNELS,
  type UpFrame,
} from '../protocol/frame.ts';
import { NOT_CARRIED, type NotCarried } from '../protocol/not-carried.ts';
import { LocalChannel } from './local-channel.ts';
import { MAX_PACKET_BYTES, type Ssh2Connection } from './ssh2-connection.ts';

/** https://www.rfc-editor.org/rfc/rfc4254#section-5.1 */
const OPEN_FAILURE = { prohibited: 1, unknownType: 3, shortage: 4 } as const;

// Maps, because names are the client's: an object also has "constructor".
const GLOBAL_REQUESTS: ReadonlyMap<string, NotCarried> = new Map([
  ['tcpip-forward', 'remote-forward'],
  ['streamlocal-forward@openssh.com', 'remote-forward'],
]);
const CHANNEL_REQUESTS: ReadonlyMap<string, NotCarried> = new Map([
  ['auth-agent-req@openssh.com', 'agent'],
  ['x11-req', 'x11'],
]);
const CHANNELS: ReadonlyMap<string, NotCarried> = new Map([
  ['direct-streamlocal@openssh.com', 'streamlocal'],
  ['tun@openssh.com', 'tunnel'],
]);

/** What may come before it is known whether anything runs in a channel. */
const REPLIES: ReadonlySet<DownFrame['type']> = new Set(['success', 'failure', 'window']);

export interface LocalChannelsOptions {
  readonly connection: Ssh2Connection;
  /** @throws RangeError what no frame can hold */
  readonly toGateway: (frame: UpFrame) => void;
  /** It knows the frame that tells it of what was refused here. */
  readonly gatewayHears: boolean;
  /**
   * Somebody asked for what is not carried; each once. Absent: who asked does not see what this
   * process says, and is told on stderr of the next session channel that has something to say.
   */
  readonly onNotCarried?: ((why: string) => void) | undefined;
}

type Opening = Extract<ClientMessage, { type: 'open' }>;

export class LocalChannels {
  readonly #options: LocalChannelsOptions;
  readonly #opening = new Map<number, Opening>();
  readonly #channels = new Map<number, LocalChannel>();
  readonly #told = new Set<NotCarried>();
  /** For who asked. */
  #notices: string[] = [];
  #next = 0;
  #noMoreSessions = false;

  constructor(options: LocalChannelsOptions) {
    this.#options = options;
  }

  /** @throws ProtocolError */
  fromClient(message: ClientMessage): void {
    switch (message.type) {
      case 'global':
        this.#global(message);
        return;
      case 'open':
        this.#open(message);
        return;
      case 'request':
        this.#request(this.#channel(message.channel), message);
        return;
      case 'data':
        this.#channel(message.channel).data(message.data);
        return;
      case 'window':
        this.#channel(message.channel).adjusted(message.bytes);
        this.flush();
        return;
      case 'eof':
        this.#channel(message.channel).eof();
        return;
      case 'close':
        this.#channel(message.channel).clientClosed();
        this.flush();
        return;
      case 'ignored':
        return;
    }
  }

  /** @throws ProtocolError */
  fromGateway(frame: Exclude<DownFrame, { type: 'hello' | 'disconnect' }>): void {
    switch (frame.type) {
      case 'opened':
        this.#opened(frame);
        return;
      case 'openFailed': {
        const { sender } = this.#takeOpening(frame.channel);
        this.#refuseOpen(sender, frame.reason, frame.message);
        return;
      }
      default: {
        const channel = this.#channel(frame.channel);
        // Behind the answer to its request: before, nothing of a channel is shown.
        if (this.#notices.length > 0 && channel.isSession && !REPLIES.has(frame.type)) {
          channel.say(this.#notices.splice(0));
        }
        channel.received(frame);
        this.flush();
      }
    }
  }

  /** The client's socket, or a window, has room again. */
  flush(): void {
    let hasMore = true;
    while (hasMore) {
      hasMore = false;
      for (const [number, channel] of this.#channels) {
        hasMore = channel.flush() || hasMore;
        this.#forget(number);
      }
    }
  }

  #global({ name, wantReply }: Extract<ClientMessage, { type: 'global' }>): void {
    if (name === 'no-more-sessions@openssh.com') {
      this.#noMoreSessions = true;
    }
    this.#tell(GLOBAL_REQUESTS.get(name));
    // Also of keepalive@openssh.com: any answer is one.
    if (wantReply) {
      this.#options.connection.messages?.requestFailure();
    }
  }

  #open(message: Opening): void {
    const target = this.#target(message);
    if (typeof target === 'number') {
      const notCarried = CHANNELS.get(message.kind);
      this.#tell(notCarried);
      const otherwise = message.kind === 'session' ? 'you wanted no more' : 'not carried by hoop';
      const words = notCarried === undefined ? otherwise : NOT_CARRIED[notCarried].why;
      this.#refuseOpen(message.sender, target, words);
      return;
    }
    if (this.#opening.size + this.#channels.size >= MAX_CHANNELS) {
      const words = `hoop carries at most ${MAX_CHANNELS} channels on a connection`;
      this.#refuseOpen(message.sender, OPEN_FAILURE.shortage, words);
      return;
    }
    const channel = this.#next;
    this.#opening.set(channel, message);
    try {
      this.#options.toGateway({ type: 'open', channel, target, window: CHANNEL_WINDOW_BYTES });
      this.#next += 1;
    } catch (error) {
      requireUnframeable(error);
      this.#opening.delete(channel);
      this.#refuseOpen(message.sender, OPEN_FAILURE.prohibited, 'not a name that can be looked up');
    }
  }

  /** @returns a reason: it is refused */
  #target({ kind, destination }: Opening): ChannelTarget | number {
    if (kind === 'session') {
      return this.#noMoreSessions ? OPEN_FAILURE.prohibited : { kind: 'session' };
    }
    if (destination !== undefined) {
      return { kind: 'direct-tcpip', ...destination };
    }
    return CHANNELS.has(kind) ? OPEN_FAILURE.prohibited : OPEN_FAILURE.unknownType;
  }

  #opened({ channel, window }: Extract<DownFrame, { type: 'opened' }>): void {
    const { connection, toGateway } = this.#options;
    const opening = this.#takeOpening(channel);
    this.#channels.set(
      channel,
      new LocalChannel({
        number: channel,
        client: opening.sender,
        window: opening.window,
        maxPacket: Math.min(opening.maxPacket, MAX_PACKET_BYTES),
        isSession: opening.kind === 'session',
        credit: window,
        connection,
        toGateway,
      }),
    );
    connection.messages?.channelOpenConfirm(opening.sender, channel, window, MAX_PACKET_BYTES);
  }

  #request(channel: LocalChannel, message: Extract<ClientMessage, { type: 'request' }>): void {
    const { request } = message;
    this.#tell(CHANNEL_REQUESTS.get(message.name));
    if (request?.kind === 'pty-req') channel.hasTerminal = true;
    const { wantReply } = message;
    try {
      if (request !== undefined && channel.isSession) {
        this.#options.toGateway({ type: 'request', channel: message.channel, wantReply, request });
        return;
      }
    } catch (error) {
      requireUnframeable(error);
    }
    if (wantReply) {
      this.#options.connection.messages?.channelFailure(channel.client);
    }
  }

  #channel(number: number): LocalChannel {
    const channel = this.#channels.get(number);
    if (channel === undefined) {
      throw new ProtocolError(`there is no channel ${number}`);
    }
    return channel;
  }

  #takeOpening(number: number): Opening {
    const opening = this.#opening.get(number);
    if (opening === undefined) {
      throw new ProtocolError(`nobody has asked for channel ${number}`);
    }
    this.#opening.delete(number);
    return opening;
  }

  #forget(number: number): void {
    if (this.#channels.get(number)?.isOver) {
      this.#channels.delete(number);
    }
  }

  #refuseOpen(client: number, reason: number, words: string): void {
    this.#options.connection.messages?.channelOpenFail(client, reason, words);
  }

  #tell(what: NotCarried | undefined): void {
    if (what !== undefined && !this.#told.has(what)) {
      this.#told.add(what);
      const { why } = NOT_CARRIED[what];
      if (this.#options.onNotCarried === undefined) this.#notices.push(why);
      else this.#options.onNotCarried(why);
      if (this.#options.gatewayHears) {
        this.#options.toGateway({ type: 'notCarried', what });
      }
    }
  }
}

/** The encoder's word for what no frame can hold: a NUL in a name, a text that is too long. */
function requireUnframeable(error: unknown): void {
  if (!(error instanceof RangeError)) {
    throw error;
  }
}
