/** Messages that are too large to be collected. */
import { describe, expect, test } from 'vitest';
import { encodeBind } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
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
  masks: [
    {
      schema: 'public',
      relation: 'people',
      column: 'card',
      mask: 'full',
      inference: 'allow',
      rule,
    },
  ],
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
  });
});

describe('the longest message that is collected is the operator\u2019s choice', () => {
  const small = () => ({ ...target(), maxMessageBytes: 1024 * 1024 });
  const masked = () => ({ masks: ['full' as const] });
  const row = (length: number): Uint8Array => query(`SELECT repeat('x', ${length})`);

  test('a row to be masked that is longer ends the connection, and the error names the limit', async () => {
    await using bench = await startBench({ target: small(), script: masked, grant: () => MASKING });
    await using client = await RawClient.open(bench.port);
    expect(letters(await client.ask([row(1024 * 1024 - 6)]))).toBe('T D C Z');
    client.send(row(1024 * 1024));
    await client.closed();
    expect(errors(client.received)).toMatchObject([
      {
        S: 'FATAL',
        C: '54000',
        R: 'HOOP_TOO_LARGE',
        M: 'a row of 1048582 bytes is too large to be searched for protected data',
        D: 'Rows to which a mask or a detector applies are read completely, up to 1 MiB (limits.messageMiB of the gateway).',
      },
    ]);
    expect(rows(client.received).flat().join('')).not.toContain('x');
  });

  test('a row that nobody reads passes, whatever its length', async () => {
    await using bench = await startBench({ target: small() });
    await using client = await RawClient.open(bench.port);
    const [[value] = []] = rows(await client.ask([row(5_000_000)]));
    expect(value).toHaveLength(5_000_000);
  });

  test('a statement that is longer is refused, and the connection goes on', async () => {
    await using bench = await startBench({ target: small() });
    await using client = await RawClient.open(bench.port);
    const long = `SELECT '${'x'.repeat(1024 * 1024)}'`;
    for (const messages of [[query(long)], [parse(long), bind(), execute(), sync]]) {
      const answers = await client.ask(messages);
      expect(letters(answers)).toBe('E Z');
      expect(errors(answers)).toMatchObject([
        { S: 'ERROR', C: '54000', D: expect.stringContaining('up to 1 MiB (limits.messageMiB') },
      ]);
    }
    expect(rows(await client.ask([query('SELECT 7')]))).toEqual([['7']]);
  });

  test('more of it lets longer statements through', async () => {
    await using bench = await startBench({
      target: { ...target(), maxMessageBytes: 70 * 1024 * 1024 },
      grant: () => testGrant({ passthrough: true }),
    });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([query(`SELECT length('${'x'.repeat(65 * 1024 * 1024)}')`)]);
    expect(rows(answers)).toEqual([[String(65 * 1024 * 1024)]]);
  });
});
