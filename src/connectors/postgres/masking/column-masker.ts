/**
 * What is done to the values of one result, column by column: masks that the verdict names,
 * detectors for the others. Rows and COPY data come in different wrappings and show the same.
 */

import { candidateBits } from '../../../masking/candidates/candidate.ts';
import { HitCandidates } from '../../../masking/candidates/hit-candidates.ts';
import type { Stretch } from '../../../masking/candidates/stretch.ts';
import type { HitCounts } from '../../../masking/detect-text.ts';
import { NOT_ASCII, writeAscii, writePartial } from '../../../masking/mask-bytes.ts';
import { FULL_MASK, HashMask, maskValue } from '../../../masking/mask-value.ts';
import type { DetectorName, MaskKind } from '../../../policy/types.ts';
import type { DocumentMask } from '../policy/facts/types.ts';
import { BINARY_FORMAT, TEXT_FORMAT } from '../protocol/format-code.ts';
import {
  candidatesIn,
  isDetectable,
  type Search,
  searchOf,
  type ValueDetector,
  valueWithoutHits,
} from './detect-value.ts';
import { JsonDocumentMasker } from './json-document.ts';
import { isBuiltInText, TYPE } from './type-oids.ts';

export interface ResultColumn {
  readonly typeOid: number;
  readonly format: 0 | 1;
  /** undefined = not masked by a rule. */
  readonly mask: MaskKind | undefined;
  /** JSON that is masked inside; `mask` is for a value that is not as it says. */
  readonly document?: DocumentMask | undefined;
  /** A value that is not masked: what the client itself has sent. */
  readonly own?: Uint8Array | undefined;
  /** Values that are not masked. */
  readonly shows?: ((text: string) => boolean) | undefined;
  /** Computed, not stored in a column: numbers are then searched for card numbers too. */
  readonly derived: boolean;
}

export interface ColumnMaskerOptions {
  readonly columns: readonly ResultColumn[];
  readonly detectors: ReadonlySet<DetectorName>;
  /** What is counted in what goes out, and changes nothing. */
  readonly observed?: ReadonlySet<DetectorName>;
  readonly hashKey: Uint8Array;
  /** Whether a type that is not built in is a plain string: citext, enums. */
  readonly isText: (typeOid: number) => boolean;
  /** Text in client_encoding; undefined where the bytes are no text. */
  readonly decode: (bytes: Uint8Array) => string | undefined;
  /** Whether client_encoding is UTF-8 (or SQL_ASCII, where it usually is). */
  readonly isUtf8: boolean;
}

const JSONB_VERSION = 1;
const NOTHING: Uint8Array = new Uint8Array(0);

type ColumnWork = 'pass' | 'mask' | 'detect';

/**
 * How a value is rewritten within its chunk. A mask's kind: it is written in place, and `null` stands
 * for whatever is no text. `search`: looked at where it lies. `value`: `replace` decides.
 */
export type InPlace = 'pass' | MaskKind | 'search' | 'value';

/** What a masker has masked and found so far. */
export interface MaskCounts {
  readonly maskedValues: number;
  readonly detected: HitCounts;
  readonly seen: HitCounts;
}

/** What `writeMask` returns where `replace` has to decide. */
export const UNDECIDED = -1;

export class ColumnMasker {
  readonly columns: readonly ResultColumn[];
  /** Columns whose values must be looked at, in order. */
  readonly busy: readonly number[];
  readonly #work: readonly ColumnWork[];
  readonly #options: ColumnMaskerOptions;
  readonly #detector: ValueDetector;
  readonly #observer: ValueDetector | undefined;
  readonly #documents: readonly (JsonDocumentMasker | undefined)[];
  /** By column. */
  readonly inPlace: readonly InPlace[];
  readonly #searches: readonly Search[];
  readonly #wanted: number;
  readonly #candidates = new HitCandidates();
  /** Of the value in hand. */
  readonly #place: Stretch = { bytes: NOTHING, start: 0, end: 0 };
  readonly #hash: HashMask;
  /** Values masked by a rule so far; NULLs are not counted, they stay NULL. */
  maskedValues = 0;
  readonly detected: HitCounts = new Map();
  /** Of `observed`: what went out. */
  readonly seen: HitCounts = new Map();

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
      candidates: this.#candidates,
    };
    const { observed } = options;
    this.#observer = observed && { ...this.#detector, detectors: observed, counts: this.seen };
    this.#hash = new HashMask(options.hashKey);
    this.#wanted = candidateBits(new Set([...options.detectors, ...(observed ?? [])]));
    this.#searches = options.columns.map(({ typeOid, format }) =>
      searchOf(typeOid, format, options.isText),
    );
    this.inPlace = options.columns.map((_, index) => this.#inPlaceOf(index));
    this.#documents = options.columns.map(({ document }) => this.#documentMasker(document));
  }

  /** No column needs work: rows may pass without being looked at. */
  get isIdle(): boolean {
    return this.busy.length === 0;
  }

  /** Adds what another masker has counted for the same result. */
  add({ maskedValues, detected, seen }: MaskCounts): void {
    this.maskedValues += maskedValues;
    addHits(this.detected, detected);
    addHits(this.seen, seen);
  }

  /** Whether the column is masked as text or JSON, so that the mask tells NULL from a value. */
  showsNull(index: number): boolean {
    const column = this.columns[index];
    if (column?.document !== undefined) return true;
    return column?.mask !== undefined && column.mask !== 'null' && this.#isText(column.typeOid);
  }

  #inPlaceOf(index: number): InPlace {
    const column = this.columns[index];
    const work = this.#work[index];
    if (column === undefined || work === 'pass') return 'pass';
    if (column.own !== undefined || column.shows !== undefined || column.document !== undefined)
      return 'value';
    if (work === 'detect') return this.#searches[index] === 'value' ? 'value' : 'search';
    return this.#isText(column.typeOid) ? (column.mask ?? 'null') : 'null';
  }

  /** Of a column that is `search`: whether `replace` might find something between the offsets. */
  mayReplace(bytes: Uint8Array, start: number, end: number, index: number): boolean {
    const place = this.#place;
    place.bytes = bytes;
    place.start = start;
    place.end = end;
    const found = candidatesIn(this.#candidates, this.#searches[index] ?? 'value', place);
    return (found & this.#wanted) !== 0;
  }

  /**
   * Writes what stands in place of the value between the offsets of `bytes`, of a column that
   * `inPlace` gives a mask other than `null`.
   * @param to has room for LONGEST_MASK bytes from `at` on.
   * @returns how many bytes it is, or UNDECIDED: nothing is written.
   */
  writeMask(place: Readonly<Stretch>, mask: MaskKind, to: Uint8Array, at: number): number {
    let length = UNDECIDED;
    if (mask === 'full') length = writeAscii(FULL_MASK, to, at);
    else if (mask === 'hash')
      length = writeAscii(this.#hash.ofBytes(place.bytes, place.start, place.end), to, at);
    else if (mask === 'partial') length = writePartial(place, to, at);
    if (length === NOT_ASCII) return UNDECIDED;
    this.maskedValues += 1;
    return length;
  }

  /**
   * @param value not NULL, in the column's own format.
   * @returns what stands in its place: null = NULL, undefined = it stays as it is.
   */
  replace(value: Uint8Array, index: number): Uint8Array | null | undefined {
    const work = this.#work[index];
    const column = this.columns[index];
    if (work === 'pass' || column === undefined) return undefined;
    const isOwn =
      (column.own !== undefined && Buffer.compare(column.own, value) === 0) ||
      this.#isShown(value, column);
    if (work === 'mask' && column.mask !== undefined && !isOwn) {
      const document = this.#maskedDocument(value, index);
      this.#observe(document, column);
      return document ?? this.#masked(value, column.mask, column.typeOid);
    }
    const { detectors } = this.#options;
    const replaced =
      detectors.size === 0
        ? undefined
        : valueWithoutHits(value, column.typeOid, column.format, this.#detector);
    this.#observe(replaced === undefined ? value : replaced, column);
    return replaced;
  }

  #isShown(value: Uint8Array, { shows, typeOid, format }: ResultColumn): boolean {
    if (shows === undefined || (format !== TEXT_FORMAT && !this.#isText(typeOid))) return false;
    const text = this.#options.decode(value);
    return text !== undefined && shows(text);
  }

  /** Counts what is in a value as it goes out. */
  #observe(value: Uint8Array | null | undefined, { typeOid, format }: ResultColumn): void {
    if (this.#observer === undefined || value === null || value === undefined) return;
    valueWithoutHits(value, typeOid, format, this.#observer);
  }

  /** @param value undefined: it is no text. */
  #masked(
    value: Uint8Array | undefined,
    mask: MaskKind,
    typeOid: number | undefined,
  ): Uint8Array | null {
    this.maskedValues += 1;
    if (value === undefined || typeOid === undefined) return null;
    const { decode } = this.#options;
    return maskValue(value, { mask, isText: this.#isText(typeOid), hash: this.#hash, decode });
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

function addHits(to: HitCounts, counts: HitCounts): void {
  for (const [name, count] of counts) to.set(name, (to.get(name) ?? 0) + count);
}

function workFor(column: ResultColumn, options: ColumnMaskerOptions): ColumnWork {
  if (column.mask !== undefined) return 'mask';
  if (options.detectors.size === 0 && options.observed === undefined) return 'pass';
  return isDetectable(column.typeOid, column.derived) ? 'detect' : 'pass';
}
