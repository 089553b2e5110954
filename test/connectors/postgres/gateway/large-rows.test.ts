/** Rows that cost much are rewritten in a thread, and come out as they would here. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  LARGEST_AT_ONCE,
  LargeRows,
  type RunMasking,
} from '../../../../src/connectors/postgres/gateway/wire/large-rows.ts';
import {
  ColumnMasker,
  type ColumnMaskerOptions,
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
import { ProtocolError } from '../../../../src/errors.ts';
import { Maker, seeded } from '../masking/made-values.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  describePortal,
  errors,
  execute,
  letters,
  parse,
  query,
  RawClient,
  rows,
  sync,
} from './raw-client.ts';
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const CARD = '4539148803436467';
/** Not built in, and text: citext, as a catalog says of it. */
const CITEXT = 70_001;
const NEVER = new AbortController().signal;

function optionsOf(columns: ColumnMaskerOptions['columns'], isUtf8 = true): ColumnMaskerOptions {
  return {
    columns,
    detectors: new Set(['card', 'email', 'iban', 'ssn', 'jwt']),
    observed: new Set(['email']),
    hashKey: Buffer.from('a key in memory that others use, too').subarray(2, 20),
    isText: (oid) => oid === CITEXT,
    decode: (bytes) => Buffer.from(bytes).toString(),
    isUtf8,
  };
}

const plain = (typeOid: number, format: 0 | 1 = 0) =>
  ({ typeOid, format, mask: undefined, derived: true }) as const;

/** record_send of one field. */
function record(typeOid: number, value: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeInt32BE(1, 0);
  head.writeInt32BE(typeOid, 4);
  head.writeInt32BE(value.length, 8);
  return Buffer.concat([head, value]);
}

async function same(rowsOfThread: LargeRows, options: ColumnMaskerOptions, row: Uint8Array) {
  const here = new RowMasker(options);
  const expected = here.rewrite(row);
  const task = { message: Uint8Array.from(row) };
  const got = await rowsOfThread.rewrite({}, { options, encoding: 'UTF8' }, task, NEVER);
  if (got?.type !== 'rewritten') throw new Error(`not rewritten: ${JSON.stringify(got)}`);
  expect(Buffer.compare(got.message ?? row, expected)).toBe(0);
  expect(got.counts).toEqual({
    maskedValues: here.maskedValues,
    detected: here.detected,
    seen: here.seen,
  });
}

describe('a thread for large rows', () => {
  let thread: LargeRows;
  beforeAll(() => {
    thread = new LargeRows();
  });
  afterAll(() => thread[Symbol.asyncDispose]());

  test('gives the bytes and counts that it gives here, whatever is in them', async () => {
    const maker = new Maker(seeded(7));
    for (let round = 0; round < 60; round += 1) {
      const { value, typeOid, format, isUtf8 } = maker.value();
      const columns = [
        plain(typeOid, format),
        { ...plain(TYPE.text), mask: 'partial' as const },
        { ...plain(TYPE.text), mask: 'hash' as const },
        { ...plain(CITEXT), mask: 'full' as const },
      ];
      const row = { values: [value, Buffer.from('größer'), null, Buffer.from('x')] };
      await same(thread, optionsOf(columns, isUtf8), encodeDataRow(row));
    }
  });

  test('asks of what type a value within another is, and hides what is in it', async () => {
    // In a text, digits of another script are digits; among bytes that nobody knows they are not.
    const foreign = [...CARD].map((digit) => String.fromCharCode(0xff10 + Number(digit))).join('');
    const values = [record(CITEXT, Buffer.from(foreign))];
    const options = optionsOf([plain(TYPE.record, 1)]);
    const before = thread.taken;
    await same(thread, options, encodeDataRow({ values }));
    expect(thread.taken - before).toBe(2);
    const [hidden] = [new RowMasker(options).rewrite(encodeDataRow({ values }))];
    expect(Buffer.from(hidden.subarray(-4)).readInt32BE()).toBe(-1);
  });

  test('goes on where a COPY is, and says where it is then', async () => {
    const formats: CopyScannerOptions['format'][] = ['text', 'csv', 'binary'];
    for (const format of formats) {
      const copy: CopyScannerOptions = {
        ...{ format, columns: 2, delimiter: ',', quote: '"', escape: '"' },
        ...{ serverNull: Buffer.from('\\N'), clientNull: Buffer.from('\\N') },
        ...{ hasHeader: format !== 'binary', forceQuote: [false, false] },
      };
      const binaryRow = Buffer.from(`\0\x02\0\0\0\x10${CARD}\0\0\0\x01b`, 'latin1');
      const head = Buffer.from(`PGCOPY\n\xff\r\n\0${'\0'.repeat(8)}`, 'latin1');
      const data =
        format === 'binary'
          ? [head, binaryRow, binaryRow, Buffer.from([0xff, 0xff])]
          : [Buffer.from('a,b\n'), Buffer.from(`${CARD},b\n`), Buffer.from(`x,${CARD}\n`)];
      const all = Buffer.concat(data);
      const options = optionsOf([plain(TYPE.text), plain(TYPE.text)]);
      const rewriter = (): CopyRewriter =>
        new CopyRewriter({
          scanner: createCopyScanner(copy),
          masker: new ColumnMasker(options),
          maxRows: Number.POSITIVE_INFINITY,
          maxRowBytes: 1000,
          tooLarge: () => new Error('too large'),
        });
      for (let cut = 1; cut < all.length; cut += 1) {
        const parts = [all.subarray(0, cut), all.subarray(cut)];
        const messages = parts.map((part) => encodeCopyData({ data: part }));
        const [here, there] = [rewriter(), rewriter()];
        const masking: RunMasking = { options, encoding: 'UTF8', copy };
        for (const message of messages) {
          const task = {
            message: Uint8Array.from(message),
            copy: {
              progress: there.progress,
              maxRows: Number.POSITIVE_INFINITY,
              maxRowBytes: 1000,
            },
          };
          const got = await thread.rewrite({}, masking, task, NEVER);
          if (got?.type !== 'rewritten' || got.progress === undefined) throw new Error(format);
          there.goOn(got.progress, got.counts);
          const expected = here.rewrite(message);
          expect(got.message && Buffer.from(got.message)).toEqual(
            expected && Buffer.from(expected),
          );
        }
        expect(there.progress).toEqual(here.progress);
        expect(there.detected).toEqual(here.detected);
        there.end();
      }
    }
  }, 60_000);

  test('a row that is not as described is a fault of the target here as there', async () => {
    const masking = { options: optionsOf([plain(TYPE.text)]), encoding: 'UTF8' };
    const message = encodeDataRow({ values: [null, null] });
    await expect(thread.rewrite({}, masking, { message }, NEVER)).rejects.toThrow(ProtocolError);
  });

  test('what takes too long ends, and the next row is rewritten', async () => {
    const limitMs = 50;
    await using impatient = new LargeRows(limitMs);
    const options = optionsOf([plain(TYPE.text)]);
    const masking = { options, encoding: 'UTF8' };
    const message = encodeDataRow({ values: [Buffer.from(`${CARD} `.repeat(600_000))] });
    expect(await impatient.rewrite({}, masking, { message }, NEVER)).toBeUndefined();
    await same(impatient, options, encodeDataRow({ values: [Buffer.from(CARD)] }));
  });

  test('nobody waits for a row whose client has left, and one that waits is not begun', async () => {
    const masking = { options: optionsOf([plain(TYPE.text)]), encoding: 'UTF8' };
    const left = new AbortController();
    const long = encodeDataRow({ values: [Buffer.from(`${CARD} `.repeat(4_000_000))] });
    const short = encodeDataRow({ values: [Buffer.from(CARD)] });
    const before = thread.taken;
    const running = thread.rewrite({}, masking, { message: long }, left.signal);
    const waiting = thread.rewrite({}, masking, { message: short }, left.signal);
    left.abort();
    expect(await waiting).toBeUndefined();
    expect(await running).toBeUndefined();
    expect(thread.taken - before).toBe(1);
  });
});

const { target } = testTarget();
const real = realEngine(target);
const SIZE = 3 * LARGEST_AT_ONCE;
const large = `repeat('word and ', ${SIZE / 8}) || '${CARD}'`;
const searched = { ...grantOf({ rules: ['allow *'], detectors: ['card'] }) };

describe('a large row on its way', () => {
  let bench: Bench;
  let thread: LargeRows;
  beforeAll(async () => {
    thread = new LargeRows();
    const parts = { ...real.parts(), grant: () => searched, largeRows: thread };
    bench = await startBench({ target: target(), ...parts });
  });
  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await thread[Symbol.asyncDispose]();
  });

  test('is searched elsewhere and keeps its place among small ones, in results and in COPY', async () => {
    await using client = await RawClient.open(bench.port);
    const text = `SELECT 'a' AS v UNION ALL SELECT ${large} UNION ALL SELECT 'z'`;
    const before = thread.taken;
    const shown = rows(await client.ask([query(text)]));
    expect(shown.map(([value]) => value?.slice(-6))).toEqual(['a', '[card]', 'z']);
    expect(shown[1]?.[0]?.length).toBe(`${'word and '.repeat(SIZE / 8)}[card]`.length);
    const extended = [parse(text), bind(), describePortal(), execute(), sync];
    const piped = await client.ask([...extended, ...extended], 2);
    expect(letters(piped)).toBe('1 2 T D D D C Z 1 2 T D D D C Z');
    for (const format of ['text', 'csv', 'binary']) {
      const copied = await client.ask([query(`COPY (${text}) TO STDOUT (FORMAT ${format})`)]);
      const bytes = Buffer.concat(copied.filter((one) => one.type === 'd').map((one) => one.body));
      expect(bytes.includes('[card]')).toBe(true);
      expect(bytes.includes(CARD)).toBe(false);
    }
    expect(thread.taken - before).toBe(6);
    expect(bench.events.filter(({ type }) => type === 'result')).toMatchObject(
      Array.from({ length: 6 }, () => ({ rows: 3, detected: { card: 1 } })),
    );
  });

  test('holds up nobody else meanwhile, and goes on when it is ready', async () => {
    const asked = Promise.withResolvers<void>();
    const ready = Promise.withResolvers<void>();
    const slow: Pick<LargeRows, 'rewrite'> = {
      async rewrite(...args) {
        asked.resolve();
        await ready.promise;
        return await thread.rewrite(...args);
      },
    };
    const parts = { ...real.parts(), grant: () => searched, largeRows: slow };
    await using held = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(held.port);
    await using other = await RawClient.open(held.port);
    const answers = client.ask([query(`SELECT ${large}`), query('SELECT 1')], 2);
    await asked.promise;
    expect(rows(await other.ask([query('SELECT 2')]))).toEqual([['2']]);
    ready.resolve();
    const came = await answers;
    expect(letters(came)).toBe('T D C Z T D C Z');
    expect(rows(came)[1]).toEqual(['1']);
  });

  test('that costs more than a row may is refused, and the connection goes on', async () => {
    const none: Pick<LargeRows, 'rewrite'> = { rewrite: () => Promise.resolve(undefined) };
    const parts = { ...real.parts(), grant: () => searched, largeRows: none };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    for (const text of [`SELECT ${large}`, `COPY (SELECT ${large}) TO STDOUT`]) {
      const came = await client.ask([query(text)]);
      expect(errors(came)).toMatchObject([
        { C: '54000', M: expect.stringMatching(/^a row of \d+ bytes takes too much time/) },
      ]);
      expect(rows(came)).toEqual([]);
      expect(rows(await client.ask([query('SELECT 1')]))).toEqual([['1']]);
    }
  });

  test('is not shown when the session ends before it is ready', async () => {
    const asked = Promise.withResolvers<void>();
    const never: Pick<LargeRows, 'rewrite'> = {
      async rewrite(...args) {
        const result = await thread.rewrite(...args);
        asked.resolve();
        await new Promise((resolve) => args[3].addEventListener('abort', resolve));
        return result;
      },
    };
    const parts = { ...real.parts(), grant: () => searched, largeRows: never };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    client.received.length = 0;
    client.send([query(`SELECT ${large}`)]);
    await asked.promise;
    bench.session.abort();
    await bench.idle();
    await client.until(() => client.isClosed);
    expect(client.received.map(({ type }) => type).join(' ')).toBe('T E');
  });

  test('is no refusal on record when its client has left before it is ready', async () => {
    const left = new AbortController();
    const asked = Promise.withResolvers<void>();
    const abandoned: Pick<LargeRows, 'rewrite'> = {
      // As of a row that waits for its turn.
      rewrite() {
        left.abort();
        asked.resolve();
        return Promise.resolve(undefined);
      },
    };
    const parts = { ...real.parts(), grant: () => searched, largeRows: abandoned };
    await using bench = await startBench({ target: target(), clientLeft: left.signal, ...parts });
    const client = await RawClient.open(bench.port);
    client.send([query(`SELECT ${large}`)]);
    await asked.promise;
    await client[Symbol.asyncDispose]();
    await bench.idle();
    const decisions = bench.events.filter(({ type }) => type === 'decision');
    expect(decisions).toMatchObject([{ effect: 'allow' }]);
  });

  test('is counted where rows are, and a limit of rows still ends the result', async () => {
    const limits = { ...searched.limits, maxRows: 1 };
    const grant = { ...searched, limits, generation: 'one row' };
    const parts = { ...real.parts(), grant: () => grant, largeRows: thread };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    for (const text of [
      `SELECT ${large} UNION ALL SELECT 'b'`,
      `COPY (SELECT ${large} UNION ALL SELECT ${large}) TO STDOUT`,
    ]) {
      const came = await client.ask([query(text)]);
      expect(came.filter(({ type }) => type === 'D' || type === 'd')).toHaveLength(1);
      expect(errors(came)).toMatchObject([{ M: 'result has more than 1 row' }]);
    }
  });
});

describe('what nobody masks', () => {
  test('passes as it comes, and goes nowhere else', async () => {
    await using thread = new LargeRows();
    const parts = {
      ...real.parts(),
      grant: () => grantOf({ rules: ['allow *'] }),
      largeRows: thread,
    };
    await using bench = await startBench({ target: target(), ...parts });
    await using client = await RawClient.open(bench.port);
    const [[value] = []] = rows(await client.ask([query(`SELECT ${large}`)]));
    expect(value?.endsWith(CARD)).toBe(true);
    expect(thread.taken).toBe(0);
  });
});
