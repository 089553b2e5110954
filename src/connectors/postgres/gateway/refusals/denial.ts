/**
 * A refusal that looks native: in the place of the refused message the target gets one that it
 * refuses itself, and that one ErrorResponse, known by its nonce, is replaced. So the target's own
 * rules decide what happens to the transaction and to the rest of the pipeline.
 */
import { randomBytes } from 'node:crypto';
import { encodeExecute, encodeParse, encodeQuery } from '../../protocol/frontend-messages.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';

export interface Denial {
  /** Below 63 bytes, or the target would cut it in its error (NAMEDATALEN). */
  readonly nonce: string;
  /** The ErrorResponse message that the client gets. */
  readonly error: Uint8Array;
}

const NONCE_BYTES = 16;

export function createDenial(error: Uint8Array): Denial {
  return { nonce: `hoop_denied_${randomBytes(NONCE_BYTES).toString('hex')}`, error };
}

/** A syntax error, which the target finds before it looks at anything else. */
export function deniedQuery(denial: Denial): Uint8Array {
  return encodeQuery({ sql: denial.nonce });
}

/** Under the client's name: a failing Parse drops the unnamed statement, as the client's own would. */
export function deniedParse(denial: Denial, statement: string, codec: TextCodec): Uint8Array {
  return encodeParse({ statement, sql: denial.nonce, parameterTypes: [] }, codec);
}

/** A portal that cannot exist: for Bind and Execute, which must not drop a statement. */
export function deniedExecute(denial: Denial): Uint8Array {
  return encodeExecute({ portal: denial.nonce, maxRows: 0 });
}

/** @param body of an ErrorResponse. */
export function answersDenial(body: Uint8Array, denial: Denial): boolean {
  return Buffer.from(body.buffer, body.byteOffset, body.length).includes(denial.nonce);
}
