/** Bodies of the frames that speak about the recording itself: canonical JSON. */
import * as z from 'zod';
import { canonicalJson } from './canonical-json.ts';
import { utf8 } from './encoding.ts';
import { END_REASONS, type EndReason } from './types.ts';

/** END: nothing follows. */
export const EndBodyShape = z.strictObject({
  v: z.literal(1),
  endReason: z.enum(END_REASONS),
  endedMs: z.number().int().nonnegative(),
});
export type EndBody = z.infer<typeof EndBodyShape>;

export function endBody(endReason: EndReason, endedMs: number): Uint8Array {
  const body: EndBody = { v: 1, endReason, endedMs };
  return utf8(canonicalJson(body));
}

/** RECOVERED: the process that wrote the segments before this one died. */
export const RecoveredBodyShape = z.strictObject({
  v: z.literal(1),
  /** Where the bytes began that were no whole frame; saved beside, not part of the recording. */
  tornSegment: z.number().int().positive().nullable(),
  tornAt: z.number().int().nonnegative(),
  tornBytes: z.number().int().nonnegative(),
  /** Nothing that a dying process leaves: frames that were written may have been among them. */
  isDamaged: z.boolean(),
});
export type RecoveredBody = z.infer<typeof RecoveredBodyShape>;
