import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { ChannelCredit } from '../../../../src/connectors/ssh/protocol/channel-credit.ts';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import {
  CHANNEL_WINDOW_BYTES,
  type ChannelRequest,
  type DownFrame,
  MAX_DATA_BYTES,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../../../../src/connectors/ssh/protocol/frame-decoder.ts';

/**
 * In the gateway's place: the far end of one stream, which runs what it is asked for on this
 * machine. It holds itself to the credit and fails when the other end does not.
 */
export class FrameTarget {
  /** What the local port has of it. */
  readonly tunnel: Duplex;
  readonly frames: UpFrame[] = [];
  /** Sees each frame first; true: it has dealt with it. */
  readonly #intercept: (frame: UpFrame, target: FrameTarget) => boolean;
  readonly #decoder = FrameDecoder.up();
  readonly #channels = new Map<number, TargetChannel>();
  readonly #env: NodeJS.ProcessEnv;

  constructor(
    options: {
      readonly intercept?: (frame: UpFrame, target: FrameTarget) => boolean;
      readonly env?: NodeJS.ProcessEnv;
    } = {},
  ) {
    this.#intercept = options.intercept ?? (() => false);
    this.#env = options.env ?? { PATH: process.env['PATH'] };
    this.tunnel = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        try {
          this.#take(chunk);
          done();
        } catch (error) {
          done(error instanceof Error ? error : new Error(String(error)));
        }
      },
      final: (done) => {
        this.close();
        done();
      },
    });
  }

  send(frame: DownFrame): void {
    if (!this.tunnel.destroyed && !this.tunnel.readableEnded) {
      for (const part of encodeFrame(frame)) {
        this.tunnel.push(Buffer.from(part));
      }
    }
  }

  close(): void {
    for (const channel of this.#channels.values()) {
      channel.kill();
    }
    this.tunnel.push(null);
  }

  #take(chunk: Buffer): void {
    this.#decoder.feed(Buffer.from(chunk));
    for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) {
      this.frames.push(frame);
      if (!this.#intercept(frame, this)) {
        this.#received(frame);
      }
    }
  }

  #received(frame: UpFrame): void {
    switch (frame.type) {
      case 'hello':
        this.send({ type: 'hello', from: 'gateway', software: 'OpenSSH_test' });
        return;
      case 'open': {
        const channel = new TargetChannel(this, frame.channel, frame.window, this.#env);
        this.#channels.set(frame.channel, channel);
        if (frame.target.kind === 'direct-tcpip') {
          channel.connect(frame.target.host, frame.target.port);
        } else {
          this.send({ type: 'opened', channel: frame.channel, window: CHANNEL_WINDOW_BYTES });
        }
        return;
      }
      case 'notCarried':
        return;
      default:
        this.#channels.get(frame.channel)?.received(frame);
    }
  }
}

class TargetChannel {
  readonly #target: FrameTarget;
  readonly #number: number;
  readonly #credit: ChannelCredit;
  readonly #env: NodeJS.ProcessEnv;
  readonly #waiting: (Extract<DownFrame, { type: 'data' | 'stderr' }> | (() => void))[] = [];
  #child: ChildProcessWithoutNullStreams | undefined;
  #socket: Socket | undefined;

  constructor(target: FrameTarget, number: number, window: number, env: NodeJS.ProcessEnv) {
    this.#target = target;
    this.#number = number;
    this.#credit = new ChannelCredit(window);
    this.#env = { ...env };
  }

  connect(host: string, port: number): void {
    const channel = this.#number;
    const socket = connect(port, host);
    this.#socket = socket;
    socket.on('connect', () =>
      this.#target.send({ type: 'opened', channel, window: CHANNEL_WINDOW_BYTES }),
    );
    socket.on('error', ({ message }) =>
      this.#target.send({ type: 'openFailed', channel, reason: 2, message }),
    );
    socket.on('data', (data) => this.#down('data', data));
    socket.on('end', () => this.#last({ type: 'eof', channel }, { type: 'close', channel }));
  }

  received(frame: Exclude<UpFrame, { type: 'hello' | 'open' | 'notCarried' }>): void {
    switch (frame.type) {
      case 'request':
        this.#request(frame.request, frame.wantReply);
        return;
      case 'data': {
        this.#credit.received(frame.data.length);
        const { length } = frame.data;
        const into = this.#child?.stdin ?? this.#socket;
        into?.write(frame.data, () => {
          const bytes = this.#credit.consumed(length);
          if (bytes > 0) {
            this.#target.send({ type: 'window', channel: this.#number, bytes });
          }
        });
        return;
      }
      case 'window':
        this.#credit.granted(frame.bytes);
        this.#flush();
        return;
      case 'eof':
        (this.#child?.stdin ?? this.#socket)?.end();
        return;
      case 'close':
        this.kill();
    }
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
    this.#socket?.destroy();
  }

  #request(request: ChannelRequest, wantReply: boolean): void {
    const channel = this.#number;
    if (request.kind === 'env') {
      this.#env[request.name] = request.value;
    } else if (request.kind === 'exec') {
      this.#run('/bin/sh', ['-c', Buffer.from(request.command).toString('latin1')]);
    } else if (request.kind === 'shell') {
      this.#run('/bin/sh', []);
    } else if (request.kind === 'eow') {
      this.#child?.stdout.destroy();
    } else if (request.kind === 'subsystem') {
      this.#run('/usr/lib/openssh/sftp-server', []);
    } else if (request.kind === 'signal' && this.#child?.pid !== undefined) {
      const signal: unknown = `SIG${request.name}`;
      process.kill(-this.#child.pid, signal as NodeJS.Signals);
    }
    if (wantReply) {
      this.#target.send({ type: 'success', channel });
    }
  }

  #run(program: string, args: readonly string[]): void {
    const channel = this.#number;
    const child = spawn(program, args, { env: this.#env, detached: true });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stdout.on('data', (data: Buffer) => this.#down('data', data));
    child.stderr.on('data', (data: Buffer) => this.#down('stderr', data));
    child.on('close', (status, signal) => {
      const exit: DownFrame =
        signal === null
          ? { type: 'exitStatus', channel, status: status ?? 255 }
          : {
              type: 'exitSignal',
              channel,
              name: signal.slice('SIG'.length),
              coreDumped: false,
              message: '',
            };
      this.#last(exit, { type: 'eof', channel }, { type: 'close', channel });
    });
  }

  #down(type: 'data' | 'stderr', data: Buffer): void {
    for (let at = 0; at < data.length; at += MAX_DATA_BYTES) {
      const part = data.subarray(at, at + MAX_DATA_BYTES);
      this.#waiting.push({ type, channel: this.#number, data: part });
    }
    this.#flush();
  }

  #last(...frames: readonly DownFrame[]): void {
    this.#waiting.push(() => {
      for (const frame of frames) {
        this.#target.send(frame);
      }
    });
    this.#flush();
  }

  /** No more is read from the program than the other end takes. */
  #flush(): void {
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      if (typeof first !== 'function' && first.data.length > this.#credit.toSend) {
        this.#child?.stdout.pause();
        return;
      }
      // First: what is sent may bring credit, and us here again.
      this.#waiting.shift();
      if (typeof first === 'function') {
        first();
      } else {
        this.#credit.sent(first.data.length);
        this.#target.send(first);
      }
    }
    this.#child?.stdout.resume();
  }
}
