/**
 * The SSH engine against a real sshd, with frames in place of a client: what a client of our own,
 * or a hostile one, may send.
 */

import { readFileSync } from 'node:fs';
import { type Duplex, duplexPair } from 'node:stream';
import { serveSshStream } from '../../../../src/connectors/ssh/gateway/serve-ssh-stream.ts';
import type {
  SshApprovals,
  SshStreamOptions,
  SshTarget,
} from '../../../../src/connectors/ssh/gateway/types.ts';
import { decideSsh } from '../../../../src/connectors/ssh/policy/decide-ssh.ts';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import {
  CHANNEL_WINDOW_BYTES,
  type ChannelRequest,
  type DownFrame,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../../../../src/connectors/ssh/protocol/frame-decoder.ts';
import type { OpensshServer, OpensshServerOptions } from '../../../../src/demo/openssh-server.ts';
import { type AuditSink, StreamAudit } from '../../../../src/gateway/audit/stream-audit.ts';
import type { StreamEnd } from '../../../../src/gateway/connector.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import type { EvidenceLine } from '../../../../src/recording/verify/evidence-lines.ts';
import { Secret } from '../../../../src/secret.ts';
import { auditSink } from '../../../gateway/audit-sink.ts';
import { grantOf } from '../policy/ssh-fixture.ts';
import { startTestSshd } from './test-sshd.ts';

export const EVERYTHING = grantOf('{ name: all, allow: { ssh: [shell, exec, sftp, forward] } }');

export class SshStreamBench implements AsyncDisposable {
  readonly server: OpensshServer;
  #stream = 0;
  readonly #open: TestStream[] = [];

  private constructor(server: OpensshServer) {
    this.server = server;
  }

  static async start(options: OpensshServerOptions = {}): Promise<SshStreamBench> {
    return new SshStreamBench(await startTestSshd(options));
  }

  target(changes: Partial<SshTarget> = {}): SshTarget {
    const { host, port, user, hostKeys, privateKeyFile } = this.server;
    const privateKey = new Secret(readFileSync(privateKeyFile, 'utf8'));
    return {
      kind: 'ssh',
      name: 'web-1',
      hosts: [{ host, port, shown: undefined }],
      hostKeys,
      logins: [
        {
          user,
          credentialName: 'web-1',
          credential: async () => ({ password: undefined, privateKey }),
        },
      ],
      connectTimeoutMs: 10_000,
      ...changes,
    };
  }

  /** A stream whose client has sent nothing yet. */
  stream(changes: StreamChanges = {}): TestStream {
    this.#stream += 1;
    const stream = new TestStream(this.#stream, { target: this.target(), ...changes });
    this.#open.push(stream);
    return stream;
  }

  /** One that is connected to the server. */
  async connected(...args: Parameters<SshStreamBench['stream']>): Promise<TestStream> {
    const stream = this.stream(...args);
    stream.send({ type: 'hello', from: 'client', user: '', software: 'test' });
    await stream.frame('hello');
    return stream;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#open) {
      stream.client.destroy();
      await stream.done.catch(() => undefined);
    }
    await this.server[Symbol.asyncDispose]();
  }
}

interface StreamChanges extends Partial<SshStreamOptions> {
  readonly grantNow?: () => Grant;
  /** In place of `events` and `evidence`. */
  readonly told?: Partial<AuditSink>;
}

const NO_APPROVALS: SshApprovals = {
  ask() {
    throw new Error('nothing should be asked');
  },
  bindingOf: () => '',
  viewOf: () => [],
};

export class TestStream {
  readonly number: number;
  /** The client's end. */
  readonly client: Duplex;
  /** What the engine has in its hands. */
  readonly gateway: Duplex;
  readonly frames: DownFrame[] = [];
  /** Where a test reads the frames itself: those that it leaves. */
  readonly kept: DownFrame[] = [];
  readonly events: RecordingEvent[] = [];
  readonly evidence: EvidenceLine[] = [];
  readonly done: Promise<StreamEnd>;
  readonly session = new AbortController();
  readonly #decoder = FrameDecoder.down();
  readonly #waiting: (() => void)[] = [];
  #isOver = false;

  constructor(number: number, changes: StreamChanges & { readonly target: SshTarget }) {
    const [client, gateway] = duplexPair();
    this.number = number;
    this.client = client;
    this.gateway = gateway;
    client.on('data', (chunk: Buffer) => {
      this.#decoder.feed(chunk);
      for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) {
        this.frames.push('data' in frame ? { ...frame, data: Uint8Array.from(frame.data) } : frame);
      }
      this.#wake();
    });
    client.on('error', () => undefined);
    client.on('close', () => this.#wake());
    gateway.on('error', () => undefined);
    this.done = serveSshStream({
      client: gateway,
      clientLeft: new AbortController().signal,
      stream: number,
      grant: () => EVERYTHING,
      decide: decideSsh,
      approvals: NO_APPROVALS,
      resolver: { resolve: async () => [] },
      audit: new StreamAudit(
        number,
        changes.grant ?? (() => EVERYTHING),
        auditSink({
          event: (event) => {
            this.events.push(event);
            this.#wake();
          },
          evidence: (line) => this.evidence.push(line),
          ...changes.told,
        }),
      ),
      signal: this.session.signal,
      ...changes,
    });
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    this.done.then(over, over);
  }

  send(...frames: readonly UpFrame[]): void {
    for (const frame of frames) {
      for (const part of encodeFrame(frame)) {
        this.client.write(part);
      }
    }
  }

  bytes(bytes: Uint8Array): void {
    this.client.write(bytes);
  }

  /** Resolves with the first frame of this type (on this channel). @throws when the stream ends without. */
  async frame<T extends DownFrame['type']>(
    type: T,
    channel?: number,
  ): Promise<Extract<DownFrame, { type: T }>> {
    return this.until(() => {
      const found = this.frames.find(
        (frame): frame is Extract<DownFrame, { type: T }> =>
          frame.type === type &&
          (channel === undefined || ('channel' in frame && frame.channel === channel)),
      );
      return found;
    });
  }

  /** Resolves with what `look` finds, as soon as it does. */
  async until<T>(look: () => T | undefined): Promise<T> {
    for (;;) {
      const found = look();
      if (found !== undefined) {
        return found;
      }
      if (this.#isOver) {
        throw new Error(`the stream has ended: ${JSON.stringify(this.frames.slice(-5))}`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  open(channel: number, window = CHANNEL_WINDOW_BYTES): void {
    this.send({ type: 'open', channel, target: { kind: 'session' }, window });
  }

  request(channel: number, request: ChannelRequest, wantReply = true): void {
    this.send({ type: 'request', channel, wantReply, request });
  }

  exec(channel: number, command: string): void {
    this.request(channel, { kind: 'exec', command: Buffer.from(command) });
  }

  /** Opens a channel, runs the command in it, and waits for its end. */
  async run(channel: number, command: string, input?: Uint8Array): Promise<ChannelOutcome> {
    this.open(channel);
    await this.frame('opened', channel);
    this.exec(channel, command);
    await this.until(() =>
      this.of(channel).find(({ type }) => type === 'success' || type === 'failure'),
    );
    if (input !== undefined) {
      this.send({ type: 'data', channel, data: input });
    }
    this.send({ type: 'eof', channel });
    await this.frame('close', channel);
    this.send({ type: 'close', channel });
    return this.outcome(channel);
  }

  of(channel: number): readonly DownFrame[] {
    return this.frames.filter((frame) => 'channel' in frame && frame.channel === channel);
  }

  outcome(channel: number): ChannelOutcome {
    const frames = this.of(channel);
    const bytes = (type: 'data' | 'stderr'): Buffer =>
      Buffer.concat(frames.flatMap((frame) => (frame.type === type ? [frame.data] : [])));
    const exit = frames.find((frame) => frame.type === 'exitStatus');
    return {
      stdout: bytes('data'),
      stderr: bytes('stderr').toString(),
      status: exit?.type === 'exitStatus' ? exit.status : undefined,
      order: frames.map(({ type }) => type).filter((type, at, all) => type !== all[at - 1]),
    };
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) {
      resolve();
    }
  }
}

export interface ChannelOutcome {
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly status: number | undefined;
  /** Types of the frames, each run of the same once. */
  readonly order: readonly string[];
}
