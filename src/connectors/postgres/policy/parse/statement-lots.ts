/** How many statements of a text are dealt with in one turn: fewer where there is much to say of each. */
import type { StatementAnalysis } from '../facts/analysis-types.ts';

const MAX_WEIGHT = 100;
/** Of a wide result so many parts cost as much as a statement does. */
const PARTS_PER_STATEMENT = 20;

export function statementLots<T>(
  statements: readonly T[],
  analysisOf: (statement: T) => StatementAnalysis,
): readonly (readonly T[])[] {
  const lots: T[][] = [];
  let weight = MAX_WEIGHT;
  for (const statement of statements) {
    const { outputParts = 0 } = analysisOf(statement);
    const own = 1 + Math.floor(outputParts / PARTS_PER_STATEMENT);
    if (weight + own > MAX_WEIGHT) {
      lots.push([]);
      weight = 0;
    }
    lots.at(-1)?.push(statement);
    weight += own;
  }
  return lots;
}
