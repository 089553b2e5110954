/** What becomes certain with an answer: names, and what the statements of SQL do to them. */
import type { ProtocolEffect } from '../../policy/facts/analysis-types.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { tellEnded } from '../audit/statement-audit.ts';
import type { StreamState } from '../wire/stream-state.ts';
import { effectsOf, type KnownStatement } from './known-statement.ts';
import type { BindEntry, CloseEntry, Entry, ParseEntry, QueryEntry } from './pending-queue.ts';
import type { Run } from './run.ts';

export function confirm(state: StreamState, entry: ParseEntry | BindEntry | CloseEntry): void {
  switch (entry.kind) {
    case 'parse':
      state.statements.confirm(entry.name, entry, entry.statement);
      break;
    case 'bind':
      state.portals.confirm(entry.name, entry, entry.portal);
      break;
    case 'close':
      if (entry.what === 'statement') state.statements.confirm(entry.name, entry, undefined);
      else state.portals.confirm(entry.name, entry, undefined);
      break;
  }
}

/** The target refused or skipped it: what it announced does not happen. */
export function withdraw(state: StreamState, entry: Entry): void {
  switch (entry.kind) {
    case 'parse':
      state.statements.withdraw(entry.name, entry);
      break;
    case 'bind':
      state.portals.withdraw(entry.name, entry);
      break;
    case 'close':
      if (entry.what === 'statement') state.statements.withdraw(entry.name, entry);
      else state.portals.withdraw(entry.name, entry);
      break;
    default:
      break;
  }
}

/** @param end neither tag nor SQLSTATE: an empty text, or a portal that may be resumed. */
export function runEnded(
  state: StreamState,
  run: Run,
  end: { readonly tag?: string; readonly sqlState?: string },
): void {
  const effects = effectsOf(run.statement);
  for (const { effect } of effects) {
    state.settings.ended(effect, end.sqlState !== undefined);
  }
  if (run.portal !== undefined) run.portal.rows += run.rows;
  if (end.tag !== undefined) {
    for (const { statement, effect } of effects) {
      applyNames(state, statement, effect);
      // In a pipeline no ReadyForQuery tells, and AND CHAIN begins the next one at once.
      const { transaction } = effect;
      if (transaction === 'commit' || transaction === 'rollback')
        state.rowBudget.transactionEnded();
    }
  }
  tellEnded(state.audit, run, end);
}

function applyNames(state: StreamState, statement: KnownStatement, effect: ProtocolEffect): void {
  const { statements, portals } = state;
  if (effect.deallocate === null) statements.retain((name) => name === '');
  else if (effect.deallocate !== undefined) statements.delete(effect.deallocate);
  if (effect.closeCursor === null) portals.retain((name) => name === '');
  else if (effect.closeCursor !== undefined) portals.delete(effect.closeCursor);
  if (effect.prepare !== undefined) statements.set(effect.prepare, statement);
  if (effect.declareCursor !== undefined) {
    const formats = undefined;
    const cursor = {
      statement,
      bound: undefined,
      releasedUnder: undefined,
      // By the DECLARE that has just run.
      lookupsAreCounted: true,
      formats,
      rows: 0,
      described: undefined,
      describedIn: undefined,
    };
    portals.set(effect.declareCursor, cursor);
  }
}

function currentRun(entry: QueryEntry): Run | undefined {
  return entry.failed ? undefined : entry.runs[entry.current];
}

/** The execution that the next row, tag or error belongs to. */
export function runOf(entry: Entry | undefined): Run | undefined {
  if (entry?.kind === 'execute') return entry.run;
  return entry?.kind === 'query' ? currentRun(entry) : undefined;
}

/** The verdicts that say what may be shown of an error in answer to this message. */
export function verdictsOf(entry: Entry | undefined): readonly AllowedStatement[] {
  const found = allVerdicts(entry);
  return found.filter((allowed) => allowed !== undefined);
}

function allVerdicts(entry: Entry | undefined): readonly (AllowedStatement | undefined)[] {
  switch (entry?.kind) {
    case 'parse':
      return [entry.statement?.allowed];
    case 'bind':
      return [entry.portal?.statement.allowed];
    case 'describe':
      return [(entry.statement ?? entry.portal?.statement)?.allowed];
    case 'execute':
      return [entry.run?.statement.allowed];
    case 'query':
      return entry.runs.map((run) => run.statement.allowed);
    default:
      return [];
  }
}
