/** What the Postgres engine asks about its statements, as requests of one session. */
import type { ApprovalEstimate, StatementPart } from '../../../../api/approvals.ts';
import type { ApprovalRecord } from '../../../../gateway/approvals/approval-record.ts';
import { shownPrompt } from '../../../../gateway/approvals/asked-approval.ts';
import { askedBy } from '../../../../gateway/approvals/policy-standing.ts';
import {
  isHeld,
  requestBinding,
  type SessionApprovalsOptions,
  sessionRequest,
} from '../../../../gateway/approvals/session-approvals.ts';
import { placesOf } from '../../../../gateway/targets/target-host.ts';
import type { RowChanges } from '../../../../policy/row-changes.ts';
import type { StatementAnalysis } from '../../policy/facts/analysis-types.ts';
import type { CatalogRelation } from '../../policy/facts/catalog-types.ts';
import { SESSION_TEMP } from '../../policy/facts/statement-facts.ts';
import type { Estimates } from '../counted/estimates.ts';
import { askStatement } from '../results/shown-changes.ts';
import { hidePasswords } from '../statements/hidden-passwords.ts';
import type { ApprovalAsk, PostgresTarget, StatementApprovals } from '../types.ts';
import { approvalTerms } from './approval-terms.ts';
import { effect, statementView } from './statement-view.ts';

/** Of those whose rows change, so many are named. */
const MAX_RELATIONS = 20;

export interface StatementApprovalsOptions extends SessionApprovalsOptions {
  readonly estimates: Estimates;
  readonly target: PostgresTarget;
}

export function statementApprovals(options: StatementApprovalsOptions): StatementApprovals {
  return {
    bindingOf: (ask) => bindingOf(options, ask),
    viewOf: (ask) => statementPart(options, ask, isHeld(ask)).view,
    ask(ask) {
      const binding = bindingOf(options, ask);
      return askStatement(options, ask, binding, (waits) => create(options, ask, binding, waits));
    },
  };
}

async function create(
  options: StatementApprovalsOptions,
  ask: ApprovalAsk,
  binding: string,
  waits: boolean,
): Promise<ApprovalRecord> {
  const { approvals, estimates, policy, principal, target } = options;
  const request = sessionRequest(options, ask, binding, waits);
  // What is kept waits on when the statement may not (holds.ts).
  const holds = request.diesWithConnection && ask.inTransaction;
  const waitsSeconds = Math.min(
    request.waitsSeconds,
    ...(holds ? ask.demands.map(({ terms }) => terms.maxHoldSeconds) : []),
  );
  const details = {
    ...statementPart(options, ask, waits),
    asked: askedBy(policy, principal, target.name),
  };
  const record = await approvals.create({ ...request, kind: 'statement', waitsSeconds, details });
  estimates.estimate(target, ask, (estimate: ApprovalEstimate) =>
    approvals.setDetails(record.id, {
      ...{ ...details, estimate },
      later: [effect({ ...details, estimate })],
    }),
  );
  return record;
}

function statementPart(
  { session, target, prompt }: StatementApprovalsOptions,
  ask: ApprovalAsk,
  waits: boolean,
): StatementPart {
  const inForce = prompt();
  const { stream, at, text, prepared, parameters, analyses, role, inTransaction, changes } = ask;
  const settings = ask.settings.flatMap(({ name, value, isNamed }) =>
    isNamed && value !== null ? [{ name, value }] : [],
  );
  const part = {
    session,
    stream,
    at,
    text: hidePasswords(text),
    prepared: prepared.map(hidePasswords),
    settings,
    parameters: [...parameters],
    verbs: unique(analyses.flatMap(({ verbs }) => verbs)),
    relations: unique(
      analyses.flatMap(({ reads, writes, writesIndirectly = [] }) =>
        [...writes, ...reads, ...writesIndirectly].map(({ schema, name }) => `${schema}.${name}`),
      ),
    ),
    database: target.database,
    ...(role === undefined ? {} : { role }),
    inTransaction,
    waits,
    estimate: { state: 'pending' as const },
    ...(changes === undefined ? {} : { changes: shownPart(changes) }),
  };
  return {
    ...part,
    ...{ view: statementView(part), later: [], shortened: false },
    ...(inForce === undefined ? {} : { prompt: shownPrompt(inForce) }),
  };
}

function shownPart(changes: RowChanges): NonNullable<StatementPart['changes']> {
  return changes.counted === 'trial'
    ? { ...changes, relations: changes.relations.slice(0, MAX_RELATIONS) }
    : changes;
}

/**
 * Statement, parameters, where, what the policy says about it, and the very objects that its names
 * mean: when one of these is another, it is another statement.
 */
function bindingOf(options: StatementApprovalsOptions, ask: ApprovalAsk): string {
  const { target } = options;
  return requestBinding(options, ask, 'hoop/approval-binding/v3', [
    [target.name, target.database, target.user, placesOf(target.hosts)],
    approvalTerms(ask),
    ask.text,
    ask.prepared,
    ask.preparedTypes,
    ask.parameters.map(({ format, value, typeOid }) => [format, value, typeOid]),
    ask.role ?? null,
    ask.settings.map(({ name, value }) => [name, value]),
    objectsOf(ask),
    surroundingsOf(ask),
  ]);
}

function objectsOf({ analyses, catalog, text, prepared }: ApprovalAsk): readonly string[] {
  const said = [text, ...prepared].join('\n').toLowerCase();
  const relations = analyses.flatMap(({ reads, writes, writesIndirectly = [] }) =>
    [...reads, ...writes, ...writesIndirectly].flatMap(({ oid, via }) => [
      ...relationOf(catalog.relationByOid(oid), oid),
      ...columnsOf(catalog.relationByOid(oid), said),
      ...(via === undefined ? [] : relationOf(catalog.relation(via.schema, via.name))),
    ]),
  );
  const functions = analyses.flatMap((analysis) =>
    ownFunctions(analysis).flatMap(({ schema, name }) =>
      schema === undefined
        ? [`function ${name}`]
        : catalog.functions(schema, name).map(({ oid }) => `function ${oid}`),
    ),
  );
  return unique([...relations, ...functions]).sort();
}

/**
 * Another column may have got the name of one that was approved. Of those whose names stand in the
 * text: a table that gets a new one while somebody thinks is the everyday case.
 */
function columnsOf(relation: CatalogRelation | undefined, said: string): readonly string[] {
  return (relation?.columns ?? [])
    .filter(({ name, dropped }) => !dropped && isSaid(name, said))
    .map(({ attnum, name }) => `column ${relation?.oid}.${attnum} ${name}`);
}

/** With escapes any name may be meant. */
function isSaid(name: string, text: string): boolean {
  return text.includes('u&"') || text.includes(name.toLowerCase().replaceAll('"', '""'));
}

/** CREATE OR REPLACE VIEW keeps the OID. */
function relationOf(
  relation: CatalogRelation | undefined,
  oid: number | undefined = relation?.oid,
): readonly string[] {
  const definition = relation?.viewDefinition;
  return [
    `relation ${oid ?? 'unknown'}`,
    ...(definition === undefined ? [] : [`view ${oid ?? 'unknown'} ${definition}`]),
  ];
}

/**
 * Where code that is not built in runs, what it does rests on more than the statement names: on its
 * own text, which can be replaced in place, and that of what it calls; and on the search_path.
 */
function surroundingsOf({ analyses, catalog, searchPath }: ApprovalAsk): readonly unknown[] {
  if (!analyses.some(({ protocol }) => protocol.runsUserCode)) return [];
  // The temporary schema of another session of the same person has another number.
  const path = searchPath?.map((schema) => (SESSION_TEMP.test(schema) ? 'pg_temp' : schema));
  return [catalog.code ?? null, path ?? null];
}

function ownFunctions({ functions }: StatementAnalysis): StatementAnalysis['functions'] {
  return functions.filter(({ builtIn }) => !builtIn);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
