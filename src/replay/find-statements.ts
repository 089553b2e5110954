/** Statements of a recording by the ids that people have of them, with the prompts behind them. */
import type { Prompt, Statement, TimelineEntry } from './timeline.ts';

/** `#7` or `7`: the seventh of the session. `2.5`: the fifth that was decided on connection 2. */
export type StatementId =
  | { readonly type: 'number'; readonly number: number }
  | { readonly type: 'decided'; readonly stream: number; readonly statement: number };

export interface FoundStatement {
  readonly statement: Statement;
  /** The one in force, then those that it stands under; empty: there was none. */
  readonly prompts: readonly Prompt[];
}

/** More runs of one prepared statement are counted and not kept. */
const MAX_FOUND = 20;
/** A chain of prompts is as long as agents start agents. */
const MAX_PARENTS = 10;
/** A session cannot record more. */
const MAX_PROMPTS = 20_000;

export function parseStatementId(text: string): StatementId | undefined {
  const number = /^#?([1-9]\d{0,14})$/.exec(text)?.[1];
  if (number !== undefined) {
    return { type: 'number', number: Number(number) };
  }
  const [, stream, statement] = /^([1-9]\d{0,9})\.([1-9]\d{0,14})$/.exec(text) ?? [];
  return stream === undefined || statement === undefined
    ? undefined
    : { type: 'decided', stream: Number(stream), statement: Number(statement) };
}

/** `2.5` for each decision about it: what the index and the events of the recording call it. */
export function decidedIds({ stream, decisions }: Statement): string[] {
  return decisions.map(({ statement }) => `${stream}.${statement}`);
}

/** @returns with how many there are beyond those that are kept */
export function findStatements(
  timeline: Iterable<TimelineEntry>,
  id: StatementId,
): { readonly found: readonly FoundStatement[]; readonly more: number } {
  const prompts = new Map<string, Prompt>();
  const statements: Statement[] = [];
  let more = 0;
  for (const entry of timeline) {
    if (entry.type === 'prompt' && prompts.size < MAX_PROMPTS) {
      prompts.set(entry.id, entry);
    } else if (entry.type === 'statement' && isMeant(entry, id)) {
      if (statements.length < MAX_FOUND) {
        statements.push(entry);
      } else {
        more += 1;
      }
    }
  }
  const found = statements.map((statement) => ({
    statement,
    prompts: promptsOf(statement.prompt, prompts),
  }));
  return { found, more };
}

function isMeant(statement: Statement, id: StatementId): boolean {
  return id.type === 'number'
    ? statement.number === id.number
    : statement.stream === id.stream &&
        statement.decisions.some((decision) => decision.statement === id.statement);
}

/** A client may name a parent that was never there, or itself. */
function promptsOf(id: string | undefined, known: ReadonlyMap<string, Prompt>): Prompt[] {
  const chain: Prompt[] = [];
  let next = id === undefined ? undefined : known.get(id);
  while (next !== undefined && chain.length < MAX_PARENTS && !chain.includes(next)) {
    chain.push(next);
    next = next.parent === undefined ? undefined : known.get(next.parent);
  }
  return chain;
}
