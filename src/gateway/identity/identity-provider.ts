/** An OpenID provider that the policy in force names. Its shape is the policy's, with what may be left out. */
export interface IdentityProvider {
  /** Compared byte for byte with `iss`; a trailing slash matters. */
  readonly issuer: string;
  /** Our public client there, and so the audience of its ID tokens. */
  readonly clientId: string;
  /** Where the token has these facts: the name of a claim, or a JSON pointer such as `/realm_access/roles`. */
  readonly claims?: {
    readonly name?: string;
    readonly email?: string;
    readonly groups?: string;
    readonly subject?: string | undefined;
  };
  /** Seconds: so often the provider must confirm a login by a new ID token. undefined: never again. */
  readonly fresh?: number | undefined;
  /** Seconds: how long a login lasts, and sessions that it opened. undefined: 12 h, for logins alone. */
  readonly maxTime?: number | undefined;
  /** PEM. The only CA that the provider's certificate may come from, when there is one. */
  readonly ca?: string | undefined;
  /** undefined: no login by device code. */
  readonly device?:
    | { readonly clientId: string; readonly groups?: readonly string[] | undefined }
    | undefined;
}

/** How somebody logged in, as the gateway can tell: by which client the ID token was made for. */
export type LoginFlow = 'browser' | 'device';

/** @returns the client id; undefined: this provider has no such logins (any more) */
export function clientOf(provider: IdentityProvider, flow: LoginFlow): string | undefined {
  return flow === 'device' ? provider.device?.clientId : provider.clientId;
}

/**
 * Asymmetric signatures only: with HS256 on the list, whoever knows the provider's public key
 * could make tokens by using it as the secret (https://www.rfc-editor.org/rfc/rfc8725#section-2.1).
 */
export const SIGNATURE_ALGORITHMS: readonly string[] = [
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
