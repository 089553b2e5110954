/**
 * Parses the texts of the catalog: definitions of views, rules and triggers, bodies of functions,
 * expressions of generated columns and indexes.
 */
import { type FunctionBody, readFunctionBody } from '../../policy/calls/function-body.ts';
import type { TriggerBody } from '../../policy/triggers/trigger-body.ts';
import { isTotalExpression } from '../../policy/walk/total-expressions.ts';
import { triggerSource } from '../counted/trigger-source.ts';
import type { CatalogState, Changed } from './catalog-state.ts';
import type { ExpressionText, ParsedTexts, RelationTexts } from './catalog-view.ts';
import { sqlFunctionSource } from './sql-function-source.ts';

/** Then a text that the parser cannot be asked about is taken for one without a tree. */
const MAX_PARSE_ATTEMPTS = 3;

/** Both throw when that could not be found out, e.g. because the parser is being replaced. */
export interface CatalogTextParser {
  /** The SQL parser's tree of a text; undefined when it does not parse (a newer server's syntax). */
  readonly parse: (sql: string) => Promise<unknown>;
  /** What a trigger function does; undefined: it is not understood. Absent: none is. */
  readonly parseTrigger?: (source: string) => Promise<TriggerBody | undefined>;
}

export class CatalogTexts {
  readonly #parser: CatalogTextParser;
  /** Relations with a text that the parser could not be asked about, and how often it was tried. */
  readonly #owed = new Map<number, number>();
  /** The same, of functions. */
  readonly #owedBodies = new Map<number, number>();

  constructor(parser: CatalogTextParser) {
    this.#parser = parser;
  }

  /**
   * @param path schemas in which names without one in the texts are looked up.
   * @param owed `again`: what could not be parsed the last time is tried again, and remembered.
   * @returns `before` itself when nothing is different.
   */
  async after(
    before: ParsedTexts,
    changed: Pick<Changed, 'state' | 'owners'>,
    path: readonly string[] | undefined,
    owed?: 'again',
  ): Promise<ParsedTexts> {
    const relations = await this.#relationsAfter(before.relations, changed, path, owed);
    const functions = await this.#functionsAfter(before, changed, owed);
    const isSame = relations === before.relations && functions.bodies === before.bodies;
    return isSame && functions.computations === before.computations
      ? before
      : { relations, ...functions };
  }

  async #functionsAfter(
    before: Pick<ParsedTexts, 'bodies' | 'computations'>,
    { state, owners }: Pick<Changed, 'state' | 'owners'>,
    owed: 'again' | undefined,
  ): Promise<Pick<ParsedTexts, 'bodies' | 'computations'>> {
    const { parse, parseTrigger } = this.#parser;
    const functions = new Set([
      ...(owners.get('functions') ?? []),
      ...(owed === undefined ? [] : this.#owedBodies.keys()),
    ]);
    const bodies: (readonly [number, TriggerBody | undefined])[] = [];
    const computations: (readonly [number, FunctionBody | undefined])[] = [];
    for (const oid of functions) {
      const [row] = state.owned.functions.hasSql(oid) ? (state.owned.functions.get(oid) ?? []) : [];
      const trigger = row && triggerSource(row);
      const sql = row && sqlFunctionSource(row);
      let body: TriggerBody | undefined;
      let computation: FunctionBody | undefined;
      let isComplete = true;
      try {
        if (trigger?.isPlain) body = await parseTrigger?.(trigger.text);
        if (sql) computation = await readFunctionBody(sql, parse);
      } catch {
        // Without its body the function is opaque.
        isComplete = false;
      }
      if (owed !== undefined) note(this.#owedBodies, oid, isComplete);
      if (body !== undefined || before.bodies.has(oid)) bodies.push([oid, body]);
      if (computation !== undefined || before.computations.has(oid)) {
        computations.push([oid, computation]);
      }
    }
    return {
      bodies: bodies.length === 0 ? before.bodies : before.bodies.with(bodies),
      computations:
        computations.length === 0 ? before.computations : before.computations.with(computations),
    };
  }

  async #relationsAfter(
    before: ParsedTexts['relations'],
    { state, owners }: Pick<Changed, 'state' | 'owners'>,
    path: readonly string[] | undefined,
    owed: 'again' | undefined,
  ): Promise<ParsedTexts['relations']> {
    const relations = new Set([
      ...(owners.get('relations') ?? []),
      ...(owners.get('columns') ?? []),
      ...(owners.get('rules') ?? []),
      ...(owners.get('triggers') ?? []),
      ...(owners.get('comparisons') ?? []),
      ...(owed === undefined ? [] : this.#owed.keys()),
    ]);
    const changes: (readonly [number, RelationTexts | undefined])[] = [];
    for (const oid of relations) {
      const known = before.get(oid);
      if (!hasTexts(state, oid)) {
        this.#owed.delete(oid);
        if (known !== undefined) changes.push([oid, undefined]);
        continue;
      }
      const parsed = await this.#parseTexts(state, oid, path);
      if (owed !== undefined) note(this.#owed, oid, parsed.isComplete);
      changes.push([oid, parsed.texts]);
    }
    return changes.length === 0 ? before : before.with(changes);
  }

  async #parseTexts(
    state: CatalogState,
    oid: number,
    path: readonly string[] | undefined,
  ): Promise<{ texts: RelationTexts; isComplete: boolean }> {
    let isComplete = true;
    const parse = async (sql: string): Promise<unknown> => {
      try {
        return await this.#parser.parse(sql);
      } catch {
        // Without a tree the view is opaque.
        isComplete = false;
        return undefined;
      }
    };
    let tree: unknown;
    const expressions = new Map<string, ExpressionText>();
    const definitions = new Map<string, unknown>();
    for (const { kind, sql } of textsOf(state, oid)) {
      if (kind === 'view') tree = await parse(sql);
      else if (kind === 'definition') definitions.set(sql, await parse(sql));
      else expressions.set(sql, expressionText(await parse(`SELECT ${sql}`)));
    }
    return { texts: { tree, path, expressions, definitions }, isComplete };
  }
}

function note(owed: Map<number, number>, oid: number, isComplete: boolean): void {
  const attempts = (owed.get(oid) ?? 0) + 1;
  // It may be this very text that breaks the parser.
  if (isComplete || attempts >= MAX_PARSE_ATTEMPTS) owed.delete(oid);
  else owed.set(oid, attempts);
}

const WITH_SQL = ['relations', 'rules', 'triggers', 'columns', 'comparisons'] as const;

function hasTexts({ owned }: CatalogState, oid: number): boolean {
  return WITH_SQL.some((section) => owned[section].hasSql(oid));
}

function textsOf(
  state: CatalogState,
  oid: number,
): readonly { readonly kind: 'view' | 'definition' | 'expression'; readonly sql: string }[] {
  const definition = state.owned.relations.get(oid)?.[0]?.[6];
  const definitions = [
    ...(state.owned.rules.get(oid) ?? []).flatMap((row) => row[4] ?? []),
    ...(state.owned.triggers.get(oid) ?? []).flatMap((row) => row[5] ?? []),
  ];
  const expressions = [
    ...(state.owned.columns.get(oid) ?? []).flatMap((row) => row[5] ?? []),
    ...(state.owned.comparisons.get(oid) ?? []).flatMap((row) => row[4] ?? []),
  ];
  return [
    ...(definition ? [{ kind: 'view' as const, sql: definition }] : []),
    ...definitions.map((sql) => ({ kind: 'definition' as const, sql })),
    ...expressions.map((sql) => ({ kind: 'expression' as const, sql })),
  ];
}

function expressionText(tree: unknown): ExpressionText {
  return { columnNames: columnNamesIn(tree), isTotal: isTotalExpression(tree) };
}

/**
 * @param tree parse result of an expression over one table
 * @returns the names of all columns in it; undefined when the tree is not known or `*` is in it
 */
function columnNamesIn(tree: unknown): readonly string[] | undefined {
  if (tree === undefined) {
    return undefined;
  }
  const names: string[] = [];
  let complete = true;
  const open: unknown[] = [tree];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== 'object' || value === null) {
      continue;
    }
    if ('ColumnRef' in value) {
      const last = lastName(value.ColumnRef);
      complete &&= last !== undefined;
      names.push(last ?? '');
    }
    open.push(...Object.values(value));
  }
  return complete ? names : undefined;
}

function lastName(reference: unknown): string | undefined {
  if (typeof reference !== 'object' || reference === null || !('fields' in reference)) {
    return undefined;
  }
  const fields: unknown = reference.fields;
  const last: unknown = Array.isArray(fields) ? fields.at(-1) : undefined;
  if (typeof last !== 'object' || last === null || !('String' in last)) {
    return undefined;
  }
  const node = last.String;
  return typeof node === 'object' &&
    node !== null &&
    'sval' in node &&
    typeof node.sval === 'string'
    ? node.sval
    : undefined;
}
