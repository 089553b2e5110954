import * as z from 'zod';
import { tokenError } from './token-error.ts';

/** The gateway's own tokens and proofs have less than one KiB. */
const MAX_TOKEN_LENGTH = 16 * 1024;
/** Those of others may name 1000 groups, the most that a login takes, of 60 characters each. */
export const MAX_PLATFORM_TOKEN_LENGTH = 96 * 1024;

/**
 * `crit` names extensions that change what a token means; none is understood here, so none is
 * taken (RFC 7515 §4.1.11). jose would follow `b64` and verify other bytes than are read below.
 */
const Header = z.looseObject({
  alg: z.string(),
  typ: z.string().optional(),
  crit: z.undefined().optional(),
});
const Claims = z.record(z.string(), z.unknown());

export interface JwtParts {
  readonly header: z.infer<typeof Header>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** The exact bytes of the claims, for digests. */
  readonly claimsBytes: Uint8Array;
}

/**
 * Takes a compact JWS apart. Nothing is verified yet.
 * @param what for the message: `ID token`, `session token`, `DPoP proof`
 * @param maxLength characters
 * @throws HoopError HOOP_TOKEN_MALFORMED
 */
export function splitJwt(text: string, what: string, maxLength = MAX_TOKEN_LENGTH): JwtParts {
  if (text.length > maxLength) {
    throw tokenError('HOOP_TOKEN_MALFORMED', `the ${what} is too long`, {
      detail: `It has ${text.length} characters; the gateway reads at most ${maxLength}.`,
      hint: 'Have the provider put fewer groups into it, such as only those that the policy names.',
    });
  }
  const parts = text.split('.');
  const [header, payload, signature] = parts;
  if (
    parts.length !== 3 ||
    header === undefined ||
    payload === undefined ||
    signature === undefined
  ) {
    throw malformed(what);
  }
  const claimsBytes = decodeBase64Url(payload, what);
  decodeBase64Url(signature, what);
  return {
    header: parse(Header, decodeBase64Url(header, what), what),
    claims: parse(Claims, claimsBytes, what),
    claimsBytes,
  };
}

/** Strict: Node's decoder skips what it does not know, so two texts could mean one token. */
function decodeBase64Url(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) {
    throw malformed(what);
  }
  return bytes;
}

function parse<T>(schema: z.ZodType<T>, bytes: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
  } catch (cause) {
    throw malformed(what, cause);
  }
}

function malformed(what: string, cause?: unknown): Error {
  return tokenError('HOOP_TOKEN_MALFORMED', `the ${what} is not a signed JSON web token`, {
    detail: `A ${what} has three base64url parts with dots between them.`,
    cause,
  });
}
