/**
 * What BEFORE triggers make of a row: which values can reach which of its columns, and which decide
 * whether it comes back at all.
 *
 * Nothing is ever taken away from what can be in a column, and the steps of all triggers are gone
 * through until nothing new is found. So their order, how often they run (ON CONFLICT, MERGE, a row
 * that moves to another partition) and whether they are enabled are all the same.
 */
import { noteAssigned } from '../calls/applied-casts.ts';
import { TYPE } from '../calls/function-types.ts';
import type {
  CatalogColumn,
  CatalogFunction,
  CatalogRelation,
  RowChange,
} from '../facts/catalog-types.ts';
import { constant, type Lineage, lazily, type Origin, withOrigins } from '../facts/lineage.ts';
import { storedColumns } from '../facts/relation-columns.ts';
import { visibleColumns } from '../facts/row-types.ts';
import type { Scope } from '../facts/scope.ts';
import { BUILT_IN_PATH, StatementFacts } from '../facts/statement-facts.ts';
import { as, type Node, namesOf } from '../parse/tree.ts';
import { expression } from '../walk/expressions.ts';
import { insertedInto } from './inserted-into.ts';
import type { TriggerEffect, TriggerStep } from './trigger-body.ts';
import { type TriggerInsert, wholeRecord } from './trigger-insert.ts';

export interface RowTrigger {
  readonly relation: CatalogRelation;
  readonly change: RowChange;
  readonly called: CatalogFunction;
  /** undefined: it could do anything. */
  readonly effect: TriggerEffect | undefined;
}

export interface TriggeredRow {
  /** What else can be in a column, by its name. */
  readonly added: ReadonlyMap<string, ReadonlySet<Origin>>;
  /** What decides whether a trigger function leaves the row out, by function. */
  readonly leavesOut: ReadonlyMap<CatalogFunction, ReadonlySet<Origin>>;
  /** Functions that could do anything. */
  readonly unclear: ReadonlySet<CatalogFunction>;
}

type Origins = ReadonlySet<Origin>;
const NONE: Origins = new Set();
/** Where a column stands: what decides whether there is a row in the record. */
const PRESENCE = '';
/** The record without a row. */
const ABSENT: ReadonlyMap<RowChange | undefined, string> = new Map([
  ['insert', 'old'],
  ['delete', 'new'],
]);
/** Of PL/pgSQL, in a trigger function; not FOUND, which says whether the last statement made a row. */
const VARIABLES: readonly (readonly [string, number | undefined])[] = [
  ...['tg_name', 'tg_when', 'tg_level', 'tg_op', 'tg_relname', 'tg_table_name'].map(
    (name) => [name, TYPE.text] as const,
  ),
  ['tg_table_schema', TYPE.text],
  ...['tg_relid', 'tg_nargs', 'tg_argv'].map((name) => [name, undefined] as const),
];

/**
 * @param parent of all of them, or the only one: a row that moves goes through those of two partitions
 * @param written what the statement puts into its columns
 */
export function triggeredRow(
  facts: StatementFacts,
  parent: CatalogRelation,
  triggers: readonly RowTrigger[],
  written: Origins,
): TriggeredRow {
  const row = new TriggerWalk(facts, parent, written);
  const unclear = new Set<CatalogFunction>();
  const followed = triggers.flatMap((trigger) => {
    const { called, effect } = trigger;
    if (effect && !facts.context.unsettled) return [{ ...trigger, effect }];
    unclear.add(called);
    return [];
  });
  do {
    row.hasGrown = false;
    for (const trigger of followed) row.run(trigger);
  } while (row.hasGrown);
  return {
    added: row.added(),
    leavesOut: row.leavesOut,
    unclear: new Set([...unclear, ...row.unclear]),
  };
}

class TriggerWalk {
  readonly leavesOut = new Map<CatalogFunction, Set<Origin>>();
  readonly unclear = new Set<CatalogFunction>();
  hasGrown = false;
  readonly #facts: StatementFacts;
  readonly #parent: CatalogRelation;
  /** That of the trigger that runs, and what is in its columns. */
  #relation: CatalogRelation;
  #stored: ReadonlyMap<string, Lineage>;
  readonly #storedIn = new Map<CatalogRelation, ReadonlyMap<string, Lineage>>();
  /** By record and column: what can be in it besides what was there, in NEW and in OLD. */
  readonly #records = new Map<string, Map<string, Set<Origin>>>();
  readonly #written: Origins;
  /** Every schema, those of users first: whatever the search_path is when the function runs. */
  readonly #anyPath: readonly string[];
  #called: CatalogFunction | undefined;
  #change: RowChange | undefined;
  /** What decides whether it is called at all. */
  #fires = NONE;

  constructor(facts: StatementFacts, parent: CatalogRelation, written: Origins) {
    this.#facts = facts;
    this.#parent = parent;
    this.#written = written;
    this.#relation = parent;
    this.#stored = this.#columnsOf(parent);
    const { schemas } = facts.context.catalog;
    this.#anyPath = [...schemas.filter((one) => one !== 'pg_catalog'), 'pg_catalog'];
  }

  added(): ReadonlyMap<string, Origins> {
    return new Map([...(this.#records.get('new') ?? [])].filter(([, added]) => added.size > 0));
  }

  run({ relation, called, change, effect }: RowTrigger & { readonly effect: TriggerEffect }): void {
    if (this.unclear.has(called)) return;
    const { body, when } = effect;
    this.#relation = relation;
    this.#stored = this.#columnsOf(relation);
    this.#called = called;
    this.#change = change;
    // A table of the session that is called so is found first, and its columns have other names.
    if (body.records.length > 0 && !isOneType(this.#facts, 'record')) {
      this.#isUnclear();
    }
    for (const record of body.records) this.#records.delete(record);
    const path = this.#relation.viewPath ?? BUILT_IN_PATH;
    this.#fires = when ? this.#asked(when, body.records, path) : NONE;
    const isOne = returnedIn(body.steps).size < 2;
    this.#walk(body.steps, { conditions: this.#fires, records: body.records, isOne });
  }

  /** Of what the parent has, a row can come from any other partition. */
  #columnsOf(relation: CatalogRelation): ReadonlyMap<string, Lineage> {
    const known = this.#storedIn.get(relation);
    if (known) return known;
    const inParent = this.#storedIn.get(this.#parent);
    const columns = storedColumns(this.#facts, relation, false).map(
      (column) => [column.name, inParent?.get(column.name) ?? column.lineage] as const,
    );
    const made = new Map(columns);
    this.#storedIn.set(relation, made);
    return made;
  }

  /** @returns what decides whether the function has returned; undefined: it has not. */
  #walk(steps: readonly TriggerStep[], around: Around): Origins | undefined {
    let conditions = around.conditions;
    let returned: Origins | undefined;
    for (const step of steps) {
      this.#facts.budget.spend(1);
      switch (step.kind) {
        case 'assign':
          this.#assigned(step, around.records, conditions);
          break;
        case 'copy':
          this.#copied(step.to, step.from, conditions);
          this.#assignedRow(step.to, step.from, conditions);
          break;
        case 'tell':
          // It shows them anyway; but nothing may be left that is read elsewhere (set_config).
          for (const value of step.values) {
            this.#origins(value, { ...around, path: this.#anyPath, type: undefined });
          }
          break;
        case 'insert':
          this.#inserted(step, around.records);
          break;
        case 'return':
          this.#returned(step.records, around.isOne, conditions);
          for (const record of step.records) {
            // Whether it is this one depends on the conditions, unless it is NEW anyway.
            if (!around.isOne || record !== 'new') this.#copied('new', record, conditions);
          }
          returned = this.#union(returned ?? NONE, conditions);
          break;
        case 'if': {
          let tested = conditions;
          let left: Origins | undefined;
          for (const branch of step.branches) {
            if (branch.condition) {
              tested = this.#union(
                tested,
                this.#asked(branch.condition, around.records, this.#anyPath),
              );
            }
            const inside = this.#walk(branch.steps, { ...around, conditions: tested });
            if (inside) left = this.#union(left ?? NONE, inside);
          }
          if (left) {
            // Whether it gets further depends on all that has been asked.
            conditions = this.#union(conditions, this.#union(left, tested));
            returned = this.#union(returned ?? NONE, conditions);
          }
        }
      }
    }
    return returned;
  }

  #assigned(
    { record, column: name, value }: TriggerStep & { kind: 'assign' },
    records: readonly string[],
    conditions: Origins,
  ): void {
    const column = visibleColumns(this.#relation).find((one) => one.name === name);
    if (!column) {
      this.#isUnclear();
      return;
    }
    const origins = this.#origins(value, { records, path: this.#anyPath, type: column.typeOid });
    this.#grow(record, name, this.#union(origins, conditions));
  }

  /** The row is what it was; but nothing may run with the INSERT that was not read. */
  #inserted(insert: TriggerInsert, records: readonly string[]): void {
    const targets = insertedInto(this.#facts, insert) ?? [];
    if (targets.length === 0) this.#isUnclear();
    for (const target of targets) {
      const columns = visibleColumns(target);
      const written = insert.columns?.map((name) => columns.find((one) => one.name === name));
      for (const row of insert.rows) this.#insertedRow(row, written ?? columns, records);
    }
  }

  #insertedRow(
    row: readonly Node[],
    columns: readonly (CatalogColumn | undefined)[],
    records: readonly string[],
  ): void {
    let at = 0;
    for (const value of row) {
      const record = wholeRecord(value);
      if (record === undefined) {
        const type = columns[at]?.typeOid;
        if (!as(value, 'SetToDefault')) {
          this.#origins(value, { records, path: this.#anyPath, type });
        }
        at += 1;
        continue;
      }
      // Its columns go to those of another table, and may be converted on the way.
      if (!['new', 'old', ...records].includes(record)) this.#isUnclear();
      for (const name of this.#stored.keys()) {
        const probe = this.#probe(this.#anyPath);
        const part = this.#in(record, name);
        noteAssigned(probe, part, columns[at]?.typeOid);
        this.#look(probe, part);
        at += 1;
      }
    }
    // Of a column that is not known neither the type is.
    if (columns.slice(0, at).includes(undefined) || at > columns.length) this.#isUnclear();
  }

  #copied(to: string, from: string, conditions: Origins): void {
    this.#facts.spendOn(this.#stored);
    for (const name of this.#stored.keys()) {
      this.#grow(to, name, this.#union(this.#in(from, name).origins, conditions));
    }
  }

  /** A record that is set under a condition, or to one without a row, has none otherwise. */
  #assignedRow(to: string, from: string, conditions: Origins): void {
    const absent = this.#absent(from);
    if (!absent && (to === 'new' || to === 'old')) return;
    this.#grow(
      to,
      PRESENCE,
      this.#union(absent ?? NONE, conditions === this.#fires ? NONE : conditions),
    );
  }

  /** RETURN NULL leaves the row out, and so does that of a record without a row. */
  #returned(records: readonly string[], isOne: boolean, conditions: Origins): void {
    const absent = records.flatMap((record) => this.#absent(record) ?? []);
    if (absent.length < records.length) return;
    this.#leaveOut(
      absent.reduce(
        (one, other) => this.#union(one, other),
        isOne && records.length > 0 ? NONE : conditions,
      ),
    );
  }

  /** What decides whether there is no row in the record; undefined: there is one. */
  #absent(record: string): Origins | undefined {
    const known = this.#records.get(record)?.get(PRESENCE);
    if (known) return known;
    const isSet = (record === 'new' || record === 'old') && ABSENT.get(this.#change) !== record;
    return isSet ? undefined : this.#fires;
  }

  #grow(record: string, name: string, origins: Origins): void {
    const columns = this.#records.get(record) ?? new Map<string, Set<Origin>>();
    this.#records.set(record, columns);
    const known = columns.get(name) ?? new Set();
    columns.set(name, known);
    const before = this.#base(record, name).origins;
    this.#facts.spendOn(origins);
    for (const origin of origins) {
      if (known.has(origin) || before.has(origin)) continue;
      known.add(origin);
      this.hasGrown ||= record === 'new' || record === 'old';
    }
  }

  #union(one: Origins, other: Origins): Origins {
    if (other.size === 0) return one;
    if (one.size === 0) return other;
    this.#facts.spendOn(one);
    this.#facts.spendOn(other);
    return new Set([...one, ...other]);
  }

  #leaveOut(conditions: Origins): void {
    if (this.#called === undefined) return;
    const known = this.leavesOut.get(this.#called) ?? new Set();
    this.leavesOut.set(this.#called, known);
    for (const origin of conditions) known.add(origin);
  }

  #isUnclear(): void {
    if (this.#called) this.unclear.add(this.#called);
  }

  /** As it is when the first trigger runs. */
  #base(record: string, name: string): Lineage {
    const stored = this.#stored.get(name) ?? constant();
    if (record === 'old') return stored;
    return record === 'new' ? withOrigins(stored, this.#written) : constant(stored.type);
  }

  #in(record: string, name: string): Lineage {
    const added = this.#records.get(record)?.get(name) ?? NONE;
    this.#facts.spendOn(added);
    return withOrigins(this.#base(record, name), added);
  }

  #asked(node: Node, records: readonly string[], path: readonly string[]): Origins {
    return this.#origins(node, { records, path, type: TYPE.bool });
  }

  /** @param type to which the value is converted */
  #origins(
    node: Node,
    {
      records,
      path,
      type,
    }: {
      readonly records: readonly string[];
      readonly path: readonly string[];
      readonly type: number | undefined;
    },
  ): Origins {
    const probe = this.#probe(path);
    const value = expression(probe, node, this.#scope(records));
    noteAssigned(probe, value, type);
    if (!namesOneType(this.#facts, node)) this.#isUnclear();
    this.#look(probe, value);
    return new Set([...value.origins].map((one) => this.#known(one)));
  }

  /** Those of a probe are its own: here they are compared. */
  #known(origin: Origin): Origin {
    return origin.kind === 'column' ? this.#facts.known(origin.fact) : origin;
  }

  #scope(records: readonly string[]): Scope {
    const tables = ['new', 'old', ...records].map((name) => {
      this.#facts.spendOn(this.#stored);
      const columns = [...this.#stored.keys()].map((column) =>
        lazily(column, () => this.#in(name, column)),
      );
      return { name, schema: undefined, relation: undefined, columns };
    });
    const columns = VARIABLES.map(([name, type]) => ({ name, lineage: constant(type) }));
    return { tables, columns, outer: undefined };
  }

  /** What a body does is no part of what the statement says: its owner wrote it, as with a view. */
  #probe(path: readonly string[]): StatementFacts {
    const { context, walks, budget } = this.#facts;
    const probe = new StatementFacts(context, walks, budget);
    probe.view = this.#relation;
    probe.viewPath = path;
    probe.viewPathIsOpen = path === this.#anyPath;
    return probe;
  }

  #look(probe: StatementFacts, value: Lineage): void {
    const { opaque, settings, verbs } = probe;
    const lists = [opaque, settings, verbs].some(({ length }) => length > 0);
    const { reads, writes, serverAccess, shaping, stored } = probe;
    const sets = [reads, writes, serverAccess, shaping, stored].some(({ size }) => size > 0);
    const makesRows = [...value.origins].some(
      (origin) => origin.kind === 'rows' && !this.#written.has(origin),
    );
    if (lists || sets || makesRows || probe.runsUserCode) this.#isUnclear();
  }
}

interface Around {
  readonly conditions: Origins;
  readonly records: readonly string[];
  /** It always returns the same record. */
  readonly isOne: boolean;
}

function returnedIn(steps: readonly TriggerStep[], found = new Set<string>()): ReadonlySet<string> {
  for (const step of steps) {
    if (step.kind === 'return') for (const record of step.records) found.add(record);
    if (step.kind === 'if') for (const branch of step.branches) returnedIn(branch.steps, found);
  }
  return found;
}

/** In whatever search_path, also in that of a session whose temporary tables are types. */
function namesOneType(facts: StatementFacts, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true;
  const [name, ...qualified] = namesIn('typeName' in value ? value.typeName : undefined);
  if (name !== undefined && qualified.length === 0 && !isOneType(facts, name)) return false;
  return Object.values(value).every((inner) => namesOneType(facts, inner));
}

function isOneType(facts: StatementFacts, name: string): boolean {
  const { catalog } = facts.context;
  facts.spendOn(catalog.schemas);
  return catalog.schemas.filter((schema) => catalog.type(schema, name) !== undefined).length === 1;
}

function namesIn(type: unknown): readonly string[] {
  if (typeof type !== 'object' || type === null || !('names' in type)) return [];
  return (Array.isArray(type.names) && namesOf(type.names)) || [];
}
