/** Recorded streams of SSH: what was done on the server, and how a terminal showed it. */
import type { ReplayConnector } from '../../../replay/connector.ts';
import type { DownFrame } from '../protocol/frame.ts';
import { FrameDecoder } from '../protocol/frame-decoder.ts';
import { SshConnection } from './ssh-connection.ts';
import { sshTrack } from './terminal-track.ts';

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
