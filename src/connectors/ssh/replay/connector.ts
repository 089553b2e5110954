/** Recorded streams of SSH: what was done on the server, and how a terminal showed it. */

import { HoopError } from '../../../errors.ts';
import type { ReplayConnector } from '../../../replay/connector.ts';
import type { TerminalTrack, TrackItem, TrackPiece } from '../../../replay/track.ts';
import type { DownFrame } from '../protocol/frame.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';
import { SshConnection } from './ssh-connection.ts';

export const sshReplay: ReplayConnector = {
  open: (_kind, context) =>
    new SshConnection({
      ...context,
      onHello: (user, application, timeMs) =>
        context.emit({
          type: 'connection.open',
          timeMs,
          stream: context.stream,
          user,
          database: undefined,
          application,
        }),
      onEnd: context.emit,
    }),
  received: () => {
    const frames = FrameDecoder.down();
    return (bytes) => shown(frames, bytes);
  },
  track: sshTrack,
};

/** Output of all channels, without the frames around it. */
function* shown(frames: FrameDecoder<DownFrame>, bytes: Uint8Array): Generator<Uint8Array> {
  frames.feed(bytes);
  for (let frame = frames.next(); frame !== undefined; frame = frames.next()) {
    if (frame.type === 'data' || frame.type === 'stderr') {
      yield frame.data;
    }
  }
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
