/**
 * The policy repository as values: what load-policy.ts makes of the YAML, before it is matched
 * against a principal and a target. Nothing in here has been decided yet.
 */
import type { PolicyConnector, RulesByKind } from './connector.ts';
import type { HoopFile } from './schema/schema.ts';
import type { ColumnMask, DetectorName, Principal, SessionLimits, StatementRule } from './types.ts';
import type { WorkloadRule } from './workloads/workload-rule.ts';

export interface PolicyTarget {
  readonly kind: string;
  /** What the policy says of statements, masks and rows is about it; see `PolicyConnector.rules`. */
  readonly hasStatements: boolean;
  /** Of a database: the one that sessions are on, where the target says it. */
  readonly database?: string;
  readonly name: string;
  readonly description: string | undefined;
  /** Empty: only the gateway's own configuration knows where it is. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly connectTimeoutSeconds: number;
  /** Name of a credential in the gateway's configuration, for whom no entry below fits. */
  readonly credential: string | undefined;
  /** The first entry whose groups fit is taken. */
  readonly credentials: readonly {
    readonly groups: readonly string[];
    readonly credential: string;
  }[];
  readonly labels: Readonly<Record<string, string>>;
  readonly recording: 'full';
  readonly terminal?: 'off';
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

/** Fits who fits one of the first three, and the last. */
export interface WhoMatch {
  readonly everyone: boolean;
  readonly groups: readonly string[];
  readonly users: readonly UserMatch[];
  /** Only principals of this identity provider. */
  readonly issuer: string | undefined;
}

export interface TargetMatch {
  /** `*` is every target. */
  readonly names: readonly string[];
  /** All of them must be on the target. Empty together with `names`: never. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What policies and agents give. */
export interface PolicyContent {
  readonly rules: readonly StatementRule[];
  /** Those of connectors. */
  readonly own: RulesByKind;
  readonly masks: readonly ColumnMask[];
  readonly detectors: readonly DetectorName[];
  /** Detectors that only count; absent: none. */
  readonly observed?: readonly DetectorName[];
  readonly limits: Partial<SessionLimits>;
  readonly requireReason: boolean;
  readonly inference: 'allow' | 'deny' | undefined;
  /** Present: what programs show on their terminal is not recorded. */
  readonly terminal?: 'off';
  /** `statements: anything`. */
  readonly anything: boolean;
}

export interface PolicyDocument extends PolicyContent {
  readonly name: string;
  readonly description: string | undefined;
  readonly who: WhoMatch & {
    /** Only principals of these kinds. */
    readonly kinds: readonly Principal['kind'][] | undefined;
    /** Only while one of these agents acts for them; `*` is any. */
    readonly agents: readonly string[] | undefined;
  };
  readonly targets: TargetMatch;
  /** Present: nobody has this policy before it was asked for and approved; `who` may ask. */
  readonly request: RequestTerms | undefined;
  /** Digest of what the policy gives; places, people and terms are not in it. */
  readonly definition: string;
  readonly file: string;
  /** Where the parts stand that are checked against other files. */
  readonly places: Readonly<Record<'name' | 'who' | 'targets' | 'statements' | 'request', Place>>;
}

/** How a command is recognised as that of an agent. */
export interface AgentMatch {
  /** In lower case, without folder. */
  readonly programs: readonly string[];
  /** Patterns; each must fit one of the arguments. Empty: any arguments. */
  readonly arguments: readonly string[];
}

/** What an agent may do at most: what it does needs this and the rights of whoever it acts for. */
export interface AgentDocument extends PolicyContent {
  readonly name: string;
  readonly description: string | undefined;
  readonly match: readonly AgentMatch[];
  /** Logins that are the agent itself. */
  readonly identities: WhoMatch | undefined;
  /** For whom it may act; undefined: for anybody, workloads too, because it only takes away. */
  readonly who: WhoMatch | undefined;
  readonly targets: TargetMatch;
  readonly file: string;
  readonly places: Readonly<
    Record<'name' | 'match' | 'identities' | 'who' | 'targets' | 'statements', Place>
  >;
}

export interface Policy {
  readonly org: string | undefined;
  readonly identityProviders: HoopFile['identityProviders'];
  readonly workloads: readonly WorkloadRule[];
  /** Groups that give each role. */
  readonly roles: Readonly<Record<'auditor' | 'approver' | 'observer', readonly string[]>>;
  /** Where parts of hoop.yaml stand: the approvers, and each provider in its order. */
  readonly places: { readonly approver: Place; readonly identityProviders: readonly Place[] };
  readonly defaults: {
    readonly limits: SessionLimits;
    readonly requireReason: boolean;
    readonly inference: 'allow' | 'deny';
    readonly notices: 'on' | 'off';
  };
  readonly targets: ReadonlyMap<string, PolicyTarget>;
  /** What it was read with. */
  readonly connectors: readonly PolicyConnector[];
  readonly documents: readonly PolicyDocument[];
  readonly agents: ReadonlyMap<string, AgentDocument>;
}

/** 1-based, both. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Something in the repository that must be corrected before the policy can be in force. */
export interface PolicyProblem extends Place {
  readonly file: string;
  readonly message: string;
}
