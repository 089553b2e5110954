/** One statement of a simple Query, as messages of the extended protocol. */
import { TextBytes } from '../../policy/sql/text-bytes.ts';
import type { RowChanges } from '../../policy/sql/types.ts';
import { encodeBind } from '../../protocol/pg/bind.ts';
import { encodeDescribe } from '../../protocol/pg/describe.ts';
import { encodeExecute } from '../../protocol/pg/execute.ts';
import { encodeParse } from '../../protocol/pg/parse.ts';
import type { CountedQuery } from './counted-query.ts';
import type { KnownPortal, KnownStatement } from './known-statement.ts';
import { countSource, isLimited } from './row-counts.ts';
import { RowTrial } from './row-trial.ts';
import { startRun } from './run.ts';
import type { StreamState } from './stream-state.ts';

export interface SentStatement {
  readonly at: number;
  /** Of the whole Query. */
  readonly text: string;
  readonly statement: KnownStatement;
  readonly query: CountedQuery;
  readonly isApproved: boolean;
  /** Whether it can be approved, and what was approved already. */
  readonly approval: { readonly covered: RowChanges | undefined } | 'none';
  /** The client has the description of its result already. */
  readonly isShown?: boolean;
}

/** @returns undefined: it is one beside those that are counted. */
export function sendStatement(state: StreamState, sent: SentStatement): RowTrial | undefined {
  const { at, query, statement, isApproved, approval } = sent;
  const { allowed } = statement;
  const portal = prepare(state, sent);
  const run = startRun(statement, at, state.options.grant(), portal);
  const { segment, trials } = state;
  const execute = (trial?: RowTrial): void => {
    const counted = { ...(trial === undefined ? {} : { trial }), maxRows: 0, query };
    const entry = { kind: 'execute', origin: 'client', segment, run, counted } as const;
    state.sendRuns(encodeExecute({ portal: '', maxRows: 0 }), entry, isApproved);
  };
  const source = countSource(statement);
  if (allowed === undefined || !isLimited(allowed) || source.from === 'nowhere') {
    // What runs now may take long; what has been counted is told before.
    if (trials.isOpen) state.flushAnswers();
    execute();
    return undefined;
  }
  const trial = new RowTrial({
    ...{ run, allowed, source, approval, segment, query },
    isReleased: isApproved || (approval !== 'none' && approval.covered !== undefined),
  });
  trials.run(trial, 0, () => execute(trial));
  return trial;
}

/** Parse, Bind and Describe under the names that a Query makes free anyway. */
function prepare(state: StreamState, { statement, text, isShown }: SentStatement): KnownPortal {
  const { segment, codec } = state;
  const base = { origin: 'aside', segment, name: '' } as const;
  const portal: KnownPortal = {
    statement,
    bound: undefined,
    releasedUnder: undefined,
    lookupsAreCounted: false,
    formats: [],
    rows: 0,
    described: undefined,
    describedIn: undefined,
  };
  const parse = { ...base, kind: 'parse', statement } as const;
  const sql = atItsPlace(text, statement);
  state.send(encodeParse({ statement: '', sql, parameterTypes: [] }, codec), parse);
  state.statements.announce('', parse, statement);
  const bind = { ...base, kind: 'bind', portal } as const;
  const values = { parameterFormats: [], parameters: [], resultFormats: [] };
  state.send(encodeBind({ portal: '', statement: '', ...values }), bind);
  state.portals.announce('', bind, portal);
  state.send(encodeDescribe({ what: 'portal', name: '' }), {
    kind: 'describe',
    origin: isShown === true ? 'aside' : 'client',
    segment,
    statement: undefined,
    portal,
    isOfQuery: true,
  });
  return portal;
}

/** Behind as many spaces as there are characters before it: errors say where in the text they are. */
function atItsPlace(text: string, { allowed, text: own }: KnownStatement): string {
  if (own === text || allowed === undefined) return text;
  const before = new TextBytes(text).slice({ start: 0, end: allowed.analysis.start });
  return ' '.repeat([...before].length) + own;
}
