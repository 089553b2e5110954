import type { Entry } from './pending-queue.ts';

/** Of the client since the last Sync or Query: Bind, Parse and Close behind a Bind, Execute. */
export class SegmentCounts {
  binds = 0;
  renames = 0;
  runs = 0;

  sent({ kind }: Pick<Entry, 'kind'>): void {
    if (kind === 'bind') this.binds += 1;
    if ((kind === 'parse' || kind === 'close') && this.binds > 0) this.renames += 1;
    if (kind === 'execute') this.runs += 1;
  }

  reset(): void {
    this.binds = 0;
    this.renames = 0;
    this.runs = 0;
  }
}
