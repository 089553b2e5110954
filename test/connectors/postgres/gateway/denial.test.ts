import { describe, expect, test } from 'vitest';
import { HoopError } from '../../../../src/errors.ts';
import { emptyCatalog } from '../policy/empty-catalog.ts';
import { type Script, startBench, testGrant } from './engine-bench.ts';
import {
  bind,
  describePortal,
  errors,
  execute,
  flush,
  letters,
  message,
  parse,
  query,
  RawClient,
  rows,
  run,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget('CREATE TABLE t (a int)');

const denyDrop: Script = (text) => {
  if (/drop/i.test(text)) return { deny: {} };
  if (/^copy .* from/i.test(text)) return { effect: { copy: { direction: 'in', format: 'text' } } };
  return undefined;
};

describe('a refused statement', () => {
  test('in a simple Query looks like an error of the server, and the connection goes on', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    const refused = await client.ask([query('DROP TABLE t')]);
    expect(letters(refused)).toBe('E Z');
    expect(errors(refused)[0]).toEqual({
      S: 'ERROR',
      V: 'ERROR',
      C: '42501',
      M: 'statement not allowed',
      D: 'Rule test/rule (policies/test.yaml:7) at commit c0ffee.',
      H: 'Ask the test.',
      F: 'hoop',
      R: 'HOOP_DENIED',
    });
    expect(rows(await client.ask([query('SELECT 1')]))).toEqual([['1']]);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test('is in the record before the target hears of it', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    const at = 8 + Buffer.byteLength('user\0x\0database\0postgres\0\0');
    await client.ask([query('SELECT 1')]);
    await client.ask([query('DROP TABLE t')]);
    const second = at + 5 + Buffer.byteLength('SELECT 1\0');
    expect(bench.events.map((event) => event.type)).toEqual([
      'target',
      'facts',
      'decision',
      'result',
      'decision',
    ]);
    expect(bench.events[2]).toMatchObject({ at, statement: 1, effect: 'allow', verbs: ['select'] });
    expect(bench.events[3]).toMatchObject({ at, statement: 1, rows: 1, tag: 'SELECT 1' });
    expect(bench.events[4]).toMatchObject({
      at: second,
      statement: 2,
      effect: 'refuse',
      code: 'HOOP_DENIED',
      rules: [{ id: 'test/rule', file: 'policies/test.yaml', line: 7 }],
      policyCommit: 'c0ffee',
    });
    expect(bench.evidence).toEqual([
      {
        type: 'denied',
        stream: 1,
        at: second,
        code: 'HOOP_DENIED',
        message: 'statement not allowed',
        detail: 'Rule test/rule (policies/test.yaml:7) at commit c0ffee.',
        hint: 'Ask the test.',
        rule: 'test/rule',
      },
    ]);
  });

  test('in the middle of a pipeline: earlier answers first, later ones skipped until Sync', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask(
      [
        run('SELECT 1'),
        run('DROP TABLE t'),
        run('SELECT 2'),
        query('SELECT 9'),
        sync,
        run('SELECT 3'),
        sync,
      ],
      2,
    );
    expect(letters(answers)).toBe('1 2 D C E Z 1 2 D C Z');
    expect(rows(answers)).toEqual([['1'], ['3']]);
  });

  test('undoes what its pipeline did before it, as an error does', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    await client.ask([run('INSERT INTO t VALUES (1)'), run('DROP TABLE t'), sync]);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test('is answered at once, without Sync', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    client.send(run('SELECT 1'), run('DROP TABLE t'));
    await client.until((all) => all.some(({ type }) => type === 'E'));
    expect(letters(await client.ask([flush, sync]))).toBe('Z');
  });

  test('fails its transaction, as any error does', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    await client.ask([query('BEGIN')]);
    await client.ask([query('SAVEPOINT a')]);
    expect(status(await client.ask([query('DROP TABLE t')]))).toBe('E');
    expect(errors(await client.ask([query('SELECT 1')]))[0]?.['C']).toBe('25P02');
    expect(errors(await client.ask([query('DROP TABLE t')]))[0]?.['C']).toBe('42501');
    expect(status(await client.ask([query('ROLLBACK TO a')]))).toBe('T');
    expect(status(await client.ask([run('DROP TABLE t'), sync]))).toBe('E');
    expect(status(await client.ask([query('ROLLBACK')]))).toBe('I');
  });

  test('among others in one Query refuses them all, before any runs', async () => {
    const script: Script = (text) =>
      text.split(';').map((one) => (/drop/i.test(one) ? { deny: {} } : {}));
    await using bench = await startBench({ target: target(), script });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([query('INSERT INTO t VALUES (1); DROP TABLE t; SELECT 1')]);
    expect(letters(answers)).toBe('E Z');
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test('between others in one packet is refused alone', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask(
      [query('SELECT 1'), query('DROP TABLE t'), query('SELECT 2')],
      3,
    );
    expect(letters(answers)).toBe('T D C Z E Z T D C Z');
  });

  test('that is followed by Terminate in the same packet does not run', async () => {
    await using bench = await startBench({ target: target(), script: denyDrop });
    const client = await RawClient.open(bench.port);
    client.send(query('DROP TABLE t'), message('X', new Uint8Array(0)));
    await client.closed();
    await bench.idle();
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });

  test('that cannot be parsed keeps the message, SQLSTATE and position of the parser', async () => {
    const script: Script = (text) =>
      text.startsWith('SELEC ')
        ? {
            deny: {
              code: 'HOOP_UNPARSED',
              sqlState: '42601',
              message: 'syntax error at or near "SELEC"',
              detail: undefined,
              hint: undefined,
              position: 1,
            },
          }
        : undefined;
    await using bench = await startBench({ target: target(), script });
    await using client = await RawClient.open(bench.port);
    const refused = await client.ask([query('SELEC 1')]);
    expect(errors(refused)[0]).toMatchObject({
      C: '42601',
      M: 'syntax error at or near "SELEC"',
      P: '1',
    });
  });

  test('of COPY FROM STDIN swallows the data that came with it', async () => {
    const script: Script = (text) => (text.startsWith('COPY') ? { deny: {} } : undefined);
    await using bench = await startBench({ target: target(), script });
    await using client = await RawClient.open(bench.port);
    const data = message('d', Buffer.from('1\n'));
    const done = message('c', new Uint8Array(0));
    const simple = await client.ask([query('COPY t FROM STDIN'), data, done, query('SELECT 1')], 2);
    expect(letters(simple)).toBe('E Z T D C Z');
    const extended = await client.ask(
      [run('COPY t FROM STDIN'), data, done, sync, query('SELECT 1')],
      2,
    );
    expect(letters(extended)).toBe('E Z T D C Z');
    expect(await sql('SELECT count(*) FROM t')).toEqual([['0']]);
  });
});

describe('at Bind and Execute', () => {
  test('a statement that the grant no longer allows is refused, and stays prepared', async () => {
    let generation = 'g1';
    const script: Script = (text) =>
      generation === 'g2' && text.includes('FROM t') ? { deny: {} } : undefined;
    await using bench = await startBench({
      target: target(),
      script,
      grant: () => testGrant({ generation }),
    });
    await using client = await RawClient.open(bench.port);
    await client.ask([
      parse('SELECT count(*) FROM t', 's'),
      bind({ statement: 's' }),
      execute(),
      sync,
    ]);
    generation = 'g2';
    const refused = await client.ask([bind({ statement: 's' }), execute(), sync]);
    expect(letters(refused)).toBe('E Z');
    expect(errors(refused)[0]?.['R']).toBe('HOOP_DENIED');
    generation = 'g3';
    const again = await client.ask([bind({ statement: 's' }), execute(), sync]);
    expect(letters(again)).toBe('2 D C Z');
  });

  test('a verdict that is always out of date is no verdict', async () => {
    let generation = 1;
    let moves = false;
    const script: Script = () => {
      if (moves) generation += 1;
      return undefined;
    };
    await using bench = await startBench({
      target: target(),
      script,
      grant: () => testGrant({ generation: `g${generation}` }),
    });
    await using client = await RawClient.open(bench.port);
    expect(letters(await client.ask([query('SELECT 1')]))).toBe('T D C Z');
    moves = true;
    const refused = await client.ask([query('SELECT 2')]);
    expect(letters(refused)).toBe('E Z');
    expect(errors(refused)[0]?.['M']).toContain('keeps changing');
    moves = false;
    expect(letters(await client.ask([query('SELECT 3')]))).toBe('T D C Z');
  });

  test('while the catalog cannot be read nothing runs, and the connection goes on', async () => {
    const catalog = emptyCatalog();
    let isRead = true;
    const read = async () => {
      if (!isRead) throw new HoopError('HOOP_TARGET_UNREACHABLE', 'the target did not answer');
      return catalog;
    };
    let changes: (() => void) | undefined;
    await using bench = await startBench({
      target: target(),
      catalog: { current: read, refresh: read, lookAnew: read },
      script: (text) => {
        changes?.();
        return text.split(';').map(() => ({}));
      },
    });
    await using client = await RawClient.open(bench.port);
    await client.ask([parse('SELECT 1', 's'), sync]);
    isRead = false;
    const prepared = await client.ask([bind({ statement: 's' }), execute(), sync]);
    expect(letters(prepared)).toBe('E Z');
    isRead = true;
    // Decided, and recorded in several turns.
    changes = () => {
      isRead = false;
    };
    const several = await client.ask([query(Array(150).fill('SELECT 1').join(';'))]);
    for (const answers of [prepared, several]) {
      expect(errors(answers)[0]).toMatchObject({ S: 'ERROR', R: 'HOOP_UNTRACEABLE' });
    }
    changes = undefined;
    isRead = true;
    expect(rows(await client.ask([bind({ statement: 's' }), execute(), sync]))).toEqual([['1']]);
  });

  test('an open portal is refused when the grant changes between two Executes', async () => {
    let generation = 'g1';
    const script: Script = (text) =>
      generation === 'g2' && text.includes('series') ? { deny: {} } : undefined;
    await using bench = await startBench({
      target: target(),
      script,
      grant: () => testGrant({ generation }),
    });
    await using client = await RawClient.open(bench.port);
    await client.ask([query('BEGIN')]);
    const series = 'SELECT generate_series(1, 9)';
    await client.ask([parse(series), bind({ portal: 'p' }), execute('p', 2), sync]);
    generation = 'g2';
    const refused = await client.ask([execute('p', 2), sync]);
    expect(letters(refused)).toBe('E Z');
    expect(status(refused)).toBe('E');
  });

  test('a portal or statement that nobody made gets the words of the server', async () => {
    await using bench = await startBench({ target: target() });
    await using client = await RawClient.open(bench.port);
    const portal = await client.ask([execute('nope'), sync]);
    expect(errors(portal)[0]).toMatchObject({ C: '34000', M: 'portal "nope" does not exist' });
    const statement = await client.ask([bind({ statement: 'no' }), describePortal(), sync]);
    expect(errors(statement)[0]).toMatchObject({
      C: '26000',
      M: 'prepared statement "no" does not exist',
    });
  });
});

test('a function call by number is refused like an error, and the connection goes on', async () => {
  await using bench = await startBench({ target: target() });
  await using client = await RawClient.open(bench.port);
  const call = Buffer.alloc(14);
  call.writeUInt32BE(1598, 0);
  const answers = await client.ask([query('BEGIN'), message('F', call), query('ROLLBACK')], 3);
  expect(letters(answers)).toBe('C Z E Z C Z');
  expect(errors(answers)[0]?.['R']).toBe('HOOP_MESSAGE_REFUSED');
});
