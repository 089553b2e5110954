import { HoopError } from '../../../errors.ts';

/** One ID token and a few short fields. */
export const MAX_FORM_LENGTH = 128 * 1024;

/** @throws HoopError HOOP_TOO_LARGE */
export function readForm(body: string): URLSearchParams {
  if (body.length > MAX_FORM_LENGTH) {
    throw new HoopError('HOOP_TOO_LARGE', 'the request is larger than a token request can be');
  }
  return new URLSearchParams(body);
}

/**
 * A field given twice is refused: two readers could each take another one (RFC 6749 §3.2).
 * @throws HoopError HOOP_USAGE
 */
export function requireField(form: URLSearchParams, name: string): string {
  const [value, ...more] = form.getAll(name);
  if (value === undefined || value === '' || more.length > 0) {
    throw new HoopError('HOOP_USAGE', `the request needs the field "${name}" exactly once`);
  }
  return value;
}

/** @throws HoopError HOOP_USAGE when it is given twice */
export function optionalField(form: URLSearchParams, name: string): string | undefined {
  return form.has(name) ? requireField(form, name) : undefined;
}
