/**
 * The client's side of a repair: what of its memory goes back to a gateway that has less than it
 * sent, or than it said was on its disk.
 */
import type { CutsReply } from '../../api/control.ts';
import { MAX_DATA_LENGTH } from '../formats/frame.ts';
import type { LostRange } from '../formats/manifest.ts';
import { endsOf } from '../formats/stream-ends.ts';
import { type Direction, type StreamOffsets, UP } from '../formats/types.ts';
import type { SigningKey } from '../keys/ed25519.ts';
import { MAX_REPAIR_BYTES, type RepairPiece, signRepair } from './repair.ts';

/**
 * Where the gateway ends before what it must have; nothing when it has all. What was sent and never
 * said to be on its disk goes along as far as there is room: it says what was asked.
 * @returns undefined when it is more than can be sent back
 */
export function rangesToSendBack(
  offsets: readonly StreamOffsets[],
  owed: readonly StreamOffsets[],
  position: Pick<CutsReply, 'recorded'>,
): LostRange[] | undefined {
  const theirs = endsOf(position.recorded);
  const must = endsOf(owed);
  const ranges: LostRange[] = [];
  let room = MAX_REPAIR_BYTES;
  const sorted = [...offsets].sort((left, right) => left.stream - right.stream);
  const places = sorted.flatMap(({ stream, up, down }) =>
    ([0, 1] as const).map((direction) => ({
      stream,
      direction,
      from: theirs(stream, direction),
      owedTo: must(stream, direction),
      to: direction === UP ? up : down,
    })),
  );
  for (const { from, owedTo } of places) {
    room -= Math.max(0, owedTo - from);
  }
  if (room < 0) {
    return undefined;
  }
  if (room === MAX_REPAIR_BYTES) {
    return [];
  }
  for (const { stream, direction, from, owedTo, to } of places) {
    const begin = Math.max(from, owedTo);
    const end = begin + Math.min(room, Math.max(0, to - begin));
    room -= end - begin;
    if (end > from) {
      ranges.push({ stream, direction, from, to: end });
    }
  }
  return ranges;
}

/** @param read views that are copied here */
export function piecesOf(
  ranges: readonly LostRange[],
  read: (stream: number, direction: Direction, from: number, to: number) => Uint8Array[],
  signed: { readonly key: SigningKey; readonly session: string; readonly timeMs: number },
): RepairPiece[] {
  const pieces: RepairPiece[] = [];
  for (const { stream, direction, from, to } of ranges) {
    for (let offset = from; offset < to; offset += MAX_DATA_LENGTH) {
      const bytes = Buffer.concat(
        read(stream, direction, offset, Math.min(to, offset + MAX_DATA_LENGTH)),
      );
      const { key, session, timeMs } = signed;
      pieces.push(signRepair(key, session, { stream, direction, offset, timeMs, bytes }));
    }
  }
  return pieces;
}
