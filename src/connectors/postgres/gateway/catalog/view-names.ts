/** Finds the names under which views, and views of views, show a column. */

import type { CatalogRelation } from '../../policy/facts/catalog-types.ts';
import { relationNames } from '../../policy/masks/carried-names.ts';
import { namesGiven } from '../../policy/masks/telling-texts.ts';

export interface ReadView {
  readonly name: string;
  readonly tree: unknown;
  readonly reads: ReadonlySet<string>;
}

export function readView({ name, viewTree }: CatalogRelation): ReadView {
  return { name, tree: viewTree, reads: relationNames(viewTree) };
}

export class ViewNames {
  readonly #column: string;
  /** By the name of a view, whatever its schema. */
  readonly #given = new Map<string, Set<string>>();

  /** @param views those that read the table of the column, through others too */
  constructor(column: string, views: readonly ReadView[]) {
    this.#column = column;
    for (let grown = true; grown; ) {
      grown = false;
      for (const view of views) {
        const known = this.#given.get(view.name) ?? new Set();
        const before = known.size;
        for (const name of namesGiven(statementOf(view.tree), this.#of(view.reads)))
          known.add(name);
        this.#given.set(view.name, known);
        grown ||= known.size > before;
      }
    }
  }

  /** Names that the column has in a text. */
  in(tree: unknown): ReadonlySet<string> {
    return this.#of(relationNames(tree));
  }

  /** Names that it has in any of them. */
  get everywhere(): ReadonlySet<string> {
    return this.#of(new Set(this.#given.keys()));
  }

  #of(relations: ReadonlySet<string>): ReadonlySet<string> {
    const given = [...relations].flatMap((name) => [...(this.#given.get(name) ?? [])]);
    return new Set([this.#column, ...given]);
  }
}

/** The query of a parsed definition. */
function statementOf(tree: unknown): unknown {
  const parsed: { stmts?: { stmt?: { SelectStmt?: unknown } }[] } = Object(tree);
  return parsed.stmts?.[0]?.stmt?.SelectStmt;
}
