import type { z } from 'zod';
import { FormatError } from '../../format-error.ts';

/** Parses with a schema; the error names the member but never its value. @throws FormatError */
export function parseShape<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = schema.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    const path = issue?.path.map(String).join('.') || 'the whole';
    throw new FormatError(`${what} has an unexpected form at "${path}"`);
  }
  return result.data;
}
