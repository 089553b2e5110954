/** Refusals by cause: `refusals` of accepted.yaml. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';
import { type AcceptedDifferences, parseAccepted } from '../accepted.ts';
import type { RefusedStatement } from './recorded-statements.ts';

const pattern = z.string().transform((text) => new RegExp(text, 'i'));

const RefusalCause = z.strictObject({
  id: z.string(),
  /** Why it is refused, for docs/tools.md. */
  why: z.string(),
  /** Whether the policy or a mask means it to be refused; false: the tool loses something for nothing. */
  needed: z.boolean(),
  /** Where a rule opens it: how. */
  opens: z.string().optional(),
  /** What the refusal says. */
  message: pattern,
  /** What was sent. */
  text: pattern.optional(),
});

export type RefusalCause = z.infer<typeof RefusalCause>;

export interface AcceptedOfTools {
  readonly refusals: readonly RefusalCause[];
  readonly differences: AcceptedDifferences;
}

export function readAcceptedOfTools(file: URL): AcceptedOfTools {
  const document: unknown = parse(readFileSync(file, 'utf8'));
  const { refusals, ...differences } = z
    .looseObject({ refusals: z.array(RefusalCause) })
    .parse(document);
  return { refusals, differences: parseAccepted(differences) };
}

/** @returns the first cause that fits; undefined: it is to be explained, or mended. */
export function causeOf(
  refusals: readonly RefusalCause[],
  { message, detail, text }: RefusedStatement,
): RefusalCause | undefined {
  return refusals.find(
    (cause) => cause.message.test(`${message}\n${detail}`) && (cause.text?.test(text) ?? true),
  );
}
