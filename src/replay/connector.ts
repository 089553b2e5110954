/**
 * What replay needs of a protocol: recorded bytes and the gateway's events about them in, entries of
 * the timeline out. Connectors implement it; who reads a recording is handed them, and the timeline,
 * the player and search know entries only. Bytes are pushed, since a recording of any length is read
 * in one pass, and search reads one that is still being written.
 */
import type { RecordingEvent } from '../recording/formats/types.ts';
import type { Budget, ReplayLimits } from './replay-limits.ts';
import type { ApprovalStep, TimelineEntry } from './timeline.ts';
import type { TerminalTrack, TrackPiece } from './track.ts';

/** An entry of connectors/registry.ts, as far as replay uses it. */
export interface ReplayEntry {
  readonly streamKinds: readonly string[];
  /** Absent: what is shown of its streams is what their events say. */
  readonly replay?: (() => Promise<ReplayConnector>) | undefined;
}

export interface ReplayConnector {
  /** @returns undefined: there is nothing to show of streams of this kind */
  open(kind: string, context: StreamContext): StreamDecoder | undefined;
  /**
   * What went to the program from a stream whose bytes are not that alone.
   * @returns takes the gateway's bytes piece by piece
   */
  received?(): (bytes: Uint8Array) => Iterable<Uint8Array>;
  /** One channel of a stream. @param pieces of the stream, from its beginning at each call */
  track?(pieces: () => Iterable<TrackPiece>, channel: number): TerminalTrack;
}

export interface StreamContext {
  readonly stream: number;
  readonly limits: ReplayLimits;
  /** Of the whole session. */
  readonly budget: Budget;
  /** Number of the next statement or act of the session. */
  readonly nextNumber: () => number;
  /** Id of the prompt in force. */
  readonly prompt: () => string | undefined;
  readonly emit: (entry: TimelineEntry) => void;
}

/** What understands the bytes of one stream and the events about it. */
export interface StreamDecoder {
  /** @throws ProtocolError, HoopError: what was recorded cannot be read from here on. */
  up(bytes: Uint8Array, timeMs: number): void;
  /** @throws ProtocolError, HoopError: what was recorded cannot be read from here on. */
  down(bytes: Uint8Array, timeMs: number): void;
  event(event: EventOfStream, timeMs: number): void;
  /** @returns the number of what shows it; undefined: nothing does. */
  approval(at: number, step: ApprovalStep): number | undefined;
  /** The recording of this stream ends here. */
  end(): void;
}

export type EventOfStream = Extract<
  RecordingEvent,
  { type: 'approval.held' | 'decision' | 'lookups' | 'result' | 'ssh.channel' | 'ssh.file' }
>;

/** By the kind of the streams that they read. */
export type Replays = ReadonlyMap<string, ReplayConnector>;

export async function loadReplays(entries: readonly ReplayEntry[]): Promise<Replays> {
  const loaded = await Promise.all(
    entries.map(async ({ streamKinds, replay }) => {
      const connector = await replay?.();
      return connector === undefined ? [] : streamKinds.map((kind) => [kind, connector] as const);
    }),
  );
  return new Map(loaded.flat());
}
