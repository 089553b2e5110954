/** How many values a statement that is about to run looks up: masks with `lookup: true`. */
import { isAscii } from 'node:buffer';
import { ProtocolError } from '../../../../errors.ts';
import type { LookupFact } from '../../policy/facts/analysis-types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { arrayElementCount } from '../../policy/walk/array-literal.ts';
import type { BoundMessage } from '../statements/known-statement.ts';
import type { ClientEncoding } from '../wire/client-encoding.ts';

/** Nested deeper the server takes none (MAXDIM). */
const MAX_DIMENSIONS = 6;
const HEADER_LENGTH = 12;
const DIMENSION_LENGTH = 8;
const NULL_LENGTH = -1;

/**
 * Those that count when it runs. A FETCH looks nothing up that its cursor has not; a PREPARE in a Query
 * only gives a statement a name, and what it names is counted each time that it runs.
 */
export function lookupsOf(
  allowed: AllowedStatement | undefined,
  isQuery: boolean,
): readonly LookupFact[] {
  const isPrepare = isQuery && allowed?.analysis.protocol.prepare !== undefined;
  const lookups = isPrepare ? [] : (allowed?.lookups ?? []);
  return lookups.filter(({ candidates }) => candidates !== 0);
}

/** Whether the values of the Bind tell how many there are. */
export function countsParameters(allowed: AllowedStatement | undefined): boolean {
  return lookupsOf(allowed, false).some(({ candidates }) => typeof candidates !== 'number');
}

/** @returns undefined: it cannot be told. */
export function candidatesOf(
  lookups: readonly LookupFact[],
  bound: BoundMessage | undefined,
  encoding: ClientEncoding,
): number | undefined {
  let sum = 0;
  for (const { candidates } of lookups) {
    const count =
      typeof candidates === 'number'
        ? candidates
        : bound && elementsOf(bound, candidates.parameter - 1, encoding);
    if (count === undefined) return undefined;
    sum += count;
  }
  return sum;
}

function elementsOf(
  { parameters, parameterFormats }: BoundMessage,
  index: number,
  encoding: ClientEncoding,
): number | undefined {
  const value = parameters[index];
  if (value === undefined) return undefined;
  // A value like any other: whether it is found can be told.
  if (value === null) return 1;
  const format = parameterFormats.length === 1 ? parameterFormats[0] : parameterFormats[index];
  if (format === 1) return binaryElementCount(value);
  // In some encodings a byte of a character can look like a comma or a brace.
  if (!encoding.isSafe && !isAscii(value)) return undefined;
  try {
    return arrayElementCount(encoding.codec.decode(value));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return undefined;
  }
}

/**
 * Int32 dimensions · Int32 flags · Int32 type · (Int32 length · Int32 lower bound) × dimensions ·
 * (Int32 length, -1 = NULL · bytes) × elements (array_recv in PostgreSQL's arrayfuncs.c)
 */
function binaryElementCount(value: Uint8Array): number | undefined {
  if (value.length < HEADER_LENGTH) return undefined;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const dimensions = view.getInt32(0);
  const start = HEADER_LENGTH + dimensions * DIMENSION_LENGTH;
  if (dimensions < 0 || dimensions > MAX_DIMENSIONS || start > value.length) return undefined;
  let count = dimensions === 0 ? 0 : 1;
  for (let at = HEADER_LENGTH; at < start; at += DIMENSION_LENGTH) {
    count *= view.getInt32(at);
  }
  let at = start;
  let found = 0;
  for (; at + 4 <= value.length; found += 1) {
    const length = view.getInt32(at);
    if (length < NULL_LENGTH) return undefined;
    at += 4 + Math.max(length, 0);
  }
  return at === value.length && found === count ? found : undefined;
}
