/** Messages that are too large to be collected. */
import { describe, expect, test } from 'vitest';
import { encodeBind } from '../../../src/protocol/pg/bind.ts';
import { type Script, startBench, testGrant } from './engine-bench.ts';
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
import { testTarget } from './test-target.ts';

const { target } = testTarget();
const SIZE = 3_000_000;
const large = (portal = '', statement = '', formats: number[] = []): Uint8Array =>
  encodeBind({
    portal,
    statement,
    parameterFormats: [1, 0],
    parameters: [Buffer.alloc(SIZE, 'x'), Buffer.from('12')],
    resultFormats: formats,
  });
const SQL = 'SELECT length($1::bytea), $2::int';
const rule = { id: 'r', file: 'f', line: 1 };
const MASKING = testGrant({
  masks: [{ schema: 'public', relation: 'people', column: 'card', mask: 'full', rule }],
});
const script: Script = (text) => (/secret/.test(text) ? { deny: {} } : undefined);

describe('a Bind that is too large to be collected', () => {
  test('passes, and the result formats at its end count', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([parse(SQL), large(), describePortal(), execute(), sync]);
    expect(letters(answers)).toBe('1 2 T D C Z');
    expect(rows(answers)).toEqual([[String(SIZE), '12']]);
    const binary = await client.ask([large('', '', [1]), execute(), sync]);
    expect(binary.find(({ type }) => type === 'D')?.body.subarray(-4)).toEqual(
      Buffer.from([0, 0, 0, 12]),
    );
  });

  test('is masked by its formats as any other', async () => {
    await using bench = await startBench({
      target: target(),
      script: () => ({ masks: ['derived', 'derived:null'] }),
      grant: () => MASKING,
    });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([parse(SQL), large('p', '', [0, 1]), execute('p'), sync]);
    expect(rows(answers)).toEqual([[String(SIZE), null]]);
  });

  test('of a statement that is not there leaves what the server leaves', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([large('', 'nope'), execute(), query('SELECT 1'), sync]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)).toMatchObject([{ C: '26000' }]);
    expect(rows(await client.ask([query('SELECT 2')]))).toEqual([['2']]);
  });

  test('behind an error or a denial is skipped with what follows it', async () => {
    await using bench = await startBench({ target: target(), script });
    await using client = await RawClient.open(bench.port);
    for (const before of ['SELECT 1/0', 'SELECT secret', 'SELEC']) {
      const answers = await client.ask([
        parse(before),
        bind(),
        execute(),
        parse(SQL, 's'),
        large('', 's'),
        execute(),
        sync,
      ]);
      expect(letters(answers)).toMatch(/^(1 )?(2 )?E Z$/);
    }
    expect(letters(await client.ask([parse(SQL, 's'), large('', 's'), execute(), sync]))).toBe(
      '1 2 D C Z',
    );
    expect(bench.failures).toEqual([]);
  });

  test('is found whatever it stands between, one byte at a time', async () => {
    await using bench = await startBench({ target: target(), byteAtATime: true });
    await using client = await RawClient.open(bench.port);
    const small = encodeBind({
      portal: '',
      statement: '',
      parameterFormats: [1, 0],
      parameters: [Buffer.alloc(1024 * 1024, 'y'), Buffer.from('3')],
      resultFormats: [],
    });
    const answers = await client.ask([parse(SQL), small, execute(), query('SELECT 5'), sync], 2);
    expect(rows(answers)).toEqual([[String(1024 * 1024), '3'], ['5']]);
  }, 60_000);
});
