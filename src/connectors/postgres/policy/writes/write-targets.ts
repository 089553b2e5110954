/** The relation that a statement writes: what is behind it, what flows in, what RETURNING shows. */

import { SQL_STATE } from '../../sql-state.ts';
import { noteAssigned } from '../calls/applied-casts.ts';
import type { ColumnFact } from '../facts/analysis-types.ts';
import type { CatalogFunction, CatalogRelation, RowChange } from '../facts/catalog-types.ts';
import {
  columnsOfEntry,
  derive,
  type Lineage,
  type NamedLineage,
  unite,
  withOrigins,
} from '../facts/lineage.ts';
import { isBuiltIn } from '../facts/names.ts';
import { columnByName } from '../facts/relation-attributes.ts';
import { descendants } from '../facts/relation-family.ts';
import { NO_RESULT, type QueryResult, type Scope, type Table } from '../facts/scope.ts';
import type { StatementFacts } from '../facts/statement-facts.ts';
import { as, type FieldsOf } from '../parse/tree.ts';
import { type RowTrigger, triggeredRow } from '../triggers/trigger-effects.ts';
import { type FromItem, namedRelation } from '../walk/from-items.ts';
import { checkFields } from '../walk/grammar.ts';
import { targetColumns } from '../walk/queries.ts';
import { afterTriggers } from './after-triggers.ts';

/** What flows into each column of the target, by name. */
export type Flows = Map<string, Lineage>;

export function insertChanges(fields: FieldsOf<'InsertStmt'>): readonly RowChange[] {
  return fields.onConflictClause?.action === 'ONCONFLICT_UPDATE'
    ? ['insert', 'update']
    : ['insert'];
}

export function mergeChanges(fields: FieldsOf<'MergeStmt'>): readonly RowChange[] {
  const changes: Readonly<Record<string, RowChange>> = {
    CMD_INSERT: 'insert',
    CMD_UPDATE: 'update',
    CMD_DELETE: 'delete',
  };
  return (fields.mergeWhenClauses ?? []).flatMap(
    (node) => changes[as(node, 'MergeWhenClause')?.commandType ?? ''] ?? [],
  );
}

export interface WriteTarget extends Table {
  /** Code that is not built in, other than triggers, can change rows before RETURNING shows them. */
  readonly isAltered: boolean;
  readonly families: readonly RowFamily[];
}

/** A table with its partitions and children. */
export interface RowFamily {
  readonly members: readonly CatalogRelation[];
  /** Triggers that can change rows before RETURNING shows them. */
  readonly triggers: readonly RowTrigger[];
  /** Those of partitions to which a row can be moved: there it is inserted. */
  readonly movedTo: readonly RowTrigger[];
}

/** The relation that is written, with the tables behind it when it is a view. */
export function writeTarget(
  facts: StatementFacts,
  fields: FieldsOf<'RangeVar'> | undefined,
  changes: readonly RowChange[],
): WriteTarget | undefined {
  const before = new Set(facts.reads.keys());
  const table = fields && namedRelation(facts, fields);
  const relation = table?.relation;
  const written: CatalogRelation[] = [];
  // The target is not read by being named; the tables behind a view are written with it.
  for (const [key, fact] of [...facts.reads]) {
    if (!before.has(key)) {
      facts.reads.delete(key);
      facts.writes.set(key, fact);
      const behind = facts.context.catalog.relationByOid(fact.oid);
      written.push(...(behind ? [behind] : []));
    }
  }
  if (!table || !relation) {
    return undefined;
  }
  facts.noteWrite(relation);
  facts.changeCount += 1;
  const targets = [...new Set([relation, ...written, ...behindView(facts, table)])];
  for (const change of changes) {
    for (const one of targets) facts.changed.push({ relation: one, change });
  }
  for (const column of table.columns) {
    for (const origin of column.lineage.origins) {
      facts.targets.add(origin);
    }
  }
  if (isBuiltIn(relation)) {
    noteSystemWrite(facts, relation);
  }
  // Triggers, rules and constraints of the target, of what is behind it, and of its partitions.
  const families = targets.map((one) => {
    const members = [one, ...descendants(facts.context.catalog, one)];
    const code = members.map((member) => codeOn(member, changes));
    const canMove = changes.includes('update') && members.some(({ kind }) => kind === 'p');
    const moved = canMove ? members.map((member) => codeOn(member, MOVES)) : [];
    const triggers = code.flatMap((known) => known.triggers);
    const movedTo = moved.flatMap((known) => known.triggers);
    noteCode(facts, one, [...code, ...moved]);
    return { members, isAltered: code.some((known) => known.isAltered), triggers, movedTo };
  });
  return { ...table, isAltered: families.some((family) => family.isAltered), families };
}

/** What runs with the change: it disturbs nothing where all of it are triggers that can be followed. */
function noteCode(
  facts: StatementFacts,
  parent: CatalogRelation,
  code: readonly CodeOnChange[],
): void {
  if (!code.some(({ runs }) => runs)) return;
  const triggers = code.flatMap((known) => [...known.triggers, ...known.followedBy]);
  const isRead =
    code.every((known) => known.isRead) &&
    triggeredRow(facts, parent, triggers, new Set()).unclear.size === 0;
  if (isRead) facts.runsReadCode = true;
  else facts.runsUserCode = true;
}

/** Tables behind a view, also those that the statement reads besides. */
function behindView(facts: StatementFacts, { relation, columns }: Table): CatalogRelation[] {
  const { catalog } = facts.context;
  const oids =
    relation?.kind === 'v' ? columns.map(({ lineage }) => lineage.identity?.fact.oid) : [];
  return [...new Set(oids)].flatMap((oid) => {
    const table = oid === undefined ? undefined : catalog.relationByOid(oid);
    return table ?? [];
  });
}

/** What an UPDATE does with a row that belongs into another partition then. */
const MOVES: readonly RowChange[] = ['insert', 'delete'];

interface CodeOnChange {
  readonly runs: boolean;
  /** By triggers alone whose effect on the row is known. */
  readonly isRead: boolean;
  /** By other code than triggers. */
  readonly isAltered: boolean;
  /** That run before it, and afterwards. */
  readonly triggers: readonly RowTrigger[];
  readonly followedBy: readonly RowTrigger[];
}

const NO_TRIGGERS = { triggers: [], followedBy: [] };

function codeOn(relation: CatalogRelation, changes: readonly RowChange[]): CodeOnChange {
  // What runs on its own server is not seen here.
  if (relation.kind === 'f') return { runs: true, isRead: false, isAltered: true, ...NO_TRIGGERS };
  const known = relation.codeOn;
  if (!known) {
    const has = relation.hasTriggersOrRules;
    return { runs: has, isRead: !has, isAltered: has, ...NO_TRIGGERS };
  }
  const isFired = ({ change }: { readonly change: RowChange }) => changes.includes(change);
  const triggers = (known.alteredBy ?? []).filter(isFired);
  const isAltered =
    changes.some((change) => known.alteredOtherwise?.has(change)) ||
    (triggers.length === 0 && changes.some((change) => known.altersRow.has(change)));
  return {
    runs: changes.some((change) => known.runs.has(change)),
    isRead: changes.every(
      (change) => !known.runs.has(change) || known.unread?.has(change) === false,
    ),
    isAltered,
    triggers: triggers.map((trigger) => ({ relation, effect: undefined, ...trigger })),
    followedBy: (known.followedBy ?? []).filter(isFired).map((one) => ({ relation, ...one })),
  };
}

function noteSystemWrite(facts: StatementFacts, relation: CatalogRelation): void {
  if (relation.name === 'pg_settings') {
    // A rule on the view turns UPDATE into set_config().
    facts.settings.push({ name: '*', value: undefined, local: false });
  }
  facts.changesCatalog = true;
  facts.refuse(
    `${relation.schema}.${relation.name} belongs to the system and must not be changed directly`,
    {
      hint: relation.name === 'pg_settings' ? 'Use SET.' : undefined,
    },
  );
}

export function targetScope(target: Table, from: FromItem, outer: Scope | undefined): Scope {
  return {
    tables: [target, ...from.tables],
    columns: [...target.columns, ...from.columns],
    outer,
  };
}

export function flow(
  facts: StatementFacts,
  target: Table,
  flows: Flows,
  name: string | undefined,
  value: Lineage,
): void {
  facts.noteStored(value);
  const written = target.columns.find((column) => column.name === name);
  if (name === undefined || !written) {
    const relation = target.relation?.name ?? target.name;
    const message = 'INSERT has more expressions than target columns';
    if (name === undefined) {
      facts.refuse(message, { missing: '', mistake: { sqlState: SQL_STATE.syntaxError, message } });
    } else {
      facts.refuse(`column ${name} of relation ${relation} is not known`, { missing: name });
    }
    return;
  }
  noteAssigned(facts, value, written.lineage.type);
  const before = flows.get(name);
  flows.set(name, before ? derive([before, value]) : value);
}

/** @param isEmpty a new row gets NULL or the default there */
export function noteWritten(
  facts: StatementFacts,
  target: Table,
  name: string | undefined,
  change: 'insert' | 'update',
  isEmpty = false,
): void {
  const { relation } = target;
  const own = relation && name !== undefined ? columnByName(relation, name) : undefined;
  const note = (fact: ColumnFact): void =>
    isEmpty ? facts.noteColumnGiven(fact, change) : facts.noteColumnWritten(fact, change);
  if (relation && own) note(facts.column(relation, own.attnum, own.name).fact);
  // Through a view: the base column that is written in truth.
  const behind = target.columns.find((column) => column.name === name)?.lineage.identity;
  if (behind) note(behind.fact);
}

/** The target after the change: what was written is part of what its columns show. */
export function withFlows(target: Table, flows: Flows): Table {
  const changed = target.columns.map((column): NamedLineage => {
    const written = flows.get(column.name);
    if (!written || written.origins.size === 0) {
      return column;
    }
    const lineage = withOrigins(column.lineage, written.origins);
    return { name: column.name, lineage: { ...lineage, identity: undefined } };
  });
  // A generated column, or a view's column, may depend on any column that was written.
  const all = unite([...flows.values()]);
  const columns = changed.map((column): NamedLineage => {
    const computed = column.lineage.identity === undefined && !flows.has(column.name);
    return computed ? { name: column.name, lineage: withOrigins(column.lineage, all) } : column;
  });
  return { ...target, columns };
}

/** @param from the other tables; `*` has those of a MERGE first. */
export function returning(
  facts: StatementFacts,
  clause: FieldsOf<'ReturningClause'> | undefined,
  target: WriteTarget,
  flows: Flows,
  from: (FromItem & { readonly isFirst?: true }) | undefined,
  outer: Scope | undefined,
): QueryResult {
  if (!clause) {
    return NO_RESULT;
  }
  checkFields(facts, 'ReturningClause', clause);
  const others = from?.tables ?? [];
  const { after, before, leavesOut, unclear } = afterTriggers(
    facts,
    target,
    flows,
    withFlows(target, flows),
  );
  // A table of the statement that is called so keeps its name.
  const names = new Map<string, string>();
  for (const word of ['old', 'new']) {
    const isTaken = [after, ...others].some(({ name }) => name === word);
    if (!isTaken) names.set(`RETURNING_OPTION_${word.toUpperCase()}`, word);
  }
  for (const node of clause.options ?? []) {
    const option = as(node, 'ReturningOption');
    checkFields(facts, 'ReturningOption', option ?? { unknown: node });
    names.set(option?.option ?? '', option?.value ?? '');
  }
  // One of them is NULL where a row is inserted or deleted.
  const version = (table: Table, option: string): Table => {
    const columns = columnsOfEntry(table.columns);
    return { ...table, columns, name: names.get(`RETURNING_OPTION_${option}`), schema: undefined };
  };
  const old = version(before, 'OLD');
  const fresh = version(after, 'NEW');
  const columns = [after.columns, from?.columns ?? []];
  const scope: Scope = {
    tables: [after, old, fresh, ...others],
    columns: (from?.isFirst ? columns.toReversed() : columns).flat(),
    outer,
  };
  const shown = targetColumns(facts, clause.exprs, scope);
  for (const column of shown) {
    facts.noteRead(column.lineage);
  }
  if (!showKeysOnly(target, shown)) {
    if (target.isAltered) refuseAltered(facts);
    else for (const called of unclear) refuseTriggered(facts, called);
    for (const [{ schema, name }, tested] of leavesOut) {
      facts.noteComputed(withOrigins(derive([]), tested), `trigger function ${schema}.${name}()`);
    }
  }
  return { columns: shown, conditions: new Set() };
}

/** Mappers of objects ask for the key of the row that they have inserted. */
function showKeysOnly(target: WriteTarget, shown: readonly NamedLineage[]): boolean {
  const { relation } = target;
  const keys = new Set(
    relation?.columns.flatMap(({ attnum, name }) =>
      relation.primaryKey?.includes(attnum) ? [name] : [],
    ),
  );
  const altered = new Set(
    target.columns.flatMap(({ name, lineage }) => (keys.has(name) ? [] : [...lineage.origins])),
  );
  return shown.every(({ lineage }) => ![...lineage.origins].some((origin) => altered.has(origin)));
}

const SHOW_KEYS =
  "Return only key columns (RETURNING id) and select the row afterwards; in an ORM, have it return the key and not refresh the row (SQLAlchemy: eager_defaults=False, Prisma: select, Sequelize: returning: ['id']).";

const FOLLOWED =
  'hoop can read a trigger function that contains only assignments to NEW, IF, RAISE, PERFORM, RETURN and INSERT of plain values, and calls only built-in functions.';

function refuseAltered(facts: StatementFacts): void {
  facts.refuse('RETURNING shows what triggers, rules or functions of the target made of the row', {
    hint: SHOW_KEYS,
  });
}

function refuseTriggered(facts: StatementFacts, { schema, name }: CatalogFunction): void {
  facts.refuse(`RETURNING shows what the trigger function ${schema}.${name} made of the row`, {
    hint: `${SHOW_KEYS} ${FOLLOWED}`,
    because: { schema, function: name },
  });
}
