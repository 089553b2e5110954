/**
 * Which texts of several statements are decided one statement after the other: those of which a
 * statement is refused for want of what an earlier one makes, and those with a write whose rows are
 * counted beside something that may commit them. All others are decided as a whole, before any of
 * it runs.
 */

import type { StatementAnalysis } from '../../policy/facts/analysis-types.ts';
import { settingEffect } from '../../policy/facts/settings-table.ts';
import type { AllowedStatement } from '../../policy/facts/types.ts';
import { mayDisturb } from '../../policy/triggers/may-disturb.ts';
import { isLimited } from '../counted/row-counts.ts';
import type { Decided } from './decide.ts';

/** Where a statement stands in its text; bytes of UTF-8. */
export type StatementRange = Pick<StatementAnalysis, 'start' | 'end'>;

/** What may stand in one pipeline with counted writes: of everything else some kinds commit within themselves. */
const MAY_STAND_BESIDE = new Set([
  ...['select', 'insert', 'update', 'delete', 'merge', 'execute', 'prepare', 'deallocate'],
  ...[
    'declare',
    'fetch',
    'close',
    'notify',
    'listen',
    'unlisten',
    'set',
    'reset',
    'show',
    'explain',
    'lock',
    'truncate',
  ],
  ...['create table', 'create table as', 'create view', 'drop table', 'comment'],
]);

/** @returns the statements, if they are to be decided one after the other. */
export function statementsInTurn(decided: Decided): readonly StatementRange[] | undefined {
  if (decided.type === 'allowed') {
    const { statements } = decided;
    return mustStandApart(statements) ? statements.map(({ analysis }) => analysis) : undefined;
  }
  if (decided.type !== 'refused') return undefined;
  const { refusal, analysis, statement } = decided.verdict;
  // What a rule denies is denied whatever the names stand for: then nothing of the text runs.
  const isPlaced = analysis[statement]?.writes.every(({ schema }) => schema !== '') ?? true;
  // Nothing may be allowed of it only because it is not known what it names.
  const isNamed = !analysis[statement]?.opaque.some(({ unsettled }) => unsettled);
  const isMissing = refusal.code === 'HOOP_NOT_ALLOWED' && !isNamed;
  if (refusal.code !== 'HOOP_UNTRACEABLE' && isPlaced && !isMissing) return undefined;
  return analysis.slice(0, statement).some(changesLaterOnes) ? analysis : undefined;
}

/** Whether a write whose rows are counted stands beside what may commit it. */
export function mustStandApart(statements: readonly AllowedStatement[]): boolean {
  return (
    statements.length > 1 &&
    statements.some(isLimited) &&
    statements.some(
      ({ analysis }) =>
        !MAY_STAND_BESIDE.has(analysis.verb) || analysis.protocol.copy !== undefined,
    )
  );
}

/** Whether what later statements mean can be another thing when this one has run. */
function changesLaterOnes({ protocol }: StatementAnalysis): boolean {
  return (
    protocol.changesCatalog ||
    mayDisturb(protocol) ||
    protocol.transaction !== undefined ||
    protocol.prepare !== undefined ||
    protocol.deallocate !== undefined ||
    protocol.declareCursor !== undefined ||
    protocol.closeCursor !== undefined ||
    protocol.execute !== undefined ||
    (protocol.settings ?? []).some(({ name }) => movesNames(name))
  );
}

function movesNames(setting: string): boolean {
  const effect = settingEffect(setting);
  return setting === '*' || setting === 'all' || effect === 'names' || effect === 'identity';
}
