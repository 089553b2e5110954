/**
 * What is done to the values of one result, column by column: masks that the verdict names,
 * detectors for the others. Rows and COPY data come in different wrappings and show the same.
 */

import { JsonDocumentMasker } from '../../../../../src/connectors/postgres/masking/json-document.ts';
import { isBuiltInText, TYPE } from '../../../../../src/connectors/postgres/masking/type-oids.ts';
import type { DocumentMask } from '../../../../../src/connectors/postgres/policy/facts/types.ts';
import {
  BINARY_FORMAT,
  TEXT_FORMAT,
} from '../../../../../src/connectors/postgres/protocol/format-code.ts';
import type { DetectorName, MaskKind } from '../../../../../src/policy/types.ts';
import type { HitCounts } from './detect-text.ts';
import { isDetectable, type ValueDetector, valueWithoutHits } from './detect-value.ts';
import { maskValue } from './mask-value.ts';

export interface ResultColumn {
  readonly typeOid: number;
  readonly format: 0 | 1;
  /** undefined = not masked by a rule. */
  readonly mask: MaskKind | undefined;
  /** JSON that is masked inside; `mask` is for a value that is not as it says. */
  readonly document?: DocumentMask | undefined;
  /** A value that is not masked: what the client itself has sent. */
  readonly own?: Uint8Array | undefined;
  /** Computed, not stored in a column: numbers are then searched for card numbers too. */
  readonly derived: boolean;
}

export interface ColumnMaskerOptions {
  readonly columns: readonly ResultColumn[];
  readonly detectors: ReadonlySet<DetectorName>;
  readonly hashKey: Uint8Array;
  /** Whether a type that is not built in is a plain string: citext, enums. */
  readonly isText: (typeOid: number) => boolean;
  /** Text in client_encoding; undefined where the bytes are no text. */
  readonly decode: (bytes: Uint8Array) => string | undefined;
  /** Whether client_encoding is UTF-8 (or SQL_ASCII, where it usually is). */
  readonly isUtf8: boolean;
}

const JSONB_VERSION = 1;

type ColumnWork = 'pass' | 'mask' | 'detect';

export class ColumnMasker {
  readonly columns: readonly ResultColumn[];
  /** Columns whose values must be looked at, in order. */
  readonly busy: readonly number[];
  readonly #work: readonly ColumnWork[];
  readonly #options: ColumnMaskerOptions;
  readonly #detector: ValueDetector;
  readonly #documents: readonly (JsonDocumentMasker | undefined)[];
  /** Values masked by a rule so far; NULLs are not counted, they stay NULL. */
  maskedValues = 0;
  readonly detected: HitCounts = new Map();

  constructor(options: ColumnMaskerOptions) {
    this.#options = options;
    this.columns = options.columns;
    this.#work = options.columns.map((column) => workFor(column, options));
    this.busy = this.#work.flatMap((work, index) => (work === 'pass' ? [] : [index]));
    this.#detector = {
      detectors: options.detectors,
      counts: this.detected,
      isText: options.isText,
      isUtf8: options.isUtf8,
    };
    this.#documents = options.columns.map(({ document }) => this.#documentMasker(document));
  }

  /** No column needs work: rows may pass without being looked at. */
  get isIdle(): boolean {
    return this.busy.length === 0;
  }

  /** Whether the column is masked as text or JSON, so that the mask tells NULL from a value. */
  showsNull(index: number): boolean {
    const column = this.columns[index];
    if (column?.document !== undefined) return true;
    return column?.mask !== undefined && column.mask !== 'null' && this.#isText(column.typeOid);
  }

  /**
   * @param value not NULL, in the column's own format.
   * @returns what stands in its place: null = NULL, undefined = it stays as it is.
   */
  replace(value: Uint8Array, index: number): Uint8Array | null | undefined {
    const work = this.#work[index];
    const column = this.columns[index];
    if (work === 'pass' || column === undefined) return undefined;
    const isOwn = column.own !== undefined && Buffer.compare(column.own, value) === 0;
    if (work === 'mask' && column.mask !== undefined && !isOwn) {
      return this.#maskedDocument(value, index) ?? this.#masked(value, column.mask, column.typeOid);
    }
    return valueWithoutHits(value, column.typeOid, column.format, this.#detector);
  }

  /** @param value undefined: it is no text. */
  #masked(
    value: Uint8Array | undefined,
    mask: MaskKind,
    typeOid: number | undefined,
  ): Uint8Array | null {
    this.maskedValues += 1;
    if (value === undefined || typeOid === undefined) return null;
    const { hashKey: key, decode } = this.#options;
    return maskValue(value, { mask, isText: this.#isText(typeOid), key, decode });
  }

  #documentMasker(mask: DocumentMask | undefined): JsonDocumentMasker | undefined {
    if (mask === undefined) return undefined;
    const { decode, detectors } = this.#options;
    return new JsonDocumentMasker({
      mask,
      decode,
      maskText: (value, how) => this.#masked(value, how.mask, how.typeOid),
      clean: (json) =>
        detectors.size === 0
          ? undefined
          : (valueWithoutHits(json, TYPE.json, TEXT_FORMAT, this.#detector) ?? undefined),
    });
  }

  /** @returns undefined where the value is no document of that shape: then all of it is masked. */
  #maskedDocument(value: Uint8Array, index: number): Uint8Array | undefined {
    const column = this.columns[index];
    const before = this.maskedValues;
    // The binary form of jsonb is one version byte and the text.
    const isVersioned = column?.typeOid === TYPE.jsonb && column.format === BINARY_FORMAT;
    const text = isVersioned ? value.subarray(1) : value;
    const isKnown = !isVersioned || value[0] === JSONB_VERSION;
    const result = isKnown ? this.#documents[index]?.rewrite(text) : undefined;
    if (result === undefined) {
      this.maskedValues = before;
      return undefined;
    }
    return isVersioned ? Buffer.concat([value.subarray(0, 1), result]) : result;
  }

  /** A name made from data is data too: of a header line. It counts as no value. */
  replaceName(name: Uint8Array): Uint8Array | undefined {
    const { detectors } = this.#options;
    if (detectors.size === 0) return undefined;
    const how = { ...this.#detector, counts: new Map() };
    return valueWithoutHits(name, TYPE.text, 0, how) ?? undefined;
  }

  #isText(typeOid: number): boolean {
    return isBuiltInText(typeOid) || this.#options.isText(typeOid);
  }
}

function workFor(column: ResultColumn, options: ColumnMaskerOptions): ColumnWork {
  if (column.mask !== undefined) return 'mask';
  if (options.detectors.size === 0) return 'pass';
  return isDetectable(column.typeOid, column.derived) ? 'detect' : 'pass';
}
