/**
 * The seam between the SQL side of the policy and the Postgres engine.
 *
 * `Catalog` is a snapshot of what the target's catalog says (read by connectors/postgres/gateway/catalog-reader).
 * `StatementAnalysis` is what one parsed statement does, against one catalog and search_path.
 * `Verdict` is what the engine acts on. All of it is plain, immutable data.
 */
import type {
  ApprovalDemand,
  DetectorName,
  Grant,
  MaskKind,
  Refusal,
  RuleRef,
  Verb,
} from '../../../policy/types.ts';

/** A refusal of a statement. */
export interface SqlRefusal extends Refusal {
  /** SQLSTATE: 42501 for denials, 42601 for the parser's own complaint, 54000 for caps. */
  readonly sqlState: string;
}

// ---------------------------------------------------------------- catalog

export interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  readonly dropped: boolean;
  /** Expression text of a generated column (pg_get_expr), which derives from other columns. */
  readonly generatedFrom: string | undefined;
  /** attnums that `generatedFrom` reads; undefined although generated = not known, so all columns. */
  readonly generatedColumns?: readonly number[];
  /** `generatedFrom` succeeds for all values of these columns. */
  readonly generatedIsTotal?: true;
}

export type RowChange = 'insert' | 'update' | 'delete' | 'truncate';

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_class.relkind: r, p, v, m, f, S, c, i, I, t. */
  readonly kind: string;
  readonly columns: readonly CatalogColumn[];
  /** pg_get_viewdef for v and m, else undefined. */
  readonly viewDefinition: string | undefined;
  /** The parser's tree of `viewDefinition` (all names in it qualified); undefined = did not parse. */
  readonly viewTree?: unknown;
  /** Schemas in which names of `viewDefinition` and `rules` are looked up that are not qualified; default: pg_catalog. */
  readonly viewPath?: readonly string[];
  /** attnums of its primary key, if it holds at any time (not deferrable). */
  readonly primaryKey?: readonly number[] | undefined;
  /** OIDs of direct parents (inheritance and partitioning). */
  readonly parents: readonly number[];
  /** pg_type.oid of the row type. */
  readonly rowTypeOid: number;
  /**
   * Whether DML runs code that is not built in: user triggers, rules, and functions or operators
   * of their own in defaults, CHECK constraints, indexes, domains of its columns.
   */
  readonly hasTriggersOrRules: boolean;
  /** On which changes that code runs; undefined with `hasTriggersOrRules` = on any. */
  readonly codeOn?: {
    readonly runs: ReadonlySet<RowChange>;
    /** It can also change the row before RETURNING shows it. */
    readonly altersRow: ReadonlySet<RowChange>;
    /** Trigger functions that can; where anything else can too, they are not all (`otherwise`). */
    readonly alteredBy?: readonly {
      readonly change: RowChange;
      readonly called: CatalogFunction;
    }[];
    readonly alteredOtherwise?: ReadonlySet<RowChange>;
    /** It can be put off until the transaction ends. */
    readonly deferrable?: ReadonlySet<RowChange>;
  };
  readonly rowSecurity: boolean;
  /** Row security policies that call functions which are not built in: reading runs them. */
  readonly rowSecurityRunsUserCode?: boolean;
  /** OIDs of tables with foreign keys to this one: TRUNCATE … CASCADE empties them too. */
  readonly referencedBy?: readonly number[];
  /** Its foreign keys to other tables. */
  readonly foreignKeys?: readonly CatalogForeignKey[];
  /** Rules of its own, but for what makes a view a view. */
  readonly rules?: readonly CatalogRule[];
  /** Of a view: functions of INSTEAD OF triggers, which are all that a change of it does. */
  readonly insteadOf?: readonly { readonly change: RowChange; readonly called: CatalogFunction }[];
  /** What the server compares when a row is written. */
  readonly comparisons?: readonly CatalogComparison[];
  /** Functions that are not built in and that every written row runs: checks, domains. */
  readonly checking?: readonly CatalogFunction[];
  /** Of defaults and generated columns: such functions, and OIDs of sequences that they draw from. */
  readonly defaults?: readonly {
    readonly attnum: number;
    readonly called?: CatalogFunction;
    readonly draws?: number;
  }[];
  /** Sequences that belong to its columns (serial, identity, OWNED BY). */
  readonly ownSequences?: readonly { readonly attnum: number; readonly sequence: number }[];
  /** Of a sequence: OID of the table that it belongs to, and of those whose defaults draw from it. */
  readonly sequenceOf?: number;
  readonly drawnBy?: readonly number[];
}

export interface CatalogForeignKey {
  readonly name: string;
  /** OID of the referenced table. */
  readonly references: number;
  /** attnums of the referencing columns, and of those that they reference, in the same order. */
  readonly columns: readonly number[];
  readonly referencedColumns: readonly number[];
  /** What DELETE and UPDATE of a referenced row do to referencing ones; undefined: nothing. */
  readonly onDelete: 'delete' | 'update' | undefined;
  readonly onUpdate: 'update' | undefined;
}

export interface CatalogComparison {
  /**
   * unique: with other rows (exclusion constraints, too); the others: columns of one row with each
   * other, policy: of row security, index: what may fail in an index that is not unique.
   */
  readonly kind: 'check' | 'index' | 'partition' | 'policy' | 'unique';
  /** Of a constraint, policy or index, else ''. */
  readonly name: string;
  /** attnums; 0: it is about the whole row, or an expression whose columns are listed. */
  readonly columns: readonly number[];
}

/** CREATE RULE: statements that the server runs with, or in place of, a change. */
export interface CatalogRule {
  readonly name: string;
  readonly event: RowChange;
  /** The parser's tree of pg_get_ruledef, all names in it qualified; undefined: did not parse. */
  readonly tree?: unknown;
}

export interface CatalogFunction {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_proc.prokind: f, p, a, w. */
  readonly kind: string;
  readonly volatility: 'i' | 's' | 'v';
  readonly returnTypeOid: number;
  readonly returnsSet: boolean;
  readonly argTypeOids: readonly number[];
  readonly language: string;
  readonly securityDefiner: boolean;
  /** Name of the extension that brought it. */
  readonly extension?: string;
  /** The last argument type takes any number of arguments. */
  readonly variadic?: boolean;
  /** How many of the last arguments have defaults. */
  readonly defaults?: number;
  /** OUT, INOUT and TABLE parameters: the columns of its result row. */
  readonly outputs?: readonly { readonly name: string; readonly typeOid: number }[];
}

export interface CatalogType {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** pg_type.typtype: b, c, d, e, p, r, m. */
  readonly kind: string;
  /** Relation of a composite type, else 0. */
  readonly relationOid: number;
  /** Element type of an array, else 0. */
  readonly elementOid: number;
  /** Base type of a domain, else 0. */
  readonly baseOid: number;
  /** pg_type.typarray: the type of arrays of this, else 0. */
  readonly arrayOid?: number;
  /** Input, output or CHECK of this type runs code that is not built in. */
  readonly runsUserCode?: boolean;
  /** Functions of the CHECKs that are not built in. */
  readonly checking?: readonly CatalogFunction[];
}

export interface CatalogCast {
  /** OIDs of types. */
  readonly source: number;
  readonly target: number;
  /** Where the server applies it by itself: `assignment` to values that are stored, `implicit` anywhere. */
  readonly context: 'explicit' | 'assignment' | 'implicit';
  readonly called: CatalogFunction | undefined;
}

export interface Catalog {
  /**
   * Another one for every re-read that found a difference; negative where one connection alone sees
   * it, in its open transaction.
   */
  readonly generation: number;
  /** server_version_num / 10000, e.g. 17. */
  readonly majorVersion: number;
  readonly database: string;
  relation(schema: string, name: string): CatalogRelation | undefined;
  relationByOid(oid: number): CatalogRelation | undefined;
  /** Direct inheritance children and partitions. */
  childrenOf(oid: number): readonly CatalogRelation[];
  functions(schema: string, name: string): readonly CatalogFunction[];
  type(schema: string, name: string): CatalogType | undefined;
  typeByOid(oid: number): CatalogType | undefined;
  /** Operators that are not built in (OID >= 16384), by schema and name: the functions they call. */
  userOperators(schema: string, name: string): readonly CatalogFunction[];
  /** Casts by functions that are not built in. */
  readonly userCasts: readonly CatalogCast[];
  readonly schemas: readonly string[];
  /** Digest of all code that is not built in (functions, triggers, rules), down to its text. */
  readonly code?: string;
  /** Event triggers exist: any DDL runs code that is not built in. */
  readonly eventTriggers?: boolean;
  /** What masks were bound to, under whatever name it is known now. */
  readonly maskBindings?: readonly MaskBinding[];
  /** Texts of the catalog that hold a value of a bound column. */
  readonly maskTexts?: readonly MaskText[];
}

/** Expressions and definitions that the system catalogs show: catalog-text-kinds.ts. */
export type CatalogTextKind =
  | 'default'
  | 'missing'
  | 'index'
  | 'constraint'
  | 'partition'
  | 'statistics'
  | 'policy'
  | 'trigger'
  | 'view';

export interface MaskText {
  readonly mask: MaskedName;
  readonly kind: CatalogTextKind;
}

/** A masked column by the names of the policy. */
export interface MaskedName {
  readonly schema: string;
  readonly relation: string;
  readonly column: string;
}

/**
 * An attribute that a mask stood for once: it stays masked when it, its table or schema gets another
 * name. Both numbers are the database's own for as long as the column exists.
 */
export interface MaskBinding {
  readonly mask: MaskedName;
  readonly oid: number;
  readonly attnum: number;
  /** The mask named this relation; false: a child, partition or parent of that one. */
  readonly isNamed: boolean;
}

// ---------------------------------------------------------------- analysis

export interface RelationFact {
  readonly schema: string;
  readonly name: string;
  readonly oid: number;
  /**
   * Set when the statement does not name this relation: the view, or the parent, through which it
   * is reached. Allow rules are asked about that alone (as PostgreSQL asks its owner), deny rules about both.
   */
  readonly via?: { readonly schema: string; readonly name: string };
}

/**
 * A change that the server makes besides: referential actions, actions of rules, partitions and
 * children of what the statement names. `via` is what the statement names.
 */
export interface IndirectWrite extends RelationFact {
  readonly change: RowChange;
  readonly via: { readonly schema: string; readonly name: string };
}

/** What a write makes the server compare, by what the owner wrote: whether it succeeds tells of it. */
export interface WriteComparison {
  readonly written: ColumnFact;
  readonly compared: ColumnFact;
  /** A phrase, e.g. `the check app.staff.staff_check`. */
  readonly by: string;
  /** It does not compare: it is computed from both. */
  readonly isComputed?: true;
}

/** A use of a sequence: nextval(), setval(), currval(). */
export interface SequenceFact extends RelationFact {
  readonly use: 'nextval' | 'setval' | 'currval';
  /** The table that it belongs to; without one those whose defaults draw from it. */
  readonly tables: readonly RelationFact[];
}

export interface ColumnFact extends RelationFact {
  readonly column: string;
  readonly attnum: number;
}

export interface FunctionFact {
  /** `pg_catalog` for built-ins; undefined when the name could not be resolved. */
  readonly schema: string | undefined;
  readonly name: string;
  readonly builtIn: boolean;
  /** Of an extension whose functions only compute from their arguments: counts as built in. */
  readonly harmless?: boolean;
  /** The statement does not call it: a default, a check or the like of this relation does. */
  readonly via?: { readonly schema: string; readonly name: string };
}

/** How many values: known from the text, or as many as the array has that is bound to $parameter. */
export type Candidates = number | { readonly parameter: number };

/** A comparison of a column with given values, and of nothing else: `email = $1`. */
export interface LookupFact {
  /** The column, and the same column of inheritance parents, children and partitions. */
  readonly columns: readonly ColumnFact[];
  /** For each time that it runs. */
  readonly candidates: Candidates;
}

/** Without a name: all relations of the schema. */
export interface RelationMove {
  readonly from: { readonly schema: string; readonly name?: string };
  readonly to: { readonly schema: string; readonly name?: string };
  /** Functions of that name, and no relation. */
  readonly isFunction?: true;
}

/** Where a value comes from: of an output, or at one place of a JSON document. */
export interface ValueFact {
  /**
   * identity: one base column, unchanged: `sources[0]`; further sources are the same column of its
   * inheritance parents, children and partitions.  derived: computed from `sources` (which may be
   * empty: a constant, count(*)).  Every base column whose value can reach the output is named,
   * looking through views, CTEs, inheritance and row types.
   */
  readonly kind: 'identity' | 'derived';
  readonly sources: readonly ColumnFact[];
  readonly typeOid: number | undefined;
  /**
   * Columns that a join or filter of the statement compares with this output (`n.email = c.email`),
   * and which it can therefore show without being computed from them.
   */
  readonly tied?: readonly ColumnFact[];
}

/** What a statement does with the value of a column. */
export interface ColumnUse {
  readonly column: ColumnFact;
  /** Where, in the words of SQL: `ORDER BY`, `function lower()`, `operator ~~`. */
  readonly by: string;
}

export interface OutputColumn extends ValueFact {
  readonly name: string;
  /** Set where the output is a JSON document of which it is known what stands where. */
  readonly document?: DocumentFact;
}

/** The shape of a JSON document: of anything else in it nothing may be shown. NULL can be anywhere. */
export interface DocumentFact {
  /** What decides about it as a whole: filters, conditions, keys. */
  readonly around: ValueFact;
  readonly content:
    | { readonly type: 'value'; readonly value: ValueFact }
    | { readonly type: 'object'; readonly members: readonly DocumentMember[] }
    /** Keys may be any. */
    | { readonly type: 'map'; readonly values: DocumentFact }
    | { readonly type: 'array'; readonly elements: DocumentFact }
    | { readonly type: 'list'; readonly elements: readonly DocumentFact[] };
  /** What is NULL in it is left out, so that its absence shows it. */
  readonly leavesOutNull: boolean;
}

export interface DocumentMember {
  readonly key: string;
  readonly value: DocumentFact;
  readonly optional: boolean;
}

/** Why (part of) a statement cannot be traced; the engine refuses it while masks are in reach. */
export interface Opaque {
  readonly reason: string;
  /** What the user could do instead, a full sentence. */
  readonly hint: string | undefined;
  /** Byte offset in the statement text, if known. */
  readonly location: number | undefined;
  /** The name that the catalog does not know: a fresh catalog may. */
  readonly missing?: string;
  /** The statement is wrong, and the server says so in these words. */
  readonly mistake?: { readonly sqlState: string; readonly message: string };
  /** The name may mean something else since the catalog was read: one of now would tell. */
  readonly unsettled?: true;
  /**
   * The one thing that cannot be seen into. Where nothing is masked, a rule that names it (a
   * function by schema and name, DO and CALL by verb) accepts it; without it nothing does.
   */
  readonly because?:
    | { readonly schema: string; readonly function: string }
    | { readonly verb: Verb };
}

/** Options of COPY … TO STDOUT, with what the server takes where the statement names none. */
export interface CopyOptions {
  readonly format: 'text' | 'csv' | 'binary';
  /** One ASCII character each; quote and escape mean something in csv only. */
  readonly delimiter: string;
  readonly quote: string;
  readonly escape: string;
  readonly null: string;
  readonly header: boolean;
  readonly forceQuote: 'all' | readonly string[];
  /** undefined: client_encoding. */
  readonly encoding: string | undefined;
}

export type CopySource =
  | {
      readonly type: 'table';
      /** As the statement writes it: with or without its schema. */
      readonly name: readonly string[];
      /** Those that are copied, in order. */
      readonly columns: readonly string[];
      readonly oid: number;
    }
  /** Where the query stands in the text; bytes of UTF-8. */
  | { readonly type: 'query'; readonly start: number; readonly end: number };

/** What the protocol engine itself must know of a statement. */
export interface ProtocolEffect {
  readonly copy?: {
    readonly direction: 'in' | 'out';
    readonly format: 'text' | 'csv' | 'binary';
    /** Of COPY … TO STDOUT; undefined: one of them is not understood. */
    readonly options?: CopyOptions;
    /** Of COPY … TO STDOUT; undefined: it cannot be told from the text. */
    readonly source?: CopySource;
  };
  /** SQL-level PREPARE name AS …; `inner` is the index of nothing: the outputs are this statement's. */
  readonly prepare?: string;
  readonly execute?: string;
  /** null = DEALLOCATE ALL / DISCARD ALL. */
  readonly deallocate?: string | null;
  readonly declareCursor?: string;
  readonly fetch?: string;
  /** null = CLOSE ALL. */
  readonly closeCursor?: string | null;
  readonly transaction?:
    | 'begin'
    | 'commit'
    | 'rollback'
    | 'savepoint'
    | 'release'
    | 'rollback to'
    | 'prepare';
  /** SET/RESET/set_config of this setting (lower case); value undefined when not a plain literal. */
  readonly settings?: readonly {
    readonly name: string;
    readonly value: string | undefined;
    readonly local: boolean;
    /** RESET, SET … TO DEFAULT. */
    readonly reset?: boolean;
    /** It is so already: SET ROLE to the role that one has. */
    readonly unchanged?: boolean;
  }[];
  /** Runs code that is not built in, so settings, search_path and role are unknown afterwards. */
  readonly runsUserCode: boolean;
  /** Changes objects (DDL): the catalog is stale from then on. */
  readonly changesCatalog: boolean;
  /** What it changes, with `changesCatalog`; absent: anything. */
  readonly changes?: 'relations';
}

/**
 * How much of the catalog may be another one. `relations`: relations were made or dropped as a
 * whole (CREATE TABLE, DROP VIEW), with what belongs to them; columns of other relations, functions
 * and schemas are as they were.
 */
export type ChangeScope = 'relations' | 'all';

/**
 * Where it is to be seen how many rows a statement changes, once it has run.
 *
 * - `tag`: CommandComplete has the number.
 * - `statistics`: the sum of what `pg_stat_get_xact_tuples_{inserted,updated,deleted}` of these
 *   relations (partitions and children are listed) say afterwards and did not say before. `all`:
 *   code of a table runs with it, so those of every table.
 * - `nowhere`: it cannot be counted, and is not tried in order to count it.
 */
export type RowCountSource =
  | { readonly from: 'tag' }
  | { readonly from: 'statistics'; readonly relations: readonly number[] | 'all' }
  /** @property why a phrase, e.g. `public.remote is a foreign table` */
  | { readonly from: 'nowhere'; readonly why: string };

export interface StatementAnalysis {
  readonly verb: Verb;
  /** Every verb inside, the top one first: CTEs, EXPLAIN ANALYZE, PREPARE, COPY (query), rules. */
  readonly verbs: readonly Verb[];
  readonly reads: readonly RelationFact[];
  readonly writes: readonly RelationFact[];
  /** What changes besides: deny and approve rules are asked about it, allow rules are not. */
  readonly writesIndirectly?: readonly IndirectWrite[];
  readonly columnsRead: readonly ColumnFact[];
  /** Base columns of whose values something is computed, instead of only carrying them to the output. */
  readonly columnsComputed: readonly ColumnUse[];
  /** Only asked for being NULL: `IS NULL`, `count(c)`. */
  readonly columnsNullTested?: readonly ColumnUse[];
  /** Only held against other rows of the same column: GROUP BY, DISTINCT, PARTITION BY. */
  readonly columnsGrouped?: readonly ColumnUse[];
  /** Two strings as they are stored, compared for equality: `a.email = b.email`, USING (email). */
  readonly columnsEquated?: readonly (readonly [ColumnUse, ColumnUse])[];
  readonly columnsWritten: readonly ColumnFact[];
  readonly writeComparisons?: readonly WriteComparison[] | undefined;
  /** Columns that a view which is read compares with each other, by what its owner wrote. */
  readonly viewComparisons?:
    | readonly {
        readonly view: RelationFact['via'];
        readonly columns: readonly ColumnFact[];
      }[]
    | undefined;
  /**
   * Base columns whose value can flow to where it outlives the statement: INSERT … SELECT, the
   * right side of SET, CREATE TABLE AS, CREATE VIEW, set_config(). undefined = not known, so
   * all of `columnsRead`.
   */
  readonly columnsStored?: readonly ColumnFact[];
  /** Columns whose values set how many rows come back or how long that takes. */
  readonly columnsShaping?: readonly ColumnFact[];
  /** Every column that an expression of the statement, or of a view in it, evaluates (and may fault on). */
  readonly columnsEvaluated?: readonly ColumnFact[];
  /** Comparisons that show of a column no more than whether it has the given values; not in `columnsInferred`. */
  readonly lookups?: readonly LookupFact[];
  readonly functions: readonly FunctionFact[];
  readonly sequences?: readonly SequenceFact[];
  /** Relations that get another name, or are read under that of another one from now on. */
  readonly moves?: readonly RelationMove[];
  /** DROP … CASCADE: the schemas of which every relation can go with it. */
  readonly dropsIn?: readonly string[] | 'anywhere' | undefined;
  /** Views that get another name, with all that their definitions read; one that cannot be followed is left out. */
  readonly viewsRenamed?: readonly {
    readonly oid: number;
    readonly columns: readonly ColumnFact[];
  }[];
  /** ALTER DOMAIN: OID of the domain whose values are all checked now. */
  readonly checkedDomain?: number;
  /** For UPDATE and DELETE anywhere inside: whether all have a WHERE that is not constantly true. */
  readonly qualified: boolean | undefined;
  /**
   * Absent: it changes no rows itself. Of PREPARE it says how those are counted that an EXECUTE
   * changes.
   */
  readonly rowCount?: RowCountSource;
  /** A constant that it writes has this in it: what stands for a value that a detector took out. */
  readonly writesPlaceholder?: string;
  /** Server-side file or program access, as a phrase for the denial, e.g. `COPY … TO PROGRAM`. */
  readonly serverAccess: readonly string[];
  /** undefined: returns no rows. */
  readonly outputs: readonly OutputColumn[] | undefined;
  readonly opaque: readonly Opaque[];
  /** It was not looked at to its end. */
  readonly isTooLarge?: boolean;
  /** Digest of what it has in common with others that differ in constants: normal-form.ts. */
  readonly form?: string;
  readonly protocol: ProtocolEffect;
  /** Byte range of this statement in the text. */
  readonly start: number;
  readonly end: number;
}

// ---------------------------------------------------------------- verdict

/** What to do to one result column. undefined entry = pass through untouched. */
export interface OutputMask {
  readonly mask: MaskKind;
  /** The masked base columns whose values could reach here, for the record. */
  readonly columns: readonly ColumnFact[];
  readonly rule: RuleRef;
  /** Set where the value is JSON that is masked inside; `mask` is for what does not fit it. */
  readonly document?: DocumentMask;
}

/**
 * What to do at which place of a JSON document; undefined entry = pass through untouched. It names
 * all that can stand at a place: a document with anything else is masked whole. NULL stays NULL.
 */
export type DocumentMask =
  | {
      readonly type: 'value';
      readonly mask: MaskKind;
      readonly columns: readonly ColumnFact[];
      readonly rule: RuleRef;
      /** Of the SQL value: a string in JSON may stand for a date, which a mask shows as NULL. */
      readonly typeOid: number | undefined;
    }
  | {
      readonly type: 'object';
      readonly members: readonly {
        readonly key: string;
        readonly mask: DocumentMask | undefined;
        readonly optional: boolean;
      }[];
    }
  | { readonly type: 'map'; readonly values: DocumentMask }
  | { readonly type: 'array'; readonly elements: DocumentMask }
  | { readonly type: 'list'; readonly elements: readonly (DocumentMask | undefined)[] };

/**
 * Above this many changed rows an allowed statement is decided differently. See decide-rows.ts for
 * what becomes of a count.
 */
export interface RowThreshold {
  /** Rows that may change without it; it applies to a count above. */
  readonly above: number;
  readonly rule: RuleRef;
  readonly outcome:
    | { readonly effect: 'hold'; readonly approvals: readonly ApprovalDemand[] }
    /** Ready but for the count, which `decideRows` puts in. */
    | { readonly effect: 'refuse'; readonly refusal: SqlRefusal };
}

export interface AllowedStatement {
  readonly analysis: StatementAnalysis;
  /** All of them must be satisfied each time it runs; absent: it may run at once. */
  readonly approvals?: readonly ApprovalDemand[];
  /**
   * Ascending by `above`; absent: its rows are not counted. Of several that a count exceeds all
   * apply, and a refusal beats them. Together with `approvals` none of them holds.
   */
  readonly rowThresholds?: readonly RowThreshold[];
  /** Its rows count against `limits.changedRowsPer…` each time it runs; absent: they do not. */
  readonly rowsAreBudgeted?: true;
  /** Comparisons with masked columns that count against `limits.lookups`; absent: none. */
  readonly lookups?: readonly LookupFact[];
  /** The rules that allowed it. */
  readonly rules: readonly RuleRef[];
  /**
   * One entry per output column; undefined when the statement returns no rows. Where masks or
   * detectors are in reach and the outputs are not known, the verdict is a refusal instead.
   */
  readonly masks: readonly (OutputMask | undefined)[] | undefined;
  /** Masked columns that it computes with, because their masks allow it; absent: none. */
  readonly computed?: readonly ColumnFact[];
  /** Base column of each output, for the check against RowDescription (OID, attnum). */
  readonly detectors: readonly DetectorName[];
  /** What is only counted in what it shows; absent: nothing. */
  readonly observed?: readonly DetectorName[];
  /** Error and notice text may carry a masked value (casts, constraints): redact D, W and values. */
  readonly redactErrors: boolean;
  /** With `redactErrors`: names of all masked columns; keys without any of them may be shown in DETAIL. */
  readonly hiddenColumns?: ReadonlySet<string>;
}

export type Verdict =
  | { readonly effect: 'allow'; readonly statements: readonly AllowedStatement[] }
  | {
      readonly effect: 'refuse';
      readonly refusal: SqlRefusal;
      /** Index of the statement that was refused, and what is known of it. */
      readonly statement: number;
      readonly analysis: readonly StatementAnalysis[];
    };

/** What a verdict depends on besides the text and the grant. */
export interface StatementContext {
  readonly catalog: Catalog;
  /** Effective search_path, resolved to schema names, pg_catalog and pg_temp placed. undefined = unknown. */
  readonly searchPath: readonly string[] | undefined;
  /** current_user if known. */
  readonly role: string | undefined;
  /** Whether that is session_user, too. */
  readonly isLoginRole?: boolean | undefined;
  /** Names may have changed since the catalog was read (DDL not yet read again, user code). */
  readonly unsettled?: ChangeScope | undefined;
  /** Nothing in the open transaction has moved search_path or role: its end takes nothing back. */
  readonly placeIsSteady?: boolean;
  /** Types of $1… as given in Parse; 0 = unspecified. */
  readonly parameterTypes: readonly number[];
  /** Whoever asks; what takes long is done for one of them after the other. */
  readonly owner?: object | undefined;
  /** Aborts when nobody waits for the verdict any more. */
  readonly left?: AbortSignal | undefined;
  /** Masks of SQL-level cursors and prepared statements that the target has confirmed. */
  readonly cursor: (name: string) => AllowedStatement | undefined;
  readonly prepared: (name: string) => AllowedStatement | undefined;
}

/** Parses in the worker, analyses, evaluates; caches by its own keys. */
export interface StatementPolicy {
  /** The verdict of `decide`, if it is kept: at once. */
  known?(
    text: string,
    context: Omit<StatementContext, 'cursor' | 'prepared'>,
    grant: Grant,
  ): Verdict | undefined;
  decide(text: string, context: StatementContext, grant: Grant): Promise<Verdict>;
}
