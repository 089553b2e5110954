import { once } from 'node:events';
import { encodeFrame } from '../../../../src/connectors/ssh/protocol/encode-frame.ts';
import {
  CHANNEL_WINDOW_BYTES,
  type DownFrame,
  type UpFrame,
} from '../../../../src/connectors/ssh/protocol/frame.ts';
import { FrameDecoder } from '../../../../src/connectors/ssh/protocol/frame-decoder.ts';
import type { TestStream } from '../../../gateway/test-session.ts';
import { exec } from '../replay/recorded-ssh.ts';

/** The frames of a client, on a stream of a session. */
export class FramesClient {
  readonly #stream: TestStream;
  readonly #decoder = FrameDecoder.down();
  readonly #frames: DownFrame[] = [];

  constructor(stream: TestStream) {
    this.#stream = stream;
    stream.carrier.on('data', (data: Uint8Array) => {
      this.#decoder.feed(Uint8Array.from(data));
      for (let frame = this.#decoder.next(); frame; frame = this.#decoder.next()) {
        this.#frames.push(frame);
      }
    });
  }

  send(...frames: UpFrame[]): void {
    for (const frame of frames) {
      this.#stream.send(Buffer.concat(encodeFrame(frame)));
    }
  }

  /** @returns the first of its type */
  async until<T extends DownFrame['type']>(type: T): Promise<Extract<DownFrame, { type: T }>> {
    for (;;) {
      const found = this.#frames.find(
        (frame): frame is Extract<DownFrame, { type: T }> => frame.type === type,
      );
      if (found !== undefined) {
        return found;
      }
      if (this.#stream.carrier.isClosed) {
        const types = this.#frames.map((frame) => frame.type);
        throw new Error(`the stream ended before ${type}: ${types.join(', ')}`);
      }
      await Promise.race([once(this.#stream.carrier, 'data'), this.#stream.closed]);
    }
  }

  /** What came so far on all channels. */
  text(type: 'data' | 'stderr'): string {
    return this.#frames
      .flatMap((frame) => (frame.type === type ? [Buffer.from(frame.data).toString()] : []))
      .join('');
  }

  hello(user = ''): void {
    this.send({ type: 'hello', from: 'client', user, software: 'test' });
  }

  /** Up to the answer. */
  async start(command: string, user = ''): Promise<void> {
    this.hello(user);
    await this.until('hello');
    this.send({
      type: 'open',
      channel: 0,
      target: { kind: 'session' },
      window: CHANNEL_WINDOW_BYTES,
    });
    await this.until('opened');
    this.send({ type: 'request', channel: 0, wantReply: true, request: exec(command) });
    await this.until('success');
  }
}
