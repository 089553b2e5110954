/** Rows and COPY data rewritten within chunks, against what went over them one by one. */
import { describe, expect, test } from 'vitest';
import {
  ColumnMasker,
  type ColumnMaskerOptions,
  type ResultColumn,
} from '../../../../src/connectors/postgres/masking/column-masker.ts';
import { CopyRewriter } from '../../../../src/connectors/postgres/masking/copy-rewriter.ts';
import {
  type CopyScannerOptions,
  createCopyScanner,
} from '../../../../src/connectors/postgres/masking/copy-scanner.ts';
import { RowMasker } from '../../../../src/connectors/postgres/masking/row-masker.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import { encodeDataRow } from '../../../../src/connectors/postgres/protocol/backend-messages.ts';
import { encodeCopyData } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { MessageScanner } from '../../../../src/connectors/postgres/protocol/message-scanner.ts';
import { ProtocolError } from '../../../../src/errors.ts';
import type { DetectorName, MaskKind } from '../../../../src/policy/types.ts';
import { Maker, seeded } from './made-values.ts';
import { ColumnMasker as OracleColumnMasker } from './oracle/column-masker.ts';
import { CopyRewriter as OracleCopyRewriter } from './oracle/copy-rewriter.ts';
import { createCopyScanner as oracleCopyScanner } from './oracle/copy-scanner.ts';
import { RowMasker as OracleRowMasker } from './oracle/row-masker.ts';

const DATA_ROW = 0x44;
const COPY_DATA = 0x64;
const NOTICE = 0x4e;
const ROW_DESCRIPTION = 0x54;
const ROUNDS = Number(process.env['HOOP_FUZZ_ROUNDS'] ?? 60);
const SEED = Number(process.env['HOOP_FUZZ_SEED'] ?? 42);

const random = seeded(SEED);
const maker = new Maker(random);
const below = (limit: number): number => Math.floor(random() * limit);
function pick<T>(values: readonly T[]): T {
  const value = values[below(values.length)];
  if (value === undefined) throw new RangeError('nothing to pick from');
  return value;
}

interface Rewriter {
  readonly maskedValues: number;
  readonly detected: ReadonlyMap<DetectorName, number>;
  rewrite(message: Uint8Array): Uint8Array | undefined;
  rewriteRows?(
    chunk: Uint8Array,
    from: number,
    maxRows: number,
  ): { readonly end: number; readonly rows: number; readonly pieces: readonly Uint8Array[] };
}

interface Outcome {
  readonly out: string;
  readonly fault: string | undefined;
  readonly counts: readonly unknown[];
}

/** All that the client would get; each RowDescription begins the next result. */
function deliver(chunks: readonly Uint8Array[], rewriters: readonly Rewriter[]): Outcome {
  const out: Uint8Array[] = [];
  let current = 0;
  const rewriter = (): Rewriter => {
    const one = rewriters[current];
    if (one === undefined) throw new RangeError('a result too many');
    return one;
  };
  const scanner = new MessageScanner({
    decide: (type) => (type === DATA_ROW || type === COPY_DATA ? 'run' : 'whole'),
    maxWholeLength: 10_000_000,
    run: (bytes) => {
      const done = rewriter().rewriteRows?.(bytes, 0, Number.POSITIVE_INFINITY);
      out.push(...(done?.pieces ?? []));
      return done?.end ?? 0;
    },
  });
  let fault: string | undefined;
  try {
    for (const chunk of chunks) {
      scanner.push(chunk, (item) => {
        const type = item.bytes[0];
        if (type === ROW_DESCRIPTION) current += 1;
        const isRow = type === DATA_ROW || type === COPY_DATA;
        const bytes = isRow ? rewriter().rewrite(item.bytes) : item.bytes;
        if (bytes !== undefined) out.push(bytes);
      });
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    fault = error.message;
  }
  const counts = rewriters.map(({ maskedValues, detected }) => [
    maskedValues,
    [...detected].sort(),
  ]);
  return { out: Buffer.concat(out).toString('latin1'), fault, counts: fault ? [] : counts };
}

function optionsFor(columns: readonly ResultColumn[]): ColumnMaskerOptions {
  const all = ['card', 'ssn', 'email', 'iban', 'jwt', 'url-password'] as const;
  return {
    columns,
    detectors: new Set(random() < 0.5 ? [] : all.filter(() => random() < 0.7)),
    hashKey: new Uint8Array(32).fill(9),
    isText: () => false,
    decode: (bytes) => {
      const text = Buffer.from(bytes).toString();
      return text.includes('\ufffd') ? undefined : text;
    },
    isUtf8: random() < 0.8,
  };
}

function column(format: 0 | 1): ResultColumn {
  const mask: MaskKind | undefined =
    random() < 0.5 ? undefined : pick(['full', 'partial', 'hash', 'null'] as const);
  const typeOid = pick([
    TYPE.text,
    TYPE.text,
    TYPE.varchar,
    TYPE.int4,
    TYPE.jsonb,
    TYPE.bytea,
    TYPE.int8,
    1009,
  ]);
  const own = random() < 0.05 ? Buffer.from('own') : undefined;
  return { typeOid, format, mask, derived: random() < 0.5, ...(own && { own }) };
}

function value(): Uint8Array | null {
  const kind = below(12);
  if (kind === 0) return null;
  if (kind === 1) return Buffer.alloc(0);
  if (kind === 2) return Buffer.from('own');
  if (kind === 3)
    return Buffer.from(
      pick([
        'a',
        'ann.lee@mail.example',
        ' ann@b.co ',
        '4539 1488 0343 6467',
        '123456',
        'jürgen@müller.example',
        '\tx123456',
        '@.co',
        'a@b.c1',
        'é',
        '\u{1f4b3}abcdef',
      ]),
    );
  if (kind === 4 && random() < 0.1) return Buffer.alloc(30_000 + below(100_000), 'x');
  return maker.value().value;
}

/**
 * Every other piece of much data is up to a hundredth of it, however short the others are: a row that
 * has begun is read again with each piece, and 100,000 pieces of it would prove no more.
 */
function split(bytes: Uint8Array): Uint8Array[] {
  const most = pick([3, 50, 700, 5000, bytes.length + 1]);
  const longest = bytes.length < 20_000 ? most : Math.max(most, Math.floor(bytes.length / 100));
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + below(chunks.length % 2 === 0 ? most : longest);
    const end = Math.min(bytes.length, at + length);
    chunks.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return chunks;
}

const notice = Buffer.from([NOTICE, 0, 0, 0, 5, 0]);
const description = Buffer.from([ROW_DESCRIPTION, 0, 0, 0, 6, 0, 0]);

test('random results come out as they did row by row, wherever they are cut', () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const results = Array.from({ length: 1 + below(4) }, () => {
      const format = pick([0, 1] as const);
      return optionsFor(Array.from({ length: below(7) }, () => column(format)));
    });
    const messages = results.flatMap(({ columns }, index) => {
      const rows = Array.from({ length: below(30) }, () =>
        random() < 0.05 ? notice : encodeDataRow({ values: columns.map(() => value()) }),
      );
      return index === 0 ? rows : [description, ...rows];
    });
    const bytes = Buffer.concat(messages);
    if (random() < 0.3 && bytes.length > 20) bytes[below(Math.min(bytes.length, 400))] = below(256);
    const chunks = split(bytes);
    let expected: Outcome;
    try {
      expected = deliver(
        chunks,
        results.map((options) => new OracleRowMasker(options)),
      );
    } catch {
      // The damage made a length that the scanner refuses, or a message that begins no result.
      continue;
    }
    const outcome = deliver(
      chunks,
      results.map((options) => new RowMasker(options)),
    );
    expect(outcome, `round ${round}, seed ${SEED}`).toEqual(expected);
  }
});

test('a row cut at every byte', () => {
  const options = optionsFor([
    { typeOid: TYPE.text, format: 0, mask: 'partial', derived: false },
    { typeOid: TYPE.text, format: 0, mask: undefined, derived: false },
    { typeOid: TYPE.text, format: 0, mask: 'null', derived: false },
  ]);
  const row = encodeDataRow({
    values: [Buffer.from('ann.lee@mail.example'), Buffer.from('4539148803436467'), null],
  });
  const bytes = Buffer.concat([row, row, notice, row]);
  const expected = deliver([bytes], [new OracleRowMasker(options)]);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
    expect(deliver(chunks, [new RowMasker(options)]), `cut at ${cut}`).toEqual(expected);
  }
  const single = Array.from(bytes, (byte) => Buffer.of(byte));
  expect(deliver(single, [new RowMasker(options)])).toEqual(expected);
});

describe('a chunk', () => {
  const masked = (mask: MaskKind, columns = 1): RowMasker =>
    new RowMasker({
      ...optionsFor(
        Array.from({ length: columns }, () => ({
          typeOid: TYPE.text,
          format: 0,
          mask,
          derived: false,
        })),
      ),
      detectors: new Set(),
    });
  const rowOf = (...values: string[]): Uint8Array =>
    encodeDataRow({ values: values.map((text) => Buffer.from(text)) });

  test('masks that are far longer than values come in pieces that hold no more than the chunk', () => {
    const count = 5000;
    const chunk = Buffer.concat(Array.from({ length: count }, () => rowOf('', '', '')));
    const { pieces, rows, end } = masked('hash', 3).rewriteRows(chunk, 0, Number.POSITIVE_INFINITY);
    expect({ rows, end }).toEqual({ rows: count, end: chunk.length });
    expect(pieces.length).toBeGreaterThan(1);
    for (const piece of pieces) expect(piece.buffer.byteLength).toBeLessThan(3 * chunk.length);
    const oracle = new OracleRowMasker({
      ...optionsFor([]),
      columns: Array.from({ length: 3 }, () => ({
        typeOid: TYPE.text,
        format: 0,
        mask: 'hash',
        derived: false,
      })),
      detectors: new Set(),
    });
    const one = Buffer.from(oracle.rewrite(rowOf('', '', '')));
    expect(
      Buffer.concat(pieces).equals(Buffer.concat(Array.from({ length: count }, () => one))),
    ).toBe(true);
  });

  test('what has been given out does not change when the next chunk comes', () => {
    const masker = masked('full');
    const first = masker.rewriteRows(rowOf('one'), 0, 1).pieces;
    const before = Buffer.concat(first);
    for (let count = 0; count < 100; count += 1) masker.rewriteRows(rowOf(`row ${count}`), 0, 1);
    expect(Buffer.concat(first).equals(before)).toBe(true);
  });

  test('a limit of rows stops within it, to the row', () => {
    const row = rowOf('secret');
    const chunk = Buffer.concat([row, row, row, row]);
    const masker = masked('full');
    const { end, rows, pieces } = masker.rewriteRows(chunk, 0, 3);
    expect({ end, rows }).toEqual({ end: 3 * row.length, rows: 3 });
    expect(
      Buffer.concat(pieces).equals(Buffer.concat([rowOf('****'), rowOf('****'), rowOf('****')])),
    ).toBe(true);
    expect(masker.maskedValues).toBe(3);
    expect(masker.rewriteRows(chunk, end, 0)).toMatchObject({ end, rows: 0, pieces: [] });
  });

  test('nothing of a damaged row is given out, and all before it is', () => {
    const good = rowOf('secret');
    for (let at = 1; at < good.length; at += 1) {
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
        if (at >= 11 || good[at] === byte) continue;
        const bad = Uint8Array.from(good);
        bad[at] = byte;
        const masker = masked('full');
        const { end, pieces } = masker.rewriteRows(Buffer.concat([good, bad]), 0, 9);
        expect({ at, byte, end }).toEqual({ at, byte, end: good.length });
        expect(Buffer.concat(pieces).toString('latin1')).toBe(
          Buffer.from(rowOf('****')).toString('latin1'),
        );
      }
    }
  });

  test('rows without columns, and rows in which nothing changes, are views of it', () => {
    const chunk = Buffer.concat([encodeDataRow({ values: [] }), encodeDataRow({ values: [] })]);
    const empty = new RowMasker({ ...optionsFor([]), detectors: new Set(['card']) });
    const { pieces } = empty.rewriteRows(chunk, 0, 9);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]?.buffer).toBe(chunk.buffer);
  });

  test.each([1, 100, 65_536, 1_048_576])('values of %i bytes', (length) => {
    const text = 'v'.repeat(length);
    for (const mask of ['full', 'partial', 'hash', 'null'] as const) {
      const options = {
        ...optionsFor([]),
        columns: [
          { typeOid: TYPE.text, format: 0, mask, derived: false },
          { typeOid: TYPE.text, format: 0, mask: undefined, derived: false },
        ] as const,
        detectors: new Set<DetectorName>(['email']),
      };
      const row = encodeDataRow({ values: [Buffer.from(text), Buffer.from(`${text} a@b.co`)] });
      const expected = deliver([row, row], [new OracleRowMasker(options)]);
      expect(deliver([Buffer.concat([row, row])], [new RowMasker(options)])).toEqual(expected);
    }
  });
});

test('random COPY data comes out as it did message by message, wherever it is cut', () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const format = pick(['text', 'csv', 'binary'] as const);
    const options = optionsFor(
      Array.from({ length: 1 + below(5) }, () => column(format === 'binary' ? 1 : 0)),
    );
    const spelling = Buffer.from(pick(format === 'csv' ? ['', 'NIL', '****'] : ['\\N', '', 'NIL']));
    const lines: CopyScannerOptions = {
      format,
      columns: options.columns.length,
      delimiter: pick(format === 'csv' ? [',', ';', '*'] : ['\t', '|', '*', '@']),
      quote: pick(['"', "'"]),
      escape: pick(['"', '\\']),
      serverNull: format === 'text' && random() < 0.2 ? Buffer.from('\\N') : spelling,
      clientNull: spelling,
      hasHeader: format !== 'binary' && random() < 0.3,
      forceQuote: options.columns.map(() => random() < 0.2),
    };
    const messages = copyMessages(lines);
    const bytes = Buffer.concat(messages);
    const chunks = split(bytes);
    const common = {
      maxRowBytes: 1_000_000,
      tooLarge: (length: number) => new RangeError(`${length}`),
    };
    const maxRows = random() < 0.3 ? below(10) : Number.POSITIVE_INFINITY;
    const oracle = new OracleCopyRewriter({
      ...common,
      maxRows,
      scanner: oracleCopyScanner(lines),
      masker: new OracleColumnMasker(options),
    });
    const copy = new CopyRewriter({
      ...common,
      maxRows,
      scanner: createCopyScanner(lines),
      masker: new ColumnMasker(options),
    });
    const expected = deliver(chunks, [oracle]);
    expect(
      deliver(chunks, [copy]),
      `round ${round}, seed ${SEED}, ${JSON.stringify(lines)}`,
    ).toEqual(expected);
    expect({ rows: copy.rows, isOverLimit: copy.isOverLimit }).toEqual({
      rows: oracle.rows,
      isOverLimit: oracle.isOverLimit,
    });
  }
});

/** A row in each message, mostly; now and then parts of rows, several, or what no server writes. */
function copyMessages(lines: CopyScannerOptions): Uint8Array[] {
  // The encoders of what came before write what a server writes.
  const scanner = oracleCopyScanner({ ...lines, clientNull: lines.serverNull });
  const rows: Uint8Array[] = Array.from({ length: below(25) }, () => {
    const fields = Array.from({ length: lines.columns + (random() < 0.005 ? 1 : 0) }, (_, index) =>
      scanner.encode(value(), index),
    );
    return lines.format === 'binary'
      ? Buffer.concat([int16(fields.length), ...fields])
      : Buffer.concat([
          ...fields.flatMap((field, index) =>
            index === 0 ? [field] : [Buffer.from(lines.delimiter), field],
          ),
          Buffer.from('\n'),
        ]);
  });
  if (lines.format === 'binary') {
    rows.unshift(Buffer.from(`PGCOPY\n\xff\r\n\0${'\0'.repeat(8)}`, 'latin1'));
    if (random() < 0.8) rows.push(int16(-1));
  }
  const style = below(4);
  if (style === 0) {
    const all = Buffer.concat(rows);
    return split(all).map((data) => encodeCopyData({ data }));
  }
  if (style === 1 && rows.length > 2) {
    return [Buffer.concat(rows.slice(0, 2)), ...rows.slice(2)].map((data) =>
      encodeCopyData({ data }),
    );
  }
  return rows.map((data) => encodeCopyData({ data }));
}

function int16(number: number): Buffer {
  return Buffer.of((number >> 8) & 0xff, number & 0xff);
}
