/** What the walk over one statement has found so far. */
import type { Verb } from '../../../../policy/types.ts';
import type { Node } from '../parse/tree.ts';
import type { WorkBudget } from '../parse/work-budget.ts';
import { changesRows, rowCountSource } from '../writes/row-count.ts';
import type {
  Candidates,
  ColumnFact,
  FunctionFact,
  IndirectWrite,
  LookupFact,
  Opaque,
  ProtocolEffect,
  RelationFact,
  RelationMove,
  RowCountSource,
  SequenceFact,
  StatementAnalysis,
  WriteComparison,
} from './analysis-types.ts';
import type { CatalogRelation, RowChange } from './catalog-types.ts';
import { ColumnUses } from './column-uses.ts';
import {
  type ColumnOrigin,
  constant,
  derive,
  type Lineage,
  type NamedLineage,
  type Origin,
  type RowOrigin,
  unite,
} from './lineage.ts';
import type { QueryResult, Scope } from './scope.ts';
import { isPlainString } from './string-types.ts';
import { Ties } from './ties.ts';
import type { StatementContext } from './types.ts';

/**
 * Nodes visited per statement, looking through views included: as many as a text of the longest
 * kind has. Views that use each other twice per level would otherwise cost 2^levels.
 */
const MAX_NODES = 1_000_000;
/**
 * Expressions and queries inside each other. Each level costs a handful of stack frames; the
 * default stack of Node holds about ten times this.
 */
const MAX_DEPTH = 800;
const COLUMNS_PER_STEP = 8;

/** Of the names of relations in one event of the recording, which is one frame (0002); so many always fit. */
const MAX_NAMED_BYTES = 512 * 1024;
const NAMED_FREELY = 500;

/** Thrown when a statement is too large to judge; the façade makes it opaque. */
export class TooComplex extends Error {}

export const SESSION_TEMP = /^pg_temp_\d+$/;

/** View definitions are read with an empty search_path: what is not qualified is built in. */
export const BUILT_IN_PATH: readonly string[] = ['pg_catalog'];

type Setting = NonNullable<ProtocolEffect['settings']>[number];

/** The walks that expressions and FROM items start for the queries inside them. */
export interface Walks {
  readonly query: (
    facts: StatementFacts,
    node: Node | undefined,
    scope: Scope | undefined,
  ) => QueryResult;
  /** The columns of a view by its definition; undefined after it has said why not. */
  readonly view: (
    facts: StatementFacts,
    view: CatalogRelation,
  ) => readonly NamedLineage[] | undefined;
}

export class StatementFacts {
  readonly context: StatementContext;
  readonly walks: Walks;
  /** Of the whole text. */
  readonly budget: WorkBudget;
  readonly verbs: Verb[] = [];
  readonly opaque: Opaque[] = [];
  readonly functions = new Map<string, FunctionFact>();
  readonly sequences = new Map<string, SequenceFact>();
  /** DEFAULT stands somewhere in place of a value. */
  usesDefaults = false;
  readonly serverAccess = new Set<string>();
  readonly settings: Setting[] = [];
  readonly reads = new Map<string, RelationFact>();
  readonly writes = new Map<string, RelationFact>();
  /** Relations whose rows the statement changes itself; what follows from it is worked out at the end. */
  changed: { readonly relation: CatalogRelation; readonly change: RowChange }[] = [];
  readonly writesIndirectly = new Map<string, IndirectWrite>();
  readonly columnsWritten = new Map<string, ColumnFact>();
  /** attnums by the OID of the relation and the kind of change that writes them. */
  readonly writtenBy = new Map<string, Set<number>>();
  /** Of these, those that can get another value than NULL and their default. */
  readonly valuedBy = new Map<string, Set<number>>();
  readonly writeComparisons = new Map<string, WriteComparison>();
  readonly viewComparisons = new Map<
    string,
    NonNullable<StatementAnalysis['viewComparisons']>[number]
  >();
  readonly read = new Set<Origin>();
  readonly uses = new ColumnUses();
  readonly stored = new Set<Origin>();
  readonly shaping = new Set<Origin>();
  readonly evaluated = new Set<Origin>();
  /** Columns of relations that are written: which rows change can tell what they are compared with. */
  readonly targets = new Set<Origin>();
  /** Comparisons that may be lookups, by node: a recursive query is walked more than once. */
  readonly #lookups = new Map<object, { columns: Set<Origin>; candidates: Candidates }>();
  /** The statement runs what it says now, and keeps none of it: its comparisons can be counted. */
  mayLookUp = false;
  /** The statement. */
  root: object | undefined;
  /** How many INSERT, UPDATE, DELETE and MERGE there are in it. */
  changeCount = 0;
  /** The tag of CommandComplete has the number of rows that it changes. */
  countIsInTag = false;
  #preparedRowCount: RowCountSource | undefined;
  qualified: boolean | undefined;
  /** What is walked is the action of a rule, with rows of the client's in it. */
  isRule = false;
  /** Views that it gives another name, where they can be followed. */
  readonly viewsRenamed: NonNullable<StatementAnalysis['viewsRenamed']>[number][] = [];
  /** What a change of a table changes or looks at; undefined: anything. */
  altered: readonly ColumnFact[] | undefined;
  moves: readonly RelationMove[] = [];
  dropsIn: StatementAnalysis['dropsIn'];
  /** OID of a domain whose values are all checked now. */
  checkedDomain: number | undefined;
  runsUserCode = false;
  /** Runs triggers that were read to their ends. */
  runsReadCode = false;
  writesPlaceholder: string | undefined;
  /** How the target could be reached without hoop afterwards, or not by hoop: a phrase. */
  loginChange: string | undefined;
  changesCatalog = false;
  /** The INTO of a SELECT INTO that is being handled: any other INTO is out of place. */
  into: object | undefined;
  /** Types of $1…: of Parse, or of PREPARE name (…). */
  parameterTypes: readonly number[];
  /** The view whose definition is being walked, or the relation whose rules are. */
  view: CatalogRelation | undefined;
  /** Where names without a schema are looked up in its definition. */
  viewPath: readonly string[] = BUILT_IN_PATH;
  /** The schemas of `viewPath` may be searched in any order: a function in one of them hides none in another. */
  viewPathIsOpen = false;
  /** Views looked through, by OID; undefined while (and if) their definition cannot be followed. */
  readonly views = new Map<number, readonly NamedLineage[] | undefined>();
  readonly #columns = new Map<string, ColumnOrigin>();
  readonly #rows = new Map<object, RowOrigin>();
  readonly #ties = new Ties();
  readonly #references = new Map<object, number>();
  #nodes = 0;
  #depth = 0;

  constructor(context: StatementContext, walks: Walks, budget: WorkBudget) {
    this.context = context;
    this.walks = walks;
    this.budget = budget;
    this.parameterTypes = context.parameterTypes;
  }

  /** Runs one level of the walk and keeps its depth and cost bounded. */
  nested<T>(walk: () => T): T {
    this.#nodes++;
    this.budget.spend(1);
    if (this.#nodes > MAX_NODES || this.#depth > MAX_DEPTH) {
      throw new TooComplex();
    }
    this.#depth++;
    try {
      return walk();
    } finally {
      this.#depth--;
    }
  }

  /** So many columns, or what is in them, are copied, renamed or looked through. */
  spendOn(columns: { readonly length: number } | { readonly size: number }): void {
    this.budget.spend(('size' in columns ? columns.size : columns.length) / COLUMNS_PER_STEP);
  }

  refuse(
    reason: string,
    options: {
      hint?: string | undefined;
      location?: number | undefined;
      missing?: string;
      because?: Opaque['because'];
      mistake?: Opaque['mistake'];
      unsettled?: true;
    } = {},
  ): void {
    const { view } = this;
    const kind = view && view.kind !== 'v' && view.kind !== 'm' ? 'a rule of' : 'the view';
    const through = view ? ` (in ${kind} ${view.schema}.${view.name})` : '';
    if (this.opaque.some((other) => other.reason === reason + through)) {
      return;
    }
    this.opaque.push({
      reason: reason + through,
      hint: options.hint,
      location: view ? undefined : options.location,
      ...(options.missing !== undefined && !view ? { missing: options.missing } : {}),
      ...(options.because !== undefined ? { because: options.because } : {}),
      ...(options.mistake !== undefined && !view ? { mistake: options.mistake } : {}),
      ...(options.unsettled ? { unsettled: true } : {}),
    });
  }

  /** A node or field of the tree that this walk does not know. */
  unknown(what: string, location?: number): void {
    this.refuse(`${what} is not understood`, { location });
  }

  verb(verb: Verb): void {
    if (!this.verbs.includes(verb)) {
      this.verbs.push(verb);
    }
  }

  column(relation: CatalogRelation, attnum: number, name: string): ColumnOrigin {
    const key = `${relation.oid}.${attnum}`;
    let origin = this.#columns.get(key);
    if (!origin) {
      origin = {
        kind: 'column',
        fact: {
          schema: relation.schema,
          name: relation.name,
          oid: relation.oid,
          column: name,
          attnum,
        },
      };
      this.#columns.set(key, origin);
    }
    return origin;
  }

  /** @param node what makes the rows; the same node gives the same origin. */
  rows(node: object, generated: boolean): RowOrigin {
    let origin = this.#rows.get(node);
    if (!origin) {
      origin = { kind: 'rows', generated };
      this.#rows.set(node, origin);
    }
    return origin;
  }

  noteRead(lineage: Lineage): void {
    this.noteEvaluated(lineage);
    if (!this.view) {
      addAll(this.read, lineage.origins);
    }
  }

  /**
   * Something is computed of these values, by words of this statement: what the owner of a view
   * wrote computes the same whoever asks.
   * @param by where, in the words of SQL
   */
  noteComputed(lineage: Lineage, by: string): void {
    this.noteEvaluated(lineage);
    if (!this.view || this.isRule) this.uses.computed(lineage.origins, by);
  }

  /** Asked for being NULL. @returns the answer */
  nullTest(value: Lineage, by: string, type: number): Lineage {
    this.noteEvaluated(value);
    if (this.view || value.identity === undefined) return this.test([value], by, type);
    this.uses.nullTested(value.identity, by);
    return constant(type);
  }

  /** As nullTest(), of strings that are as NULL as these columns. */
  noteNullTested(origins: Iterable<Origin>, by: string): void {
    if (this.view) return;
    for (const origin of origins) {
      if (origin.kind === 'column') this.uses.nullTested(origin, by);
    }
  }

  /**
   * A test of values, or a count of them: not one of the values itself, so no mask fits it. It is
   * right, or it is refused. Generated rows among them would spell the values out.
   */
  test(values: readonly Lineage[], by: string, type: number): Lineage {
    const tested = derive(values, type);
    this.noteComputed(tested, by);
    this.tie(tested.origins);
    // What a view makes of a masked column is masked like the column.
    return this.view ? tested : constant(type);
  }

  /** Values are made of several others: generated rows among them would spell them out. */
  combine(values: readonly Lineage[]): void {
    const origins = unite(values);
    if ([...origins].some((origin) => origin.kind === 'rows' && origin.generated)) {
      this.tie(origins);
    }
  }

  /** Of a statement that was judged before. */
  noteComputedColumns(columns: readonly ColumnFact[], by: string): void {
    this.uses.computed(
      columns.map((fact) => this.known(fact)),
      by,
    );
  }

  /** Something in FROM is named: a relation, or a CTE. */
  noteReference(what: CatalogRelation | object): void {
    this.#references.set(what, (this.#references.get(what) ?? 0) + 1);
  }

  /** Whether all values of this relation so far are of the rows that one place in FROM gives. */
  isReferencedOnce(relation: CatalogRelation): boolean {
    const isTable = (what: object): boolean =>
      'kind' in what && ['r', 'p'].includes(String(what.kind));
    // A query or a view that is named twice gives the same rows twice.
    const isRepeated = [...this.#references].some(([what, count]) => count > 1 && !isTable(what));
    return this.#references.get(relation) === 1 && !isRepeated;
  }

  /** A lock waits for the newest version of a row, so that two entries in FROM can see two of them. */
  locksRows = false;
  /** Queries of which nothing shows the order of the rows. */
  readonly unordered = new WeakSet<object>();

  /** Rows with the same value are put together. */
  noteGrouped(value: Lineage, by: string): void {
    this.noteEvaluated(value);
    if (this.view) return;
    if (value.identity === undefined || value.collated) this.uses.computed(value.origins, by);
    else this.uses.grouped(value.identity, by);
  }

  /** `a.x = b.y`. @returns false: it is a comparison like any other. */
  noteEquated([left, right]: readonly [Lineage, Lineage], by: string): boolean {
    const isString = left.type === right.type && isPlainString(left.type);
    const isCollated = left.collated ?? right.collated ?? false;
    if (this.view || !isString || isCollated || !left.identity || !right.identity) return false;
    this.noteEvaluated(derive([left, right]));
    this.uses.equated([left.identity, right.identity], by);
    return true;
  }

  noteStored(lineage: Lineage): void {
    addAll(this.stored, lineage.origins);
    this.noteRead(lineage);
  }

  noteShaping(lineage: Lineage): void {
    addAll(this.shaping, lineage.origins);
    this.noteComputed(lineage, 'a number of rows, such as LIMIT');
  }

  noteLookup(node: object, columns: Iterable<Origin>, candidates: Candidates): void {
    const known = this.#lookups.get(node);
    if (known) {
      addAll(known.columns, columns);
    } else {
      this.#lookups.set(node, { columns: new Set(columns), candidates });
    }
  }

  noteEvaluated(lineage: Lineage): void {
    addAll(this.evaluated, lineage.origins);
  }

  noteRelation(relation: CatalogRelation): void {
    const fact = this.#relationFact(relation);
    const known = this.reads.get(factKey(fact));
    if (!known || (known.via && !fact.via)) {
      this.reads.set(factKey(fact), fact);
    }
    if (relation.rowSecurityRunsUserCode) {
      this.runsUserCode = true;
    }
  }

  noteWrite(relation: CatalogRelation): void {
    const fact = this.#relationFact(relation);
    this.writes.set(factKey(fact), fact);
  }

  /** One that the statement does not name. */
  noteWriteBehind(relation: CatalogRelation, via: NonNullable<RelationFact['via']>): void {
    const fact = this.#relationFact(relation);
    if (!this.writes.has(factKey(fact))) this.writes.set(factKey(fact), { ...fact, via });
  }

  noteWriteOf(schema: string, name: string): void {
    this.writes.set(`${schema}.${name}`, { schema, name, oid: 0 });
  }

  noteWriteIndirectly(
    { schema, name, oid }: CatalogRelation,
    change: RowChange,
    via: IndirectWrite['via'],
  ): void {
    const key = `${oid} ${change}`;
    if (!this.writesIndirectly.has(key)) {
      const { context } = this;
      const shown = publicSchemaName(context, schema);
      this.writesIndirectly.set(key, { schema: shown, name, oid, change, via });
    }
  }

  noteWriteComparison(comparison: WriteComparison): void {
    const { written, compared, by } = comparison;
    const key = [written, compared].map(({ oid, attnum }) => `${oid}.${attnum}`).join(' ');
    this.writeComparisons.set(`${key} ${by}`, comparison);
  }

  noteColumnWritten(fact: ColumnFact, change?: RowChange): void {
    const key = `${fact.oid} ${change}`;
    this.valuedBy.set(key, (this.valuedBy.get(key) ?? new Set()).add(fact.attnum));
    this.columnsWritten.set(`${fact.oid}.${fact.attnum}`, fact);
    this.noteColumnGiven(fact, change);
  }

  /** A new row gets NULL or the default there, as if the column had been left out. */
  noteColumnGiven({ oid, attnum }: ColumnFact, change?: RowChange): void {
    const key = `${oid} ${change}`;
    this.writtenBy.set(key, (this.writtenBy.get(key) ?? new Set()).add(attnum));
  }

  /** Planned but not run: what was read stays, for functions run while planning. */
  forgetWrites(): void {
    this.verbs.length = 0;
    this.writes.clear();
    this.changed = [];
    this.writesIndirectly.clear();
    this.sequences.clear();
    this.writeComparisons.clear();
    this.targets.clear();
    this.columnsWritten.clear();
    this.stored.clear();
    this.changeCount = 0;
    this.qualified = undefined;
    this.changesCatalog = false;
  }

  /**
   * Everything that a statement which was judged before does, now that this one runs it.
   * @param candidatesOf of its lookups, now; undefined: they cannot be counted.
   * @param settings those that it changes, now.
   */
  include(
    other: StatementAnalysis,
    candidatesOf: (lookup: LookupFact) => Candidates | undefined,
    settings: readonly Setting[] = other.protocol.settings ?? [],
  ): void {
    for (const lookup of other.lookups ?? []) {
      const candidates = candidatesOf(lookup);
      if (candidates === undefined) {
        this.noteComputedColumns(lookup.columns, 'operator =');
      } else {
        const columns = lookup.columns.map((fact) => this.known(fact));
        this.noteLookup(lookup, columns, candidates);
      }
    }
    for (const verb of other.verbs) {
      // It is run now, not named once more.
      if (verb !== 'prepare' && verb !== 'declare') this.verb(verb);
    }
    for (const fact of other.reads) this.reads.set(factKey(fact), fact);
    for (const fact of other.writes) this.writes.set(factKey(fact), fact);
    for (const fact of other.writesIndirectly ?? []) {
      this.writesIndirectly.set(`${fact.oid} ${fact.change}`, fact);
    }
    for (const one of other.writeComparisons ?? []) this.noteWriteComparison(one);
    for (const { view, columns } of other.viewComparisons ?? []) {
      this.#noteViewComparison(view, columns);
    }
    for (const fact of other.sequences ?? []) this.sequences.set(`${fact.oid} ${fact.use}`, fact);
    for (const fact of other.functions) this.functions.set(`${fact.schema}.${fact.name}`, fact);
    for (const fact of other.columnsWritten) this.noteColumnWritten(fact);
    for (const access of other.serverAccess) this.serverAccess.add(access);
    this.opaque.push(...other.opaque.filter((reason) => !this.opaque.includes(reason)));
    this.settings.push(...settings);
    this.#import(this.read, other.columnsRead);
    this.uses.include(other, (fact) => this.known(fact));
    this.#import(this.stored, other.columnsStored ?? other.columnsRead);
    this.#import(this.shaping, other.columnsShaping ?? []);
    this.#import(this.evaluated, other.columnsEvaluated ?? other.columnsRead);
    this.#preparedRowCount = other.rowCount;
    if (other.qualified !== undefined) {
      this.noteQualified(other.qualified);
    }
    if (other.protocol.codeIsRead) this.runsReadCode = true;
    else this.runsUserCode ||= other.protocol.runsUserCode;
    this.writesPlaceholder ??= other.writesPlaceholder;
    this.loginChange ??= other.loginChange;
    this.changesCatalog ||= other.protocol.changesCatalog;
  }

  /** Columns of a statement that was judged before, by the facts of then. */
  #import(target: Set<Origin>, facts: readonly ColumnFact[]): void {
    for (const fact of facts) target.add(this.known(fact));
  }

  /** As it is called in this statement. */
  known(fact: ColumnFact): ColumnOrigin {
    const key = `${fact.oid}.${fact.attnum}`;
    const origin = this.#columns.get(key) ?? { kind: 'column' as const, fact };
    this.#columns.set(key, origin);
    return origin;
  }

  /** One more UPDATE or DELETE: the statement is qualified when all of them are. */
  noteQualified(qualified: boolean): void {
    this.qualified = (this.qualified ?? true) && qualified;
  }

  /** The values are compared with each other: each may show the others. */
  tie(origins: Iterable<Origin>): void {
    this.#ties.tie(origins);
  }

  /** Which rows there are, or which come first, depends on how these values compare. */
  noteDeciding(origins: Iterable<Origin>): void {
    const { view } = this;
    if (!view) return;
    this.#noteViewComparison({ schema: view.schema, name: view.name }, columnFacts(origins));
  }

  #noteViewComparison(view: RelationFact['via'], columns: readonly ColumnFact[]): void {
    if (columns.length < 2) return;
    const key = columns.map(({ oid, attnum }) => `${oid}.${attnum}`).join(' ');
    this.viewComparisons.set(key, { view, columns });
  }

  /** The columns that comparisons connect with these values. */
  tiedTo(origins: ReadonlySet<Origin>): ColumnFact[] {
    return columnFacts(this.#ties.tiedTo(origins));
  }

  /** Tied to generated rows: the number of rows that match tells the value. */
  #counted(): ReadonlySet<Origin> {
    const generated = [...this.#rows.values()].filter((rows) => rows.generated);
    return this.#ties.tiedTo(new Set(generated));
  }

  #rowCount(): RowCountSource {
    return rowCountSource({
      catalog: this.context.catalog,
      changed: this.changed,
      indirectly: [...this.writesIndirectly.values()],
      isPlain: this.countIsInTag && this.changeCount <= 1,
      opaque: this.opaque,
      runsUserCode: this.runsUserCode || this.runsReadCode,
      prepared: this.#preparedRowCount,
    });
  }

  noteSequence(sequence: CatalogRelation, use: SequenceFact['use']): void {
    const { catalog } = this.context;
    const { sequenceOf, drawnBy = [] } = sequence;
    const tables = sequenceOf === undefined ? drawnBy : [sequenceOf];
    this.sequences.set(`${sequence.oid} ${use}`, {
      ...this.#relationFact(sequence),
      use,
      tables: tables.flatMap((oid) => {
        const table = catalog.relationByOid(oid);
        return table ? [this.#relationFact(table)] : [];
      }),
    });
  }

  #lookupFacts(): Pick<StatementAnalysis, 'lookups'> {
    const lookups = [...this.#lookups.values()].map(({ columns, candidates }) => ({
      columns: columnFacts(columns),
      candidates,
    }));
    return lookups.length === 0 ? {} : { lookups };
  }

  /** It reads and writes more than a record of it can name. */
  get namesTooMuch(): boolean {
    if (this.reads.size + this.writes.size <= NAMED_FREELY) return false;
    let bytes = 0;
    for (const { schema, name } of [...this.reads.values(), ...this.writes.values()]) {
      bytes += Buffer.byteLength(JSON.stringify(`${schema}.${name}`));
    }
    return bytes > MAX_NAMED_BYTES;
  }

  #relationFact(relation: CatalogRelation): RelationFact {
    const schema = publicSchemaName(this.context, relation.schema);
    const fact = { schema, name: relation.name, oid: relation.oid };
    return this.view ? { ...fact, via: { schema: this.view.schema, name: this.view.name } } : fact;
  }

  result(
    verb: Verb,
    outputs: StatementAnalysis['outputs'],
    protocol: Omit<ProtocolEffect, 'settings' | 'runsUserCode' | 'codeIsRead' | 'changesCatalog'>,
    range: { readonly start: number; readonly end: number },
  ): StatementAnalysis {
    addAll(this.shaping, this.#counted());
    const keeping = new Set([...this.stored, ...this.targets]);
    const kept = [...columnFacts(this.stored), ...this.tiedTo(keeping)];
    const verbs = [verb, ...this.verbs.filter((other) => other !== verb)];
    return {
      verb,
      verbs,
      reads: [...this.reads.values()],
      writes: [...this.writes.values()],
      ...(this.writesIndirectly.size === 0
        ? {}
        : { writesIndirectly: [...this.writesIndirectly.values()] }),
      columnsRead: columnFacts(this.read),
      ...this.uses.result(),
      columnsWritten: [...this.columnsWritten.values()],
      writeComparisons: listed(this.writeComparisons),
      viewComparisons: listed(this.viewComparisons),
      columnsStored: kept,
      columnsShaping: columnFacts(this.shaping),
      columnsEvaluated: columnFacts(this.evaluated),
      functions: [...this.functions.values()],
      ...(this.sequences.size === 0 ? {} : { sequences: [...this.sequences.values()] }),
      ...this.#lookupFacts(),
      ...(this.altered === undefined ? {} : { columnsAltered: this.altered }),
      ...(this.moves.length === 0 ? {} : { moves: this.moves }),
      ...(this.dropsIn === undefined ? {} : { dropsIn: this.dropsIn }),
      ...(this.viewsRenamed.length === 0 ? {} : { viewsRenamed: this.viewsRenamed }),
      qualified: this.qualified,
      ...(this.checkedDomain === undefined ? {} : { checkedDomain: this.checkedDomain }),
      ...(changesRows({ verbs }) ? { rowCount: this.#rowCount() } : {}),
      ...(this.writesPlaceholder === undefined
        ? {}
        : { writesPlaceholder: this.writesPlaceholder }),
      ...(this.loginChange === undefined ? {} : { loginChange: this.loginChange }),
      serverAccess: [...this.serverAccess],
      outputs,
      opaque: this.opaque,
      protocol: {
        ...protocol,
        ...(this.settings.length > 0 ? { settings: this.settings } : {}),
        // Where it is let through all the same, what was not seen may be anything.
        runsUserCode: this.runsUserCode || this.runsReadCode || this.opaque.length > 0,
        ...(this.runsReadCode && !this.runsUserCode && this.opaque.length === 0
          ? { codeIsRead: true as const }
          : {}),
        changesCatalog: this.changesCatalog,
      },
      start: range.start,
      end: range.end,
    };
  }
}

/** Nothing where there are none, as mostly. */
function listed<Value>(values: ReadonlyMap<string, Value>): readonly Value[] | undefined {
  return values.size === 0 ? undefined : [...values.values()];
}

export function columnFacts(origins: Iterable<Origin>): ColumnFact[] {
  const facts: ColumnFact[] = [];
  for (const origin of origins) {
    if (origin.kind === 'column') {
      facts.push(origin.fact);
    }
  }
  return facts;
}

/** Rules name the session's own temporary schema `pg_temp`; those of others keep their number. */
function publicSchemaName(context: StatementContext, schema: string): string {
  const own = SESSION_TEMP.test(schema) && context.searchPath?.includes(schema);
  return own ? 'pg_temp' : schema;
}

function addAll(target: Set<Origin>, origins: Iterable<Origin>): void {
  for (const origin of origins) {
    target.add(origin);
  }
}

function factKey(fact: RelationFact): string {
  return `${fact.schema}.${fact.name}`;
}
