/**
 * What a program showed, in time: read from the recording piece by piece, as often as somebody
 * wants it from the beginning. Nothing is kept, so that a channel of any length can be played.
 */

import { HoopError } from '../../../errors.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';

export type TrackItem =
  /** `input` is what was typed: passwords are among it. */
  | {
      readonly type: 'output' | 'errors' | 'input';
      readonly timeMs: number;
      /** A view, valid until the next item is asked for. */
      readonly bytes: Uint8Array;
    }
  | {
      readonly type: 'size';
      readonly timeMs: number;
      readonly columns: number;
      readonly rows: number;
    };

export interface TerminalTrack {
  items(): Iterable<TrackItem>;
}

/** A piece of a stream, as SessionReading gives it. */
export interface TrackPiece {
  readonly timeMs: number;
  readonly direction: 0 | 1;
  readonly bytes: Uint8Array;
}

/** Of one channel of a recorded SSH connection. */
export function sshTrack(pieces: () => Iterable<TrackPiece>, channel: number): TerminalTrack {
  return { items: () => channelItems(pieces(), channel) };
}

function* channelItems(pieces: Iterable<TrackPiece>, channel: number): Generator<TrackItem> {
  const up = FrameDecoder.up();
  const down = FrameDecoder.down();
  try {
    for (const { timeMs, direction, bytes } of pieces) {
      const decoder = direction === 0 ? up : down;
      decoder.feed(bytes);
      for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) {
        if (!('channel' in frame) || frame.channel !== channel) {
          continue;
        }
        if (frame.type === 'data') {
          yield { type: direction === 0 ? 'input' : 'output', timeMs, bytes: frame.data };
        } else if (frame.type === 'stderr') {
          yield { type: 'errors', timeMs, bytes: frame.data };
        } else if (
          frame.type === 'request' &&
          (frame.request.kind === 'pty-req' || frame.request.kind === 'window-change')
        ) {
          const { columns, rows } = frame.request;
          yield { type: 'size', timeMs, columns, rows };
        } else if (frame.type === 'close' && direction === 1) {
          return;
        }
      }
    }
  } catch (error) {
    // What is no frame: the timeline names the place, and there is nothing to show behind it.
    if (!(error instanceof HoopError)) {
      throw error;
    }
  }
}
