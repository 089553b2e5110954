/**
 * One local SSH connection of a session, at the gateway: from its hello to its end.
 *
 *   client (ssh, through CLI and tunnel)     gateway                        target
 *     hello {user} ───────────────────────▶   a login on offer?
 *                                             host key pinned? credential ──▶
 *     hello {server} ◀─────────────────────   logged in
 *     open, request ──────────────────────▶   decided by policy ────────────▶
 *     data ◀──────────────────────────────▶   recorded, within credit ◀────▶
 *
 * session-channel.ts and forward-channel.ts are the channels, target-channels.ts is the connection
 * to the target. Frames of the client are dealt with when they are in the record; what the target
 * says is recorded by the tunnel stream before it leaves.
 */
import { HoopError, ProtocolError } from '../../../errors.ts';
import { operation, RecordingFailed } from '../../../gateway/audit/stream-audit.ts';
import type { StreamEnd } from '../../../gateway/connector.ts';
import { after } from '../../../soon.ts';
import { onAbort, withinTime } from '../../../until.ts';
import type { SshAct, SshVerdict } from '../policy/types.ts';
import { MAX_CHANNELS, MAX_MESSAGE_BYTES, type UpFrame } from '../protocol/frame.ts';
import { NOT_CARRIED, type NotCarried } from '../protocol/not-carried.ts';
import { holdAct } from './act-hold.ts';
import { ClientFrames } from './client-frames.ts';
import { connectSshTarget, type TargetConnection } from './connect-target.ts';
import { ForwardChannel } from './forward-channel.ts';
import { knownAddresses } from './forward-destination.ts';
import { FrameWriter } from './frame-writer.ts';
import { GrantedLogin } from './granted-login.ts';
import { ServerAddresses } from './server-addresses.ts';
import { SessionChannel } from './session-channel.ts';
import type { ChannelContext, StreamChannel } from './stream-channel.ts';
import { TargetChannels } from './target-channels.ts';
import { TargetSilent, targetLost } from './target-lost.ts';
import { TargetWatch } from './target-watch.ts';
import type { SshStreamLimits, SshStreamOptions } from './types.ts';

const LIMITS: SshStreamLimits = {
  // The CLI opens a stream when its client has logged in, and says hello with it.
  helloWithinMs: 10_000,
  keepAliveMs: 15_000,
  rekeyBytes: 1024 ** 3,
  rekeyMs: 3_600_000,
  unreadBytes: 16 * 1024 * 1024,
};

/** How long either side may take to follow when the stream ends. */
const CLOSE_WITHIN_MS = 2000;
/** RFC 4254 §5.1. */
const RESOURCE_SHORTAGE = 4;

/**
 * Serves one tunnel stream and returns when both sides are closed.
 * @throws what `event` or `evidence` threw, when the recording could not be written; a fault of the
 *   gateway itself. Everything else has been told to the client and is in `reason`.
 */
export async function serveSshStream(options: SshStreamOptions): Promise<StreamEnd> {
  const stream = new SshStream(options);
  try {
    return await served(stream, options);
  } catch (error) {
    throw error instanceof RecordingFailed ? error.cause : error;
  } finally {
    await stream.close();
  }
}

async function served(stream: SshStream, options: SshStreamOptions): Promise<StreamEnd> {
  try {
    const reason = await stream.serve();
    stream.finish();
    return { reason };
  } catch (error) {
    // Nothing more can be recorded, so nothing more is said.
    if (error instanceof RecordingFailed) throw error;
    const reason = options.signal.aborted ? endOfSession(options.signal) : error;
    stream.end(reason instanceof HoopError ? reason : INTERNAL_FAULT);
    stream.finish();
    if (reason instanceof HoopError) return { reason: reason.message, problem: reason };
    throw error;
  }
}

const INTERNAL_FAULT = new HoopError('HOOP_INTERNAL', 'internal error in the gateway');

class SshStream {
  readonly #options: SshStreamOptions;
  readonly #limits: SshStreamLimits;
  readonly #writer: FrameWriter;
  readonly #frames: ClientFrames;
  readonly #channels = new Map<number, StreamChannel>();
  /** Resolves with the reason of an orderly end. */
  readonly #over = Promise.withResolvers<string>();
  readonly #ended = new AbortController();
  #helloTimer: NodeJS.Timeout | undefined;
  #state: 'hello' | 'connecting' | 'open' | 'ended' = 'hello';
  #highest = -1;
  #connection: TargetConnection | undefined;
  #targets: TargetChannels | undefined;
  #watch: TargetWatch | undefined;
  readonly #toldNotCarried = new Set<NotCarried>();
  #granted: GrantedLogin | undefined;
  #server: ServerAddresses | undefined;

  constructor(options: SshStreamOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
    this.#writer = new FrameWriter(options.client, {
      full: () => this.#connection?.reading.pause(),
      fault: (error) => this.#fail(error),
    });
    this.#frames = new ClientFrames({
      client: options.client,
      audit: options.audit,
      onFrame: (frame, at) => this.#handle(frame, at),
      onIdle: () => {
        if (this.#targets?.isFull) {
          // Not a slow channel: the whole connection takes no more, and requests have no credit.
          options.client.pause();
        }
      },
      onLeft: () => this.#over.resolve('the client closed the connection'),
      onFault: (error) => this.#fail(error),
    });
    // It may fail before anybody waits for it.
    this.#over.promise.catch(() => undefined);
  }

  async serve(): Promise<string> {
    const { client, signal, clientLeft } = this.#options;
    this.#helloTimer = setTimeout(() => {
      this.#fail(new ProtocolError('the client did not say hello in time'));
    }, this.#limits.helloWithinMs);
    const left = (): void => this.#over.resolve('the client left');
    using _ = onAbort(signal, () => this.#over.reject(signal.reason));
    using __ = onAbort(clientLeft, left);
    client
      .on('drain', () => this.#connection?.reading.resume())
      .on('error', left)
      .on('close', left);
    const unlisten = this.#options.onGrantChanged?.(() =>
      this.#guard(() => {
        if (this.#isRevoked()) return;
        for (const channel of this.#channels.values()) {
          channel.reconsider();
        }
      }),
    );
    const unwatch = this.#options.watchWork?.(() =>
      [...this.#channels.values()].some(({ isBusy }) => isBusy),
    );
    try {
      return await this.#over.promise;
    } finally {
      clearTimeout(this.#helloTimer);
      this.#frames.end();
      unlisten?.();
      unwatch?.();
    }
  }

  /** Tells every channel, and the client, why it ends. */
  end(reason: HoopError): void {
    if (this.#state === 'ended') {
      return;
    }
    try {
      for (const channel of this.#channels.values()) {
        channel.end(reason.message);
      }
      const whole = Buffer.from(inSentences(reason))
        .subarray(0, MAX_MESSAGE_BYTES - 4)
        .toString();
      this.#writer.write({ type: 'disconnect', message: whole.replaceAll('\0', '') });
    } catch (error) {
      // A client that does not read hears nothing any more, either.
      if (!(error instanceof ProtocolError)) throw error;
    }
    this.#state = 'ended';
  }

  /** Leaves what the record must know of the channels that are still there. @throws RecordingFailed */
  finish(): void {
    for (const channel of this.#channels.values()) {
      channel.finish();
    }
  }

  /** Resolves when both sides are closed; cuts off what does not follow. */
  async close(): Promise<void> {
    const { client } = this.#options;
    this.#state = 'ended';
    this.#ended.abort(new HoopError('HOOP_SESSION_ENDED', 'the connection has ended'));
    this.#watch?.[Symbol.dispose]();
    this.#channels.clear();
    const connection = this.#connection;
    connection?.reading.resume();
    connection?.client.end();
    try {
      this.#writer.flush();
      if (!client.destroyed) {
        const closed = new Promise<void>((resolve) => {
          client.once('finish', () => resolve()).once('close', () => resolve());
        });
        client.end();
        await withinTime(closed, CLOSE_WITHIN_MS);
      }
    } finally {
      connection?.socket.destroy();
    }
  }

  #fail(error: unknown): void {
    this.#over.reject(error);
  }

  #handle(frame: UpFrame, at: number): void {
    if (frame.type === 'hello') {
      this.#hello(frame.user);
      return;
    }
    if (this.#state !== 'open') {
      throw new ProtocolError(`the client sent ${frame.type} before the connection was there`);
    }
    if (frame.type === 'open') {
      this.#open(frame, at);
      return;
    }
    if (frame.type === 'notCarried') {
      this.#notCarried(frame.what, at);
      return;
    }
    const channel = this.#channels.get(frame.channel);
    if (!channel?.isOpen) {
      throw new ProtocolError(`the client sent ${frame.type} on a channel that is not open`);
    }
    switch (frame.type) {
      case 'request':
        channel.request(frame.request, frame.wantReply, at);
        if (frame.request.kind === 'exec') {
          this.#frames.commandRead(frame.request.command.length);
        }
        return;
      case 'data':
        channel.data(frame.data, at);
        return;
      case 'window':
        channel.window(frame.bytes);
        return;
      case 'eof':
        channel.eof();
        return;
      case 'close':
        channel.close();
        return;
    }
  }

  /** What the client has refused by itself: for the record. */
  #notCarried(what: NotCarried, at: number): void {
    if (this.#toldNotCarried.has(what)) {
      throw new ProtocolError(`the client told twice that it has refused ${what}`);
    }
    this.#toldNotCarried.add(what);
    // Both sides have the client's frame.
    this.#options.audit.refusedThere(at, operation(what), NOT_CARRIED[what].why);
  }

  #hello(user: string): void {
    if (this.#state !== 'hello') {
      throw new ProtocolError('the client said hello twice');
    }
    this.#state = 'connecting';
    clearTimeout(this.#helloTimer);
    this.#connect(user).catch((error: unknown) => this.#fail(error));
  }

  /** What the connection was made by has been taken away: it ends. */
  #isRevoked(): boolean {
    const connection = this.#connection;
    const reason = connection && this.#granted?.revoked(connection);
    if (reason !== undefined) {
      this.#fail(reason);
    }
    return reason !== undefined;
  }

  async #connect(user: string): Promise<void> {
    const granted = await GrantedLogin.of(user, this.#options);
    this.#options.audit.write();
    const connection = await connectSshTarget({
      target: granted.target,
      login: granted.login,
      signal: AbortSignal.any([this.#options.signal, this.#ended.signal]),
    });
    if (this.#state === 'ended') {
      connection.client.on('error', () => undefined).end();
      connection.socket.destroy();
      return;
    }
    this.#connected(connection, granted);
  }

  #connected(connection: TargetConnection, granted: GrantedLogin): void {
    const { socket, client, software, fingerprint } = connection;
    this.#connection = connection;
    this.#granted = granted;
    const { name } = this.#options.target;
    const lost = (cause: unknown): void => this.#fail(targetLost(name, cause));
    client.on('error', lost).on('close', () => lost(undefined));
    this.#targets = new TargetChannels({
      client,
      socket,
      onBytes: (bytes) => this.#watch?.passed(bytes),
      maxUnreadBytes: this.#limits.unreadBytes,
      onFault: (error) =>
        this.#fail(error instanceof ProtocolError ? targetLost(name, error) : error),
    });
    const { remoteAddress } = socket;
    const { resolver } = this.#options;
    this.#server = new ServerAddresses({
      known: () => knownAddresses(granted.target, remoteAddress, resolver),
      listed: granted.target.ownAddresses,
      targets: this.#targets,
      signal: this.#ended.signal,
    });
    const mayGoOn = (): void => {
      this.#frames.resume();
      this.#guard(() => this.#flush());
    };
    socket.on('drain', mayGoOn);
    // What waited while keys were exchanged may have left without a drain.
    client.on('handshake', mayGoOn);
    this.#watch = new TargetWatch({
      socket,
      protocol: this.#targets.protocol,
      limits: this.#limits,
      onSilent: () => lost(new TargetSilent()),
    });
    this.#options.audit.tell({
      type: 'ssh.target',
      stream: this.#options.stream,
      server: software,
      user: granted.login.user,
      hostKey: fingerprint,
    });
    // Connecting takes its time, and the policy may be another one by now.
    if (this.#isRevoked()) return;
    this.#state = 'open';
    this.#writer.write({ type: 'hello', from: 'gateway', software: software.slice(0, 255) });
  }

  #open(frame: Extract<UpFrame, { type: 'open' }>, at: number): void {
    const { channel: number, window, target } = frame;
    const targets = this.#targets;
    const connection = this.#connection;
    const server = this.#server;
    const user = this.#granted?.login.user;
    if (!targets || !connection || !server || user === undefined) {
      throw new TypeError('a stream that is open has a connection');
    }
    if (number <= this.#highest) {
      throw new ProtocolError(`the client opened channel ${number} again`);
    }
    this.#highest = number;
    if (this.#channels.size >= MAX_CHANNELS) {
      this.#writer.write({
        type: 'openFailed',
        channel: number,
        reason: RESOURCE_SHORTAGE,
        message: `the connection has ${MAX_CHANNELS} channels already`,
      });
      return;
    }
    const { audit, decide, grant, approvals, onWaiting, stream, resolver } = this.#options;
    const context: ChannelContext = {
      ...{ number, at, window, targets, user, audit, grant, resolver },
      server,
      software: connection.software,
      write: (down) => this.#writer.write(down),
      decide: (act) => decide(grant(), user, act),
      judge: (act) => this.#judge(user, act),
      hold: (act, actAt) =>
        holdAct(act, user, {
          ...{ stream, at: actAt, grant, approvals, onWaiting, audit },
          decide: () => this.#judge(user, act),
        }),
      fail: (error) => this.#fail(error),
      onOver: () => this.#forget(number),
      signal: this.#ended.signal,
    };
    audit.write();
    const channel =
      target.kind === 'session' ? new SessionChannel(context) : new ForwardChannel(context, target);
    if (!channel.isOver) {
      this.#channels.set(number, channel);
    }
  }

  #judge(user: string, act: SshAct): SshVerdict | Promise<SshVerdict> {
    const { decide, judge = decide, grant } = this.#options;
    const now = grant();
    // A commit that came while it was read counts.
    return after(judge(now, user, act), (read) =>
      grant() === now ? read : this.#judge(user, act),
    );
  }

  #forget(number: number): void {
    if (this.#channels.get(number)?.isOver) {
      this.#channels.delete(number);
    }
  }

  #flush(): void {
    for (const channel of this.#channels.values()) {
      channel.flush();
    }
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fail(error);
    }
  }
}

/** The message of an error has no full stop of its own; detail and hint are sentences. */
function inSentences({ message, detail, hint }: HoopError): string {
  const sentences = [detail, hint].filter((sentence) => sentence !== undefined);
  return sentences.length === 0 ? message : `${message}. ${sentences.join(' ')}`;
}

function endOfSession(signal: AbortSignal): HoopError {
  const { reason }: { reason: unknown } = signal;
  return reason instanceof HoopError
    ? reason
    : new HoopError('HOOP_SESSION_ENDED', 'the session has ended');
}
