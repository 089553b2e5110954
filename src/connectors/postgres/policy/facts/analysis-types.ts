/** What one parsed statement does, against one catalog and search_path: plain, immutable data. */
import type { Verb } from '../../../../policy/types.ts';
import type { RowChange } from './catalog-types.ts';

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
  /** `CatalogFunction.mayChangeLogins` */
  readonly mayChangeLogins?: true;
  /** It only computes from its arguments, like those of known extensions: counts as built in. */
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
    /** set_config($1, …): the parameter with its name, which is `*` until then. */
    readonly nameParameter?: number;
    /** set_config(…, $2, …): the parameter with its value. */
    readonly valueParameter?: number;
  }[];
  /** Runs code that is not built in, so settings, search_path and role are unknown afterwards. */
  readonly runsUserCode: boolean;
  /**
   * All of that code are triggers whose bodies were read to their ends: they change values of the row,
   * and leave catalog, settings and names as they are.
   */
  readonly codeIsRead?: true;
  /** Changes objects (DDL): the catalog is stale from then on. */
  readonly changesCatalog: boolean;
  /**
   * What it changes, with `changesCatalog`; absent: anything. `temporary`: it makes whole relations in
   * the session's temporary schema, and that schema too where there is none yet.
   */
  readonly changes?: 'relations' | 'temporary';
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
  /**
   * Columns that a change of a table changes or looks at, where it can move none of the others away from
   * its mask; undefined: it is another change.
   */
  readonly columnsAltered?: readonly ColumnFact[];
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
  /** Afterwards the target could be reached without hoop, or not by hoop: why, as a phrase. */
  readonly loginChange?: string;
  /** Server-side file or program access, as a phrase for the denial, e.g. `COPY … TO PROGRAM`. */
  readonly serverAccess: readonly string[];
  /** undefined: returns no rows. */
  readonly outputs: readonly OutputColumn[] | undefined;
  /** Objects that `outputs` consists of; absent: none. */
  readonly outputParts?: number;
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
