/** Whether a provider has signed a token: by one of its published keys, in a way that is allowed. */
import { compactVerify, errors } from 'jose';
import { HoopError } from '../../../errors.ts';
import { type IdentityProvider, SIGNATURE_ALGORITHMS } from '../identity-provider.ts';
import type { JwksCache } from './jwks-cache.ts';
import type { JwtParts } from './jwt-parts.ts';
import { tokenError } from './token-error.ts';

/**
 * @param what for the message: `ID token`, `logout token`
 * @throws HoopError HOOP_TOKEN_…, HOOP_IDP_UNREACHABLE
 */
export async function checkSignature(
  what: string,
  token: string,
  { header }: JwtParts,
  { provider, keys }: { readonly provider: IdentityProvider; readonly keys: JwksCache },
): Promise<void> {
  // `none` and shared secrets are never a signature.
  if (!SIGNATURE_ALGORITHMS.includes(header.alg)) {
    throw tokenError('HOOP_TOKEN_ALGORITHM', `the ${what} is signed in a way that is not allowed`, {
      detail: `Accepted are ${SIGNATURE_ALGORITHMS.join(', ')}.`,
      hint: 'Configure the client at the identity provider to sign its ID tokens with one of these, such as RS256.',
    });
  }
  try {
    await compactVerify(token, (found, input) => keys.key(provider.issuer, found, input), {
      algorithms: [header.alg],
    });
  } catch (cause) {
    if (cause instanceof HoopError) {
      throw cause;
    }
    if (cause instanceof errors.JWSSignatureVerificationFailed) {
      throw tokenError('HOOP_TOKEN_SIGNATURE', `the signature of the ${what} is wrong`, { cause });
    }
    throw tokenError('HOOP_TOKEN_MALFORMED', `the ${what} cannot be verified`, { cause });
  }
}
