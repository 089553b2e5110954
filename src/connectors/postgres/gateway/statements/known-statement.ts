import type { ApprovalDemand } from '../../../../policy/types.ts';
import type { ProtocolEffect } from '../../policy/facts/analysis-types.ts';
import type { Catalog } from '../../policy/facts/catalog-types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import type { FieldDescription } from '../../protocol/backend-messages.ts';
import type { RowTrial } from '../counted/row-trial.ts';

/** Where names of a statement are looked up, as the target itself has said. */
export interface Place {
  /** current_schemas(true). */
  readonly searchPath: readonly string[];
  /** current_user. */
  readonly role: string;
  /** Whether that is session_user, the role that SET ROLE NONE leads back to. */
  readonly isLoginRole: boolean;
  /** There is a temporary schema of the session: what is made in it moves no search_path any more. */
  readonly hasTemporary: boolean;
}

/** What a verdict rests on besides text and grant. When any of it changes, the verdict is void. */
export interface Basis {
  readonly catalog: Catalog;
  /** undefined: the verdict was reached without it and does not depend on it. */
  readonly place: Place | undefined;
  /** ShadowSettings.touches of then. */
  readonly touches: number;
  /** It was reached when no name was certain, and so it depends on none. */
  readonly usesNoNames: boolean;
}

/** One statement that the policy let through. */
export interface KnownStatement {
  /** Counts the statements of the stream, as in the events. */
  readonly number: number;
  /** The text from which it can be decided again. */
  readonly text: string;
  /** The text as pg_prepared_statements and pg_cursors show it: of the whole message. */
  readonly source: string;
  readonly parameterTypes: readonly number[];
  readonly grantGeneration: string;
  /** undefined: let through by a passthrough grant; nothing is known of it, nothing is checked. */
  readonly basis: Basis | undefined;
  /** undefined: an empty text, which returns nothing; or no basis. */
  readonly allowed: AllowedStatement | undefined;
  /** The verdict rests on what a name of SQL stands for: EXECUTE, FETCH and their like. */
  readonly usesNames: boolean;
  /** What an EXECUTE runs: its effects are those of this statement. */
  readonly executes: KnownStatement | undefined;
  /** Of Bind, by parameter: what set_config() gets; absent: nothing that is bound decides. */
  readonly settingValues?: ReadonlyMap<number, string>;
  /**
   * Columns as the target described them last. With a new plan they may come from other columns of
   * the same types, so only a description of the same segment counts. Format codes in here mean nothing.
   */
  shape: readonly FieldDescription[] | undefined;
  /** `shape` agrees with the lineage. */
  shapeIsChecked: boolean;
  /** Segment in which a Describe of the statement was sent last. */
  describedIn: number | undefined;
}

/** A Bind message that is kept, because its portal may have to wait for approval. */
export interface BoundMessage {
  readonly bytes: Uint8Array;
  /** In which it was sent. */
  readonly segment: number;
  readonly parameterFormats: readonly number[];
  readonly parameters: readonly (Uint8Array | null)[];
}

export interface KnownPortal {
  readonly statement: KnownStatement;
  /** What an approver must see of it; undefined: no rule wanted that, or it was too large. */
  readonly bound: BoundMessage | undefined;
  /** Grant under which it was approved and has begun to run: a portal is approved once. */
  releasedUnder: string | undefined;
  /** A portal runs once, however often it is asked for more rows: its lookups are counted. */
  lookupsAreCounted: boolean;
  /** Delivered by earlier Executes. */
  rows: number;
  /** Result formats of Bind; undefined: a cursor of SQL, whose formats only the target knows. */
  readonly formats: readonly number[] | undefined;
  /** As the target described this very portal, formats included. */
  described: readonly FieldDescription[] | undefined;
  /** Segment in which a Describe of the portal was sent last. */
  describedIn: number | undefined;
  /** Its rows have been counted: it has run to its end, and its result is kept there. */
  trial?: RowTrial;
  /** Grant under which it was approved to run uncounted. */
  uncounted?: string;
}

/**
 * Approvals that running it needs. A PREPARE in a Query only gives a statement a name: what it names
 * is asked about each time it runs, by EXECUTE or by Bind and Execute.
 */
export function demandsOf(
  allowed: AllowedStatement | undefined,
  isQuery: boolean,
): readonly ApprovalDemand[] {
  const isPrepare = isQuery && allowed?.analysis.protocol.prepare !== undefined;
  return isPrepare ? [] : (allowed?.approvals ?? []);
}

/** What a statement may do of which nothing is known. */
const UNKNOWN_EFFECT: ProtocolEffect = { runsUserCode: true, changesCatalog: true };

/** Everything that running the statement does to names and settings, with whose doing it is. */
export function effectsOf(
  statement: KnownStatement,
): readonly { readonly statement: KnownStatement; readonly effect: ProtocolEffect }[] {
  if (statement.basis === undefined) return [{ statement, effect: UNKNOWN_EFFECT }];
  const { allowed } = statement;
  if (allowed !== undefined && statement.executes === undefined) {
    return [{ statement, effect: allowed.analysis.protocol }];
  }
  return [statement, statement.executes].flatMap((one) =>
    one?.allowed === undefined ? [] : [{ statement: one, effect: one.allowed.analysis.protocol }],
  );
}

export function samePlace(left: Place, right: Place): boolean {
  return (
    left.role === right.role &&
    left.isLoginRole === right.isLoginRole &&
    left.searchPath.length === right.searchPath.length &&
    left.searchPath.every((schema, index) => schema === right.searchPath[index])
  );
}

/** Parts of a result that no name pays for: some sixty columns, with their sources. */
const FREE_PARTS = 256;
const CHARACTERS_PER_PART = 32;

/** What a name of it counts, in characters: its text, and what is known of a wide result. */
export function weightOf({ source, allowed }: Pick<KnownStatement, 'source' | 'allowed'>): number {
  const parts = Math.max((allowed?.analysis.outputParts ?? 0) - FREE_PARTS, 0);
  return source.length + parts * CHARACTERS_PER_PART;
}
