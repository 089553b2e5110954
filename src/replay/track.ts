/**
 * What a program showed, in time: read from the recording piece by piece, as often as somebody
 * wants it from the beginning. Nothing is kept, so that a channel of any length can be played.
 */

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
