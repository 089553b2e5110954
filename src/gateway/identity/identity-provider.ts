/** An OpenID provider that the policy in force names. Its shape is the policy's, with what may be left out. */
export interface IdentityProvider {
  /** Compared byte for byte with `iss`; a trailing slash matters. */
  readonly issuer: string;
  /** Our public client there, and so the audience of its ID tokens. */
  readonly clientId: string;
  /** Signature algorithms to accept; unless given, `DEFAULT_ALGORITHMS`. */
  readonly algorithms?: readonly string[];
  /** Names of the claims that hold these facts. */
  readonly claims?: {
    readonly name?: string;
    readonly email?: string;
    readonly groups?: string;
  };
}

/**
 * Asymmetric signatures only: with HS256 on the list, whoever knows the provider's public key
 * could make tokens by using it as the secret (https://www.rfc-editor.org/rfc/rfc8725#section-2.1).
 */
export const DEFAULT_ALGORITHMS: readonly string[] = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
