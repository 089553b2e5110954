/**
 * Texts that people give beside their requests: reasons. They are signed and recorded, and what is
 * wrong with one is theirs to mend: said in words, and not as a message that somebody broke.
 */
import * as z from 'zod';
import { HoopError } from '../errors.ts';

/** Of a session, and of the sessions of a run. */
export const MAX_REASON = 2000;
/** Of who ends a session or a run. */
export const MAX_END_REASON = 500;

/** Marks an issue of a schema whose message is for who gave the text. */
const FOR_WHO_GAVE_IT = { freeText: true };

/** @param max UTF-16 units, as `length` counts them */
export function freeText(max: number): z.ZodType<string> {
  return z.string().superRefine((text, context) => {
    const fault = faultOf(text, max);
    if (fault !== undefined) {
      context.addIssue({ code: 'custom', message: fault, params: FOR_WHO_GAVE_IT });
    }
  });
}

/** As `freeText`, of one line that other people's terminals show as it is. */
export function freeLine(max: number): z.ZodType<string> {
  return freeText(max).superRefine((text, context) => {
    if (/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u.test(text)) {
      const message = 'It must be one line without control characters.';
      context.addIssue({ code: 'custom', message, params: FOR_WHO_GAVE_IT });
    }
  });
}

/** Before anything is signed or sent. @throws HOOP_USAGE */
export function checkReason(reason: string | undefined): void {
  const fault = faultOf(reason ?? '', MAX_REASON);
  if (fault !== undefined) {
    throw textRefused('reason', fault);
  }
}

/** @returns what is wrong with a text, when that is what is wrong. */
export function textIssue(issue: z.core.$ZodIssue): HoopError | undefined {
  const isText = issue.code === 'custom' && issue.params?.['freeText'] === true;
  return isText ? textRefused(issue.path.join('.'), issue.message) : undefined;
}

function textRefused(name: string, fault: string): HoopError {
  return new HoopError('HOOP_USAGE', `the ${name} cannot be recorded`, { detail: fault });
}

function faultOf(text: string, max: number): string | undefined {
  if (text.length > max) {
    return `It is longer than ${max} characters.`;
  }
  // It has no UTF-8, and so nothing that could be signed.
  return text.isWellFormed()
    ? undefined
    : 'It contains half of a surrogate pair, which is not a character.';
}
