/** A snapshot of what the target's catalog says, as connectors/postgres/gateway/catalog-reader reads it: plain, immutable data. */

import type { TriggerEffect } from '../triggers/trigger-body.ts';

export interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  readonly dropped: boolean;
  readonly notNull?: true;
  /** Its collation takes strings for equal that are not the same. */
  readonly isLoose?: true;
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
      /** What it does with the row; undefined: it could do anything. */
      readonly effect?: TriggerEffect;
    }[];
    readonly alteredOtherwise?: ReadonlySet<RowChange>;
    /** Triggers that run when the row has been written, and what they do. */
    readonly followedBy?: readonly {
      readonly change: RowChange;
      readonly called: CatalogFunction;
      readonly effect: TriggerEffect;
    }[];
    /** Changes that run anything else than these triggers, with an effect that is known. */
    readonly unread?: ReadonlySet<RowChange>;
    /** It can be put off until the transaction ends. */
    readonly deferrable?: ReadonlySet<RowChange>;
  };
  readonly rowSecurity: boolean;
  /** It has children, or had some: the planner does not look. */
  readonly hadChildren?: true;
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
  /** A unique index of these columns and nothing else, which holds at any time. */
  readonly isKey?: true;
  /** The planner takes it for a key: `isKey` without a look at how the index compares. */
  readonly isPlannersKey?: true;
  /** That index takes NULL for equal to NULL. */
  readonly nullsAreEqual?: true;
  /** A row security policy with a subquery. */
  readonly readsOthers?: true;
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
  /** Its text changes roles, or runs SQL that it is given or puts together. */
  readonly mayChangeLogins?: true;
  /** Name of the extension that brought it. */
  readonly extension?: string;
  /** The last argument type takes any number of arguments. */
  readonly variadic?: boolean;
  /** How many of the last arguments have defaults. */
  readonly defaults?: number;
  /** Names of the parameters that take arguments, '' for those without one; absent: none has one. */
  readonly argNames?: readonly string[];
  /** It belongs to a superuser: nobody else can have written what it does. */
  readonly ownedBySuperuser?: true;
  /** It only computes from its arguments (computing-functions.ts), and calls these to do so. */
  readonly calls?: readonly CalledFunction[];
  /** OUT, INOUT and TABLE parameters: the columns of its result row. */
  readonly outputs?: readonly { readonly name: string; readonly typeOid: number }[];
}

export interface CalledFunction {
  readonly schema: string;
  readonly name: string;
  readonly builtIn: boolean;
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
  /** pg_type.typcategory. */
  readonly category?: string;
  /** The preferred type of its category. */
  readonly isPreferred?: boolean;
  /** Of a range: its subtype; of a multirange: its range. */
  readonly subtypeOid?: number;
  /** Input, output or CHECK of this type runs code that is not built in. */
  readonly runsUserCode?: boolean;
  /** Functions of the CHECKs that are not built in. */
  readonly checking?: readonly CatalogFunction[];
}

export interface CatalogOperator {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** OIDs of types; 0: it has no left operand. */
  readonly left: number;
  readonly right: number;
  readonly result: number;
  /** The function that it calls; undefined: none is known. */
  readonly called: CatalogFunction | undefined;
}

export type CastContext = 'explicit' | 'assignment' | 'implicit';

export interface CatalogCast {
  /** OIDs of types. */
  readonly source: number;
  readonly target: number;
  /** Where the server applies it by itself: `assignment` to values that are stored, `implicit` anywhere. */
  readonly context: CastContext;
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
  operators(schema: string, name: string): readonly CatalogOperator[];
  /** Where each cast of pg_cast is applied, whatever does it: by the OIDs of both types, `25 1043`. */
  readonly castContexts: ReadonlyMap<string, CastContext>;
  /** Casts by functions that are not built in, nor known to be as harmless. */
  readonly userCasts: readonly CatalogCast[];
  readonly schemas: readonly string[];
  /** Digest of all code that is not built in (functions, triggers, rules), down to its text. */
  readonly code?: string;
  /** Roles by their names; undefined: not known. */
  readonly roles?: CatalogRoles | undefined;
  /** Event triggers exist: any DDL runs code that is not built in. */
  readonly eventTriggers?: boolean;
  /** Functions that event triggers call at every login, and those that these may call. */
  readonly loginFunctions?: readonly CatalogName[];
  /** What masks were bound to, under whatever name it is known now. */
  readonly maskBindings?: readonly MaskBinding[];
  /** Texts of the catalog that hold a value of a bound column. */
  readonly maskTexts?: readonly MaskText[];
}

export interface CatalogName {
  readonly schema: string;
  readonly name: string;
}

export interface CatalogRoles {
  /** The role that the gateway logs in with. */
  readonly login: string;
  readonly members: readonly CatalogMembership[];
}

export interface CatalogMembership {
  readonly role: string;
  readonly member: string;
  /** The member can grant the role, and has none of its rights. */
  readonly isAdminOnly: boolean;
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
  | 'publication'
  | 'trigger'
  | 'view'
  | 'function'
  | 'parameter';

export interface MaskText {
  readonly mask: MaskedName;
  readonly kind: CatalogTextKind;
  /** The texts of its relation could not be read: it is not known whether one holds a value. */
  readonly isUnread?: true;
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
