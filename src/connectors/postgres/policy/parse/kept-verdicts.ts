/** Verdicts that are kept, by what they depend on: so many, and so much of what they say of results. */
import type { StatementAnalysis } from '../facts/analysis-types.ts';
import type { Verdict } from '../facts/types.ts';

const MAX_VERDICTS = 2000;
/** Columns, their sources and names: fifty masked results of 1,500 columns, some 90 MB. */
const MAX_PARTS = 400_000;

export class KeptVerdicts {
  readonly #verdicts = new Map<string, { readonly verdict: Verdict; readonly parts: number }>();
  #parts = 0;

  get(key: string): Verdict | undefined {
    return this.#verdicts.get(key)?.verdict;
  }

  keep(key: string, verdict: Verdict): void {
    this.#drop(key);
    const parts = partsOf(verdict);
    // It would push out all others.
    if (parts > MAX_PARTS / 2) return;
    this.#verdicts.set(key, { verdict, parts });
    this.#parts += parts;
    for (const oldest of this.#verdicts.keys()) {
      if (this.#verdicts.size <= MAX_VERDICTS && this.#parts <= MAX_PARTS) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    this.#parts -= this.#verdicts.get(key)?.parts ?? 0;
    this.#verdicts.delete(key);
  }
}

function partsOf(verdict: Verdict): number {
  const analyses =
    verdict.effect === 'allow'
      ? verdict.statements.map(({ analysis }) => analysis)
      : verdict.analysis;
  return analyses.reduce((sum, analysis) => sum + partsOfStatement(analysis), 0);
}

/** Columns, their sources and names. */
export function partsOfStatement(analysis: StatementAnalysis): number {
  const { outputParts = 0, reads, writes, columnsRead } = analysis;
  return 1 + outputParts + reads.length + writes.length + columnsRead.length;
}
