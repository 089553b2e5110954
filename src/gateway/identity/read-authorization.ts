import { HoopError } from '../../errors.ts';
import { tokenError } from './tokens/token-error.ts';

/** @returns the session token @throws HoopError HOOP_NOT_LOGGED_IN, HOOP_PROOF_MISSING */
export function readAuthorization(header: string | undefined): string {
  if (header === undefined || header === '') {
    throw new HoopError('HOOP_NOT_LOGGED_IN', 'the request carries no token', {
      hint: 'Log in with `hoop login`.',
    });
  }
  const [scheme, token, ...rest] = header.split(' ');
  if (scheme?.toLowerCase() !== 'dpop' || token === undefined || rest.length > 0) {
    throw tokenError('HOOP_PROOF_MISSING', 'the token was sent without a proof of its key', {
      detail: 'Send tokens of this gateway as `Authorization: DPoP`, never as Bearer.',
    });
  }
  return token;
}
