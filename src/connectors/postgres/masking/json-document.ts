/**
 * Masks the values inside of a JSON document, and nothing else of it: every other byte (digits of
 * numbers, keys that stand there twice, white space) goes out as it came. What the verdict does not
 * know of the document stands for a fault in what is known of the statement, so then none of it is
 * shown.
 */

import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  isNull,
  OPEN_ARRAY,
  OPEN_OBJECT,
  skipSpace,
  stringBytes,
  stringEnd,
  valueEnd,
} from '../../../masking/json-tokens.ts';
import type { DocumentMask } from '../policy/facts/types.ts';
import { ObjectKeys } from './object-keys.ts';

export type MaskOf<T extends DocumentMask['type']> = Extract<DocumentMask, { readonly type: T }>;

export interface JsonDocumentOptions {
  readonly mask: DocumentMask;
  /** The masked form (ASCII) of a text, or of what is none (undefined); null = NULL. */
  readonly maskText: (text: Uint8Array | undefined, how: MaskOf<'value'>) => Uint8Array | null;
  /** Text in client_encoding; undefined where the bytes are no text. */
  readonly decode: (bytes: Uint8Array) => string | undefined;
  /** Looks at a stretch of whole tokens that is shown; undefined = leave it as it is. */
  readonly clean: (json: Uint8Array) => Uint8Array | undefined;
}

const NULL = Buffer.from('null');

/** For one result column. */
export class JsonDocumentMasker {
  readonly #options: JsonDocumentOptions;
  readonly #keys = new Map<DocumentMask, ObjectKeys>();
  #json: Uint8Array = NULL;
  #pieces: Uint8Array[] = [];
  /** Up to here the text is in the pieces. */
  #done = 0;

  constructor(options: JsonDocumentOptions) {
    this.#options = options;
  }

  /** @returns the new text; undefined: the document does not fit, so nothing of it may be shown. */
  rewrite(json: Uint8Array): Uint8Array | undefined {
    this.#json = json;
    this.#pieces = [];
    this.#done = 0;
    const end = this.#value(skipSpace(json, 0), this.#options.mask);
    if (end === undefined || skipSpace(json, end) !== json.length) return undefined;
    this.#pieces.push(json.subarray(this.#done));
    // Every second one is a masked value; the detectors look at what is shown.
    const { clean } = this.#options;
    return Buffer.concat(
      this.#pieces.map((piece, index) => (index % 2 === 0 ? (clean(piece) ?? piece) : piece)),
    );
  }

  /**
   * All steps return the offset behind what they have stepped over; undefined: it is not that. They
   * go as deep as the mask, which is bounded; for what is not masked depth costs nothing.
   */
  #value(at: number, mask: DocumentMask | undefined): number | undefined {
    if (mask === undefined) return valueEnd(this.#json, at);
    if (isNull(this.#json, at)) return at + 4;
    switch (mask.type) {
      case 'value':
        return this.#leaf(at, mask);
      case 'object':
        return this.#object(at, mask);
      case 'map':
        return this.#members(at, (_, value) => this.#value(value, mask.values));
      case 'array':
        return this.#elements(at, (_, value) => this.#value(value, mask.elements));
      case 'list': {
        const { elements } = mask;
        let count = 0;
        const end = this.#elements(at, (index, value) => {
          count = index + 1;
          return index < elements.length ? this.#value(value, elements[index]) : undefined;
        });
        return count === elements.length ? end : undefined;
      }
    }
  }

  #leaf(at: number, mask: MaskOf<'value'>): number | undefined {
    const end = valueEnd(this.#json, at);
    if (end === undefined) return undefined;
    const isString = stringEnd(this.#json, at) === end;
    const text = isString ? stringBytes(this.#json, at, end) : undefined;
    const masked = this.#options.maskText(text, mask);
    this.#pieces.push(
      this.#json.subarray(this.#done, at),
      masked === null ? NULL : Buffer.from(JSON.stringify(Buffer.from(masked).toString())),
    );
    this.#done = end;
    return end;
  }

  #object(at: number, mask: MaskOf<'object'>): number | undefined {
    const keys = this.#keys.get(mask) ?? new ObjectKeys(mask, this.#options.decode);
    this.#keys.set(mask, keys);
    keys.begin();
    const end = this.#members(at, (token, value) => {
      const member = keys.find(token);
      return member && this.#value(value, member.mask);
    });
    return keys.isComplete() ? end : undefined;
  }

  #members(
    at: number,
    step: (key: Uint8Array, value: number) => number | undefined,
  ): number | undefined {
    return this.#entries(at, OPEN_OBJECT, CLOSE_OBJECT, (entry) => {
      const end = stringEnd(this.#json, entry);
      if (end === undefined) return undefined;
      const colon = skipSpace(this.#json, end);
      if (this.#json[colon] !== COLON) return undefined;
      return step(this.#json.subarray(entry, end), skipSpace(this.#json, colon + 1));
    });
  }

  #elements(
    at: number,
    step: (index: number, value: number) => number | undefined,
  ): number | undefined {
    let index = -1;
    return this.#entries(at, OPEN_ARRAY, CLOSE_ARRAY, (entry) => {
      index += 1;
      return step(index, entry);
    });
  }

  #entries(
    at: number,
    open: number,
    close: number,
    step: (entry: number) => number | undefined,
  ): number | undefined {
    if (this.#json[at] !== open) return undefined;
    let offset = skipSpace(this.#json, at + 1);
    if (this.#json[offset] === close) return offset + 1;
    for (;;) {
      const end = step(offset);
      if (end === undefined) return undefined;
      offset = skipSpace(this.#json, end);
      if (this.#json[offset] === close) return offset + 1;
      if (this.#json[offset] !== COMMA) return undefined;
      offset = skipSpace(this.#json, offset + 1);
    }
  }
}
