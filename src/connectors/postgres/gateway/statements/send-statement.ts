/** One statement of a simple Query, as messages of the extended protocol. */

import type { RowChanges } from '../../../../policy/row-changes.ts';
import {
  encodeBind,
  encodeDescribe,
  encodeExecute,
  encodeParse,
} from '../../protocol/frontend-messages.ts';
import type { CountedQuery } from '../counted/counted-query.ts';
import { countSource, isLimited } from '../counted/row-counts.ts';
import { RowTrial } from '../counted/row-trial.ts';
import { sendAside } from '../target/probe.ts';
import type { StreamState } from '../wire/stream-state.ts';
import type { KnownPortal, KnownStatement } from './known-statement.ts';
import { type Run, startRun } from './run.ts';

export interface SentStatement {
  readonly at: number;
  readonly sql: string;
  /** Characters that stand before it in the Query. */
  readonly before?: number;
  readonly statement: KnownStatement;
  readonly query: CountedQuery;
  readonly isApproved: boolean;
  /** Whether it can be approved, and what was approved already. */
  readonly approval: { readonly covered: RowChanges | undefined } | 'none';
  /** The client has the description of its result already. */
  readonly isShown?: boolean;
  /** What is known already of the execution. */
  readonly run?: Run;
}

/**
 * Begins the implicit transaction block that a Query of several statements has: LOCK, DECLARE, SET
 * LOCAL and others want one. In a pipeline the server has it from the end of the first Execute on.
 * SHOW takes no snapshot, after which SET TRANSACTION would fail.
 */
export function openBlock(state: StreamState): void {
  if (state.settings.transaction === 'failed') return;
  const unseen = (): void => undefined;
  const sql = 'SHOW server_version_num';
  sendAside(state, { sql, origin: 'aside', onRow: unseen, onEnd: unseen });
}

/** @returns undefined: it is one beside those that are counted. */
export function sendStatement(state: StreamState, sent: SentStatement): RowTrial | undefined {
  const { at, query, statement, isApproved, approval, before = 0 } = sent;
  const { allowed } = statement;
  const portal = prepare(state, sent);
  const run = sent.run ?? startRun(statement, at, state.options.grant(), portal);
  const { segment, trials } = state;
  const execute = (trial?: RowTrial): void => {
    const counted = { ...(trial === undefined ? {} : { trial }), maxRows: 0, query };
    const entry = { kind: 'execute', origin: 'client', segment, before, run, counted } as const;
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
function prepare(state: StreamState, sent: SentStatement): KnownPortal {
  const { statement, sql, isShown, before = 0 } = sent;
  const { segment, codec } = state;
  const base = { origin: 'aside', segment, before, name: '' } as const;
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
    before,
    statement: undefined,
    portal,
    isOfQuery: true,
  });
  return portal;
}
