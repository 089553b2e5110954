/**
 * The policy repository as values: what load-policy.ts makes of the YAML, before it is matched
 * against a principal and a target. Nothing in here has been decided yet.
 */
import type { ColumnMask, DetectorName, SessionLimits, StatementRule } from './types.ts';
import type { WorkloadRule } from './workloads/workload-rule.ts';

interface IdentityProvider {
  readonly issuer: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** Names of the claims that hold these. */
  readonly claims: { readonly name: string; readonly email: string; readonly groups: string };
  readonly device?: DeviceLogin | undefined;
}

/** How one may log in with a code that is entered on another device. */
interface DeviceLogin {
  /** Of its own, because the audience is all that tells such an ID token from others. */
  readonly clientId: string;
  readonly scopes?: readonly string[] | undefined;
  /** The only ones that count; undefined: all. */
  readonly groups?: readonly string[] | undefined;
}

type TlsMode = 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

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

export interface PolicyTarget {
  readonly name: string;
  readonly kind: 'postgres';
  readonly description: string | undefined;
  /** Empty: only the gateway's own configuration knows where it is. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly sessionAttributes: SessionAttributes;
  readonly connectTimeoutSeconds: number;
  readonly database: string;
  /** Name of a credential in the gateway's configuration, for whom no entry below fits. */
  readonly credential: string | undefined;
  /** The first entry whose groups fit is taken. */
  readonly credentials: readonly {
    readonly groups: readonly string[];
    readonly credential: string;
  }[];
  readonly tls: {
    readonly mode: TlsMode;
    /** PEM of the CA, undefined: those that Node trusts. */
    readonly ca: string | undefined;
    readonly negotiation: 'postgres' | 'direct';
    readonly channelBinding: 'disable' | 'prefer' | 'require';
  };
  /** How the server may ask for the credential. */
  readonly loginMethods: readonly LoginMethod[];
  readonly labels: Readonly<Record<string, string>>;
  readonly recording: 'full';
  readonly file: string;
  readonly line: number;
}

export type UserMatch =
  | { readonly email: string; readonly issuer: string | undefined }
  | { readonly issuer: string; readonly sub: string };

/** On what terms a requestable policy is given. */
export interface RequestTerms {
  readonly maxDurationSeconds: number;
  /** Groups whose members may approve; whoever asks never counts. */
  readonly approvers: readonly string[];
  /** How many of them must. */
  readonly count: number;
  /** How long a request waits for them. */
  readonly timeoutSeconds: number;
}

export interface PolicyDocument {
  readonly name: string;
  readonly description: string | undefined;
  readonly who: {
    readonly everyone: boolean;
    readonly groups: readonly string[];
    readonly users: readonly UserMatch[];
    /** Only principals of this identity provider. */
    readonly issuer: string | undefined;
  };
  readonly targets: {
    /** `*` is every target. */
    readonly names: readonly string[];
    /** All of them must be on the target. Empty together with `names`: never. */
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly rules: readonly StatementRule[];
  readonly masks: readonly ColumnMask[];
  readonly detectors: readonly DetectorName[];
  readonly limits: Partial<SessionLimits>;
  readonly requireReason: boolean;
  readonly inference: 'allow' | 'deny' | undefined;
  /** `statements: anything`. */
  readonly anything: boolean;
  /** Present: nobody has this policy before it was asked for and approved; `who` may ask. */
  readonly request: RequestTerms | undefined;
  /** Digest of what the policy gives; places, people and terms are not in it. */
  readonly definition: string;
  readonly file: string;
  /** Where the parts stand that are checked against other files. */
  readonly places: Readonly<Record<'name' | 'who' | 'targets' | 'statements' | 'request', Place>>;
}

export interface Policy {
  readonly org: string | undefined;
  readonly identityProviders: readonly IdentityProvider[];
  readonly workloads: readonly WorkloadRule[];
  /** Groups that give each role. */
  readonly roles: { readonly auditor: readonly string[]; readonly approver: readonly string[] };
  readonly defaults: {
    readonly limits: SessionLimits;
    readonly requireReason: boolean;
    readonly inference: 'allow' | 'deny';
  };
  readonly targets: ReadonlyMap<string, PolicyTarget>;
  readonly documents: readonly PolicyDocument[];
}

/** 1-based, both. */
interface Place {
  readonly line: number;
  readonly column: number;
}

/** Something in the repository that must be corrected before the policy can be in force. */
export interface PolicyProblem extends Place {
  readonly file: string;
  readonly message: string;
}
