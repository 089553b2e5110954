import type { StatementFacts } from '../../../../recording/formats/types.ts';
import { NOTHING_KNOWN } from '../results/statement-columns.ts';

/** An event is one frame of the recording, of a megabyte. Of what has more names nothing is known there. */
const MAX_FACTS_BYTES = 768 * 1024;
const MAX_KEPT = 2000;
/** Characters of all that is kept: of wide tables a short text has as many as an event can hold. */
const MAX_KEPT_LENGTH = 16 * 1024 * 1024;

/** Facts that are alike are one object, whatever verdict they came with: they are written once. */
export class AlikeFacts {
  readonly #known = new Map<string, StatementFacts>();
  #length = 0;

  of(told: StatementFacts): StatementFacts {
    const whole = JSON.stringify(told);
    const fits = Buffer.byteLength(whole) <= MAX_FACTS_BYTES;
    const facts = fits ? told : { ...NOTHING_KNOWN, looked: told.looked, unknown: unknownOf(told) };
    const text = fits ? whole : JSON.stringify(facts);
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    if (this.#known.size >= MAX_KEPT || this.#length + text.length > MAX_KEPT_LENGTH) {
      this.#known.clear();
      this.#length = 0;
    }
    this.#known.set(text, facts);
    this.#length += text.length;
    return facts;
  }
}

function unknownOf({ asked }: StatementFacts): StatementFacts['unknown'] {
  return asked.length > 0 ? ['asked'] : NOTHING_KNOWN.unknown;
}
