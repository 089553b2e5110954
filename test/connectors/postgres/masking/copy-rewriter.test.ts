import { describe, expect, test } from 'vitest';
import {
  ColumnMasker,
  type ResultColumn,
} from '../../../../src/connectors/postgres/masking/column-masker.ts';
import { CopyRewriter } from '../../../../src/connectors/postgres/masking/copy-rewriter.ts';
import {
  type CopyScannerOptions,
  createCopyScanner,
} from '../../../../src/connectors/postgres/masking/copy-scanner.ts';
import { isAmbiguousNull } from '../../../../src/connectors/postgres/masking/copy-text.ts';
import { TYPE } from '../../../../src/connectors/postgres/masking/type-oids.ts';
import { encodeCopyData } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import { ProtocolError } from '../../../../src/errors.ts';
import type { DetectorName, MaskKind } from '../../../../src/policy/types.ts';

const CARD = '4539148803436467';
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

interface Copy extends Partial<Omit<CopyScannerOptions, 'serverNull' | 'clientNull'>> {
  readonly masks: readonly (MaskKind | undefined)[];
  readonly types?: readonly number[];
  readonly detectors?: readonly DetectorName[];
  readonly null?: string;
  readonly serverNull?: string;
  readonly maxRows?: number;
}

function rewriter(copy: Copy): CopyRewriter {
  const format = copy.format ?? 'text';
  const clientNull = copy.null ?? (format === 'csv' ? '' : '\\N');
  const columns = copy.masks.map(
    (mask, index): ResultColumn => ({
      typeOid: copy.types?.[index] ?? TYPE.text,
      format: format === 'binary' ? 1 : 0,
      mask,
      derived: false,
    }),
  );
  return new CopyRewriter({
    scanner: createCopyScanner({
      format,
      columns: columns.length,
      delimiter: copy.delimiter ?? (format === 'csv' ? ',' : '\t'),
      quote: copy.quote ?? '"',
      escape: copy.escape ?? copy.quote ?? '"',
      serverNull: bytes(copy.serverNull ?? clientNull),
      clientNull: bytes(clientNull),
      hasHeader: copy.hasHeader ?? false,
      forceQuote: copy.forceQuote ?? [],
    }),
    masker: new ColumnMasker({
      columns,
      detectors: new Set(copy.detectors ?? []),
      hashKey: new Uint8Array(32),
      isText: () => false,
      decode: (value) => Buffer.from(value).toString(),
      isUtf8: true,
    }),
    maxRows: copy.maxRows ?? Number.POSITIVE_INFINITY,
    maxRowBytes: 100,
    tooLarge: (length) => new RangeError(`${length}`),
  });
}

const message = (data: string): Uint8Array => encodeCopyData({ data: bytes(data) });
const dataOf = (out: Uint8Array | undefined): string =>
  out === undefined ? '' : Buffer.from(out.subarray(5)).toString('latin1');

/** What comes out, the same however the data is cut into messages. */
function through(copy: Copy, data: string): string {
  const whole = rewriter(copy);
  const expected = dataOf(whole.rewrite(message(data)));
  whole.end();
  for (let cut = 0; cut <= data.length; cut += 1) {
    const parts = rewriter(copy);
    const first = dataOf(parts.rewrite(message(data.slice(0, cut))));
    const second = dataOf(parts.rewrite(message(data.slice(cut))));
    parts.end();
    expect(first + second, `cut at ${cut}`).toBe(expected);
  }
  const single = rewriter(copy);
  expect([...data].map((byte) => dataOf(single.rewrite(message(byte)))).join('')).toBe(expected);
  return expected;
}

describe('text', () => {
  test('masks whole values, and NULL stays NULL', () => {
    const copy = { masks: [undefined, 'full'] } as const;
    expect(through(copy, '1\tsecret\n2\t\\N\n3\t\n')).toBe('1\t****\n2\t\\N\n3\t****\n');
  });

  test('an empty value in the first column is masked', () => {
    expect(through({ masks: ['full'] }, '\na\n')).toBe('****\n****\n');
  });

  test('a value that holds escaped delimiters, newlines and backslashes is one value', () => {
    const copy = { masks: ['full', undefined], delimiter: '|' } as const;
    expect(through(copy, 'a\\|b\\nc\\\\\\N|x\\|y\n')).toBe('****|x\\|y\n');
  });

  test('the mask is escaped for the delimiter of the client', () => {
    const copy = { masks: ['full', undefined], delimiter: '*' } as const;
    expect(through(copy, 'secret*x\n')).toBe('\\*\\*\\*\\**x\n');
  });

  test('a partial mask sees the value without escapes', () => {
    expect(through({ masks: ['partial'] }, 'q\\twerty uiop\n')).toBe('q***\n');
    expect(through({ masks: ['partial'], delimiter: '@' }, 'ann.lee\\@example.com\n')).toBe(
      'a***\\@***.com\n',
    );
  });

  test('what is no text becomes NULL as the client spells it', () => {
    const copy = { masks: ['full', 'null'], types: [TYPE.int4], null: '~', serverNull: '\\N' };
    expect(through(copy as Copy, '7\tx\n\\N\t~\n')).toBe('~\t~\n~\t~\n');
  });

  test('another spelling of NULL goes to all columns', () => {
    const copy: Copy = { masks: [undefined, 'full'], null: 'x', serverNull: '\\N' };
    expect(through(copy, '\\N\tx\nx\t\\N\n')).toBe('x\t****\nx\tx\n');
  });

  test('detectors see the value without escapes, and the rest of it comes out as it was', () => {
    const copy: Copy = { masks: [undefined, undefined], detectors: ['card'] };
    expect(through(copy, `a\\tb ${CARD} c\\nd\te\n`)).toBe('a\\tb [card] c\\nd\te\n');
    const seven: Copy = { ...copy, delimiter: '-' };
    expect(through(seven, '4539\\-1488\\-0343\\-6467-e\n')).toBe('[card]-e\n');
  });

  test('a header names columns: nothing is masked in it, and detectors look at it', () => {
    const copy: Copy = { masks: ['full', 'full'], hasHeader: true, detectors: ['card'] };
    const out = through(copy, `name\tc${CARD}\nsecret\t\\N\n`);
    expect(out).toBe('name\tc[card]\n****\t\\N\n');
  });

  test('an array with a masked element type and a JSON document are rewritten as rows are', () => {
    const copy: Copy = {
      masks: [undefined, undefined],
      types: [1009, TYPE.jsonb],
      detectors: ['card'],
    };
    expect(through(copy, `{a,"b ${CARD}"}\t{"a": "\\\\n${CARD}"}\n`)).toBe(
      '{a,"b [card]"}\t{"a": "\\\\n[card]"}\n',
    );
  });

  test.each([
    ['\\N', '\t', false],
    ['', '\t', true],
    ['x', '\t', true],
    ['\\n', '\t', true],
    ['\\\\N', '\t', true],
    ['a\\X', '\t', false],
    ['\\|', '|', true],
    ['a\\', '\t', false],
  ])('NULL %j with delimiter %j: a value may look like it: %s', (spelling, delimiter, expected) => {
    expect(isAmbiguousNull(bytes(spelling), delimiter.charCodeAt(0))).toBe(expected);
  });
});

describe('csv', () => {
  const csv = { format: 'csv' } as const;

  test('masks values with newlines, quotes and delimiters', () => {
    const copy: Copy = { ...csv, masks: [undefined, 'full', undefined] };
    const out = through(copy, '1,"a\n""b"",c",x\n2,,"y\n"\n3,"",z\n');
    expect(out).toBe('1,****,x\n2,,"y\n"\n3,****,z\n');
  });

  test('a quoted value that looks like NULL is a value', () => {
    const copy: Copy = { ...csv, masks: ['full', undefined], null: 'NIL' };
    expect(through(copy, '"NIL",1\nNIL,2\n')).toBe('****,1\nNIL,2\n');
  });

  test('FORCE_QUOTE quotes the mask, and a mask that looks like NULL is quoted', () => {
    const copy: Copy = { ...csv, masks: ['full', 'full'], forceQuote: [true, false] };
    expect(through(copy, '"a",b\n,\n')).toBe('"****",****\n,\n');
    expect(through({ ...copy, null: '****' }, 'a,****\n')).toBe(
      '"****",****\n'.replace(',****', ',****'),
    );
  });

  test('odd quotes and escapes', () => {
    const digits: Copy = {
      ...csv,
      masks: [undefined, undefined],
      detectors: ['card'],
      quote: '4',
      escape: '!',
    };
    expect(through(digits, `4!45391!48803!436!4674,x\n`)).toBe('[card],x\n');
    const star: Copy = { ...csv, masks: ['full', 'partial'], quote: '*', escape: '\\' };
    expect(through(star, 'a,*b\\*,cdefg*\n')).toBe('*\\*\\*\\*\\**,*b\\*\\*\\**\n');
    const comma: Copy = { ...csv, masks: ['full', undefined], escape: ',' };
    expect(through(comma, '"a,,b,"c",d\n')).toBe('****,d\n');
  });

  test('a header line with a newline in a name', () => {
    const copy: Copy = {
      ...csv,
      masks: ['full', undefined],
      hasHeader: true,
      forceQuote: [true, true],
    };
    expect(through(copy, '"a\nb",c\n"x","y"\n')).toBe('"a\nb",c\n"****","y"\n');
  });

  test('what the server would not write ends it', () => {
    for (const line of ['a"b,c\n', '"a"b,c\n']) {
      expect(() => rewriter({ ...csv, masks: ['full', undefined] }).rewrite(message(line))).toThrow(
        ProtocolError,
      );
    }
  });
});

describe('binary', () => {
  const int16 = (value: number): string => String.fromCharCode((value >> 8) & 255, value & 255);
  const int32 = (value: number): string => int16(value >> 16) + int16(value & 0xffff);
  const head = `PGCOPY\n\xff\r\n\0${int32(0)}${int32(0)}`;
  const field = (text: string | null): string =>
    text === null ? int32(-1) : int32(text.length) + text;
  const row = (...values: (string | null)[]): string =>
    int16(values.length) + values.map(field).join('');
  const end = int16(-1);
  const binary = { format: 'binary' } as const;

  test('lengths are written anew', () => {
    const copy: Copy = { ...binary, masks: [undefined, 'full'] };
    const data = head + row('1', 'a secret') + row('2', null) + row('3', '') + end;
    expect(through(copy, data)).toBe(
      head + row('1', '****') + row('2', null) + row('3', '****') + end,
    );
  });

  test('what is no text becomes NULL, and detectors look into text', () => {
    const copy: Copy = {
      ...binary,
      masks: ['full', undefined],
      types: [TYPE.int4],
      detectors: ['card'],
    };
    const data = head + row('\0\0\0\x07', `no ${CARD}`) + end;
    expect(through(copy, data)).toBe(head + row(null, 'no [card]') + end);
  });

  test.each([
    ['a header of another version', `PGCOPY\n\xff\r\n\0${int32(1 << 16)}${int32(0)}`],
    ['another signature', `PGCOPZ\n\xff\r\n\0${int32(0)}${int32(0)}`],
    ['a negative length', head + int16(2) + int32(-2)],
    ['a column too many', head + row('a', 'b', 'c')],
    ['data behind the end', `${head}${end}x`],
  ])('%s ends it', (_title, data) => {
    expect(() =>
      rewriter({ ...binary, masks: ['full', undefined] }).rewrite(message(data)),
    ).toThrow(ProtocolError);
  });

  test('the end must come', () => {
    const copy = rewriter({ ...binary, masks: ['full'] });
    copy.rewrite(message(head + row('a')));
    expect(() => copy.end()).toThrow(ProtocolError);
  });
});

test('a row with another number of columns ends it', () => {
  for (const line of ['a\n', 'a\tb\tc\n']) {
    expect(() => rewriter({ masks: ['full', undefined] }).rewrite(message(line))).toThrow(
      ProtocolError,
    );
  }
});

test('rows in which nothing changes are the very message that came', () => {
  const copy = rewriter({ masks: [undefined, undefined], detectors: ['card'] });
  const same = message('a\tb\nc\td\n');
  expect(copy.rewrite(same)).toBe(same);
  expect(copy.rows).toBe(2);
});

test('rows over the limit are not given out, and a header is no row', () => {
  const copy = rewriter({ masks: [undefined], hasHeader: true, maxRows: 2 });
  expect(dataOf(copy.rewrite(message('h\n1\n2\n3\n4\n')))).toBe('h\n1\n2\n');
  expect([copy.rows, copy.isOverLimit]).toEqual([2, true]);
});

test('a row is kept up to a limit until its end comes', () => {
  const copy = rewriter({ masks: ['full'] });
  expect(copy.rewrite(message('x'.repeat(90)))).toBeUndefined();
  expect(() => copy.rewrite(message('x'.repeat(90)))).toThrow(RangeError);
});

test('a row of which the end is missing is told', () => {
  const copy = rewriter({ masks: ['full'] });
  copy.rewrite(message('secret'));
  expect(() => copy.end()).toThrow(ProtocolError);
});
