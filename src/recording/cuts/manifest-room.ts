/**
 * How much of a manifest the cuts and connections of a session take. An envelope has a limit, and a
 * session that outgrew it could not be signed by anybody: it ends before, in order.
 */
import { MAX_ENVELOPE_BYTES } from '../formats/dsse.ts';

/** In base64 three bytes are four; names, digests and signatures are much less than the rest. */
const PAYLOAD_BYTES = (MAX_ENVELOPE_BYTES / 4) * 3 - 64 * 1024;
/** Upper bounds of the canonical JSON, with 16 digits for each 64-bit value. */
const CUT_BYTES = 400;
const MOVED_STREAM_BYTES = 52;
const STREAM_BYTES = 96;
/** What the gateway signs alone in the end names each stream that moved since, with room to spare. */
const TAIL_BYTES = 2_400_000;
/** And the client may offer what is missing after the end. */
const LATE_BYTES = 800_000;

export interface ManifestContent {
  readonly streams: number;
  readonly cuts: number;
  /** Over all cuts. */
  readonly moves: number;
}

/** Upper bound, without what does not grow. */
export function manifestBytes({ streams, cuts, moves }: ManifestContent): number {
  return streams * STREAM_BYTES + cuts * CUT_BYTES + moves * MOVED_STREAM_BYTES;
}

/** Whether a live session may go on. */
export function hasRoomToGoOn(content: ManifestContent): boolean {
  return manifestBytes(content) <= PAYLOAD_BYTES - TAIL_BYTES - LATE_BYTES;
}

/** Whether one that has ended may have these cuts. */
export function hasRoomForLateCut(content: ManifestContent): boolean {
  return manifestBytes(content) <= PAYLOAD_BYTES - TAIL_BYTES;
}
