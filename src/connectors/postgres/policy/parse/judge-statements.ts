/**
 * From a parsed text to its verdict. It runs where the statement is waited for while its tree is
 * small, and else in a thread of the parser (parser-worker.ts): the same code in both places.
 */
import type { Grant } from '../../../../policy/types.ts';
import { SQL_STATE } from '../../sql-state.ts';
import type { SqlRefusal, StatementContext, Verdict } from '../facts/types.ts';
import type { MaskIndex } from '../masks/mask-index.ts';
import { evaluate } from '../verdict/evaluate.ts';
import { refusal } from '../verdict/evaluate-refusal.ts';
import { builtin } from '../verdict/guards.ts';
import {
  analyseStatements,
  countStatements,
  rangesOfStatements,
} from '../walk/analyse-statements.ts';
import { copiedQueries, isQuery, parenthesised, type TextRange } from '../writes/copy-query.ts';
import { TextBytes } from './text-bytes.ts';
import type { Node } from './tree.ts';
import { OverBudget, type WorkBudget } from './work-budget.ts';

export interface JudgeRequest {
  readonly tree: unknown;
  readonly text: string;
  readonly copied: ReadonlyMap<number, TextRange>;
  readonly context: StatementContext;
  readonly grant: Grant;
  readonly masks: () => MaskIndex;
  readonly budget: WorkBudget;
  readonly onFault: (fault: Error) => void;
}

/** @throws OverBudget */
export function judgeStatements(request: JudgeRequest): Verdict {
  const { tree, text, copied, context, grant, masks, budget, onFault } = request;
  const tooMany = refuseTooMany(tree, grant);
  if (tooMany !== undefined) {
    return { effect: 'refuse', refusal: tooMany, statement: 0, analysis: [] };
  }
  try {
    const analyses = analyseStatements(tree, text, context, copied, budget);
    return evaluate(analyses, grant, { catalog: context.catalog, text, masks: masks(), budget });
  } catch (error) {
    // Deep trees can still exhaust the stack of a walk. Any other fault of ours refuses too,
    // since the statement has not been understood.
    if (error instanceof OverBudget || !(error instanceof Error)) {
      throw error;
    }
    if (!(error instanceof RangeError)) {
      onFault(error);
    }
    const isDeep = error instanceof RangeError;
    return unanalysed(
      grant,
      isDeep ? 'It is nested too deeply.' : `Internal fault: ${error.name}.`,
    );
  }
}

function refuseTooMany(tree: unknown, grant: Grant): SqlRefusal | undefined {
  const { statementsPerMessage: limit = Number.POSITIVE_INFINITY } = grant.limits;
  const count = countStatements(tree);
  return count <= limit
    ? undefined
    : refusal(grant, {
        code: 'HOOP_LIMIT',
        sqlState: SQL_STATE.programLimitExceeded,
        message: `the text has ${count} statements; one message may have ${limit}`,
        detail: 'The limit is `statementsPerMessage` of the policy.',
        hint: 'Send the statements in several messages, as psql does with a file.',
        rule: builtin('limits'),
      });
}

function unanalysed(grant: Grant, detail: string): Verdict {
  return {
    effect: 'refuse',
    refusal: refusal(grant, {
      code: 'HOOP_UNTRACEABLE',
      message: 'statement could not be analysed',
      detail,
      hint: 'Split it into simpler statements.',
      rule: builtin('untraceable'),
    }),
    statement: 0,
    analysis: [],
  };
}

/** The query of a COPY (query) TO, and the text that seems to be its own. */
export interface CopiedText {
  readonly index: number;
  readonly query: Node;
  readonly range: TextRange;
  readonly text: string;
}

/** Of each COPY (query) TO whose query can be found in the text. */
export function copiedTexts(tree: unknown, text: string): readonly CopiedText[] {
  const queries = copiedQueries(tree);
  if (queries.size === 0) {
    return [];
  }
  const bytes = new TextBytes(text);
  const ranges = rangesOfStatements(tree, bytes.length);
  return [...queries].flatMap(([index, query]) => {
    const whole = ranges[index];
    const range = whole && parenthesised(bytes, whole);
    return range === undefined ? [] : [{ index, query, range, text: bytes.slice(range) }];
  });
}

/** Whether the text is that of the query: the parser makes the very same of it. */
export function isCopied({ query }: CopiedText, tree: unknown): boolean {
  return isQuery(tree, query);
}
