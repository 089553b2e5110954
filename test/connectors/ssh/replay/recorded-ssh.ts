/** Builds what a recording of an SSH connection holds, frame by frame, for tests. */
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import {
  CHANNEL_WINDOW_BYTES,
  type ChannelRequest,
  type ChannelTarget,
  type DownFrame,
  MAX_DATA_BYTES,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import type { RecordingEvent } from '../../../../src/recording/formats/types.ts';
import type { EvidenceLine } from '../../../../src/recording/verify/evidence-lines.ts';
import type { RecordedItem } from '../../../../src/replay/build-timeline.ts';

type DecisionEvent = Extract<RecordingEvent, { type: 'decision' }>;
type FileEvent = Extract<RecordingEvent, { type: 'ssh.file' }>;

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

export class RecordedSsh {
  readonly items: RecordedItem[] = [];
  readonly stream: number;
  readonly startMs: number;
  #offsets: [up: number, down: number] = [0, 0];
  #timeMs: number;
  #acts = 0;

  constructor(stream = 1, startMs = Date.UTC(2026, 0, 1)) {
    this.stream = stream;
    this.startMs = startMs;
    this.#timeMs = startMs;
    this.event({ type: 'stream.open', stream, kind: 'ssh' });
  }

  /** Offset of the next frame of the client. */
  get upOffset(): number {
    return this.#offsets[0];
  }

  wait(ms: number): this {
    this.#timeMs += ms;
    return this;
  }

  hello(user = 'deploy'): this {
    return this.up({ type: 'hello', from: 'client', user, software: 'OpenSSH_9.2p1' }).down({
      type: 'hello',
      from: 'gateway',
      software: 'OpenSSH_9.6',
    });
  }

  open(channel: number, target: ChannelTarget = { kind: 'session' }): this {
    return this.up({ type: 'open', channel, target, window: CHANNEL_WINDOW_BYTES }).down({
      type: 'opened',
      channel,
      window: CHANNEL_WINDOW_BYTES,
    });
  }

  /** Asked for, decided, and answered. @returns offset of the request */
  request(
    channel: number,
    request: ChannelRequest,
    decision: Partial<DecisionEvent> | undefined = undefined,
    answer: 'success' | 'failure' = 'success',
  ): this {
    const at = this.upOffset;
    this.up({ type: 'request', channel, wantReply: true, request });
    if (decision !== undefined) {
      this.decision(at, decision);
    }
    return this.down({ type: answer, channel });
  }

  pty(channel: number, columns = 80, rows = 24): this {
    const size = { columns, rows, widthPixels: 0, heightPixels: 0 };
    const request = { kind: 'pty-req', term: 'xterm-256color', modes: Uint8Array.of(0) } as const;
    return this.request(channel, { ...request, ...size });
  }

  resize(channel: number, columns: number, rows: number): this {
    const size = { columns, rows, widthPixels: 0, heightPixels: 0 };
    const request = { kind: 'window-change', ...size } as const;
    return this.up({ type: 'request', channel, wantReply: false, request });
  }

  input(channel: number, data: string | Uint8Array): this {
    return this.up({ type: 'data', channel, data: typeof data === 'string' ? bytes(data) : data });
  }

  output(channel: number, data: string | Uint8Array, type: 'data' | 'stderr' = 'data'): this {
    const all = typeof data === 'string' ? bytes(data) : data;
    for (let at = 0; at < all.length; at += MAX_DATA_BYTES) {
      this.down({ type, channel, data: all.subarray(at, at + MAX_DATA_BYTES) });
    }
    return this;
  }

  /** Of both sides. */
  close(channel: number, exit?: number): this {
    if (exit !== undefined) {
      this.down({ type: 'exitStatus', channel, status: exit });
    }
    return this.down({ type: 'eof', channel }, { type: 'close', channel }).up({
      type: 'close',
      channel,
    });
  }

  up(...frames: UpFrame[]): this {
    return this.#data(0, frames);
  }

  down(...frames: DownFrame[]): this {
    return this.#data(1, frames);
  }

  event(event: RecordingEvent): this {
    this.items.push({ type: 'event', timeMs: this.#timeMs, event });
    return this;
  }

  evidence(line: EvidenceLine): this {
    this.items.push({ type: 'evidence', timeMs: this.#timeMs, line });
    return this;
  }

  decision(at: number, fields: Partial<DecisionEvent> = {}): this {
    this.#acts += 1;
    return this.event({
      type: 'decision',
      stream: this.stream,
      at,
      statement: this.#acts,
      effect: 'allow',
      verbs: ['exec'],
      relations: [],
      columnsMasked: [],
      rules: [{ id: 'deploy/run', file: 'policies/deploy.yaml', line: 4 }],
      code: undefined,
      message: undefined,
      policyCommit: '0123456789abcdef0123456789abcdef01234567',
      ...fields,
    });
  }

  file(channel: number, record: Omit<FileEvent, 'type' | 'stream' | 'channel'>): this {
    return this.event({ type: 'ssh.file', stream: this.stream, channel, ...record });
  }

  #data(direction: 0 | 1, frames: readonly (UpFrame | DownFrame)[]): this {
    const data = new Uint8Array(Buffer.concat(frames.flatMap((frame) => [...encodeFrame(frame)])));
    const offset = this.#offsets[direction];
    this.#offsets[direction] += data.length;
    const { stream } = this;
    this.items.push({
      type: 'data',
      piece: { timeMs: this.#timeMs, stream, direction, offset, bytes: data },
    });
    return this;
  }
}

export const exec = (command: string): ChannelRequest => ({
  kind: 'exec',
  command: bytes(command),
});
