/**
 * Where the server made the text of an error or notice. The fields F and R name the place in its source,
 * which nothing written in SQL or PL/pgSQL can set: a RAISE comes from pl_exec.c, whatever SQLSTATE,
 * table and constraint it claims. So the place says what a text can be made of where the SQLSTATE alone
 * does not: `relation "…" does not exist` names what the client wrote, or a value that was cast to
 * regclass.
 * https://www.postgresql.org/docs/18/protocol-error-fields.html
 */
import type { ReportFields } from '../protocol/report-fields.ts';

/** Finds fault with the text of the statement, before anything of it runs. */
const PARSING = /^(parse_\w+|scan|gram|parser)\.[cly]$/;

/** Reads values from text: with a position, from a constant of the statement. */
const READING =
  /^(arrayfuncs|bool|cash|date|datetime|encode|enum|float|int8?|json\w*|mac8?|network|num(eric|utils)|oid|rangetypes|timestamp|uuid|varbit|varchar|varlena|xml)\.c$/;

/**
 * Checks rows and waits for locks, and names tables, columns and constraints that exist. Values stand
 * in DETAIL only ("Failing row contains (…)").
 */
const CHECKING: ReadonlySet<string> = new Set(
  `deadlock.c domains.c execExprInterp.c execIndexing.c execMain.c execPartition.c heapam.c lmgr.c lock.c
  nbtinsert.c nodeLockRows.c nodeModifyTable.c postgres.c predicate.c proc.c ri_triggers.c
  tuplesortvariants.c tuplesort.c utility.c xact.c`.split(/\s+/),
);

/** Makes, changes and drops objects, and names these and what depends on them. */
const NAMING: ReadonlySet<string> = new Set(
  `aclchk.c alter.c createas.c dependency.c dropcmds.c heap.c index.c lockcmds.c pg_constraint.c
  pg_namespace.c pg_shdepend.c policy.c prepare.c rewriteDefine.c schemacmds.c statscmds.c tablecmds.c
  typecmds.c view.c`.split(/\s+/),
);

export type ReportSource =
  /** All of it is about the client's own text. */
  | 'text of the statement'
  /** Message and hint name objects. */
  | 'names'
  /** The message names what is in the catalog, whoever makes the server check it. */
  | 'checks'
  /** Anything can be in it. */
  | 'unknown';

/**
 * Whatever is raised inside of a function or trigger has a context (W), and a statement that runs in
 * there is the internal query (q), with a position of its own.
 */
export function sourceOf(fields: ReportFields): ReportSource {
  const file = fields.get('F') ?? '';
  if (CHECKING.has(file)) return 'checks';
  if (fields.has('W') || fields.has('q')) return 'unknown';
  if (fields.has('P') && (PARSING.test(file) || READING.test(file))) return 'text of the statement';
  return NAMING.has(file) ? 'names' : 'unknown';
}
