import { setImmediate as nextTurn } from 'node:timers/promises';
import { HoopError } from '../../errors.ts';
import { FormatError } from '../../format-error.ts';
import type { ScannedRecording } from '../ended/scan-recording.ts';
import { endsOf } from '../formats/stream-ends.ts';
import { decodeRepair, isRepairSignedBy, RepairedRanges, type RepairPiece } from './repair.ts';

/** Signatures of one turn: some milliseconds. A gateway does this while others work. */
const CHECKED_AT_ONCE = 32;

type Scan = Pick<ScannedRecording, 'end' | 'isRecovered' | 'lost' | 'offsets' | 'session'>;

/**
 * Only a recording that a crash has left takes anything back, and only once.
 * @throws HoopError HOOP_REPAIR_REFUSED, HOOP_SESSION_ENDED when the recording is sealed
 */
export function requireRepairable({ end, isRecovered, lost }: Omit<Scan, 'session'>): void {
  if (end !== undefined) {
    throw new HoopError('HOOP_SESSION_ENDED', 'the recording is sealed');
  }
  if (!isRecovered) {
    throw refused('the gateway has not lost anything of this session');
  }
  if (lost.length > 0) {
    throw refused('this recording was repaired before');
  }
}

/**
 * What a client says that the gateway's disk has lost: where the recording ends, and signed for that
 * place.
 * @param request as `encodeRepair` makes it
 * @throws HoopError as `requireRepairable`
 */
export async function checkRepair(
  request: Uint8Array,
  scan: Scan,
  clientKey: Uint8Array,
): Promise<RepairPiece[]> {
  requireRepairable(scan);
  const pieces = readPieces(request, scan);
  for (const [index, piece] of pieces.entries()) {
    if (!isRepairSignedBy(clientKey, scan.session, piece)) {
      throw refused('a piece is not signed by the session key for its place in this session');
    }
    if (index % CHECKED_AT_ONCE === CHECKED_AT_ONCE - 1) {
      await nextTurn();
    }
  }
  return pieces;
}

function readPieces(request: Uint8Array, scan: Scan): RepairPiece[] {
  try {
    const pieces = decodeRepair(request);
    const repaired = new RepairedRanges(endsOf([...scan.offsets.values()]));
    for (const piece of pieces) {
      repaired.take(piece);
    }
    return pieces;
  } catch (error) {
    throw error instanceof FormatError ? refused(error.message) : error;
  }
}

function refused(message: string): HoopError {
  return new HoopError('HOOP_REPAIR_REFUSED', message);
}
