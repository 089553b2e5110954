/** Which cuts a recording takes whose session has ended. */
import { HoopError } from '../../errors.ts';
import type { OpenedRecording } from '../ended/opened-recording.ts';
import type { CutProposal } from '../formats/types.ts';
import { hasRoomForLateCut } from './manifest-room.ts';

/** One whose answer was lost, a last one, the same after a crash of the client. */
const MAX_LATE_CUTS = 8;

/**
 * Each is paid for by reading the whole recording again; ours needs two.
 * @throws HoopError HOOP_SESSION_ENDED when the recording is sealed, HOOP_LIMIT
 */
export function requireRoomForLateCut(
  { scan, agreed }: Pick<OpenedRecording, 'scan' | 'agreed'>,
  cut: CutProposal,
): void {
  if (scan.end !== undefined) {
    throw new HoopError('HOOP_SESSION_ENDED', 'the recording is sealed', {
      detail: 'The gateway alone has signed whatever was not agreed on by then.',
    });
  }
  const moves = agreed.reduce((sum, { proposal }) => sum + proposal.streams.length, 0);
  const content = {
    streams: scan.events.streams.size + 1,
    cuts: agreed.length + 1,
    moves: moves + cut.streams.length,
  };
  if (scan.lateCuts >= MAX_LATE_CUTS || !hasRoomForLateCut(content)) {
    throw new HoopError('HOOP_LIMIT', 'the session has ended, and has had enough cuts since', {
      detail: 'The gateway alone signs whatever they do not cover.',
    });
  }
}
