/** What the Postgres engine needs from the rest of the gateway; nothing else reaches it. */
import type { HoopError } from '../../../errors.ts';
import type { HeldAsk, OperationApprovals } from '../../../gateway/approvals/session-approvals.ts';
import type { ServedStream, WatchWork } from '../../../gateway/connector.ts';
import type { Budget } from '../../../gateway/index/day-budget.ts';
import type { ClientCertificate } from '../../../gateway/targets/credential-store.ts';
import type { TargetHost } from '../../../gateway/targets/target-host.ts';
import type { Owner } from '../../../owner-turns.ts';
import type { RowChanges } from '../../../policy/row-changes.ts';
import type { Grant, Principal } from '../../../policy/types.ts';
import type { Secret } from '../../../secret.ts';
import type { ChangeScope, StatementAnalysis } from '../policy/facts/analysis-types.ts';
import type { Catalog, CatalogRelation, MaskBinding } from '../policy/facts/catalog-types.ts';
import type { AllowedStatement, StatementPolicy } from '../policy/facts/types.ts';
import type { LoginMethod, SessionAttributes } from '../policy/target.ts';
import type { AskedStatement } from './results/shown-changes.ts';
import type { StatementMemory } from './statements/statement-memory.ts';
import type { StatementPace } from './statements/statement-pace.ts';
import type { CollectedMessages } from './wire/collected-messages.ts';
import type { LargeRows } from './wire/large-rows.ts';

export interface PostgresTarget {
  readonly kind: 'postgres';
  readonly name: string;
  /** At least one; tried in this order. */
  readonly hosts: readonly TargetHost[];
  /** libpq's target_session_attrs. */
  readonly sessionAttributes: SessionAttributes;
  readonly database: string;
  /** Of the policy: who one is there. */
  readonly credentialName: string;
  readonly user: string;
  /** Those of all credentials that the target has; absent: it has one. */
  readonly users?: readonly string[];
  readonly password: Secret<string> | undefined;
  readonly clientCertificate: ClientCertificate | undefined;
  /** What the server may ask for. */
  readonly methods: readonly LoginMethod[];
  readonly tls: TargetTls;
  /** For each host, from the first packet to ReadyForQuery. */
  readonly connectTimeoutMs: number;
  /**
   * Longest body of a message that is collected: a statement, a row to be masked. PostgreSQL takes
   * up to 1 GiB; what is collected takes the memory of everyone else.
   */
  readonly maxMessageBytes: number;
}

export interface TargetTls {
  readonly mode: 'disable' | 'allow' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** PEM of the CA that signs the target's certificate. */
  readonly ca: string | undefined;
  /** `direct`: TLS from the first byte, PostgreSQL 17 and later. */
  readonly negotiation: 'postgres' | 'direct';
  readonly channelBinding: 'disable' | 'prefer' | 'require';
}

/** The cancel keys that this gateway has given out, for one session. */
export interface CancelRegistry {
  add(
    processId: number,
    secretKey: Uint8Array,
    cancel: (sentBefore: number | undefined) => Promise<void>,
    stream: number,
  ): void;
  remove(processId: number): void;
  /**
   * @param sentBefore bytes of the up stream that the client had sent when it asked; undefined: all.
   * @returns the stream whose statement is being cancelled, or undefined: no such key here.
   */
  cancel(
    processId: number,
    secretKey: Uint8Array,
    sentBefore?: number,
  ): Promise<number | undefined>;
}

/** The target's catalog, kept fresh by one connection of the gateway's own per target. */
export interface CatalogSource {
  current(): Promise<Catalog>;
  /** The same, if nothing has to be read for it. */
  fresh?(): Catalog | undefined;
  /** Looks at once for what has changed, after DDL was committed here. */
  refresh(scope?: ChangeScope): Promise<Catalog>;
  /**
   * Looks for what others have changed, by a look that begins after this call. Callers share looks,
   * and looks leave the target time in between, however many statements are refused.
   */
  lookAnew(): Promise<Catalog>;
  /** As `current` was the last time, whatever has happened since. */
  lastRead?(): Catalog | undefined;
  /**
   * A session has changed it: nobody gets the one of before from `current`.
   * @param by `another`: it has been told by who reads the same database with another credential.
   */
  invalidate?(scope: ChangeScope, by?: 'another'): void;
  /**
   * The catalog as another connection sees it in its open transaction.
   * @param ask one statement on that connection; undefined: it was not answered.
   * @param scope what its transaction has changed.
   * @param path current_schemas(true) there.
   * @returns undefined: it cannot be told.
   */
  seenBy?(
    ask: (sql: string) => Promise<readonly (readonly (string | null)[])[] | undefined>,
    scope: ChangeScope,
    path: readonly string[],
  ): Promise<SeenCatalog | undefined>;
}

/** Which database it is that a catalog was read from. */
export interface DatabasePlace {
  /** pg_control_system(): the same for a primary and its standbys; undefined: it may not be asked. */
  readonly system: string | undefined;
  /** OID of the database. */
  readonly database: number;
  readonly isPrimary: boolean;
}

/** What the masks of a target are bound to. */
export interface CatalogMasks {
  /** Grows with each policy that comes into force. */
  revision(): number;
  /**
   * Finds the masked columns in what was just read, and keeps that.
   * @throws when it cannot be kept: the catalog must not be used then
   */
  bind(catalog: Catalog, place: DatabasePlace): readonly MaskBinding[];
  /** Relations of which it could not be read what their definitions tell of masked columns. */
  unread(
    relations: readonly {
      readonly relation: CatalogRelation | undefined;
      readonly error: HoopError;
    }[],
  ): void;
}

export interface SeenCatalog {
  readonly catalog: Catalog;
  /** Generation of the one of `current` that it is made from. */
  readonly basedOn: number;
}

/** A parameter of Bind, for people to read and for the binding. */
export interface ApprovalParameter {
  readonly format: 'text' | 'hex' | 'null';
  readonly value: string;
  /** 0: Parse has not said it. */
  readonly typeOid: number;
}

/** A setting that an approval is bound to: `value-settings.ts`. */
export interface BoundSetting {
  readonly name: string;
  /** null: there is none of this name. */
  readonly value: string | null;
  /** The client has set it on this connection. */
  readonly isNamed: boolean;
}

/** A message that must not run before others have approved it. */
export interface ApprovalAsk extends HeldAsk {
  readonly stream: number;
  /** Offset of the message in the up stream. */
  readonly at: number;
  readonly text: string;
  /** Texts of the prepared statements that an EXECUTE in it runs. */
  readonly prepared: readonly string[];
  /** OIDs of the types that Parse gave their parameters; of those that PREPARE made the text has them. */
  readonly preparedTypes: readonly (readonly number[])[];
  readonly parameters: readonly ApprovalParameter[];
  /** Settings of the connection that say what values in it stand for. */
  readonly settings: readonly BoundSetting[];
  /**
   * Present where the demands are those of a row threshold. An approval covers what changes up to as
   * many rows; `AskedStatement.changes` is what it was given for.
   */
  readonly changes?: RowChanges;
  readonly analyses: readonly StatementAnalysis[];
  /** How its statements were decided. */
  readonly decided: readonly Pick<AllowedStatement, 'masks' | 'detectors' | 'redactErrors'>[];
  /** Rows that one statement may return. */
  readonly maxRows: number | undefined;
  readonly catalog: Catalog;
  readonly searchPath: readonly string[] | undefined;
  readonly role: string | undefined;
  /** Locks are held while it waits. */
  readonly inTransaction: boolean;
}

export type StatementApprovals = OperationApprovals<ApprovalAsk, AskedStatement>;

/** `client` is plain protocol from StartupMessage (or CancelRequest) on: no SSLRequest, no authentication. */
export interface PostgresStreamOptions extends Omit<ServedStream, 'kind' | 'clientLeft'> {
  /** Absent: only an error or the close of `client` says so, and its end is that of a half. */
  readonly clientLeft?: AbortSignal;
  readonly target: PostgresTarget;
  readonly principal: Principal;
  /** The grant in force now; it changes under a live session when a new policy commit arrives. */
  readonly grant: () => Grant;
  /** Calls the listener when a temporary grant has ended. @returns how to stop that. */
  readonly onGrantEnded?: (listener: () => void) => () => void;
  readonly policy: StatementPolicy;
  readonly catalog: CatalogSource;
  /** Of the host that was connected to, where the target has several; default: `catalog`. */
  readonly catalogOf?: (host: TargetHost) => CatalogSource;
  readonly approvals: StatementApprovals;
  /** Which programs get the rule and the hint in the message itself, too. Default: none. */
  readonly wholeMessages?: 'all' | 'unless shown';
  /** Counts what is looked up of masked columns. */
  readonly lookups: Budget;
  /** Counts the rows that are changed in a day, where the policy limits them. */
  readonly changedRows: Budget;
  /** Of the session, shared by its streams; absent: no limit holds. */
  readonly pace?: StatementPace;
  /** Whose turn it is where streams of all sessions wait for each other: the session. */
  readonly owner?: Owner;
  /** A statement waits for approval. @returns how to say that it no longer does. */
  readonly onWaiting?: () => () => void;
  /** Absent: the stream has no session that could be idle. */
  readonly watchWork?: WatchWork;
  readonly cancelKeys: CancelRegistry;
  /**
   * Key of `mask: hash` (HMAC-SHA-256), 32 random bytes that belong to one gateway and never leave
   * it. The same value hashes to the same text for as long as the key lives, so that joins work.
   */
  readonly maskKey: Secret<Uint8Array>;
  /** Of the gateway: where rows are masked that cost much. */
  readonly largeRows: Pick<LargeRows, 'rewrite'>;
  /** Of the gateway: how much its streams collect at once. */
  readonly collected: Pick<CollectedMessages, 'collector'>;
  /** Of the gateway: how much its streams keep of their statements. */
  readonly statementMemory: StatementMemory;
  /** For tests. */
  readonly startupWithinMs?: number;
  /** For tests. */
  readonly closeWithinMs?: number;
  /** For tests. */
  readonly countWithinMs?: number;
  /** Session end: the engine sends 57P01 with the reason where the protocol allows, then closes. */
  readonly signal: AbortSignal;
}
