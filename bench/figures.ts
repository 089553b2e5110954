/** What was measured: one figure for each piece of work, with a value for each lane and round. */
import { median } from './statistics.ts';

export interface Figure {
  readonly work: string;
  readonly unit: string;
  /** false: less is better, and ratios are turned round so that 1 is always "as good". */
  readonly moreIsBetter: boolean;
  readonly byLane: ReadonlyMap<string, readonly number[]>;
}

export class Figures {
  readonly #figures = new Map<string, Figure & { readonly byLane: Map<string, number[]> }>();
  readonly #progress: (text: string) => void;

  constructor(progress: (text: string) => void) {
    this.#progress = progress;
  }

  get all(): readonly Figure[] {
    return [...this.#figures.values()];
  }

  add(what: Omit<Figure, 'byLane'>, lane: string, value: number): void {
    const figure = this.#figures.get(what.work) ?? { ...what, byLane: new Map() };
    this.#figures.set(what.work, figure);
    figure.byLane.set(lane, [...(figure.byLane.get(lane) ?? []), value]);
  }

  /** One line for whoever waits: what has come out for these pieces of work. */
  tell(...works: readonly string[]): void {
    for (const work of works) {
      const figure = this.#figures.get(work);
      if (figure) {
        const lanes = [...figure.byLane].map(([lane, all]) => `${lane} ${format(median(all))}`);
        this.#progress(`${work} (${figure.unit}): ${lanes.join(', ')}`);
      }
    }
  }
}

/** Of the row about what one end of a lane spends on this work. */
export function cpuName(work: string, end: string): string {
  return `${work}: CPU time, ${end}`;
}

/** 1 = as good as the other lane; above 1 = better. Of medians. */
export function ratio(figure: Figure, lane: string, against: string): number | undefined {
  const mine = figure.byLane.get(lane);
  const theirs = figure.byLane.get(against);
  if (!mine || !theirs) {
    return undefined;
  }
  return figure.moreIsBetter ? median(mine) / median(theirs) : median(theirs) / median(mine);
}

export function format(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
