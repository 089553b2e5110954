/** What the schemas of several policy files are made of. */
import * as z from 'zod';
import { isSafeProviderUrl } from '../provider-url.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Says which keys exist when one does not: the most common mistake by far. */
export function strict<const Shape extends z.ZodRawShape>(shape: Shape, description?: string) {
  const known = Object.keys(shape).join(', ');
  const object = z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown key ${issue.keys.map((key) => `"${key}"`).join(', ')}; expected one of ${known}`
        : undefined,
  });
  return description === undefined ? object : object.describe(description);
}

export const Name = z
  .string()
  .regex(NAME, 'expected a name of up to 63 letters, digits, ".", "_" or "-"')
  .describe('Up to 63 letters, digits, ".", "_" or "-".');

export const Text = z.string().min(1, 'expected some text').max(2000);
export const TerminalOff = z
  .literal('off', { error: 'expected "off"' })
  .optional()
  .describe('Terminal output of programs is not recorded.');
export const Groups = z.array(z.string().min(1)).min(1, 'expected at least one group').max(500);

export const Issuer = z
  .string()
  .refine(isIssuer, 'expected an https URL without query or fragment');

/** OpenID Connect Core §2, `iss`. */
function isIssuer(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null &&
    isSafeProviderUrl(text) &&
    !text.includes('?') &&
    !text.includes('#') &&
    url.username === '' &&
    url.password === ''
  );
}
