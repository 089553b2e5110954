/**
 * Where a search goes on: behind a session, or in it. It comes from the client and is believed in
 * nothing but that; whoever asks sees what they may see, wherever they begin.
 */
import * as z from 'zod';
import { ProtocolError } from '../../errors.ts';
import { isSessionId } from '../../session-id.ts';

const integer = z.number().int().nonnegative();
const Cursor = z.strictObject({
  /** null: live. */
  endedMs: integer.nullable(),
  startedMs: integer,
  id: z.string().refine(isSessionId),
  /** In this session, before these; absent: behind the session. */
  within: z
    .union([
      z.strictObject({ timeMs: integer, stream: integer, statement: integer }),
      z.strictObject({ number: integer }),
    ])
    .optional(),
});
export type Cursor = z.infer<typeof Cursor>;

export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString('base64url');
}

/** @throws ProtocolError */
export function decodeCursor(text: string): Cursor {
  try {
    return Cursor.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch (cause) {
    throw new ProtocolError('the cursor is not from this gateway', {
      hint: 'Pass `next` from the previous reply, unchanged.',
      cause,
    });
  }
}
