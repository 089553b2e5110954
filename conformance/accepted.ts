/** The differences that are accepted, each with its cause: `accepted.yaml`. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import * as z from 'zod';

const Cause = z.strictObject({
  id: z.string(),
  /** Why it cannot or should not be otherwise. */
  why: z.string(),
  /** What the client sees: lines that only hoop prints. */
  shows: z.array(z.string().transform((text) => new RegExp(text))).default([]),
  /** Explains nothing unless one of these causes shows in the same case: the frame of an error. */
  beside: z.array(z.string()).default([]),
});

const Accepted = z.strictObject({
  causes: z.array(Cause),
  differences: z.array(
    z.strictObject({
      lane: z.enum(['strict', 'passthrough']),
      suite: z.string(),
      case: z.string(),
      causes: z.array(z.string()).min(1),
      note: z.string().optional(),
    }),
  ),
});

export type AcceptedDifferences = z.infer<typeof Accepted>;

export function readAccepted(file: URL): AcceptedDifferences {
  return parseAccepted(parse(readFileSync(file, 'utf8')));
}

export function parseAccepted(document: unknown): AcceptedDifferences {
  const accepted = Accepted.parse(document);
  const known = new Set(accepted.causes.map(({ id }) => id));
  for (const difference of accepted.differences) {
    const unknown = difference.causes.find((id) => !known.has(id));
    if (unknown !== undefined) {
      throw new Error(
        `accepted.yaml: ${difference.case} names the cause "${unknown}", which is not there`,
      );
    }
    if (difference.lane === 'passthrough') {
      throw new Error('accepted.yaml: under passthrough no difference is accepted');
    }
  }
  return accepted;
}

/** Causes whose lines stand among those that only hoop printed. */
export function causesShown(accepted: AcceptedDifferences, hoopOnly: readonly string[]): string[] {
  return accepted.causes
    .filter(({ shows }) => shows.some((pattern) => hoopOnly.some((line) => pattern.test(line))))
    .map(({ id }) => id);
}

/** Whether each of these causes has beside it what it needs. */
export function areTogether(accepted: AcceptedDifferences, shown: readonly string[]): boolean {
  return accepted.causes
    .filter(({ id, beside }) => shown.includes(id) && beside.length > 0)
    .every(({ beside }) => beside.some((id) => shown.includes(id)));
}
