/**
 * How many rows a statement that waits for approval is expected to touch: EXPLAIN, on a connection
 * of its own, read-only, as the role of the session, and only where planning runs nothing but
 * built-in code. Planning folds constants: it would run a function of the requester's own making
 * with the requester's rights, before anybody has approved anything.
 */

import type { ApprovalEstimate } from '../../../../api/approvals.ts';
import { errorFields, type Log } from '../../../../gateway/base/log.ts';
import { onAbort } from '../../../../until.ts';
import type { StatementAnalysis } from '../../policy/facts/analysis-types.ts';
import type { CatalogRelation } from '../../policy/facts/catalog-types.ts';
import { connectTarget } from '../target/target-connection.ts';
import type { ApprovalAsk, PostgresTarget } from '../types.ts';

/** At one time, and waiting for their turn. */
const MAX_RUNNING = 2;
const MAX_QUEUED = 20;
/** Longest that connecting and planning may take; the server itself stops after 2 s, or at a lock. */
const WITHIN_MS = 5000;
const STARTUP = new Map([
  ['default_transaction_read_only', 'on'],
  ['statement_timeout', '2000'],
  ['lock_timeout', '500'],
  ['idle_in_transaction_session_timeout', '5000'],
  ['standard_conforming_strings', 'on'],
  ['client_encoding', 'UTF8'],
  ['application_name', 'hoop estimate'],
]);
/** Characters of a plan that an approver is shown. */
const MAX_PLAN = 4000;

export class Estimates implements Disposable {
  readonly #log: Log;
  readonly #closing = new AbortController();
  readonly #queue: (() => Promise<void>)[] = [];
  #running = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Calls back once, later; never throws. */
  estimate(
    target: PostgresTarget,
    ask: ApprovalAsk,
    onDone: (estimate: ApprovalEstimate) => void | Promise<void>,
  ): void {
    const done = async (estimate: ApprovalEstimate): Promise<void> => {
      if (this.#closing.signal.aborted) return;
      try {
        await onDone(estimate);
      } catch (error) {
        this.#log.error('approval.estimate_failed', errorFields(error));
      }
    };
    const why =
      whyNotEstimated(ask) ??
      (this.#queue.length >= MAX_QUEUED ? 'the gateway has too many estimates to make' : undefined);
    if (why !== undefined) {
      queueMicrotask(() => void done({ state: 'none', why }));
      return;
    }
    this.#queue.push(async () => done(await this.#explain(target, ask)));
    this.#next();
  }

  [Symbol.dispose](): void {
    this.#closing.abort();
    this.#queue.length = 0;
  }

  #next(): void {
    if (this.#running >= MAX_RUNNING) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#running += 1;
    void job().finally(() => {
      this.#running -= 1;
      this.#next();
    });
  }

  async #explain(target: PostgresTarget, ask: ApprovalAsk): Promise<ApprovalEstimate> {
    const within = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(WITHIN_MS)]);
    try {
      await using connection = await connectTarget({ target, startup: STARTUP, signal: within });
      using _ = onAbort(within, () => connection.socket.destroy());
      const run = (sql: string): ReturnType<typeof connection.query> => connection.query(sql);
      await run('BEGIN READ ONLY');
      if (ask.role !== undefined && ask.role !== target.user) {
        await run(`SET LOCAL ROLE ${identifier(ask.role)}`);
      }
      const path = (ask.searchPath ?? []).map(identifier).join(', ');
      await run(`SET LOCAL search_path = ${path === '' ? "''" : path}`);
      const subject = await prepare(run, ask);
      const rows = await run(`EXPLAIN (FORMAT JSON) ${subject}`);
      const text = await run(`EXPLAIN ${subject}`);
      await run('ROLLBACK');
      const plan = text.map(([line]) => line ?? '').join('\n');
      return { state: 'known', rows: rowsOf(rows[0]?.[0] ?? ''), plan: plan.slice(0, MAX_PLAN) };
    } catch (error) {
      // The server's message may quote values of the statement; the log has the reason without them.
      this.#log.info('approval.not_estimated', errorFields(error));
      return { state: 'none', why: 'the target could not plan it, or not in time' };
    }
  }
}

/** With parameters it has to be prepared first. The text is one statement: the parser has said so. */
async function prepare(
  run: (sql: string) => Promise<unknown>,
  { text, parameters }: ApprovalAsk,
): Promise<string> {
  if (parameters.length === 0) return text;
  await run(`PREPARE hoop_estimate AS ${text}`);
  const values = parameters.map(({ format, value }) =>
    format === 'null' ? 'NULL' : literal(value),
  );
  return `EXECUTE hoop_estimate (${values.join(', ')})`;
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function literal(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

/** Of what changes rows: the rows that it changes; of what reads: the rows that it returns. */
function rowsOf(json: string): number {
  const parsed: unknown = JSON.parse(json);
  let plan: unknown = member(Array.isArray(parsed) ? parsed[0] : undefined, 'Plan');
  while (member(plan, 'Node Type') === 'ModifyTable') {
    const inner = member(plan, 'Plans');
    plan = Array.isArray(inner) ? inner[0] : undefined;
  }
  const rows = member(plan, 'Plan Rows');
  return typeof rows === 'number' ? rows : 0;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

const ESTIMABLE = new Set(['select', 'insert', 'update', 'delete', 'merge', 'values']);

/** @returns why planning this could run more than built-in code, or cannot be done; as a phrase. */
function whyNotEstimated(ask: ApprovalAsk): string | undefined {
  const { analyses, prepared, parameters, searchPath, catalog } = ask;
  const [analysis] = analyses;
  if (analysis === undefined || analyses.length > 1) return 'there are several statements';
  if (prepared.length > 0 || !ESTIMABLE.has(analysis.verb)) {
    return `EXPLAIN does not plan ${analysis.verb.toUpperCase()}`;
  }
  if (searchPath === undefined) return 'the search_path for its names is not known';
  if (parameters.some(({ format }) => format === 'hex')) return 'its parameters are binary';
  return runsOwnCode(analysis, ask) ?? relationsRunCode(analysis, catalog);
}

function runsOwnCode(analysis: StatementAnalysis, { catalog }: ApprovalAsk): string | undefined {
  const { protocol, functions, opaque, serverAccess } = analysis;
  if (opaque.length > 0 || serverAccess.length > 0 || protocol.changesCatalog) {
    return 'hoop cannot see into it';
  }
  for (const { name, builtIn } of functions) {
    if (!builtIn) return `the function ${name} is not built in`;
    const known = catalog.functions('pg_catalog', name);
    if (known.length === 0 || known.some(({ volatility }) => volatility === 'v')) {
      return `the function ${name} is volatile`;
    }
  }
  return protocol.runsUserCode ? 'code that is not built in runs with it' : undefined;
}

function relationsRunCode(
  { reads, writes }: StatementAnalysis,
  catalog: ApprovalAsk['catalog'],
): string | undefined {
  const seen = new Set<number>();
  const queue = [...reads, ...writes].map(({ oid }) => oid);
  for (let oid = queue.pop(); oid !== undefined; oid = queue.pop()) {
    if (seen.has(oid)) continue;
    seen.add(oid);
    const relation = catalog.relationByOid(oid);
    if (relation === undefined) return 'a relation is not known';
    const why = relationRunsCode(relation);
    if (why !== undefined) return why;
    queue.push(...catalog.childrenOf(oid).map((child) => child.oid));
  }
  return undefined;
}

function relationRunsCode(relation: CatalogRelation): string | undefined {
  const { kind, name, rowSecurity, hasTriggersOrRules } = relation;
  if (kind !== 'r' && kind !== 'p') return `${name} is not a table`;
  if (rowSecurity) return `${name} has row security`;
  return hasTriggersOrRules ? `${name} has code of its own` : undefined;
}
