/** An entry of `workloads:` after everything about it was checked. */
import type { ClaimPath } from './claim-path.ts';
import type { PlatformName } from './platforms.ts';

export type ClaimValue = string | boolean;

export interface ExactClaim {
  /** As the author of the policy calls it. */
  readonly name: string;
  readonly path: ClaimPath;
  /** One of them must be the token's. */
  readonly anyOf: readonly ClaimValue[];
}

export interface WorkloadRule {
  readonly name: string;
  readonly platform: PlatformName;
  /** Compared byte for byte with `iss`. `spiffe://…`: tokens without `iss`, by their trust domain. */
  readonly issuer: string;
  /** undefined: the gateway's address with `WORKLOAD_AUDIENCE_PATH` behind it. */
  readonly audience: string | undefined;
  /** undefined: those that the issuer's discovery document names. */
  readonly jwks: PinnedKeySet | undefined;
  /** Where the keys are from; two entries with the same one trust the same signatures. */
  readonly keySource: string;
  readonly claims: readonly ExactClaim[];
  readonly show: readonly { readonly name: string; readonly path: ClaimPath }[];
  /** `ci/{ref}`; names in braces are in `claims` or `show`. */
  readonly principal: string;
  /** Says for whom the workload works. */
  readonly requester: { readonly name: string; readonly path: ClaimPath } | undefined;
  readonly groups: readonly string[];
  readonly line: number;
}

export interface PinnedKeySet {
  readonly keys: readonly ({ readonly kty: string; readonly kid?: string | undefined } & Readonly<
    Record<string, unknown>
  >)[];
}

/** Behind the gateway's base URL: what a token for it must be made out to. */
export const WORKLOAD_AUDIENCE_PATH = '/workload';

/** `{name}` in `principal`. */
export const PLACEHOLDER = /\{([^{}]*)\}/g;
