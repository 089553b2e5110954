/**
 * The seam between the SQL side of the policy and the Postgres engine: `Verdict` is what the engine
 * acts on, and what it is reached from stands in catalog-types.ts and analysis-types.ts. All of it is
 * plain, immutable data.
 */
import type {
  ApprovalDemand,
  DetectorName,
  Grant,
  MaskKind,
  Refusal,
  RuleRef,
} from '../../../../policy/types.ts';
import type { ChangeScope, ColumnFact, LookupFact, StatementAnalysis } from './analysis-types.ts';
import type { Catalog } from './catalog-types.ts';
import type { shownSettings } from './secret-settings.ts';

/** A refusal of a statement. */
export interface SqlRefusal extends Refusal {
  /** SQLSTATE: 42501 for denials, 42601 for the parser's own complaint, 54000 for caps. */
  readonly sqlState: string;
}

/** What to do to one result column. undefined entry = pass through untouched. */
export interface OutputMask {
  readonly mask: MaskKind;
  /** The masked base columns whose values could reach here, for the record. */
  readonly columns: readonly ColumnFact[];
  readonly rule: RuleRef;
  /** Set where some values of the column are shown all the same. */
  readonly shows?: ReturnType<typeof shownSettings>;
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
  /** What is taken out of what it shows. */
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
  /** Roles that the gateway logs in with at this target, besides the one that read the catalog. */
  readonly logins?: readonly string[] | undefined;
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
