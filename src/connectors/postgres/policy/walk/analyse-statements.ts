/** Parse tree → what each statement of the text does. */

import type { OutputColumn, ProtocolEffect, StatementAnalysis } from '../facts/analysis-types.ts';
import type { CatalogRelation } from '../facts/catalog-types.ts';
import type { NamedLineage } from '../facts/lineage.ts';
import { settingEffect } from '../facts/settings-table.ts';
import { BUILT_IN_PATH, StatementFacts, TooComplex, type Walks } from '../facts/statement-facts.ts';
import type { StatementContext } from '../facts/types.ts';
import { normalForm } from '../parse/normal-form.ts';
import { as, is, type Node } from '../parse/tree.ts';
import { WorkBudget } from '../parse/work-budget.ts';
import { mayDisturb } from '../triggers/may-disturb.ts';
import { noteLoginRows } from '../verdict/login-changes.ts';
import { noteConsequences } from '../writes/consequences.ts';
import type { TextRange } from '../writes/copy-query.ts';
import { outputOf } from './output-column.ts';
import { select } from './queries.ts';
import { innerQuery, type KnownStatements, type StatementResult, statement } from './statements.ts';
import { writesValues, writtenPlaceholder } from './written-texts.ts';

/** What a statement costs besides its nodes, in steps. */
const STEPS_PER_STATEMENT = 10;

/**
 * @param tree what libpg-query's parse() returned for `text`; its offsets are bytes of UTF-8
 * @param copied where the queries of COPY (query) stand, by the index of their statement
 * @throws OverBudget when all statements together cost more than that
 * @returns one analysis per statement, in order; a strange tree makes statements opaque, never throws
 */
export function analyseStatements(
  tree: unknown,
  text: string,
  context: StatementContext,
  copied: ReadonlyMap<number, TextRange> = new Map(),
  budget = new WorkBudget(),
): StatementAnalysis[] {
  const session = new TextSession(context);
  const length = Buffer.byteLength(text);
  return statementsOf(tree).map((raw, index) => {
    budget.spend(STEPS_PER_STATEMENT);
    const range = rangeOf(raw, length);
    const facts = new StatementFacts(session.context(), WALKS, budget);
    const own = analyseOne(raw.stmt, facts, session, range);
    const analysis = withQuery(own, copied.get(index));
    session.after(analysis);
    return analysis;
  });
}

/** @returns for each statement where it stands, in bytes of UTF-8 */
export function rangesOfStatements(tree: unknown, textLength: number): readonly TextRange[] {
  return statementsOf(tree).map((raw) => rangeOf(raw, textLength));
}

export function countStatements(tree: unknown): number {
  return statementsOf(tree).length;
}

function rangeOf(raw: RawStatement, length: number): TextRange {
  const start = raw.stmt_location ?? 0;
  return { start, end: raw.stmt_len ? start + raw.stmt_len : length };
}

interface RawStatement {
  readonly stmt: Node;
  readonly stmt_location?: number;
  readonly stmt_len?: number;
}

function statementsOf(tree: unknown): readonly RawStatement[] {
  if (typeof tree !== 'object' || tree === null || !('stmts' in tree)) {
    throw new TypeError('not a parse result');
  }
  // Checked above; the parser leaves out an empty list.
  return Array.isArray(tree.stmts) ? tree.stmts : [];
}

const NOT_KNOWN: StatementResult = { verb: 'unknown', columns: undefined, protocol: {} };
/**
 * Of what is said of all columns of a result: a hundred columns that are JSON of a hundred columns
 * each are within it. Everybody waits while it is taken over from the thread, and recorded.
 */
const MAX_OUTPUT_PARTS = 32_768;

/** @returns how many objects it consists of; of more than `limit`, `limit + 1` */
function partsOf(value: unknown, limit: number): number {
  const open = [value];
  let count = 0;
  for (let one = open.pop(); one !== undefined && count <= limit; one = open.pop()) {
    if (typeof one === 'object' && one !== null) {
      count += 1;
      for (const part of Object.values(one)) {
        if (typeof part === 'object') open.push(part);
      }
    }
  }
  return count;
}

function analyseOne(
  node: Node,
  facts: StatementFacts,
  known: KnownStatements,
  range: TextRange,
): StatementAnalysis {
  let isTooLarge = false;
  facts.root = node;
  let done = NOT_KNOWN;
  let outputs: readonly OutputColumn[] | undefined;
  let outputParts = 0;
  try {
    done = statement(facts, node, known);
    if (writesValues([done.verb, ...facts.verbs])) {
      facts.writesPlaceholder ??= writtenPlaceholder(node);
    }
    noteConsequences(facts);
    noteLoginRows(facts);
    outputs = done.outputs ?? done.columns?.map((column) => outputOf(facts, column));
    outputParts = partsOf(outputs, MAX_OUTPUT_PARTS);
    if (outputParts > MAX_OUTPUT_PARTS || facts.namesTooMuch) {
      throw new TooComplex();
    }
  } catch (error) {
    if (!(error instanceof TooComplex)) {
      throw error;
    }
    facts.runsUserCode = true;
    facts.changesCatalog = true;
    facts.refuse('the statement is too large to be checked', { hint: 'Split it.' });
    isTooLarge = true;
    if (facts.namesTooMuch) {
      facts.reads.clear();
      facts.writes.clear();
    }
    done = NOT_KNOWN;
    outputs = undefined;
  }
  const changes = changesOf(node);
  const protocol = changes === undefined ? done.protocol : { ...done.protocol, changes };
  const analysis = facts.result(done.verb, outputs, protocol, range);
  return isTooLarge
    ? { ...analysis, isTooLarge }
    : { ...analysis, outputParts, form: normalForm(node) };
}

function withQuery(analysis: StatementAnalysis, range: TextRange | undefined): StatementAnalysis {
  const { copy } = analysis.protocol;
  if (range === undefined || copy === undefined) return analysis;
  const source = { type: 'query', ...range } as const;
  return { ...analysis, protocol: { ...analysis.protocol, copy: { ...copy, source } } };
}

/** What earlier statements of the same text did to the names that later ones use. */
class TextSession implements KnownStatements {
  #context: StatementContext;
  readonly #prepared = new Map<string, StatementAnalysis>();
  readonly #cursors = new Map<string, StatementAnalysis>();
  #forgot = { prepared: false, cursors: false };
  /** A transaction that this text began: its end takes nothing back that this text did not do. */
  #ownTransaction = false;

  constructor(context: StatementContext) {
    this.#context = context;
  }

  context(): StatementContext {
    return this.#context;
  }

  prepared = (name: string): StatementAnalysis | undefined =>
    this.#prepared.get(name) ??
    (this.#forgot.prepared ? undefined : this.#context.prepared(name)?.analysis);

  cursor = (name: string): StatementAnalysis | undefined =>
    this.#cursors.get(name) ??
    (this.#forgot.cursors ? undefined : this.#context.cursor(name)?.analysis);

  after(analysis: StatementAnalysis): void {
    const { protocol } = analysis;
    this.#names(analysis);
    const isDisturbed = mayDisturb(protocol);
    if (protocol.changesCatalog || isDisturbed) {
      const isNarrow = protocol.changes === 'relations' && !isDisturbed;
      const unsettled = isNarrow ? (this.#context.unsettled ?? 'relations') : 'all';
      this.#context = { ...this.#context, unsettled };
    }
    const renames = (protocol.settings ?? []).some(({ name }) => {
      const effect = settingEffect(name);
      return name === '*' || name === 'all' || effect === 'names' || effect === 'identity';
    });
    const endsOther = this.#transaction(protocol.transaction);
    if (renames || endsOther || isDisturbed) {
      this.#context = {
        ...this.#context,
        searchPath: undefined,
        role: undefined,
        isLoginRole: false,
      };
    }
  }

  /** What this text did itself has made the place unknown already, and it stays so. */
  get #isSteady(): boolean {
    return this.#context.placeIsSteady ?? false;
  }

  /** @returns whether a transaction ended that may take back a setting from before this text. */
  #transaction(effect: StatementAnalysis['protocol']['transaction']): boolean {
    switch (effect) {
      case 'begin':
        this.#ownTransaction = true;
        return false;
      case 'commit':
      case 'rollback':
      case 'prepare': {
        const own = this.#ownTransaction;
        this.#ownTransaction = false;
        return !own && !this.#isSteady;
      }
      case 'rollback to':
        return !this.#isSteady;
      default:
        return false;
    }
  }

  #names(analysis: StatementAnalysis): void {
    const { prepare, deallocate, declareCursor, closeCursor, transaction } = analysis.protocol;
    if (prepare !== undefined) {
      this.#prepared.set(prepare, analysis);
    }
    if (declareCursor !== undefined) {
      this.#cursors.set(declareCursor, analysis);
    }
    if (deallocate === null) {
      this.#prepared.clear();
      this.#forgot.prepared = true;
    } else if (deallocate !== undefined) {
      this.#prepared.delete(deallocate);
      this.#forgot.prepared = true;
    }
    if (closeCursor === null || transaction === 'rollback' || transaction === 'rollback to') {
      this.#cursors.clear();
      this.#forgot.cursors = true;
    } else if (closeCursor !== undefined) {
      this.#cursors.delete(closeCursor);
      this.#forgot.cursors = true;
    }
  }
}

// Which statements make or drop whole relations and change nothing else.

/** What RESTRICT lets go alone, with what belongs to it. */
const WHOLE_RELATIONS: ReadonlySet<string> = new Set([
  'OBJECT_INDEX',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_TABLE',
  'OBJECT_VIEW',
]);

/**
 * Temporary views are not among them: another session may read one, and one can replace another. Nor
 * is CASCADE, which takes columns and defaults of others with it.
 */
function changesOf(node: Node): ProtocolEffect['changes'] {
  if (is(node, 'CreateStmt')) return changesBy(node.CreateStmt.relation);
  if (is(node, 'CreateTableAsStmt')) return changesBy(node.CreateTableAsStmt.into?.rel);
  if (is(node, 'SelectStmt')) return changesBy(node.SelectStmt.intoClause?.rel);
  if (is(node, 'ViewStmt')) return isPermanent(node.ViewStmt.view) ? 'relations' : undefined;
  if (is(node, 'CreateSeqStmt')) return changesBy(node.CreateSeqStmt.sequence);
  if (is(node, 'IndexStmt') || is(node, 'CommentStmt')) return 'relations';
  const isWhole =
    is(node, 'DropStmt') &&
    node.DropStmt.behavior !== 'DROP_CASCADE' &&
    WHOLE_RELATIONS.has(node.DropStmt.removeType ?? '');
  return isWhole ? 'relations' : undefined;
}

interface NewName {
  readonly relpersistence?: string;
  readonly schemaname?: string;
}

function changesBy(made: NewName | undefined): ProtocolEffect['changes'] {
  if (isPermanent(made)) return 'relations';
  return isTemporary(made) ? 'temporary' : undefined;
}

function isPermanent(name: NewName | undefined): boolean {
  return (
    name !== undefined &&
    (name.relpersistence === 'p' || name.relpersistence === 'u') &&
    !(name.schemaname ?? '').startsWith('pg_')
  );
}

function isTemporary(name: NewName | undefined): boolean {
  return (
    name?.schemaname === 'pg_temp' ||
    (name?.schemaname === undefined && name?.relpersistence === 't')
  );
}

/** Queries inside of others, and the definitions of views. */
export const WALKS: Walks = { query: innerQuery, view: viewColumns };

/** @returns undefined after it has said why the definition cannot be followed. */
function viewColumns(
  facts: StatementFacts,
  view: CatalogRelation,
): readonly NamedLineage[] | undefined {
  if (facts.views.has(view.oid)) {
    const known = facts.views.get(view.oid);
    if (!known) {
      facts.refuse(`the view ${view.schema}.${view.name} cannot be traced`);
    }
    return known;
  }
  facts.views.set(view.oid, undefined);
  const query = as(viewQuery(view.viewTree), 'SelectStmt');
  if (!query) {
    facts.refuse(`the definition of the view ${view.schema}.${view.name} is not known`);
    return undefined;
  }
  const verbs = [...facts.verbs];
  const { view: outer, viewPath } = facts;
  // Columns behind a view belong to the view that the statement names.
  facts.view ??= view;
  facts.viewPath = view.viewPath ?? BUILT_IN_PATH;
  const { columns } = select(facts, query, undefined);
  facts.view = outer;
  facts.viewPath = viewPath;
  facts.verbs.splice(0, facts.verbs.length, ...verbs);
  facts.views.set(view.oid, columns);
  return columns;
}

/** The one statement of a parse result. */
function viewQuery(tree: unknown): Node | undefined {
  if (
    typeof tree !== 'object' ||
    tree === null ||
    !('stmts' in tree) ||
    !Array.isArray(tree.stmts)
  ) {
    return undefined;
  }
  const [first] = tree.stmts;
  return tree.stmts.length === 1 ? first?.stmt : undefined;
}
