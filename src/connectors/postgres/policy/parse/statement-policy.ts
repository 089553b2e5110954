/**
 * Text to verdict: parse in the worker, analyse against the catalog, evaluate against the grant.
 * Trees are cached by text (in the parser), verdicts by everything that they depend on.
 */

import type { Grant } from '../../../../policy/types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { SqlRefusal, StatementContext, StatementPolicy, Verdict } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { maskIndexOf } from '../verdict/evaluate.ts';
import { refusal } from '../verdict/evaluate-refusal.ts';
import { builtin } from '../verdict/guards.ts';
import type { TextRange } from '../writes/copy-query.ts';
import { constantShape } from './constant-shapes.ts';
import { copiedTexts, isCopied, judgeStatements } from './judge-statements.ts';
import { KeptVerdicts } from './kept-verdicts.ts';
import type { NotParsed } from './parse-outcome.ts';
import type { SqlParser } from './parser.ts';
import { OverBudget, WorkBudget } from './work-budget.ts';

/** The longest text of which the verdict is kept (characters). */
const MAX_CACHED_TEXT = 16 * 1024;
/** The types of its parameters are part of what is kept by; a Parse may name 65535. */
const MAX_CACHED_TYPES = 1000;

interface Keys {
  readonly shape: string | undefined;
  readonly text: string;
}

/**
 * What one text may cost where all sessions wait for it. Longer texts (characters), larger trees
 * (bytes of JSON) and what takes more steps are judged in a thread of the parser.
 */
const MAX_TEXT_HERE = 32 * 1024;
const MAX_TREE_HERE = 256 * 1024;
export const MAX_STEPS_HERE = 5000;
const LARGE = { type: 'large' } as const;

/**
 * @param onFault told of faults of our own; the statement is refused then.
 * @param onWork told of the steps that each text has cost here.
 */
export function createStatementPolicy(
  parser: Pick<SqlParser, 'parse' | 'judge'>,
  onFault: (fault: Error) => void = () => undefined,
  onWork: (steps: number) => void = () => undefined,
): StatementPolicy {
  const verdicts = new KeptVerdicts();
  const identities = new WeakMap<StatementContext['catalog'], number>();
  const circumstances = new Circumstances();
  const indexes = new WeakMap<Grant, { catalog: StatementContext['catalog']; masks: MaskIndex }>();

  let catalogs = 0;
  /** Each reader counts generations of its own: those of two users or hosts are not the same. */
  const identityOf = (catalog: StatementContext['catalog']): number => {
    const known = identities.get(catalog);
    if (known !== undefined) {
      return known;
    }
    catalogs += 1;
    identities.set(catalog, catalogs);
    return catalogs;
  };

  const masksOf = (grant: Grant, catalog: StatementContext['catalog']): MaskIndex => {
    const known = indexes.get(grant);
    if (known?.catalog === catalog) {
      return known.masks;
    }
    const masks = maskIndexOf(grant, catalog);
    indexes.set(grant, { catalog, masks });
    return masks;
  };

  const keysOf = (text: string, context: KeptContext, grant: Grant): Keys => {
    const shape = constantShape(text);
    const rest = circumstances.numberOf(context, grant, identityOf(context.catalog));
    return {
      shape: shape === undefined ? undefined : `${rest} shape ${shape.key}`,
      text: `${rest} text ${text}`,
    };
  };

  const find = (keys: Keys): Verdict | undefined =>
    (keys.shape === undefined ? undefined : verdicts.get(keys.shape)) ?? verdicts.get(keys.text);

  return {
    known(text, context, grant) {
      const mayFind = !grant.passthrough && isKept(text, context);
      return mayFind ? find(keysOf(text, context, grant)) : undefined;
    },

    async decide(text, context, grant) {
      if (grant.passthrough) {
        return { effect: 'allow', statements: [] };
      }
      if (!isKept(text, context)) {
        return (await decideAnew(text, context, grant)).verdict;
      }
      const keys = keysOf(text, context, grant);
      const found = find(keys);
      if (found !== undefined) {
        return found;
      }
      const { verdict, holdsFor } = await decideAnew(text, context, grant);
      const key = holdsFor === 'nothing' ? undefined : keys[holdsFor];
      if (key !== undefined) {
        verdicts.keep(key, verdict);
      }
      return verdict;
    },
  };

  /** Where the query of each COPY (query) TO stands; one that is not certain is left out. */
  async function rangesOfCopied(
    tree: unknown,
    text: string,
    owner: object | undefined,
  ): Promise<ReadonlyMap<number, TextRange>> {
    const ranges = new Map<number, TextRange>();
    for (const copied of copiedTexts(tree, text)) {
      const parsed = await parser.parse(copied.text, owner);
      if (parsed.type === 'tree' && isCopied(copied, parsed.tree)) {
        ranges.set(copied.index, copied.range);
      }
    }
    return ranges;
  }

  /** @returns undefined: it takes longer than others can wait. */
  async function judgeHere(
    tree: unknown,
    text: string,
    context: StatementContext,
    grant: Grant,
  ): Promise<Verdict | undefined> {
    const budget = new WorkBudget(MAX_STEPS_HERE);
    try {
      const masks = () => masksOf(grant, context.catalog);
      const copied = await rangesOfCopied(tree, text, context.owner);
      return judgeStatements({ tree, text, copied, context, grant, masks, budget, onFault });
    } catch (error) {
      if (error instanceof OverBudget) return undefined;
      throw error;
    } finally {
      onWork(budget.spent);
    }
  }

  async function judgeElsewhere(
    text: string,
    context: StatementContext,
    grant: Grant,
  ): Promise<Verdict> {
    const outcome = await parser.judge(text, context, grant);
    if ('fault' in outcome && outcome.fault !== undefined) onFault(outcome.fault);
    if (outcome.type !== 'judged') return refused(unparsed(outcome, grant));
    return outcome.verdict;
  }

  /** @returns with the verdict, for which texts it will be the same under the same circumstances. */
  async function decideAnew(
    text: string,
    context: StatementContext,
    grant: Grant,
  ): Promise<{ verdict: Verdict; holdsFor: 'text' | 'shape' | 'nothing' }> {
    const parsed =
      text.length > MAX_TEXT_HERE ? LARGE : await parser.parse(text, context.owner, MAX_TREE_HERE);
    if (parsed.type !== 'tree' && parsed.type !== 'large') {
      return { verdict: refused(unparsed(parsed, grant)), holdsFor: 'nothing' };
    }
    const watched = watchNames(context);
    const here =
      parsed.type === 'tree'
        ? await judgeHere(parsed.tree, text, watched.context, grant)
        : undefined;
    const verdict = here ?? (await judgeElsewhere(text, watched.context, grant));
    if (watched.used()) {
      // What a cursor or prepared statement is may be another thing the next time.
      return { verdict, holdsFor: 'nothing' };
    }
    if (here === undefined || parsed.type !== 'tree' || parsed.wasRead === undefined) {
      return { verdict, holdsFor: 'text' };
    }
    // Of texts with changing constants none comes back: they would only push out others. But as
    // long as no constant was looked at, the verdict is that of all of them. A refusal is made
    // for one text: it may name a place in it.
    return {
      verdict,
      holdsFor: !parsed.wasRead() && verdict.effect === 'allow' ? 'shape' : 'nothing',
    };
  }
}

/** E'\\xff': the parser gives the server's words for it, and not its SQLSTATE. */
const BAD_BYTES = /^invalid byte sequence for encoding /;

function unparsed(outcome: NotParsed, grant: Grant): SqlRefusal {
  if (outcome.type === 'syntax') {
    // Word for word what the server would have said: a typo must look as it always did.
    return {
      code: 'HOOP_UNPARSED',
      sqlState: BAD_BYTES.test(outcome.message)
        ? SQL_STATE.characterNotInRepertoire
        : SQL_STATE.syntaxError,
      message: outcome.message,
      detail: undefined,
      hint: undefined,
      position: outcome.position,
      rule: undefined,
    };
  }
  const isTooLarge = outcome.reason === 'size' || outcome.reason === 'depth';
  return refusal(grant, {
    code: isTooLarge ? 'HOOP_TOO_LARGE' : 'HOOP_UNPARSED',
    sqlState:
      outcome.reason === 'thread'
        ? SQL_STATE.insufficientResources
        : SQL_STATE.programLimitExceeded,
    message: outcome.message,
    detail: 'hoop cannot check what it cannot read.',
    hint: outcome.hint,
    rule: builtin('parser'),
  });
}

function refused(refusal: SqlRefusal): Verdict {
  return { effect: 'refuse', refusal, statement: 0, analysis: [] };
}

/** Tells whether the verdict looked at names whose meaning is not in the key. */
function watchNames(context: StatementContext): { context: StatementContext; used: () => boolean } {
  let used = false;
  return {
    context: {
      ...context,
      cursor: (name) => {
        used = true;
        return context.cursor(name);
      },
      prepared: (name) => {
        used = true;
        return context.prepared(name);
      },
    },
    used: () => used,
  };
}

function isKept(text: string, { parameterTypes }: KeptContext): boolean {
  return text.length <= MAX_CACHED_TEXT && parameterTypes.length <= MAX_CACHED_TYPES;
}

// Everything but the text that a verdict depends on, as a number. The list of it is long, and it is
// looked up for each statement: what a connection had the last time is recognized by its objects.

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
