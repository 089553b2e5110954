/**
 * Everything but the text that a verdict depends on, as a number. The list of it is long, and it is
 * looked up for each statement: what a connection had the last time is recognized by its objects.
 */
import type { Grant } from '../../../policy/types.ts';
import type { StatementContext } from './types.ts';

/** What of a context a verdict that is kept depends on. */
export type KeptContext = Omit<StatementContext, 'cursor' | 'prepared'>;

/** The rest of a context; not the catalog itself, which is large and is replaced. */
type Rest = Pick<
  KeptContext,
  'role' | 'isLoginRole' | 'unsettled' | 'placeIsSteady' | 'parameterTypes'
>;

interface Last {
  readonly rest: Rest;
  readonly grant: Grant;
  readonly catalog: number;
  readonly number: number;
}

/** Then all are forgotten; numbers go on, so none comes twice. */
const MAX_KNOWN = 2000;

export class Circumstances {
  readonly #numbers = new Map<string, number>();
  /** By the search_path, which is one object as long as a connection stays where it is. */
  readonly #last = new WeakMap<readonly string[], Last>();
  #count = 0;

  /** @param catalog a number for `context.catalog` */
  numberOf(context: KeptContext, grant: Grant, catalog: number): number {
    const { searchPath } = context;
    const last = searchPath === undefined ? undefined : this.#last.get(searchPath);
    if (last?.grant === grant && last.catalog === catalog && isSame(last.rest, context)) {
      return last.number;
    }
    const number = this.#numberOf(keyOf(context, grant, catalog));
    if (searchPath !== undefined) {
      this.#last.set(searchPath, { rest: restOf(context), grant, catalog, number });
    }
    return number;
  }

  #numberOf(key: string): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      if (this.#numbers.size >= MAX_KNOWN) {
        this.#numbers.clear();
      }
      this.#count += 1;
      number = this.#count;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

function isSame(one: Rest, other: Rest): boolean {
  return (
    one.role === other.role &&
    one.isLoginRole === other.isLoginRole &&
    one.unsettled === other.unsettled &&
    (one.placeIsSteady ?? false) === (other.placeIsSteady ?? false) &&
    (one.parameterTypes === other.parameterTypes ||
      (one.parameterTypes.length === 0 && other.parameterTypes.length === 0))
  );
}

function restOf(context: KeptContext): Rest {
  const { role, isLoginRole, unsettled, placeIsSteady = false, parameterTypes } = context;
  return { role, isLoginRole, unsettled, placeIsSteady, parameterTypes };
}

/** The generation of a grant covers principal, target, policy commit and all of its rules. */
function keyOf(context: KeptContext, grant: Grant, catalog: number): string {
  return JSON.stringify([
    grant.generation,
    grant.target,
    catalog,
    context.searchPath ?? null,
    context.role ?? null,
    context.isLoginRole ?? false,
    context.unsettled ?? null,
    context.placeIsSteady ?? false,
    context.parameterTypes,
  ]);
}
