/** Parses the texts of the catalog: definitions of views and rules, expressions of generated columns and indexes. */
import { isTotalExpression } from '../policy/total-expressions.ts';
import type { CatalogState, Changed } from './catalog-state.ts';
import type { ExpressionText, RelationTexts, TextsByRelation } from './catalog-view.ts';

/** Then a text that the parser cannot be asked about is taken for one without a tree. */
const MAX_PARSE_ATTEMPTS = 3;

export class CatalogTexts {
  readonly #parse: (sql: string) => Promise<unknown>;
  /** Relations with a text that the parser could not be asked about, and how often it was tried. */
  readonly #owed = new Map<number, number>();

  /** @param parse throws when the parser cannot be asked. */
  constructor(parse: (sql: string) => Promise<unknown>) {
    this.#parse = parse;
  }

  /**
   * @param path schemas in which names without one in the texts are looked up.
   * @param owed `again`: what could not be parsed the last time is tried again, and remembered.
   * @returns `before` itself when nothing is different.
   */
  async after(
    before: TextsByRelation,
    { state, owners }: Pick<Changed, 'state' | 'owners'>,
    path: readonly string[] | undefined,
    owed?: 'again',
  ): Promise<TextsByRelation> {
    const relations = new Set([
      ...(owners.get('relations') ?? []),
      ...(owners.get('columns') ?? []),
      ...(owners.get('rules') ?? []),
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
      if (owed !== undefined) this.#note(oid, parsed.isComplete);
      changes.push([oid, parsed.texts]);
    }
    return changes.length === 0 ? before : before.with(changes);
  }

  #note(oid: number, isComplete: boolean): void {
    const attempts = (this.#owed.get(oid) ?? 0) + 1;
    // It may be this very text that breaks the parser.
    if (isComplete || attempts >= MAX_PARSE_ATTEMPTS) this.#owed.delete(oid);
    else this.#owed.set(oid, attempts);
  }

  async #parseTexts(
    state: CatalogState,
    oid: number,
    path: readonly string[] | undefined,
  ): Promise<{ texts: RelationTexts; isComplete: boolean }> {
    let isComplete = true;
    const parse = async (sql: string): Promise<unknown> => {
      try {
        return await this.#parse(sql);
      } catch {
        // Without a tree the view is opaque.
        isComplete = false;
        return undefined;
      }
    };
    let tree: unknown;
    const expressions = new Map<string, ExpressionText>();
    const rules = new Map<string, unknown>();
    for (const { kind, sql } of textsOf(state, oid)) {
      if (kind === 'view') tree = await parse(sql);
      else if (kind === 'rule') rules.set(sql, await parse(sql));
      else expressions.set(sql, expressionText(await parse(`SELECT ${sql}`)));
    }
    return { texts: { tree, path, expressions, rules }, isComplete };
  }
}

const WITH_SQL = ['relations', 'rules', 'columns', 'comparisons'] as const;

function hasTexts({ owned }: CatalogState, oid: number): boolean {
  return WITH_SQL.some((section) => owned[section].hasSql(oid));
}

function textsOf(
  state: CatalogState,
  oid: number,
): readonly { readonly kind: 'view' | 'rule' | 'expression'; readonly sql: string }[] {
  const definition = state.owned.relations.get(oid)?.[0]?.[6];
  const rules = (state.owned.rules.get(oid) ?? []).flatMap((row) => row[4] ?? []);
  const expressions = [
    ...(state.owned.columns.get(oid) ?? []).flatMap((row) => row[5] ?? []),
    ...(state.owned.comparisons.get(oid) ?? []).flatMap((row) => row[4] ?? []),
  ];
  return [
    ...(definition ? [{ kind: 'view' as const, sql: definition }] : []),
    ...rules.map((sql) => ({ kind: 'rule' as const, sql })),
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
