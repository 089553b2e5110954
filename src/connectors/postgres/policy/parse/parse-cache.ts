/** What became of texts that came before, those that were asked for last. */
import { BROKEN, NO_THREAD, type ParseOutcome } from './parse-outcome.ts';

/** Bytes of SQL and of tree JSON in the cache. */
const MAX_CACHE_BYTES = 32 * 1024 * 1024;
const MAX_CACHED_TREE_BYTES = 512 * 1024;

export class ParseCache {
  readonly #outcomes = new Map<string, { outcome: ParseOutcome; bytes: number }>();
  #bytes = 0;

  get(text: string): ParseOutcome | undefined {
    const cached = this.#outcomes.get(text);
    if (cached === undefined) return undefined;
    // Most recently used last.
    this.#outcomes.delete(text);
    this.#outcomes.set(text, cached);
    return cached.outcome;
  }

  remember(text: string, outcome: ParseOutcome, jsonBytes: number): void {
    // Two who ask at once are both answered; one of the answers is kept.
    const isOfText = outcome !== BROKEN && outcome !== NO_THREAD;
    if (!isOfText || jsonBytes > MAX_CACHED_TREE_BYTES || this.#outcomes.has(text)) return;
    // A parsed tree takes several times its JSON.
    const bytes = text.length * 2 + jsonBytes * 6 + 200;
    this.#outcomes.set(text, { outcome, bytes });
    this.#bytes += bytes;
    for (const [oldest, entry] of this.#outcomes) {
      if (this.#bytes <= MAX_CACHE_BYTES) {
        return;
      }
      this.#outcomes.delete(oldest);
      this.#bytes -= entry.bytes;
    }
  }
}
