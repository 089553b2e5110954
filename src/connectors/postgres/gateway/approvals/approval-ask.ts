/**
 * What an approver is asked: the statement with its prepared texts and its values, the rules that
 * want approval, and where its names are looked up. The approval is bound to all of it, so what an
 * approver could not read is not asked.
 */
import { ProtocolError } from '../../../../errors.ts';
import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { ApprovalDemand } from '../../../../policy/types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { decideRows } from '../../policy/verdict/decide-rows.ts';
import type { Bind } from '../../protocol/frontend-messages.ts';
import type { TextCodec } from '../../protocol/text-codec.ts';
import type { Allowed } from '../statements/decide.ts';
import {
  type Basis,
  type BoundMessage,
  demandsOf,
  type KnownPortal,
  type KnownStatement,
} from '../statements/known-statement.ts';
import type { ApprovalAsk, ApprovalParameter, BoundSetting } from '../types.ts';
import type { StreamState } from '../wire/stream-state.ts';

/** What an approver can be expected to read. Characters of text, bytes of a Bind message. */
const MAX_TEXT = 64 * 1024;
const MAX_BOUND_BYTES = 64 * 1024;

/** What a verdict says about a message that is to run. */
export interface Runnable {
  readonly statements: readonly AllowedStatement[];
  readonly basis: Basis;
  /** Texts of prepared statements that it executes. */
  readonly prepared: readonly string[];
  /** `ApprovalAsk.preparedTypes` */
  readonly preparedTypes: readonly (readonly number[])[];
}

export interface HoldRequest {
  readonly at: number;
  readonly text: string;
  readonly isQuery: boolean;
  /** Decides it, by the catalog of now; undefined: it was refused, or will be skipped, and the caller knows. */
  readonly again: () => Promise<Runnable | undefined>;
  /** Of Execute. */
  readonly portal?: { readonly name: string; readonly known: KnownPortal };
  readonly parameterTypes?: readonly number[];
  /** It has been counted, or cannot be: what is asked for is that it may change so many rows. */
  readonly counted?: CountedRequest;
}

export interface CountedRequest {
  readonly changes: RowChanges;
  /**
   * `left`: what it had done has been rolled back, and its transaction is over. `open`: it has run,
   * and waits for no one: who has not agreed yet is asked, and it fails.
   */
  readonly transaction: 'left' | 'open' | 'not run';
}

/** Of a Query. */
export function needsApproval({ statements }: Allowed): boolean {
  return statements.some((statement) => demandsOf(statement, true).length > 0);
}

export function runnable({ statements, basis, names }: Allowed): Runnable {
  const executed = [...names.found.values()];
  return { statements, basis, ...executedTexts(executed) };
}

/** A statement without a basis was let through unseen, and is never what was approved. */
export function runnableStatement(statement: KnownStatement): Runnable | undefined {
  const { allowed, basis, executes } = statement;
  if (allowed === undefined || basis === undefined) return undefined;
  return {
    statements: [allowed],
    basis,
    ...executedTexts(executes === undefined ? [] : [executes]),
  };
}

function executedTexts(
  executed: readonly KnownStatement[],
): Pick<Runnable, 'prepared' | 'preparedTypes'> {
  return {
    prepared: executed.map(({ source }) => source),
    preparedTypes: executed.map(({ parameterTypes }) => parameterTypes),
  };
}

export function approvalAsk(
  { options, codec }: Pick<StreamState, 'options' | 'codec'>,
  request: HoldRequest,
  { statements, basis, prepared, preparedTypes }: Runnable,
  inTransaction: boolean,
  settings: readonly BoundSetting[] = [],
): ApprovalAsk {
  const asking = statements.filter((one) => demandsBy(one, request).length > 0);
  const demands = new Map(
    asking.flatMap((one) =>
      demandsBy(one, request).map((demand) => [demand.rule.id, demand] as const),
    ),
  );
  const { counted } = request;
  const others = statements.filter((one) => !asking.includes(one));
  return {
    stream: options.stream,
    at: request.at,
    text: request.text,
    prepared,
    preparedTypes,
    parameters: parametersOf(request, codec),
    settings,
    demands: [...demands.values()],
    ...(counted === undefined ? {} : { changes: counted.changes }),
    ...(counted?.transaction === 'open' ? { waits: false as const } : {}),
    analyses: [...asking, ...others].map(({ analysis }) => analysis),
    decided: statements,
    maxRows: options.grant().limits.maxRows,
    catalog: basis.catalog,
    searchPath: basis.place?.searchPath,
    role: basis.place?.role,
    inTransaction,
    policyCommit: options.grant().commit,
  };
}

/** What has been counted has got the other approvals that it needs before it ran. */
function demandsBy(
  statement: AllowedStatement,
  { counted, isQuery }: HoldRequest,
): readonly ApprovalDemand[] {
  if (counted === undefined) return demandsOf(statement, isQuery);
  const decision = decideRows(statement, counted.changes);
  return decision.effect === 'hold' ? decision.approvals : [];
}

function parametersOf(
  { portal, parameterTypes = [] }: HoldRequest,
  codec: TextCodec,
): readonly ApprovalParameter[] {
  const { bound } = portal?.known ?? {};
  if (bound === undefined) return [];
  const { parameterFormats, parameters } = bound;
  return parameters.map((value, index): ApprovalParameter => {
    const format = parameterFormats.length === 1 ? parameterFormats[0] : parameterFormats[index];
    const typeOid = parameterTypes[index] ?? 0;
    if (value === null) return { format: 'null', value: '', typeOid };
    const hex = { format: 'hex', value: Buffer.from(value).toString('hex'), typeOid } as const;
    if (format === 1) return hex;
    try {
      return { format: 'text', value: codec.decode(value), typeOid };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      return hex;
    }
  });
}

/** @returns why an approver cannot be shown it, as a sentence */
export function limitOf(ask: ApprovalAsk, portal: KnownPortal | undefined): string | undefined {
  const set = ask.settings.filter(({ isNamed }) => isNamed).map(({ value }) => value ?? '');
  const length = [ask.text, ...ask.prepared, ...set].reduce((sum, text) => sum + text.length, 0);
  if (length > MAX_TEXT) return `Its text has ${length} characters; an approver sees ${MAX_TEXT}.`;
  // A cursor of SQL has no formats, and no parameters either.
  if (portal !== undefined && portal.bound === undefined && portal.formats !== undefined) {
    return `Its parameters have more than ${MAX_BOUND_BYTES} bytes, or were bound before the rule existed.`;
  }
  return undefined;
}

/** Keeps what an approver must see of a Bind; undefined when it is too much. */
export function keepBound(
  { parameterFormats, parameters }: Pick<Bind, 'parameterFormats' | 'parameters'>,
  bytes: Uint8Array,
  segment: number,
): BoundMessage | undefined {
  if (bytes.length > MAX_BOUND_BYTES) return undefined;
  return {
    // The chunk that it came in must not be kept with it.
    bytes: Uint8Array.from(bytes),
    segment,
    parameterFormats,
    parameters: parameters.map((value) => (value === null ? null : Uint8Array.from(value))),
  };
}
