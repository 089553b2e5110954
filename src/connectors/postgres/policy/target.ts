/** A database as the policy has it. */
import type { PolicyTarget } from '../../../policy/policy.ts';

/** libpq's target_session_attrs. */
export type SessionAttributes =
  | 'any'
  | 'read-write'
  | 'read-only'
  | 'primary'
  | 'standby'
  | 'prefer-standby';

/** As in libpq's require_auth; `password-without-tls` is the clear text that nobody should see. */
export type LoginMethod = 'scram-sha-256' | 'md5' | 'password' | 'password-without-tls' | 'none';

export interface PostgresPolicyTarget extends PolicyTarget {
  readonly kind: 'postgres';
  readonly sessionAttributes: SessionAttributes;
  readonly database: string;
  readonly tls: {
    readonly mode: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
    /** PEM of the CA, undefined: those that Node trusts. */
    readonly ca: string | undefined;
    readonly negotiation: 'postgres' | 'direct';
    readonly channelBinding: 'disable' | 'prefer' | 'require';
  };
  /** How the server may ask for the credential. */
  readonly loginMethods: readonly LoginMethod[];
}

export function isDatabase(target: PolicyTarget): target is PostgresPolicyTarget {
  return target.kind === 'postgres';
}
