/** Which places of a JSON document are masked, and how. */

import type { ColumnFact, DocumentFact, OutputColumn, ValueFact } from '../facts/analysis-types.ts';
import type { DocumentMask, OutputMask } from '../facts/types.ts';
import type { MaskIndex } from './mask-index.ts';

/** The mask of one value, in JSON or not. */
export type ValueMask = (value: ValueFact, masks: MaskIndex) => OutputMask | undefined;

type MaskedValue = Extract<DocumentMask, { readonly type: 'value' }>;

/** Types of which a mask other than `null` shows whether a value is NULL. */
const TEXT: ReadonlySet<number | undefined> = new Set([19, 25, 1042, 1043]);

/** @returns undefined where the places of the document cannot be masked one by one. */
export function documentMask(
  output: OutputColumn,
  masks: MaskIndex,
  valueMask: ValueMask,
): DocumentMask | undefined {
  if (!output.document) {
    return undefined;
  }
  const places = new Places(masks, valueMask);
  const mask = places.maskAt(output.document);
  if (!mask || (mask.type === 'value' && !TEXT.has(mask.typeOid))) {
    return undefined;
  }
  // What reaches the output reaches some place of it; if not, there is more to it than was followed.
  const isExplained = [...output.sources, ...(output.tied ?? [])].every(
    (column) => masks.of(column) === undefined || places.seen.has(keyOf(column)),
  );
  return isExplained ? mask : undefined;
}

class Places {
  /** Masked columns that some place accounts for. */
  readonly seen = new Set<string>();
  readonly #masks: MaskIndex;
  readonly #valueMask: ValueMask;

  constructor(masks: MaskIndex, valueMask: ValueMask) {
    this.#masks = masks;
    this.#valueMask = valueMask;
  }

  maskAt(fact: DocumentFact): DocumentMask | undefined {
    const around = this.#valueAt(fact.around);
    const inside = this.#inside(fact.content);
    if (around) {
      return around;
    }
    const hidden = fact.leavesOutNull && inside ? hiddenNull(inside) : undefined;
    return hidden ? { ...hidden, mask: 'null', typeOid: undefined } : inside;
  }

  #inside(content: DocumentFact['content']): DocumentMask | undefined {
    switch (content.type) {
      case 'value':
        return this.#valueAt(content.value);
      case 'object': {
        const members = content.members.map(({ key, value, optional }) => {
          return { key, optional, mask: this.maskAt(value) };
        });
        return members.some(({ mask }) => mask) ? { type: 'object', members } : undefined;
      }
      case 'map': {
        const values = this.maskAt(content.values);
        return values && { type: 'map', values };
      }
      case 'array': {
        const elements = this.maskAt(content.elements);
        return elements && { type: 'array', elements };
      }
      case 'list': {
        const elements = content.elements.map((element) => this.maskAt(element));
        return elements.some((mask) => mask) ? { type: 'list', elements } : undefined;
      }
    }
  }

  #valueAt(value: ValueFact): MaskedValue | undefined {
    const found = this.#valueMask(value, this.#masks);
    if (!found) {
      return undefined;
    }
    for (const column of found.columns) {
      this.seen.add(keyOf(column));
    }
    const { mask, columns, rule } = found;
    return { type: 'value', mask, columns, rule, typeOid: value.typeOid };
  }
}

/** A value right in the object or array of which a mask would hide whether it is NULL. */
function hiddenNull(mask: DocumentMask): MaskedValue | undefined {
  for (const inner of innerMasks(mask)) {
    if (inner?.type === 'value' && (inner.mask === 'null' || !TEXT.has(inner.typeOid))) {
      return inner;
    }
  }
  return undefined;
}

function innerMasks(mask: DocumentMask): readonly (DocumentMask | undefined)[] {
  switch (mask.type) {
    case 'value':
      return [];
    case 'object':
      return mask.members.map((member) => member.mask);
    case 'map':
      return [mask.values];
    case 'array':
      return [mask.elements];
    case 'list':
      return mask.elements;
  }
}

function keyOf({ oid, attnum, column }: ColumnFact): string {
  return JSON.stringify([oid, attnum, column]);
}
