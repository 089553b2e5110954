import { describe, expect, test } from 'vitest';
import type { OutputColumn } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import type { DetectorName, Grant, MaskKind } from '../../../../src/policy/types.ts';
import { type ScriptedStatement, startBench, testGrant } from './engine-bench.ts';
import {
  bind,
  describePortal,
  describeStatement,
  errors,
  execute,
  letters,
  parse,
  query,
  RawClient,
  report,
  rows,
  run,
  status,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE people (id int, email text, card varchar(30), born date, balance numeric, note text);
  INSERT INTO people VALUES
    (1, 'ada.lovelace@corp.example', '4012888888881881', '1815-12-10', 4012888888881881, 'call 321-54-9876'),
    (2, NULL, NULL, NULL, NULL, NULL);
  CREATE FUNCTION shout() RETURNS int LANGUAGE plpgsql AS $$
    BEGIN RAISE NOTICE 'the card is 4012888888881881'; RETURN 1; END $$;
`);

const masksOf = (grant: Partial<Grant> = {}): Grant =>
  testGrant({
    masks: [
      {
        schema: 'public',
        relation: 'people',
        column: 'card',
        mask: 'full',
        inference: 'allow',
        rule: { id: 'r', file: 'f', line: 1 },
      },
    ],
    ...grant,
  });

async function benchWith(
  statement: ScriptedStatement,
  grant: Grant = masksOf(),
): ReturnType<typeof startBench> {
  return startBench({
    target: target(),
    script: (text) => {
      const one = (part: string): ScriptedStatement => {
        if (/people|shout|series/.test(part)) return statement;
        return /^\s*select/i.test(part) ? { masks: ['derived'] } : {};
      };
      const parts = text.split(';').map(one);
      return parts.length === 1 ? parts[0] : parts;
    },
    grant: () => grant,
  });
}

/** Five columns of `people` in order. */
const SELECT = 'SELECT email, card, born, balance, id FROM people ORDER BY id';
const ALL: readonly MaskKind[] = ['partial', 'full', 'full', 'full'];
const oid = async (): Promise<number> =>
  Number((await sql("SELECT 'people'::regclass::oid"))[0]?.[0]);

async function outputs(names: readonly string[]): Promise<OutputColumn[]> {
  const tableOid = await oid();
  const columns = ['', 'id', 'email', 'card', 'born', 'balance', 'note'];
  return names.map((name) => ({
    name,
    kind: 'identity',
    typeOid: undefined,
    sources: [
      {
        schema: 'public',
        name: 'people',
        oid: tableOid,
        column: name,
        attnum: columns.indexOf(name),
      },
    ],
  }));
}

describe('masks', () => {
  const masked = [
    ['a***@***.example', '****', null, null, '1'],
    [null, null, null, null, '2'],
  ];
  const statement = async (): Promise<ScriptedStatement> => ({
    masks: [...ALL, undefined],
    outputs: await outputs(['email', 'card', 'born', 'balance', 'id']),
  });

  test('apply in a simple Query', async () => {
    await using bench = await benchWith(await statement());
    await using client = await RawClient.open(bench.port);
    expect(rows(await client.ask([query(SELECT)]))).toEqual(masked);
    const result = bench.events.find(({ type }) => type === 'result');
    expect(result).toMatchObject({ rows: 2, maskedValues: 4, tag: 'SELECT 2' });
  });

  const MANY = 'SELECT email, card, born, balance, id FROM people, generate_series(1, 40)';

  test('apply to results and portals that share a chunk, read in portions and in both formats', async () => {
    await using bench = await benchWith(await statement());
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([
      parse(MANY, 's'),
      bind({ statement: 's', portal: 'text' }),
      bind({ statement: 's', portal: 'binary', formats: [1, 1, 1, 1, 0] }),
      execute('text', 7),
      execute('binary', 3),
      execute('text', 30),
      execute('binary', 0),
      execute('text', 0),
      sync,
    ]);
    const portion = (count: number, end: string): string => `${'D '.repeat(count)}${end}`;
    expect(letters(answers)).toBe(
      `1 2 2 ${portion(7, 's')} ${portion(3, 's')} ${portion(30, 's')} ${portion(77, 'C')} ${portion(43, 'C')} Z`,
    );
    const shown = rows(answers);
    expect(shown).toHaveLength(160);
    for (const row of shown) expect(masked).toContainEqual(row);
    const counted = bench.events.map((event) => (event.type === 'result' ? event.maskedValues : 0));
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(2 * 40 * 4);
  });

  test('apply up to a limit of rows, to the row, also where it ends within a portion', async () => {
    const limits = {
      maxTimeSeconds: 9,
      idleTimeSeconds: 9,
      maxConnections: 1,
      maxRows: 10,
      lookups: 0,
    };
    await using bench = await benchWith(await statement(), masksOf({ limits }));
    await using client = await RawClient.open(bench.port);
    const whole = await client.ask([query(MANY)]);
    expect(rows(whole)).toHaveLength(10);
    for (const row of rows(whole)) expect(masked).toContainEqual(row);
    expect(errors(whole)).toMatchObject([{ C: '54000', R: 'HOOP_LIMIT' }]);
    const portions = await client.ask([
      parse(MANY),
      bind(),
      execute('', 6),
      execute('', 6),
      execute('', 6),
      sync,
    ]);
    expect(letters(portions)).toBe(`1 2 ${'D '.repeat(6)}s ${'D '.repeat(4)}E Z`);
  });

  test('apply whether the client describes the portal, the statement, or nothing', async () => {
    await using bench = await benchWith(await statement());
    await using client = await RawClient.open(bench.port);
    const portal = await client.ask([parse(SELECT), bind(), describePortal(), execute(), sync]);
    expect(letters(portal)).toBe('1 2 T D D C Z');
    expect(rows(portal)).toEqual(masked);
    const nothing = await client.ask([run(SELECT), sync]);
    expect(letters(nothing)).toBe('1 2 D D C Z');
    expect(rows(nothing)).toEqual(masked);
    const named = await client.ask([parse(SELECT, 's'), describeStatement('s'), sync]);
    expect(letters(named)).toBe('1 t T Z');
    const later = await client.ask([bind({ statement: 's' }), execute(), sync]);
    expect(letters(later)).toBe('2 D D C Z');
    expect(rows(later)).toEqual(masked);
    const twice = await client.ask([
      bind({ statement: 's' }),
      execute(),
      bind({ statement: 's' }),
      describePortal(),
      execute(),
      sync,
    ]);
    expect(letters(twice)).toBe('2 D D C 2 T D D C Z');
    expect(rows(twice)).toEqual([...masked, ...masked]);
  });

  test('apply in binary format, where types that are not text become NULL', async () => {
    await using bench = await benchWith(await statement());
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([parse(SELECT), bind({ formats: [1] }), execute(), sync]);
    expect(rows(answers)[0]?.slice(0, 4)).toEqual(['a***@***.example', '****', null, null]);
    const mixed = await client.ask([
      parse(SELECT),
      bind({ formats: [0, 1, 0, 1, 0] }),
      execute(),
      sync,
    ]);
    expect(rows(mixed)).toEqual(masked);
  });

  test('apply to every part of a portal that is read in parts', async () => {
    await using bench = await benchWith(await statement());
    await using client = await RawClient.open(bench.port);
    await client.ask([query('BEGIN')]);
    const first = await client.ask([parse(SELECT), bind({ portal: 'p' }), execute('p', 1), sync]);
    const second = await client.ask([execute('p', 1), sync]);
    expect([...rows(first), ...rows(second)]).toEqual(masked);
    expect(letters(first)).toBe('1 2 D s Z');
  });

  test('of computed values show no part and no hash', async () => {
    const computed: ScriptedStatement = { masks: ['derived:partial', 'derived:hash'] };
    await using bench = await benchWith(computed);
    await using client = await RawClient.open(bench.port);
    const text = 'SELECT reverse(email), upper(card) FROM people WHERE id = 1';
    expect(rows(await client.ask([query(text)]))).toEqual([['****', '****']]);
  });

  test('as hash give equal texts for equal values, and not the value', async () => {
    await using bench = await benchWith({
      masks: ['hash'],
      outputs: await outputs(['card']),
    });
    await using client = await RawClient.open(bench.port);
    const text = 'SELECT card FROM people WHERE id = 1';
    const [one] = rows(await client.ask([query(text)]));
    const [two] = rows(await client.ask([run(text), sync]));
    expect(one?.[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(two).toEqual(one);
  });
});

describe('a result that is not what was checked', () => {
  test('is withheld in a simple Query: another column than the lineage says', async () => {
    const statement = { masks: [undefined], outputs: await outputs(['id']) };
    await using bench = await benchWith(statement);
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([query('SELECT card FROM people; SELECT 2')]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]?.['R']).toBe('HOOP_RESULT_MISMATCH');
    expect(bench.evidence).toMatchObject([{ code: 'HOOP_RESULT_MISMATCH' }]);
    expect(rows(await client.ask([query('SELECT 1')]))).toEqual([['1']]);
  });

  test('is withheld in the extended protocol with all that follows up to Sync', async () => {
    const statement = { masks: [undefined, undefined] };
    await using bench = await benchWith(statement);
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask(
      [
        run('SELECT 1'),
        run('SELECT card FROM people'),
        run('SELECT 2'),
        sync,
        run('SELECT 3'),
        sync,
      ],
      2,
    );
    expect(letters(answers)).toBe('1 2 D C 1 2 E Z 1 2 D C Z');
    expect(rows(answers)).toEqual([['1'], ['3']]);
  });
});

describe('detectors', () => {
  const detectors: readonly DetectorName[] = ['card', 'ssn', 'email'];
  const grant = testGrant({ detectors });

  test('clean text in any column and leave the rest byte for byte', async () => {
    await using bench = await benchWith(
      { masks: [undefined, undefined, undefined], outputs: await outputs(['note', 'card', 'id']) },
      grant,
    );
    await using client = await RawClient.open(bench.port);
    const text = 'SELECT note, card, id FROM people ORDER BY id';
    const expected = [
      ['call [ssn]', '[card]', '1'],
      [null, null, '2'],
    ];
    expect(rows(await client.ask([query(text)]))).toEqual(expected);
    const binary = await client.ask([parse(text), bind({ formats: [1, 1, 0] }), execute(), sync]);
    expect(rows(binary)).toEqual(expected);
    const results = bench.events.filter(({ type }) => type === 'result');
    expect(results[0]).toMatchObject({ detected: { ssn: 1, card: 1 } });
  });

  test('find card numbers in computed numbers, text and binary', async () => {
    await using bench = await benchWith({ masks: ['derived'] }, grant);
    await using client = await RawClient.open(bench.port);
    for (const type of ['numeric', 'bigint', 'float8', 'jsonb', 'text[]', 'bigint[]']) {
      const value =
        type === 'jsonb'
          ? `to_jsonb(4012888888881881)`
          : type.endsWith('[]')
            ? `ARRAY['4012888888881881']::${type}`
            : `'4012888888881881'::${type}`;
      const text = `SELECT ${value} FROM people WHERE id = 1`;
      for (const formats of [[0], [1]]) {
        const answers = await client.ask([parse(text), bind({ formats }), execute(), sync]);
        const bytes = Buffer.concat(answers.map(({ body }) => body));
        expect(bytes.includes('4012888888881881'), `${type} ${formats}`).toBe(false);
        expect(bytes.includes(Buffer.from('000e41999ae3f2d9', 'hex')), type).toBe(false);
        expect(bench.failures).toEqual([]);
      }
    }
  });

  test('clean notices, errors, notifications and column names', async () => {
    const statement = { masks: ['derived' as const], outputs: await outputs(['id']) };
    await using bench = await benchWith(statement, grant);
    await using client = await RawClient.open(bench.port);
    const noticed = await client.ask([query('SELECT shout()')]);
    const notice = noticed.find(({ type }) => type === 'N');
    expect(report(notice?.body ?? Buffer.alloc(0))['M']).toBe('the card is [card]');
    const failed = await client.ask([query("SELECT 'x4012888888881881'::int")]);
    expect(errors(failed)[0]?.['M']).toContain('[card]');
    const named = await client.ask([query('SELECT id AS "4012888888881881" FROM people')]);
    expect(named.find(({ type }) => type === 'T')?.body.includes('[card]')).toBe(true);
    await client.ask([query('LISTEN c')]);
    const notified = await client.ask([query("NOTIFY c, 'ssn 321-54-9876'"), query('SELECT 1')], 2);
    const notification = notified.find(({ type }) => type === 'A');
    expect(notification?.body.toString()).toContain('ssn [ssn]');
  });
});

describe('errors of a statement that evaluates masked columns', () => {
  test('keep SQLSTATE and position and lose every value', async () => {
    await using bench = await benchWith({ masks: [undefined], redactErrors: true });
    await using client = await RawClient.open(bench.port);
    const failed = await client.ask([query('SELECT email::int FROM people')]);
    const [error] = errors(failed);
    expect(error).toMatchObject({ S: 'ERROR', C: '22P02' });
    expect(JSON.stringify(error)).not.toContain('ada');
    const extended = await client.ask([run('SELECT email::int FROM people'), sync]);
    expect(JSON.stringify(errors(extended))).not.toContain('ada');
  });

  test('are redacted at the end of the transaction too, where constraints are deferred to', async () => {
    await sql(`
      CREATE TABLE parent (card text PRIMARY KEY);
      CREATE TABLE child (card text REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    `);
    await using bench = await startBench({
      target: target(),
      script: (text) =>
        /^insert/i.test(text)
          ? { redactErrors: true }
          : /^commit/i.test(text)
            ? { effect: { transaction: 'commit' } }
            : undefined,
    });
    await using client = await RawClient.open(bench.port);
    const insert = "INSERT INTO child VALUES ('4012888888881881')";
    await client.ask([query('BEGIN')]);
    await client.ask([query(insert)]);
    const atCommit = await client.ask([query('COMMIT')]);
    expect(errors(atCommit)[0]).toMatchObject({ C: '23503' });
    expect(JSON.stringify(errors(atCommit))).not.toContain('4012');
    const atSync = await client.ask([run(insert), sync]);
    expect(letters(atSync)).toBe('1 2 C E Z');
    expect(JSON.stringify(errors(atSync))).not.toContain('4012');
    const unrelated = await client.ask([query("SELECT 'x'::int")]);
    expect(errors(unrelated)[0]?.['M']).toContain('"x"');
  });

  test('pass where the class of error shows no values', async () => {
    await using bench = await benchWith({ masks: ['derived', 'derived'], redactErrors: true });
    await using client = await RawClient.open(bench.port);
    await client.ask([query('SET statement_timeout = 50')]);
    const failed = await client.ask([query('SELECT pg_sleep(9), count(*) FROM people')]);
    expect(errors(failed)[0]?.['M']).toBe('canceling statement due to statement timeout');
  });
});

describe('a limit of rows', () => {
  const limits = {
    maxTimeSeconds: 1,
    idleTimeSeconds: 1,
    maxConnections: 1,
    maxRows: 10,
    lookups: 0,
  };
  const grant = testGrant({ limits });

  test('lets a result of exactly so many rows through', async () => {
    await using bench = await benchWith({}, grant);
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([query('SELECT generate_series(1, 10)')]);
    expect(letters(answers).endsWith('D C Z')).toBe(true);
  });

  test('cuts a longer one off with an error, and stops it at the target', async () => {
    await using bench = await benchWith({}, grant);
    await using client = await RawClient.open(bench.port);
    await client.ask([query('BEGIN')]);
    // So many rows that the test would not end if it ran to its own end.
    const answers = await client.ask([query('SELECT generate_series(1, 100000000000)')]);
    expect(rows(answers)).toHaveLength(10);
    expect(errors(answers)).toMatchObject([{ C: '54000', R: 'HOOP_LIMIT' }]);
    expect(status(answers)).toBe('E');
    await client.ask([query('ROLLBACK')]);
    const extended = await client.ask([run('SELECT generate_series(1, 100000000000)'), sync]);
    expect(rows(extended)).toHaveLength(10);
    expect(rows(await client.ask([query('SELECT 1')]))).toEqual([['1']]);
  });
});
