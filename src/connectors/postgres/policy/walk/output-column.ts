/** What is known of a result column: where its value comes from, and what is in it if it is JSON. */

import { concreteType } from '../calls/function-types.ts';
import type { DocumentFact, OutputColumn, ValueFact } from '../facts/analysis-types.ts';
import { constant, type Lineage, type NamedLineage } from '../facts/lineage.ts';
import { columnFacts, type StatementFacts } from '../facts/statement-facts.ts';
import { asJson, documentType } from '../json/json-functions.ts';
import type { JsonContent, JsonShape } from '../json/json-shape.ts';

export function outputOf(facts: StatementFacts, column: NamedLineage): OutputColumn {
  const { lineage } = column;
  const value = valueFact(facts, lineage);
  // A row or an array is no JSON, though to_json() would make some of it.
  const shape = documentType({}, value.typeOid) ? lineage.document : undefined;
  const document = shape && new Expansion(facts).document(shape);
  return { name: column.name, ...value, ...(document ? { document } : {}) };
}

function valueFact(facts: StatementFacts, { identity, type, origins }: Lineage): ValueFact {
  const sources = columnFacts(origins);
  const others = identity ? sources.filter((source) => source !== identity.fact) : sources;
  return {
    kind: identity ? 'identity' : 'derived',
    sources: identity ? [identity.fact, ...others] : others,
    // RowDescription names the type behind a domain.
    typeOid: type === undefined ? undefined : concreteType(facts, type),
    tied: facts.tiedTo(origins),
  };
}

/** Rows can have the same row in them twice, which has another one twice, and so on. */
const MAX_PLACES = 5000;
const MAX_DEPTH = 64;

/** Thrown when a document has more places than that: then it counts as one value. */
class TooLarge extends Error {}

class Expansion {
  readonly #facts: StatementFacts;
  #places = 0;

  constructor(facts: StatementFacts) {
    this.#facts = facts;
  }

  /** @returns undefined where it is too large. */
  document(shape: JsonShape): DocumentFact | undefined {
    try {
      return this.#expand(shape, 0, false);
    } catch (error) {
      if (error instanceof TooLarge) return undefined;
      throw error;
    }
  }

  #expand(shape: JsonShape, depth: number, inStripped: boolean): DocumentFact {
    const isStripped = inStripped || shape.isStripped === true;
    this.#places += 1;
    if (this.#places > MAX_PLACES || depth > MAX_DEPTH) {
      throw new TooLarge();
    }
    const { content } = shape;
    return {
      around: valueFact(this.#facts, { ...constant(), origins: shape.around }),
      content: this.#content(content, depth + 1, isStripped),
      leavesOutNull:
        ('leavesOutNull' in content && content.leavesOutNull) ||
        (isStripped && (content.type === 'object' || content.type === 'map')),
    };
  }

  #content(content: JsonContent, depth: number, isStripped: boolean): DocumentFact['content'] {
    const inside = (lineage: Lineage): DocumentFact =>
      this.#expand(asJson(this.#facts, lineage), depth, isStripped);
    switch (content.type) {
      case 'null':
        return { type: 'value', value: valueFact(this.#facts, constant()) };
      case 'value':
        return { type: 'value', value: valueFact(this.#facts, content.value) };
      case 'object': {
        const members = content.members.map((member) => ({
          key: member.name,
          value: inside(member.lineage),
          optional: member.optional || content.leavesOutNull || isStripped,
        }));
        return { type: 'object', members };
      }
      case 'map':
        return { type: 'map', values: inside(content.values) };
      case 'array':
        return { type: 'array', elements: inside(content.elements) };
      case 'list':
        return { type: 'list', elements: content.elements.map(inside) };
    }
  }
}
