/**
 * One local connection from its first byte to its last: login, a stream to the gateway, the frames
 * of its channels. The login is granted when the gateway has reached the target, so that a target
 * that is not there is said by ssh(1) in the gateway's words, and not by a connection that breaks.
 */
import type { Socket } from 'node:net';
import type { AuthContext } from 'ssh2';
import { HoopError, ProtocolError } from '../../../errors.ts';
import { closeGently } from '../../../tunnel/close-gently.ts';
import type { Tunnel } from '../../../tunnel/half-close.ts';
import { LocalRefusal, type RefusalReason } from '../../../tunnel/local-refusal.ts';
import { onAbort } from '../../../until.ts';
import { decodeClientMessage } from '../protocol/client-message.ts';
import type { DownFrame, UpFrame } from '../protocol/frame.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';
import { SshFrameBatch } from '../shared/ssh-frame-batch.ts';
import { MAX_PACKET_BYTES } from '../shared/ssh2.ts';
import { LocalChannels } from './local-channels.ts';
import { LoginTries, MAX_LOGIN_TRIES } from './log-in-client.ts';
import type { SshKeyPair } from './ssh-keys.ts';
import { DISCONNECT, Ssh2Connection } from './ssh2-connection.ts';

/** After the client has gone, the gateway has this long to end the stream. */
const END_WITHIN_MS = 10_000;
const MAX_SOFTWARE_LENGTH = 255;

/** Those are SSH clients, and the last thing that they were sent says it. Others hear nothing. */
const TOLD: ReadonlySet<RefusalReason> = new Set(['weak algorithms', 'too many login attempts']);

export interface SshConnectionOptions {
  readonly socket: Socket;
  readonly hostKeys: readonly SshKeyPair[];
  readonly userKeys: readonly Pick<SshKeyPair, 'publicKey'>[];
  /** A stream to the gateway for frames of connectors/ssh/protocol. */
  readonly openTunnel: (signal: AbortSignal) => Promise<Tunnel>;
  /** The first whole line has come. */
  readonly onSpoken: () => void;
  /** The client has one of the user keys: it is nobody else's connection from here on. */
  readonly onKnown: () => void;
  /** Its client is of somebody else's terminal than `note` is for. */
  readonly isJoined: boolean;
  /** For whoever has started the session. */
  readonly note: (text: string) => void;
  /** Ends the connection; its reason is told. */
  readonly signal: AbortSignal;
}

/**
 * Resolves when the connection is over.
 * @throws LocalRefusal it was nobody's whom we let in
 */
export async function serveSshConnection(options: SshConnectionOptions): Promise<void> {
  const connection = new ServedConnection(options);
  try {
    await connection.done;
  } finally {
    await connection.close();
  }
}

class ServedConnection {
  readonly #options: SshConnectionOptions;
  readonly #ssh: Ssh2Connection;
  readonly #done = Promise.withResolvers<void>();
  readonly #gone = new AbortController();
  readonly #tries: LoginTries;
  readonly #decoder = FrameDecoder.down();
  #software = '';
  #tunnel: Tunnel | undefined;
  #frames: SshFrameBatch | undefined;
  /** Waits for the gateway's hello. */
  #login: AuthContext | undefined;
  #channels: LocalChannels | undefined;

  constructor(options: SshConnectionOptions) {
    this.#options = options;
    const { socket, signal } = options;
    this.#tries = new LoginTries(options.userKeys);
    socket.once('close', () => this.#done.resolve());
    // It has closed its half: ssh(1) does that when it is gone, and ssh2 ends then.
    socket.once('end', () => this.#done.resolve());
    this.#ssh = new Ssh2Connection(socket, options.hostKeys, {
      onIdentified: (software) => {
        this.#software = software.slice(0, MAX_SOFTWARE_LENGTH);
        options.onSpoken();
      },
      onLogin: (attempt) => this.#logIn(attempt),
      onMessage: (payload) => this.#guarded(() => this.#fromClient(payload)),
      onDrain: () => this.#guarded(() => this.#channels?.flush()),
      onError: (error) => this.#refusedBySsh2(error),
    });
    watchOpening(socket, (refusal) => this.#fail(refusal));
    if (socket.destroyed) {
      // Gone before this was loaded: it does not say so again.
      this.#done.resolve();
    }
    const watch = onAbort(signal, () => this.#fail(signal.reason));
    socket.once('close', () => watch[Symbol.dispose]());
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Nothing of it is left behind. */
  async close(): Promise<void> {
    const { socket } = this.#options;
    this.#gone.abort(new Error('the local client has gone'));
    await closeGently(socket);
    const tunnel = this.#tunnel;
    if (tunnel !== undefined && !tunnel.closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(() => tunnel.destroy(), END_WITHIN_MS);
      tunnel.once('close', resolve);
      this.#frames?.flush();
      tunnel.end();
      // What still comes is for nobody.
      tunnel.removeAllListeners('data').resume();
      await promise;
      clearTimeout(timer);
    }
  }

  #logIn(attempt: AuthContext): void {
    const step = this.#tries.next(attempt);
    if (step.type === 'too many') {
      this.#ssh.disconnect(
        DISCONNECT.noMoreMethods,
        `too many login attempts: only this session’s keys are accepted, and ${MAX_LOGIN_TRIES} others were tried`,
      );
      this.#fail(new LocalRefusal('too many login attempts'));
    } else if (step.type === 'right' && this.#login === undefined) {
      this.#login = attempt;
      this.#options.onKnown();
      this.#openStream(step.user).catch((error: unknown) => this.#fail(error));
    }
  }

  async #openStream(user: string): Promise<void> {
    const { socket, openTunnel } = this.#options;
    const tunnel = await openTunnel(this.#gone.signal);
    this.#tunnel = tunnel;
    this.#frames = new SshFrameBatch(tunnel, {
      // The gateway always reads: only the network can be slow, for all channels alike.
      onWritten: (hasRoom) => {
        if (!hasRoom) socket.pause();
      },
      onFault: (error) => this.#fail(error),
    });
    tunnel
      .on('error', (error) => this.#fail(error))
      .on('drain', () => socket.resume())
      .on('data', (chunk: Buffer) => this.#guarded(() => this.#fromGateway(chunk)))
      .once('end', () => this.#fail(lost()))
      .once('close', () => this.#fail(lost()));
    this.#send({ type: 'hello', from: 'client', user, software: this.#software });
  }

  #fromClient(payload: Buffer): void {
    if (this.#channels === undefined) {
      throw new ProtocolError('a message before the login');
    }
    this.#channels.fromClient(decodeClientMessage(payload));
  }

  #fromGateway(chunk: Buffer): void {
    this.#decoder.feed(chunk);
    for (
      let frame = this.#decoder.next();
      frame !== undefined && !this.#gone.signal.aborted;
      frame = this.#decoder.next()
    ) {
      this.#received(frame);
    }
  }

  #received(frame: DownFrame): void {
    if (frame.type === 'disconnect') {
      this.#fail(new HoopError('HOOP_SESSION_ENDED', frame.message));
    } else if (this.#channels !== undefined && frame.type !== 'hello') {
      this.#channels.fromGateway(frame);
    } else if (this.#channels === undefined && frame.type === 'hello') {
      this.#channels = new LocalChannels({
        connection: this.#ssh,
        toGateway: (up) => this.#send(up),
        gatewayHears: this.#tunnel?.target?.['hearsNotCarried'] === true,
        onNotCarried: this.#options.isJoined ? undefined : this.#options.note,
      });
      this.#login?.accept();
    } else {
      throw new ProtocolError(`the gateway sent "${frame.type}" out of turn`);
    }
  }

  /** @throws RangeError what no frame can hold */
  #send(frame: UpFrame): void {
    if (this.#tunnel?.writable) {
      this.#frames?.add(frame);
    }
  }

  /** What ssh2 says of an end without words is no news. */
  #refusedBySsh2(error: Error): void {
    const known = error.message.startsWith('Bad packet length') ? tooLong() : undefined;
    this.#fail(this.#login === undefined ? handshakeRefusal(error) : known);
  }

  /** What it sends goes out together: without its native part ssh2 writes a packet in four pieces. */
  #guarded(act: () => void): void {
    const { socket } = this.#options;
    socket.cork();
    try {
      act();
    } catch (error) {
      this.#fail(error);
    } finally {
      socket.uncork();
    }
  }

  /** Ends the connection; the first reason counts. */
  #fail(error: unknown): void {
    if (this.#gone.signal.aborted) {
      return;
    }
    this.#gone.abort(error);
    if (error instanceof LocalRefusal) {
      if (!TOLD.has(error.reason)) {
        this.#options.socket.destroy();
      }
      this.#done.reject(error);
      return;
    }
    // The tunnel's own errors, and a fault of ours: without words ssh(1) would only say that it was closed.
    const why = error instanceof HoopError || !(error instanceof Error) ? error : lost(error);
    if (why instanceof HoopError) {
      const reason =
        why instanceof ProtocolError ? DISCONNECT.protocolError : DISCONNECT.byApplication;
      this.#ssh.disconnect(reason, wordsOf(why));
      this.#options.note(`an SSH connection was ended: ${why.message}`);
    }
    this.#done.resolve();
  }
}

function wordsOf({ message, detail, hint }: HoopError): string {
  return [`hoop: ${message}`, detail, hint].filter((part) => part !== undefined).join('. ');
}

/** Of the session's own client; anything else has not got in. */
function tooLong(): ProtocolError {
  return new ProtocolError(`a packet of more than ${MAX_PACKET_BYTES / 1024} KiB`, {
    detail: 'SSH allows no larger packets, and a command is one packet.',
    hint: 'Send the text as a file, or on standard input.',
  });
}

function lost(cause?: Error): HoopError {
  return new HoopError('HOOP_UNREACHABLE', 'the connection to the gateway was lost', { cause });
}

/** Clients that offer only what is not offered here, and what is no SSH at all. */
function handshakeRefusal(error: Error): LocalRefusal {
  return new LocalRefusal(
    /no matching|No matching/.test(error.message) ? 'weak algorithms' : 'garbage',
  );
}

// The first bytes of a local connection. Browsers and scanners are closed without a word: what
// speaks SSH says so at once (RFC 4253 §4.2). ssh2 would read 8 KiB of anything first.

const BEGINS = Buffer.from('SSH-2.0-');
/** RFC 4253 §4.2, with CR and LF. */
const MAX_IDENTIFICATION_BYTES = 255;
const LF = 10;

/** Watches without taking anything; who reads the socket is somebody else. */
function watchOpening(socket: Socket, refuse: (refusal: LocalRefusal) => void): void {
  let seen = 0;
  let start = '';
  const onData = (chunk: Buffer): void => {
    const end = chunk.indexOf(LF);
    start += chunk.toString('latin1', 0, BEGINS.length - Math.min(seen, BEGINS.length));
    seen += end === -1 ? chunk.length : end + 1;
    const hasSoftware = end === -1 || seen > BEGINS.length + 1;
    const isBegun =
      hasSoftware && BEGINS.subarray(0, start.length).equals(Buffer.from(start, 'latin1'));
    if (!isBegun || seen > MAX_IDENTIFICATION_BYTES) {
      socket.off('data', onData);
      socket.destroy();
      refuse(new LocalRefusal(/^[A-Z]{3,} /.test(start) ? 'HTTP' : 'garbage'));
    } else if (end !== -1) {
      socket.off('data', onData);
    }
  };
  // Ahead of ssh2's own, which comes with the next turn.
  socket.prependListener('data', onData);
}
