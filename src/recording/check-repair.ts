import { HoopError } from '../errors.ts';
import { FormatError } from '../format-error.ts';
import { decodeRepair, isRepairSignedBy, RepairedRanges, type RepairPiece } from './repair.ts';
import type { ScannedRecording } from './scan-recording.ts';
import { endsOf } from './stream-ends.ts';

/**
 * What a client says that the gateway's disk has lost: only of a recording that a crash has left,
 * once, where it ends, and signed for that place.
 * @param request as `encodeRepair` makes it
 * @throws HoopError HOOP_REPAIR_REFUSED, HOOP_SESSION_ENDED when the recording is sealed
 */
export function checkRepair(
  request: Uint8Array,
  scan: Pick<ScannedRecording, 'end' | 'isRecovered' | 'lost' | 'offsets' | 'session'>,
  clientKey: Uint8Array,
): RepairPiece[] {
  if (scan.end !== undefined) {
    throw new HoopError('HOOP_SESSION_ENDED', 'the recording is sealed');
  }
  if (!scan.isRecovered) {
    throw refused('the gateway has not lost anything of this session');
  }
  if (scan.lost.length > 0) {
    throw refused('this recording was repaired before');
  }
  try {
    const pieces = decodeRepair(request);
    const repaired = new RepairedRanges(endsOf([...scan.offsets.values()]));
    for (const piece of pieces) {
      repaired.take(piece);
      if (!isRepairSignedBy(clientKey, scan.session, piece)) {
        throw refused('a piece is not signed by the session key for its place in this session');
      }
    }
    return pieces;
  } catch (error) {
    throw error instanceof FormatError ? refused(error.message) : error;
  }
}

function refused(message: string): HoopError {
  return new HoopError('HOOP_REPAIR_REFUSED', message);
}
