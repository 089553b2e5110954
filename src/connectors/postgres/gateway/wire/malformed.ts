/** What the target gets in place of a message that is malformed or out of place. */
import { FRONTEND } from '../../protocol/message-types.ts';
import type { DescribeEntry, FunctionCallEntry, QueryEntry } from '../statements/pending-queue.ts';

const NUL = 0;
const NO_END = Uint8Array.of(0x78);

/**
 * For what can run something: a body with the same fault and nothing of the client's in it, so that
 * nothing runs even where the server is more lenient than we are. It finds the faults in this order:
 * a string without end, too few bytes, too many.
 * @returns undefined: nothing can come of it, it may go as it is.
 */
export function malformedInstead(type: number, body: Uint8Array): Uint8Array | undefined {
  switch (type) {
    case FRONTEND.Query:
      return framed(type, body.includes(NUL) ? [NUL, NUL] : NO_END);
    case FRONTEND.Execute:
      return framed(type, executeFault(body));
    case FRONTEND.Parse:
      return framed(type, parseFault(body));
    default:
      return undefined;
  }
}

function executeFault(body: Uint8Array): Iterable<number> {
  const end = body.indexOf(NUL);
  if (end === -1) return NO_END;
  return body.length - end - 1 < 4 ? [NUL] : [NUL, 0, 0, 0, 0, 0];
}

function parseFault(body: Uint8Array): Iterable<number> {
  const name = body.indexOf(NUL);
  const text = name === -1 ? -1 : body.indexOf(NUL, name + 1);
  if (text === -1) return NO_END;
  const left = body.length - text - 1;
  const count = (body[text + 1] ?? 0) * 256 + (body[text + 2] ?? 0);
  return left < 2 || left < 2 + 4 * count ? [NUL, NUL] : [NUL, NUL, 0, 0, 0];
}

/** Every type of the frontend but Sync and Flush needs a body. */
export function emptyMessage(type: number): Uint8Array {
  return framed(type, []);
}

/** By the answers that it brings: with a ReadyForQuery of its own or without. */
export function refusedEntry(
  type: number,
):
  | Pick<QueryEntry, 'kind' | 'runs' | 'current' | 'failed'>
  | Pick<FunctionCallEntry, 'kind'>
  | Pick<DescribeEntry, 'kind' | 'statement' | 'portal'> {
  if (type === FRONTEND.Query) return { kind: 'query', runs: [], current: 0, failed: false };
  if (type === FRONTEND.FunctionCall) return { kind: 'function-call' };
  return { kind: 'describe', statement: undefined, portal: undefined };
}

function framed(type: number, body: Iterable<number>): Uint8Array {
  const bytes = [...body];
  return Uint8Array.from([type, 0, 0, 0, bytes.length + 4, ...bytes]);
}
