/**
 * What the policy says, after the YAML has been read and matched against one principal and one
 * target. Pure data: everything that decides about a statement works on these values.
 */

import type { ConnectorRule } from './connector.ts';

/** Where a rule stands, for denial texts, events and `explain`. */
export interface RuleRef {
  /** `<policy name>/<rule name>`, or `builtin/<name>` for a guard that hoop brings itself. */
  readonly id: string;
  /** Path in the policy repository, or `builtin`. */
  readonly file: string;
  readonly line: number;
  /** Id of the temporary grant that the rule came with; absent: the policy gives it by itself. */
  readonly grant?: string;
}

/** Who acts. `sub` is unique within `issuer`; both together name a person for good. */
export interface Principal {
  readonly kind: 'person' | 'workload';
  readonly issuer: string;
  readonly sub: string;
  /** For people to read: e-mail, else preferred name, else sub. Untrusted text. */
  readonly name: string;
  readonly email: string | undefined;
  /** By `claims.subject`: what stays the same for a person, whichever client they use at the issuer. */
  readonly subject?: string;
  /** `email`, when the provider says that it has checked it. */
  readonly verifiedEmail?: string;
  /** Thumbprint of the key that the login is bound to; of a run, of the login that started it. */
  readonly loginKey?: string;
  readonly groups: readonly string[];
  /** Roles from hoop.yaml that the groups give: 'auditor', 'approver', 'observer'. A run has none. */
  readonly roles: readonly string[];
  /**
   * Name of the agent that acts for whoever this is (agents/*.yaml); what it may do is what both
   * may. Absent: nobody but the principal.
   */
  readonly agent?: string;
  /** The login is the agent's own; it acts for nobody else. */
  readonly isAgent?: true;
  /**
   * For whom a workload works, by the word of its issuer: printable text, mostly an address. It gives
   * nothing; the one thing that it takes is that this person approves what the workload asks for.
   */
  readonly requester?: string;
  /**
   * Logged in with a code that was entered on another device. Whoever sends somebody such a code
   * gets the login, so it has no roles and decides about nothing.
   */
  readonly viaDevice?: true;
  /** Names of the only targets that there are for it: those that its run was started for. Absent: all. */
  readonly targets?: readonly string[];
}

/**
 * A statement verb: the lower-case leading keyword(s) of the command as PostgreSQL's docs name
 * it, e.g. `select`, `insert`, `update`, `delete`, `merge`, `truncate`, `copy`, `create table`,
 * `alter role`, `drop`, `grant`, `set`, `show`, `begin`, `explain`, `call`, `do`, `listen`.
 */
export type Verb = string;

/** Relation pattern in a rule: `schema.name`, where either part may be or contain `*`. */
export type RelationPattern = string;

export type MaskKind = 'full' | 'partial' | 'hash' | 'null';

export interface ColumnMask {
  /** Exact names, as stored in the catalog (case matters). */
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
  readonly mask: MaskKind;
  /** `allow`: the principal may write what it cannot read. Default: writes are refused. */
  readonly write?: 'allow';
  /**
   * `deny`: a statement may carry the column to its output and compute nothing with it that the mask
   * does not show. `allow`: it may filter, sort and count by it; who may filter can guess.
   */
  readonly inference: 'allow' | 'deny';
  /** With `inference: deny`: it may be compared with given values, so many a day (`limits.lookups`). */
  readonly lookup?: true;
  readonly rule: RuleRef;
}

export type DetectorName =
  | 'card'
  | 'ssn'
  | 'email'
  | 'iban'
  | 'jwt'
  | 'cloud-key'
  | 'vcs-token'
  | 'private-key'
  | 'url-password';

export type RuleEffect = 'allow' | 'deny' | 'approve';

/** On what terms a statement that an `approve` rule speaks of may run. */
export interface ApprovalTerms {
  /** Groups whose members may approve; whoever asks never counts. Empty: nobody can. */
  readonly groups: readonly string[];
  /** How many different people must. */
  readonly count: number;
  /** How long a request waits for them; and how long an approval that is used later can be used. */
  readonly timeoutSeconds: number;
  /** false: the statement fails at once and runs when it is sent again after approval. */
  readonly waits: boolean;
  /** A workload's statement fails at once: nobody sits at its terminal, and its minutes cost. */
  readonly waitsForPeopleOnly?: true;
  /** How long a statement may wait inside an open transaction, whose locks others wait for. */
  readonly maxHoldSeconds: number;
}

/** An approve rule that speaks of what is asked for: it may happen once this many have approved. */
export interface ApprovalDemand {
  readonly rule: RuleRef;
  readonly terms: ApprovalTerms;
  readonly hint: string | undefined;
}

export interface StatementRule {
  readonly effect: RuleEffect;
  readonly rule: RuleRef;
  /** Empty list = any. `*` = any. `drop` also matches `drop table`: a verb matches its prefixes by word. */
  readonly verbs: readonly Verb[];
  readonly relations: readonly RelationPattern[];
  /** `schema.name` patterns of functions called. Empty = the rule says nothing about functions. */
  readonly functions: readonly string[];
  /** With `functions`: these may return what is masked, so they can be called although masks are in force. */
  readonly mayShow?: 'masked';
  /** true: only UPDATE and DELETE with a WHERE that is no constant; false: only without; undefined: both. */
  readonly qualified: boolean | undefined;
  /** allow: up to so many rows may change; deny and approve: the rule is about what changes more. */
  readonly rows?: number;
  /** Shown in HINT when the rule refuses. */
  readonly hint: string | undefined;
  /** Present with the effect `approve`. */
  readonly approval?: ApprovalTerms;
}

export interface SessionLimits {
  /** Seconds. The session ends then, whatever it is doing. */
  readonly maxTimeSeconds: number;
  /** Seconds without a byte from the client on any stream. */
  readonly idleTimeSeconds: number;
  readonly maxConnections: number;
  /** Rows that one statement may return; undefined = no limit. */
  readonly maxRows: number | undefined;
  /** Rows that the statements of a transaction may change together; undefined = no limit. */
  readonly changedRowsPerTransaction?: number | undefined;
  /** Rows that a person may change in a day of UTC; undefined = no limit. */
  readonly changedRowsPerDay?: number | undefined;
  /** Values a day that a person may compare with columns whose mask says `lookup: true`. */
  readonly lookups: number;
  /** Statements that one message may hold; undefined = no limit. */
  readonly statementsPerMessage?: number | undefined;
  /** Statements of a session; what comes faster waits. undefined = no limit. */
  readonly statementsPerSecond?: number | undefined;
}

/** A requestable policy that approvers have given to one principal on one target for a while. */
export interface TemporaryGrant {
  readonly id: string;
  /** Name of the requestable policy. */
  readonly policy: string;
  /** `PolicyDocument.definition` as it was approved: what it gives must not have changed since. */
  readonly definition: string;
  /** Wall clock, ms. */
  readonly expiresMs: number;
}

/**
 * An agent acts for a principal: each of them has rules of its own, and a statement needs both. One
 * list of both would let a rule of the one stand in for what the other lacks.
 */
export interface ActingAgent {
  readonly name: string;
  /** Of the policy repository. */
  readonly file: string;
  /** Name of the principal; untrusted text. */
  readonly principal: string;
  /** The login is the agent's own: nobody stands behind it. */
  readonly isAgent: boolean;
  /** `Principal.requester`. */
  readonly requester?: string;
  readonly sides: Readonly<Record<GrantSide, readonly StatementRule[]>>;
  /** The same where a connector has the rules. */
  readonly own?: Readonly<Record<GrantSide, readonly ConnectorRule[]>>;
  /** Whose rules the grant has; absent: it has none, and `sides` are asked one after the other. */
  readonly side?: GrantSide;
}

export type GrantSide = 'principal' | 'agent';

/** All that the policy at `commit` gives one principal on one target. */
export interface Grant {
  readonly commit: string;
  /** Changes whenever anything below does; part of every cached verdict's key. */
  readonly generation: string;
  readonly target: string;
  /** Empty with an agent: then `agent` has those of both sides. */
  readonly rules: readonly StatementRule[];
  /** Of the connector of the target's kind, and then all that there is; with an agent as above. */
  readonly own?: { readonly rules: readonly ConnectorRule[] };
  readonly agent?: ActingAgent;
  readonly masks: readonly ColumnMask[];
  readonly detectors: readonly DetectorName[];
  /** Those that count what goes out in clear, and change nothing; none of `detectors`. Absent: none. */
  readonly observed?: readonly DetectorName[];
  readonly limits: SessionLimits;
  readonly requireReason: boolean;
  /** Absent: results say which columns are masked, of each column once in a connection. */
  readonly notices?: 'off';
  /** `statements: anything`: no parsing, no guards. Void whenever any other policy applies. */
  readonly passthrough: boolean;
  readonly recording: 'full';
  /** What programs show on their terminal is not recorded; absent: it is, where there is one. */
  readonly terminal?: 'off';
  /** Temporary grants that are part of it; the grant is not to be used past their first expiry. */
  readonly temporary?: readonly TemporaryGrant[];
  /** Policies that could be asked for and are not given now; for hints. */
  readonly requestable?: readonly string[];
}

/** A refusal, ready for an event, an agent to act on, and a connector to say it in its protocol. */
export interface Refusal {
  readonly code:
    | 'HOOP_DENIED'
    | 'HOOP_NOT_ALLOWED'
    | 'HOOP_UNPARSED'
    | 'HOOP_UNTRACEABLE'
    | 'HOOP_MASKED_WRITE'
    | 'HOOP_SETTING'
    | 'HOOP_ENCODING'
    | 'HOOP_MESSAGE_REFUSED'
    | 'HOOP_APPROVAL_UNAVAILABLE'
    | 'HOOP_APPROVAL_PENDING'
    | 'HOOP_APPROVAL_DENIED'
    | 'HOOP_APPROVAL_EXPIRED'
    | 'HOOP_APPROVAL_VOID'
    | 'HOOP_LIMIT'
    | 'HOOP_LOOKUPS'
    | 'HOOP_RESULT_MISMATCH'
    | 'HOOP_ROWS'
    | 'HOOP_TOO_LARGE';
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  /** 1-based character position in the text that was refused. */
  readonly position: number | undefined;
  readonly rule: RuleRef | undefined;
}
