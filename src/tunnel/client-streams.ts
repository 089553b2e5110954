/** The streams of one session: opened at the gateway, recorded here, told of when they have ended. */

import type { ToGateway } from '../api/control.ts';
import type { StreamCarrier } from '../carrier/stream-carrier.ts';
import { HoopError } from '../errors.ts';
import type { ClientRecording } from '../recording/client/client-recording.ts';
import { CONTROL_STREAM } from '../recording/formats/types.ts';
import type { StreamKind } from '../stream-kinds.ts';
import { ClientStream } from './client-stream.ts';

export interface ClientStreamsOptions {
  readonly recording: Pick<
    ClientRecording,
    'openStream' | 'data' | 'turns' | 'closeStream' | 'stopped' | 'isCaughtUp'
  >;
  readonly openCarrier: (
    stream: number,
    kind: StreamKind,
    signal: AbortSignal,
  ) => Promise<StreamCarrier>;
  readonly tell: (message: ToGateway) => void;
  /** Why the session is over, when it is. */
  readonly reason: () => HoopError | undefined;
}

/** The gateway waits 30 s for what it has sent to be confirmed. */
const TELL_EVERY_MS = 10_000;

export class ClientStreams {
  readonly #options: ClientStreamsOptions;
  readonly #open = new Map<number, ClientStream>();
  #next = CONTROL_STREAM + 1;
  #standing: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(options: ClientStreamsOptions) {
    this.#options = options;
  }

  /** @throws HoopError what the gateway says; the recording cannot be written */
  async open(kind: StreamKind, signal: AbortSignal): Promise<ClientStream> {
    const { recording, openCarrier, reason, tell } = this.#options;
    const stream = this.#next;
    this.#next += 1;
    const carrier = await openCarrier(stream, kind, signal).catch((error: unknown) => {
      // The gateway may have opened it: nothing of it arrives any more.
      tell({ type: 'streamEnd', stream, up: 0, down: 0 });
      throw error;
    });
    try {
      recording.openStream(stream);
    } catch (error) {
      // Nobody reads from it, and it would keep its place at the gateway until that gives up.
      carrier.terminate();
      tell({ type: 'streamEnd', stream, up: 0, down: 0 });
      throw error;
    }
    const duplex = new ClientStream({ carrier, stream, recording, reason });
    this.#open.set(stream, duplex);
    this.#standing ??= setInterval(() => this.#tellStanding(), TELL_EVERY_MS).unref();
    carrier.once('close', () => {
      this.#open.delete(stream);
      if (this.#open.size === 0) {
        clearInterval(this.#standing);
        this.#standing = undefined;
      }
      this.#ended(stream);
    });
    return duplex;
  }

  /** Resolves when each that is open now has closed. */
  async closed(): Promise<void> {
    await Promise.all(
      [...this.#open.values()].map(
        (stream) => new Promise<void>((resolve) => stream.once('close', () => resolve())),
      ),
    );
  }

  /**
   * Nobody is told any more. Before the recording is closed: a gateway that takes nothing more leaves
   * streams open for as long, and they end behind it.
   */
  over(): void {
    this.#isOver = true;
  }

  /** Somebody looks at a page of a large result: nothing is wrong, and the session goes on. */
  #tellStanding(): void {
    const { recording, tell } = this.#options;
    const stands = [...this.#open.values()].some((stream) => stream.isStanding);
    if (stands && !this.#isOver && !recording.stopped.aborted && recording.isCaughtUp) {
      tell({ type: 'caughtUp' });
    }
  }

  #ended(stream: number): void {
    const { recording, tell } = this.#options;
    if (this.#isOver || recording.stopped.aborted) {
      return;
    }
    try {
      tell({ type: 'streamEnd', ...recording.closeStream(stream) });
    } catch (error) {
      // The recording has stopped over it, and ends the session.
      if (!(error instanceof HoopError)) {
        throw error;
      }
    }
  }
}
