/**
 * Rows of the system catalogs → the catalog that statements are judged by. Objects are made when
 * they are asked for: a catalog is made anew after each change, and most of it is never looked at.
 */
import { createHash } from 'node:crypto';
import { callsOfComputation } from '../../policy/calls/computing-functions.ts';
import type { FunctionBody } from '../../policy/calls/function-body.ts';
import { isComputingExtension, isKnownExtension } from '../../policy/calls/trusted-extensions.ts';
import type {
  CastContext,
  Catalog,
  CatalogColumn,
  CatalogFunction,
  CatalogName,
  CatalogOperator,
  CatalogRelation,
  CatalogRoles,
  CatalogType,
  MaskBinding,
  MaskText,
} from '../../policy/facts/catalog-types.ts';
import type { TriggerBody, TriggerEffect } from '../../policy/triggers/trigger-body.ts';
import { WALKS } from '../../policy/walk/analyse-statements.ts';
import { triggerEffect } from '../counted/trigger-effect.ts';
import { triggerSource } from '../counted/trigger-source.ts';
import type { OwnedRows } from '../results/owned-rows.ts';
import type { BucketMap } from '../statements/bucket-map.ts';
import { CatalogCode } from './catalog-code.ts';
import { catalogComparisons, catalogForeignKey, catalogRules } from './catalog-consequences.ts';
import { USER } from './catalog-queries.ts';
import { flag, number, oids, type Row, text } from './catalog-rows.ts';
import { type CatalogState, nameKey } from './catalog-state.ts';

/** Texts of one relation in the catalog, parsed. */
export interface RelationTexts {
  /** The parser's tree of the view's definition; undefined: not parsed. */
  readonly tree: unknown;
  /** Schemas that names without one in the definition are looked up in; undefined: there are none. */
  readonly path: readonly string[] | undefined;
  /** The parser's tree of each definition of a rule or trigger; undefined: not parsed. */
  readonly definitions: ReadonlyMap<string, unknown>;
  readonly expressions: ReadonlyMap<string, ExpressionText>;
}

export interface ExpressionText {
  /** Of the columns that it uses; undefined: not parsed. */
  readonly columnNames: readonly string[] | undefined;
  /** It succeeds for all of their values. */
  readonly isTotal: boolean;
}

export interface ParsedTexts {
  readonly relations: BucketMap<number, RelationTexts>;
  /** Of the trigger functions that are understood. */
  readonly bodies: BucketMap<number, TriggerBody>;
  /** Of functions in SQL that run one SELECT of an expression. */
  readonly computations: BucketMap<number, FunctionBody>;
}

/** Functions that call each other; the analysis recurses. */
const MAX_LEVELS = 8;

const SCHEMA_NAMES = new WeakMap<readonly Row[], readonly string[]>();
/** Most catalogs share these lists with the one before. */
const OPERATORS = new WeakMap<readonly Row[], ReadonlyMap<string, readonly Row[]>>();
const CAST_CONTEXTS = new WeakMap<readonly Row[], Catalog['castContexts']>();

export class CatalogView implements Catalog {
  readonly generation: number;
  readonly maskBindings: readonly MaskBinding[];
  readonly maskTexts: readonly MaskText[];
  readonly #state: CatalogState;
  readonly #texts: ParsedTexts;
  readonly #code: CatalogCode;
  readonly #relations = new Map<number, CatalogRelation>();
  readonly #functions = new Map<number, CatalogFunction>();
  readonly #readFunctions = new Map<number, CatalogFunction>();
  /** Functions whose bodies are being followed. */
  readonly #reading = new Set<number>();
  readonly #types = new Map<number, CatalogType>();
  #casts: Catalog['userCasts'] | undefined;
  #roles: CatalogRoles | undefined;
  #digest: string | undefined;

  constructor(
    state: CatalogState,
    texts: ParsedTexts,
    generation: number,
    masks: {
      readonly bindings: readonly MaskBinding[];
      readonly texts: readonly MaskText[];
    } = { bindings: [], texts: [] },
  ) {
    this.generation = generation;
    this.maskBindings = masks.bindings;
    this.maskTexts = masks.texts;
    this.#state = state;
    this.#texts = texts;
    this.#code = new CatalogCode(state, {
      function: (oid) => this.#readFunction(oid),
      typeRunsCode: (oid) => this.typeByOid(oid)?.runsUserCode ?? false,
      triggerEffect: (relation, row) => this.#triggerEffect(relation, row),
    });
  }

  get majorVersion(): number {
    return Math.floor(number(this.#state.whole.server[0]?.[0]) / 10_000);
  }

  get database(): string {
    return text(this.#state.whole.server[0]?.[1]);
  }

  get eventTriggers(): boolean {
    return flag(this.#state.whole.server[0]?.[2]);
  }

  get loginFunctions(): readonly CatalogName[] {
    const said = this.#state.whole.server[0]?.[3];
    // What json_agg() of pairs gives (catalog-queries.ts).
    const pairs = said ? (JSON.parse(said) as readonly (readonly [string, string])[]) : [];
    return pairs.map(([schema, name]) => ({ schema, name }));
  }

  get roles(): CatalogRoles | undefined {
    this.#roles ??= rolesOf(this.#state.whole.roles);
    return this.#roles;
  }

  /** The same list as long as none came or went. */
  get schemas(): readonly string[] {
    const rows = this.#state.whole.schemas;
    const known = SCHEMA_NAMES.get(rows);
    if (known !== undefined) return known;
    const names = rows.map((row) => text(row[1]));
    SCHEMA_NAMES.set(rows, names);
    return names;
  }

  relation(schema: string, name: string): CatalogRelation | undefined {
    const [oid] = this.#state.indexes.relations.get(nameKey(schema, name)) ?? [];
    return oid === undefined ? undefined : this.relationByOid(oid);
  }

  relationByOid(oid: number): CatalogRelation | undefined {
    const known = this.#relations.get(oid);
    if (known !== undefined) return known;
    const [row] = this.#state.owned.relations.get(oid) ?? [];
    if (row === undefined) return undefined;
    const made = this.#makeRelation(oid, row);
    this.#relations.set(oid, made);
    return made;
  }

  childrenOf(oid: number): readonly CatalogRelation[] {
    const children = this.#state.indexes.children.get(String(oid)) ?? [];
    return children.flatMap((child) => this.relationByOid(child) ?? []);
  }

  functions(schema: string, name: string): readonly CatalogFunction[] {
    const found = this.#state.indexes.functions.get(nameKey(schema, name)) ?? [];
    return found.flatMap((oid) => this.#readFunction(oid) ?? []);
  }

  type(schema: string, name: string): CatalogType | undefined {
    const [oid] = this.#state.indexes.types.get(nameKey(schema, name)) ?? [];
    return oid === undefined ? undefined : this.typeByOid(oid);
  }

  typeByOid(oid: number): CatalogType | undefined {
    const known = this.#types.get(oid);
    if (known !== undefined) return known;
    const [row] = this.#state.owned.types.get(oid) ?? [];
    if (row === undefined) return undefined;
    const made: CatalogType = {
      oid,
      schema: text(row[1]),
      name: text(row[2]),
      kind: text(row[3]),
      relationOid: number(row[4]),
      elementOid: number(row[5]),
      baseOid: number(row[6]),
      arrayOid: number(row[7]),
      category: text(row[10]),
      isPreferred: flag(row[11]),
      subtypeOid: number(row[12]),
      runsUserCode: oid >= USER && this.#runsCode(oid, new Set()),
      ...(text(row[3]) === 'd' && oid >= USER ? { checking: this.#code.inType(oid) } : {}),
    };
    this.#types.set(oid, made);
    return made;
  }

  operators(schema: string, name: string): readonly CatalogOperator[] {
    const rows = kept(OPERATORS, this.#state.whole.operators, (all) =>
      Map.groupBy(all, (row) => nameKey(text(row[0]), text(row[1]))),
    );
    return (rows.get(nameKey(schema, name)) ?? []).map((row) => ({
      oid: number(row[6]),
      schema,
      name,
      left: number(row[2]),
      right: number(row[3]),
      result: number(row[5]),
      called: this.#function(number(row[4])),
    }));
  }

  get castContexts(): Catalog['castContexts'] {
    return kept(
      CAST_CONTEXTS,
      this.#state.whole.casts,
      (all) => new Map(all.map((row) => [`${number(row[0])} ${number(row[1])}`, castContext(row)])),
    );
  }

  get userCasts(): Catalog['userCasts'] {
    this.#casts ??= this.#state.whole.casts
      .filter((row) => number(row[2]) >= USER && !this.#code.isHarmless(number(row[2])))
      .map((row) => ({
        source: number(row[0]),
        target: number(row[1]),
        context: castContext(row),
        called: this.#function(number(row[2])),
      }));
    return this.#casts;
  }

  /** Whoever replaces a function keeps its OID: that it does something else shows here. */
  get code(): string {
    this.#digest ??= this.#codeDigest();
    return this.#digest;
  }

  #codeDigest(): string {
    const { functions, triggers, rules } = this.#state.owned;
    const inOrder = (section: OwnedRows) =>
      [...section.owners()].sort((a, b) => a - b).flatMap((owner) => section.get(owner) ?? []);
    const own = inOrder(functions).flatMap((row) => (row[16] ? [[row[0], row[16]]] : []));
    return (
      createHash('sha256')
        // How the definition of a rule or trigger is written depends on who asked for it.
        .update(
          JSON.stringify([
            own,
            inOrder(triggers).map((row) => row.slice(0, 5)),
            inOrder(rules).map((row) => row.slice(0, 3)),
          ]),
        )
        .digest('hex')
    );
  }

  #function(oid: number): CatalogFunction | undefined {
    const known = this.#functions.get(oid);
    if (known !== undefined) return known;
    const [row] = this.#state.owned.functions.get(oid) ?? [];
    if (row === undefined) return undefined;
    const made = catalogFunction(row);
    this.#functions.set(oid, made);
    return made;
  }

  /** With what it calls, if it only computes. */
  #readFunction(oid: number): CatalogFunction | undefined {
    const known = this.#readFunctions.get(oid);
    if (known !== undefined) return known;
    const called = this.#function(oid);
    const body = this.#texts.computations.get(oid);
    const isOpen = this.#reading.has(oid) || this.#reading.size >= MAX_LEVELS;
    if (called === undefined || body === undefined || isOpen) return called;
    this.#reading.add(oid);
    try {
      const calls = callsOfComputation(this, called, body, WALKS);
      const made = calls ? { ...called, calls } : called;
      this.#readFunctions.set(oid, made);
      return made;
    } finally {
      this.#reading.delete(oid);
    }
  }

  #triggerEffect(relation: number, trigger: Row): TriggerEffect | undefined {
    const oid = number(trigger[4]);
    const called = this.#function(oid);
    const [row = []] = this.#state.owned.functions.get(oid) ?? [];
    const definition = trigger[5] ?? undefined;
    return (
      called &&
      triggerEffect({
        called,
        source: triggerSource(row),
        body: this.#texts.bodies.get(oid),
        hasDefinition: definition !== undefined,
        definition: definition && this.#texts.relations.get(relation)?.definitions.get(definition),
      })
    );
  }

  #makeRelation(oid: number, row: Row): CatalogRelation {
    const { owned, indexes } = this.#state;
    const rowSecurity = flag(row[5]);
    const codeOn = this.#code.codeOn(oid);
    const definition = row[6] ?? undefined;
    const texts = this.#texts.relations.get(oid);
    return {
      oid,
      schema: text(row[1]),
      name: text(row[2]),
      kind: text(row[3]),
      rowTypeOid: number(row[4]),
      rowSecurity,
      ...(flag(row[7]) ? { hadChildren: true } : {}),
      hasTriggersOrRules: codeOn.runs.size > 0,
      codeOn,
      rowSecurityRunsUserCode: rowSecurity && this.#code.runsOnRead(oid),
      viewDefinition: definition,
      ...(definition === undefined ? {} : { viewTree: texts?.tree }),
      ...(texts?.path === undefined ? {} : { viewPath: texts.path }),
      columns: relationColumns(owned.columns.get(oid) ?? [], texts),
      referencedBy: (indexes.referencing.get(String(oid)) ?? []).slice(),
      primaryKey: primaryKeyOf(owned.primaryKeys.get(oid)),
      foreignKeys: (owned.foreignKeys.get(oid) ?? []).map(catalogForeignKey),
      insteadOf: this.#code.insteadOf(oid),
      rules: catalogRules(owned.rules.get(oid) ?? [], texts),
      ...(text(row[3]) === 'S' ? this.#sequence(oid) : this.#rowCode(oid, texts)),
      parents: (owned.inherits.get(oid) ?? []).map((parent) => number(parent[1])),
    };
  }

  #sequence(oid: number): Pick<CatalogRelation, 'sequenceOf' | 'drawnBy'> {
    const [owner] = this.#state.owned.sequences.get(oid) ?? [];
    return {
      ...(owner === undefined ? {} : { sequenceOf: number(owner[1]) }),
      drawnBy: this.#state.indexes.drawnBy.get(String(oid)) ?? [],
    };
  }

  #rowCode(
    oid: number,
    texts: RelationTexts | undefined,
  ): Pick<CatalogRelation, 'checking' | 'comparisons' | 'defaults' | 'ownSequences'> {
    const { owned, indexes } = this.#state;
    const own = indexes.ownSequences.get(String(oid)) ?? [];
    const functions = this.#code.inDefaults(oid).map(([attnum, called]) => ({ attnum, called }));
    const draws = (owned.drawing.get(oid) ?? []).map((row) => ({
      attnum: number(row[2]),
      draws: number(row[1]),
    }));
    return {
      comparisons: catalogComparisons(
        owned.comparisons.get(oid) ?? [],
        owned.columns.get(oid) ?? [],
        texts,
      ),
      checking: this.#code.checking(oid),
      defaults: [...functions, ...draws],
      ownSequences: own.flatMap((sequence) =>
        (owned.sequences.get(sequence) ?? []).map((row) => ({ sequence, attnum: number(row[2]) })),
      ),
    };
  }

  /** Whether input, output or a check of a type, or of a part of it, is not built in. */
  #runsCode(oid: number, open: Set<number>): boolean {
    const [row] = this.#state.owned.types.get(oid) ?? [];
    if (row === undefined || open.has(oid)) return false;
    open.add(oid);
    const ownFunctions = flag(row[9]) && !isTrustedType(row);
    if (ownFunctions || this.#code.runsInType(oid)) return true;
    const columns = this.#state.owned.columns.get(number(row[4])) ?? [];
    const parts = [
      number(row[5]),
      number(row[6]),
      ...columns.filter((column) => !flag(column[4])).map((column) => number(column[3])),
    ];
    return parts.some((part) => part !== 0 && this.#runsCode(part, open));
  }
}

/** Only a superuser makes base types; the functions of others can be anybody's. */
function isTrustedType(row: Row): boolean {
  const extension = row[8] ?? undefined;
  return isComputingExtension(extension) || (row[3] === 'b' && isKnownExtension(extension));
}

function castContext(row: Row): CastContext {
  return row[3] === 'i' ? 'implicit' : row[3] === 'a' ? 'assignment' : 'explicit';
}

function kept<T>(
  known: WeakMap<readonly Row[], T>,
  rows: readonly Row[],
  make: (rows: readonly Row[]) => T,
): T {
  const found = known.get(rows) ?? make(rows);
  known.set(rows, found);
  return found;
}

function catalogFunction(row: Row): CatalogFunction {
  const outputs = functionOutputs(row);
  return {
    oid: number(row[0]),
    schema: text(row[1]),
    name: text(row[2]),
    kind: text(row[3]),
    volatility: row[4] === 'i' || row[4] === 's' ? row[4] : 'v',
    returnTypeOid: number(row[5]),
    returnsSet: flag(row[6]),
    argTypeOids: oids(row[7]),
    language: text(row[8]),
    ...(flag(row[18]) && !isComputingExtension(row[10] ?? undefined)
      ? { mayChangeLogins: true as const }
      : {}),
    securityDefiner: flag(row[9]),
    ...(row[10] ? { extension: row[10] } : {}),
    variadic: flag(row[11]),
    defaults: number(row[12]),
    ...argumentNames(row),
    ...(flag(row[19]) ? { ownedBySuperuser: true as const } : {}),
    ...(outputs ? { outputs } : {}),
  };
}

function primaryKeyOf(rows: readonly Row[] | undefined): readonly number[] | undefined {
  const [row] = rows ?? [];
  return row && oids(row[1]);
}

/** In the order of the parameters that take arguments: IN (i), INOUT (b) and VARIADIC (v). */
function argumentNames(row: Row): Pick<CatalogFunction, 'argNames'> {
  const names: unknown = row[15] ? JSON.parse(row[15]) : undefined;
  if (!Array.isArray(names)) return {};
  const modes = row[14] ?? '';
  const argNames = names.map(String).filter((_, index) => 'ibv'.includes(modes[index] ?? 'i'));
  return { argNames };
}

/** OUT (o), INOUT (b) and TABLE (t) parameters. */
function functionOutputs(row: Row): CatalogFunction['outputs'] {
  const [types, modes, names] = [row[13], row[14], row[15]];
  if (!types || !modes) {
    return undefined;
  }
  const parsed: unknown = names ? JSON.parse(names) : [];
  const list = Array.isArray(parsed) ? parsed.map(String) : [];
  const outputs = oids(types).flatMap((typeOid, index) =>
    'obt'.includes(modes[index] ?? '-') ? [{ name: list[index] ?? '', typeOid }] : [],
  );
  return outputs.length > 0 ? outputs : undefined;
}

function relationColumns(
  rows: readonly Row[],
  texts: RelationTexts | undefined,
): readonly CatalogColumn[] {
  return rows.map((row) => {
    const generatedFrom = row[5] ?? undefined;
    const found = generatedFrom === undefined ? undefined : texts?.expressions.get(generatedFrom);
    const names = found?.columnNames;
    const used = names && rows.filter((other) => names.includes(text(other[2])));
    return {
      attnum: number(row[1]),
      name: text(row[2]),
      typeOid: number(row[3]),
      dropped: flag(row[4]),
      generatedFrom,
      ...(flag(row[6]) ? { notNull: true } : {}),
      ...(flag(row[7]) ? { isLoose: true } : {}),
      ...(used ? { generatedColumns: used.map((other) => number(other[1])) } : {}),
      ...(found?.isTotal === true ? { generatedIsTotal: true } : {}),
    };
  });
}

function rolesOf([login, ...members]: readonly Row[]): CatalogRoles | undefined {
  return (
    login && {
      login: text(login[0]),
      members: members.map(([role, member, isAdminOnly]) => ({
        role: text(role),
        member: text(member),
        isAdminOnly: flag(isAdminOnly),
      })),
    }
  );
}
