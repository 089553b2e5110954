/** Writes whose rows are counted before they may be committed: scripted rules, a real server. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { RowCountSource } from '../../../../src/connectors/postgres/policy/facts/analysis-types.ts';
import type { RowThreshold } from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { encodeCancelRequest } from '../../../../src/connectors/postgres/protocol/startup-packet.ts';
import { type Bench, type ScriptedStatement, startBench, testGrant } from './engine-bench.ts';
import {
  bind,
  closePortal,
  copyDone,
  describePortal,
  errors,
  execute,
  flush,
  letters,
  message,
  parse,
  query,
  RawClient,
  type Received,
  report,
  rows,
  run,
  status,
  sync,
  terminate,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql, direct } = testTarget(`
  CREATE TABLE t (id int PRIMARY KEY, v int NOT NULL);
  CREATE TABLE child (id int, t_id int REFERENCES t ON DELETE CASCADE);
  CREATE TABLE late (id int, t_id int REFERENCES t DEFERRABLE INITIALLY DEFERRED);
  CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM t; SELECT 1';
  CREATE TABLE audited (id int);
  CREATE FUNCTION spread() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN UPDATE t SET v = v + 1; RETURN NEW; END $$;
  CREATE TRIGGER spreads BEFORE INSERT ON audited FOR EACH ROW EXECUTE FUNCTION spread();
  CREATE TABLE ruled (id int);
  CREATE RULE spreads AS ON INSERT TO ruled DO ALSO UPDATE t SET v = v + 1;
`);

const RULE = { id: 'test/rows', file: 'policies/test.yaml', line: 9 };
const MAX_ROWS = 2;
const REFUSED: RowThreshold = {
  above: MAX_ROWS,
  rule: RULE,
  outcome: {
    effect: 'refuse',
    refusal: {
      code: 'HOOP_DENIED',
      sqlState: '42501',
      message: 'more than 2 rows are denied by policy',
      detail: 'Rule test/rows says so.',
      hint: 'Change fewer.',
      position: undefined,
      rule: RULE,
    },
  },
};

/** Ends of statements of a text; the tests have no semicolons in literals. */
function script(text: string): readonly ScriptedStatement[] {
  let start = 0;
  return text.split(';').flatMap((own) => {
    const range = [start, start + Buffer.byteLength(own)] as const;
    start = range[1] + 1;
    return own.trim() === '' ? [] : [{ ...scripted(own), range }];
  });
}

const VERB = /^\s*(?:explain analyze|with \w+ as \()?\s*(\w+)/i;

function scripted(text: string): ScriptedStatement {
  const first = /^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() ?? '';
  const verb = VERB.exec(text)?.[1]?.toLowerCase() ?? '';
  const transaction = { begin: 'begin', commit: 'commit', rollback: 'rollback' }[first];
  const effect =
    first === 'copy'
      ? { copy: { direction: 'in', format: 'text' } as const }
      : transaction === undefined
        ? {}
        : // One of the three by the table above.
          { transaction: transaction as 'begin' | 'commit' | 'rollback' };
  const isWrite = ['insert', 'update', 'delete', 'merge', 'copy'].includes(verb);
  const limited = { rowThresholds: [REFUSED], rowCount: sourceOf(text), effect };
  return isWrite || text.includes('wipe()')
    ? { verb: first === 'with' ? 'select' : first, ...limited }
    : { verb: transaction ?? first, effect };
}

function sourceOf(text: string): RowCountSource {
  if (text.includes('/* blind */'))
    return { from: 'nowhere', why: 'public.far is a foreign table' };
  const isTag = !/audited|ruled|child|with|explain|wipe/i.test(text);
  return isTag ? { from: 'tag' } : { from: 'statistics', relations: 'all' };
}

let bench: Bench;
let client: RawClient;

beforeAll(async () => {
  bench = await startBench({ target: target(), script });
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
  expect(bench.failures).toEqual([]);
});

beforeEach(async () => {
  await sql(`TRUNCATE t, child, late, audited, ruled;
    INSERT INTO t SELECT n, 0 FROM generate_series(1, 5) n;
    INSERT INTO child SELECT n, 1 FROM generate_series(1, 5) n`);
  client = await RawClient.open(bench.port);
  return async () => {
    await client[Symbol.asyncDispose]();
    await bench.idle();
  };
});

const REFUSAL = { C: '42501', M: 'more than 2 rows are denied by policy' };
const tags = (received: readonly Received[]): string[] =>
  received
    .filter(({ type }) => type === 'C')
    .map(({ body }) => body.toString('latin1').replace('\0', ''));
const changed = async (): Promise<number> =>
  Number((await sql('SELECT count(*) FILTER (WHERE v > 0) + 5 - count(*) FROM t'))[0]?.[0]);

describe('a simple Query outside of a transaction', () => {
  test('commits what is within the limit, and answers as the server does', async () => {
    const answers = await client.ask([query('UPDATE t SET v = 1 WHERE id <= 2')]);
    expect(letters(answers)).toBe('C Z');
    expect(tags(answers)).toEqual(['UPDATE 2']);
    expect(status(answers)).toBe('I');
    expect(await changed()).toBe(2);
    const returning = await client.ask([query('UPDATE t SET v = 2 WHERE id <= 2 RETURNING id')]);
    expect(letters(returning)).toBe('T D D C Z');
  });

  test('is rolled back above the limit, with the count in the error', async () => {
    const answers = await client.ask([query('UPDATE t SET v = 1')]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]).toMatchObject(REFUSAL);
    expect(errors(answers)[0]?.['D']).toContain('It would change 5 rows');
    expect(status(answers)).toBe('I');
    expect(await changed()).toBe(0);
    expect(letters(await client.ask([query('SELECT 1')]))).toBe('T D C Z');
  });

  test('shows nothing of RETURNING when it is above the limit', async () => {
    const answers = await client.ask([query('DELETE FROM t RETURNING id')]);
    expect(letters(answers)).toBe('T E Z');
    expect(await changed()).toBe(0);
  });

  test('gets an error of the commit in place of the tag', async () => {
    const answers = await client.ask([query('INSERT INTO late VALUES (1, 99) RETURNING 1')]);
    expect(letters(answers)).toBe('T D E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '23503' });
    expect(status(answers)).toBe('I');
  });

  test('gets its own error as it is, with the position', async () => {
    const answers = await client.ask([query('UPDATE t SET nope = 1')]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '42703', P: '14' });
    expect(letters(await client.ask([query('UPDATE t SET v = 1 WHERE id = 1')]))).toBe('C Z');
  });

  test('leaves no unnamed statement behind that could be bound', async () => {
    await client.ask([query('UPDATE t SET v = 1 WHERE id = 1')]);
    const answers = await client.ask([bind(), execute(), sync]);
    expect(errors(answers)[0]).toMatchObject({ C: '26000' });
  });

  test('runs in a row, sent at once', async () => {
    const answers = await client.ask(
      [query('UPDATE t SET v = 1 WHERE id = 1'), query('DELETE FROM t'), query('SELECT 1')],
      3,
    );
    expect(letters(answers)).toBe('C Z E Z T D C Z');
    expect(await changed()).toBe(1);
  });

  test('is rolled back when the client leaves before it is answered', async () => {
    await sql(
      'CREATE FUNCTION late() RETURNS int LANGUAGE sql AS $$ SELECT 1 FROM pg_sleep(3600) $$',
    );
    const other = await RawClient.open(bench.port);
    other.send(query('UPDATE t SET v = late() WHERE id = 1'));
    for (let runs = 0; runs === 0; ) {
      runs = (await sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length;
    }
    other.socket.resetAndDestroy();
    for (let runs = 1; runs > 0; ) {
      runs = (await sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length;
    }
    expect(await changed()).toBe(0);
  });
});

describe('several statements of one text', () => {
  test('are all committed, or none', async () => {
    const some = await client.ask([
      query('UPDATE t SET v = 1 WHERE id = 1; SELECT 7; UPDATE t SET v = 1 WHERE id = 2'),
    ]);
    expect(letters(some)).toBe('C T D C C Z');
    expect(await changed()).toBe(2);
    const none = await client.ask([
      query('UPDATE t SET v = 1 WHERE id = 3; DELETE FROM t; UPDATE t SET v = 1 WHERE id = 4'),
    ]);
    expect(letters(none)).toBe('C E Z');
    expect(errors(none)[0]).toMatchObject(REFUSAL);
    expect(await changed()).toBe(2);
  });

  test('stand beside what waits for the commit itself', async () => {
    const answers = await client.ask([
      query('UPDATE t SET v = 1 WHERE id = 1; NOTIFY ch; LISTEN ch; UNLISTEN ch'),
    ]);
    expect(letters(answers)).toBe('C C C C Z');
    expect(await changed()).toBe(1);
  });

  test('have their errors where they stand in the text', async () => {
    const answers = await client.ask([
      query('UPDATE t SET v = 1 WHERE id = 1; UPDATE t SET nope = 1'),
    ]);
    expect(letters(answers)).toBe('C E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '42703', P: '47' });
    expect(await changed()).toBe(0);
  });

  test('are sent each by itself, however many there are, and none behind one that fails', async () => {
    const one = 'UPDATE t SET v = 1 WHERE id = 1;';
    const asked = 'SELECT length(current_query())';
    const all = await client.ask([query(`${one.repeat(249)}${asked}`)]);
    expect(rows(all)).toEqual([[String(asked.length)]]);
    expect(letters(all)).toBe(`${'C '.repeat(249)}T D C Z`);
    const failing = `${one.repeat(229)}UPDATE t SET nope = 1; ${one.repeat(120)}`;
    const answers = await client.ask([query(failing)]);
    expect(letters(answers)).toBe(`${'C '.repeat(229)}E Z`);
    expect(errors(answers)[0]).toMatchObject({ P: String(failing.indexOf('nope') + 1) });
    expect(await changed()).toBe(1);
  });

  test('are not sent any more when the grant has changed, and what ran is rolled back', async () => {
    let isSending = false;
    let generation = 'g1';
    await using revoked = await startBench({
      ...{ target: target(), script, grant: () => testGrant({ generation }) },
      onRecorded: () => {
        if (isSending) generation = 'g2';
      },
      onEvent: ({ type }) => {
        if (type === 'result') generation = 'g2';
      },
    });
    await using other = await RawClient.open(revoked.port);
    await other.ask([query('SELECT 1')]);
    generation = 'g1';
    isSending = true;
    const answers = await other.ask([query('UPDATE t SET v = 1 WHERE id = 1;'.repeat(150))]);
    expect(letters(answers)).toBe(`${'C '.repeat(100)}E Z`);
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    // One alone waits for the answers to what was sent before it.
    isSending = false;
    generation = 'g1';
    const behind = await other.ask([run('SELECT 1'), query('UPDATE t SET v = 1 WHERE id = 1')]);
    expect(letters(behind)).toBe('1 2 D C E Z');
    expect(await changed()).toBe(0);
  });

  test('and what waits for a count before it may run is decided by the grant of then', async () => {
    let generation = 'g1';
    const isCommit = (text: string) => generation === 'g2' && text === 'COMMIT';
    await using revoked = await startBench({
      ...{ target: target(), grant: () => testGrant({ generation }) },
      script: (text) => (isCommit(text) ? { deny: {} } : script(text)),
      onEvent: (event) => {
        if (event.type === 'result' && event.tag === 'UPDATE 1') generation = 'g2';
      },
    });
    await using other = await RawClient.open(revoked.port);
    await other.ask([run('BEGIN'), sync]);
    const answers = await other.ask([
      ...[run('UPDATE t SET v = 1 WHERE id = 1'), run('COMMIT'), sync],
    ]);
    expect(letters(answers)).toBe('1 2 C 1 2 E Z');
    expect(status(answers)).toBe('E');
  });

  test.each([
    ['UPDATE t SET v = 1; COMMIT', 'E Z', 'I'],
    ['BEGIN; UPDATE t SET v = 1; COMMIT', 'C E Z', 'E'],
    ['UPDATE t SET v = 1; CALL p()', 'E Z', 'I'],
    ['ALTER TABLE t ADD x int; UPDATE t SET v = 1', 'C E Z', 'I'],
  ])('are counted before what may commit them is sent: %s', async (text, expected, end) => {
    const answers = await client.ask([query(text)]);
    expect(letters(answers)).toBe(expected);
    expect(errors(answers)[0]).toMatchObject(REFUSAL);
    expect(status(answers)).toBe(end);
    await client.ask([query('ROLLBACK')]);
    expect(await changed()).toBe(0);
  });

  test('beside what may commit them change what the limit permits', async () => {
    const few = 'UPDATE t SET v = 1 WHERE id < 3';
    for (const text of [`BEGIN; ${few}; COMMIT`, `${few}; COMMIT; SELECT 1`]) {
      const answers = await client.ask([query(text)]);
      expect([errors(answers), status(answers)]).toEqual([[], 'I']);
      expect(await changed()).toBe(2);
    }
    const answers = await client.ask([query(`ALTER TABLE t ADD x int; ${few}; SELECT x FROM t`)]);
    expect(errors(answers)).toEqual([]);
    await sql('ALTER TABLE t DROP x');
  });

  test('find the transaction block that LOCK, DECLARE and SET LOCAL want', async () => {
    const few = 'UPDATE t SET v = 1 WHERE id < 3';
    const answers = await client.ask([
      query(
        `LOCK t; ${few}; DECLARE c CURSOR FOR SELECT 7; FETCH c; SET LOCAL work_mem = 64; ${few}`,
      ),
    ]);
    expect(answers.map(({ type }) => type).join(' ')).toBe('C C C T D C C C Z');
    expect(await changed()).toBe(2);
  });
});

describe('the extended protocol', () => {
  test('a batch of small updates is committed at its Sync, as it was sent', async () => {
    const small = Array.from({ length: 100 }, (_, n) => run(`UPDATE t SET v = ${n} WHERE id = 1`));
    const answers = await client.ask([...small, sync]);
    expect(letters(answers)).toBe(`${'1 2 C '.repeat(100)}Z`);
    expect(await changed()).toBe(1);
  });

  test('one above the limit undoes the whole pipeline, and what follows is skipped', async () => {
    const answers = await client.ask(
      [
        run('UPDATE t SET v = 1 WHERE id = 1'),
        run('UPDATE t SET v = 1'),
        run('UPDATE t SET v = 1 WHERE id = 2'),
        sync,
        run('SELECT 1'),
        sync,
      ],
      2,
    );
    expect(letters(answers)).toMatch(/^1 2 C 1 2 E Z 1 2 D C Z$/);
    expect(errors(answers)).toHaveLength(1);
    expect(errors(answers)[0]).toMatchObject(REFUSAL);
    expect(await changed()).toBe(0);
  });

  test('a row limit of Execute does not hide how many rows change', async () => {
    const answers = await client.ask([
      parse('UPDATE t SET v = 1 RETURNING id'),
      bind(),
      execute('', 1),
      sync,
    ]);
    expect(letters(answers)).toBe('1 2 E Z');
    expect(await changed()).toBe(0);
  });

  test('RETURNING is handed out in the portions that the client asks for', async () => {
    const update = [parse('UPDATE t SET v = 1 WHERE id <= 2 RETURNING id'), bind()];
    const answers = await client.ask([
      ...update,
      describePortal(),
      execute('', 1),
      execute('', 1),
      execute('', 1),
      execute('', 0),
      sync,
    ]);
    expect(letters(answers)).toBe('1 2 T D s D s C C Z');
    expect(rows(answers)).toEqual([['1'], ['2']]);
    expect(tags(answers)).toEqual(['UPDATE 0', 'UPDATE 0']);
    expect(await changed()).toBe(2);
    const more = await client.ask([...update, execute('', 5), sync]);
    expect(letters(more)).toBe('1 2 D D C Z');
    expect(tags(more)).toEqual(['UPDATE 2']);
  });

  test('a portal that is closed and bound anew is counted anew', async () => {
    const answers = await client.ask([
      parse('UPDATE t SET v = 1 WHERE id <= 2 RETURNING id', 's'),
      bind({ portal: 'p', statement: 's' }),
      execute('p', 1),
      closePortal('p'),
      parse('UPDATE t SET v = 1 RETURNING id', 's2'),
      bind({ portal: 'p', statement: 's2' }),
      execute('p', 1),
      sync,
    ]);
    expect(letters(answers)).toBe('1 2 D s 3 1 2 E Z');
    expect(await changed()).toBe(0);
  });

  test.each([
    ['COMMIT', [run('COMMIT')]],
    ['PREPARE TRANSACTION', [run("PREPARE TRANSACTION 'x'")]],
    ['CALL', [run('CALL p()')]],
    ['a Query', [query('SELECT 1')]],
    ['a Query that commits', [query('COMMIT')]],
  ])('nothing that commits overtakes the count: %s', async (_, commits) => {
    await client.ask([run('UPDATE t SET v = 1'), ...commits, sync]);
    expect(await changed()).toBe(0);
  });

  test('what the client has not committed by Sync is not committed when it leaves', async () => {
    client.send(run('UPDATE t SET v = 1 WHERE id = 1'), flush);
    await client.until((all) => all.some(({ type }) => type === 'C'));
    client.send(terminate);
    await client.closed();
    await bench.idle();
    expect(await changed()).toBe(0);
  });

  test('a rejected Sync of the commit comes behind the tags, as from the server', async () => {
    const answers = await client.ask([run('INSERT INTO late VALUES (1, 99)'), sync]);
    expect(letters(answers)).toBe('1 2 C E Z');
  });

  test('an error of an earlier segment that is still on its way lets nothing pass', async () => {
    const answers = await client.ask(
      [
        run('SELECT 1 / 0'),
        sync,
        run('UPDATE t SET v = 1'),
        sync,
        query('SELECT 1 / 0'),
        query('UPDATE t SET v = 1'),
        run('SELECT nope'),
        sync,
        query('UPDATE t SET v = 1'),
      ],
      6,
    );
    expect(letters(answers)).toBe('1 E Z 1 2 E Z E Z E Z E Z E Z');
    expect(await changed()).toBe(0);
  });

  test('several above the limit in one pipeline undo it once, and the next goes on', async () => {
    const answers = await client.ask(
      [
        run('UPDATE t SET v = 1'),
        run('EXPLAIN ANALYZE UPDATE t SET v = 2'),
        run('UPDATE t SET v = 3'),
        sync,
        run('UPDATE t SET v = 4 WHERE id = 1'),
        sync,
        query('SELECT v FROM t WHERE v > 0'),
      ],
      3,
    );
    expect(letters(answers)).toBe('1 2 E Z 1 2 C Z T D C Z');
    expect(rows(answers)).toEqual([['4']]);
  });

  test('a prepared statement is counted each time, with its values', async () => {
    await client.ask([parse('UPDATE t SET v = 1 WHERE id <= $1', 's'), sync]);
    const few = await client.ask([bind({ statement: 's', values: ['2'] }), execute(), sync]);
    expect(letters(few)).toBe('2 C Z');
    const many = await client.ask([bind({ statement: 's', values: ['4'] }), execute(), sync]);
    expect(letters(many)).toBe('2 E Z');
    expect(await changed()).toBe(2);
  });
});

describe("the client's own transaction", () => {
  test('goes on within the limit, and fails above it like after any error', async () => {
    await client.ask([query('BEGIN')]);
    const few = await client.ask([query('UPDATE t SET v = 1 WHERE id = 1')]);
    expect(letters(few)).toBe('C Z');
    expect(status(few)).toBe('T');
    const many = await client.ask([query('UPDATE t SET v = 1')]);
    expect(letters(many)).toBe('E Z');
    expect(status(many)).toBe('E');
    const after = await client.ask([query('SELECT 1'), query('COMMIT')], 2);
    expect(errors(after)[0]).toMatchObject({ C: '25P02' });
    expect(tags(after)).toEqual(['ROLLBACK']);
    expect(await changed()).toBe(0);
  });

  test('a COMMIT sent right behind commits nothing that is above the limit', async () => {
    const extended = await client.ask(
      [query('BEGIN'), run('UPDATE t SET v = 1'), run('COMMIT'), sync, query('COMMIT')],
      3,
    );
    expect(tags(extended).at(-1)).toBe('ROLLBACK');
    const simple = await client.ask(
      [query('BEGIN'), query('UPDATE t SET v = 1'), query('COMMIT')],
      3,
    );
    expect(tags(simple)).toEqual(['BEGIN', 'ROLLBACK']);
    expect(await changed()).toBe(0);
  });

  test('a savepoint of the client brings it back, without the write', async () => {
    const answers = await client.ask(
      [
        query('BEGIN'),
        query('SAVEPOINT a'),
        query('UPDATE t SET v = 1'),
        query('ROLLBACK TO a'),
        query('UPDATE t SET v = 1 WHERE id = 1'),
        query('COMMIT'),
      ],
      6,
    );
    expect(letters(answers)).toBe('C Z C Z E Z C Z C Z C Z');
    expect(await changed()).toBe(1);
  });
});

describe('where the tag is not the count', () => {
  test.each([
    ['a cascade', 'DELETE FROM t WHERE id = 1 /* child */'],
    ['a trigger', 'INSERT INTO audited VALUES (1)'],
    ['a rule', 'INSERT INTO ruled VALUES (1)'],
    ['a writable CTE', 'WITH d AS (DELETE FROM t RETURNING id) SELECT 1'],
    ['EXPLAIN ANALYZE', 'EXPLAIN ANALYZE UPDATE t SET v = 1'],
    ['a function', 'SELECT wipe()'],
  ])('%s is counted by the statistics, in both protocols', async (_, text) => {
    const simple = await client.ask([query(text)]);
    expect(errors(simple)[0]).toMatchObject(REFUSAL);
    expect(letters(simple).replace('T ', '')).toBe('E Z');
    const extended = await client.ask([run(text), sync]);
    expect(letters(extended)).toBe('1 2 E Z');
    expect(await changed()).toBe(0);
    expect(await sql('SELECT count(*) FROM child')).toEqual([['5']]);
  });

  test('what is within the limit shows its result and is committed', async () => {
    const text = 'WITH d AS (UPDATE t SET v = 1 WHERE id <= 2 RETURNING id) SELECT id FROM d';
    const simple = await client.ask([query(text)]);
    expect(letters(simple)).toBe('T D D C Z');
    const extended = await client.ask([parse(text), bind(), execute('', 1), execute(), sync]);
    expect(letters(extended)).toBe('1 2 D s D C Z');
    expect(tags(extended)).toEqual(['SELECT 1']);
    expect(await changed()).toBe(2);
  });

  test('operators of the client do not change the sum', async () => {
    await sql(`CREATE SCHEMA evil;
      CREATE FUNCTION evil.none(bigint, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
      CREATE OPERATOR evil.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.none);
      CREATE FUNCTION evil.no("char", "char") RETURNS bool LANGUAGE sql AS 'SELECT false';
      CREATE OPERATOR evil.= (LEFTARG = "char", RIGHTARG = "char", FUNCTION = evil.no)`);
    await client.ask([query('SET search_path = evil, pg_catalog, public')]);
    const answers = await client.ask([query('EXPLAIN ANALYZE DELETE FROM t')]);
    expect(errors(answers)[0]).toMatchObject(REFUSAL);
  });

  test('what cannot be counted is not run', async () => {
    const answers = await client.ask([query('UPDATE t SET v = 1 WHERE id = 1 /* blind */')]);
    expect(errors(answers)[0]?.['D']).toContain('public.far is a foreign table');
    const extended = await client.ask([run('UPDATE t SET v = 1 WHERE id = 1 /* blind */'), sync]);
    expect(letters(extended)).toBe('1 2 E Z');
    expect(await changed()).toBe(0);
  });

  test('a server that does not count is no way round', async () => {
    await client.ask([query('SET track_counts = off')]);
    const answers = await client.ask([query('EXPLAIN ANALYZE UPDATE t SET v = 1')]);
    expect(errors(answers)[0]?.['D']).toContain('track_counts');
    expect(await changed()).toBe(0);
  });
});

describe('COPY FROM STDIN', () => {
  const data = (from: number, to: number): Uint8Array => {
    const lines = Array.from({ length: to - from + 1 }, (_, n) => `${from + n}\t0\n`);
    return message('d', Buffer.from(lines.join('')));
  };
  const count = async (): Promise<unknown> => (await sql('SELECT count(*) FROM t'))[0]?.[0];
  const copying = async (): Promise<void> => {
    const from = client.received.length;
    await client.until((all) => all.slice(from).some(({ type }) => type === 'G'));
  };

  test('is counted when its data is there', async () => {
    client.send(query('COPY t FROM STDIN'));
    await copying();
    const some = await client.ask([data(10, 11), copyDone]);
    expect(letters(some)).toBe('C Z');
    expect(tags(some)).toEqual(['COPY 2']);
    expect(await count()).toBe('7');
    client.send(query('COPY t FROM STDIN'));
    await copying();
    const many = await client.ask([data(20, 21), data(22, 29), copyDone]);
    expect(letters(many)).toBe('E Z');
    expect(errors(many)[0]).toMatchObject(REFUSAL);
    expect(status(many)).toBe('I');
    expect(await count()).toBe('7');
  });

  test('is counted in the extended protocol, with its Sync right behind', async () => {
    const many = await client.ask([run('COPY t FROM STDIN'), data(10, 19), copyDone, sync]);
    expect(letters(many)).toBe('1 2 G E Z');
    expect(await count()).toBe('5');
    const some = await client.ask([run('COPY t FROM STDIN'), data(10, 11), copyDone, sync]);
    expect(letters(some)).toBe('1 2 G C Z');
    expect(await count()).toBe('7');
  });

  test('from a file of the server is counted without data of the client', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'hoop-rows-'));
    const [few, many] = [join(directory, 'few'), join(directory, 'many')];
    await writeFile(few, '10\t0\n');
    await writeFile(many, '20\t0\n21\t0\n22\t0\n');
    await chmod(directory, 0o755);
    expect(letters(await client.ask([query(`COPY t FROM '${few}'`)]))).toBe('C Z');
    expect(letters(await client.ask([query(`COPY t FROM '${many}'`)]))).toBe('E Z');
    expect(letters(await client.ask([run(`COPY t FROM '${many}'`), sync]))).toBe('1 2 E Z');
    expect(await count()).toBe('6');
    await rm(directory, { recursive: true });
  });

  test('fails as it does directly, and the connection goes on', async () => {
    client.send(query('COPY t FROM STDIN'));
    await copying();
    const answers = await client.ask([message('d', Buffer.from('x\n'))]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]).toMatchObject({ C: '22P02' });
    const after = await client.ask([data(10, 11), copyDone, query('SELECT 1')]);
    expect(letters(after)).toBe('T D C Z');
    client.send(query('COPY t FROM STDIN'));
    await copying();
    const failed = await client.ask([message('f', Buffer.from('no\0'))]);
    expect(letters(failed)).toBe('E Z');
    expect(letters(await client.ask([query('SELECT 1')]))).toBe('T D C Z');
    expect(await count()).toBe('5');
  });
});

describe('what comes in between', () => {
  const sleeping = async (): Promise<void> => {
    for (let found = 0; found === 0; ) {
      found = (await sql("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length;
    }
  };
  const SLOW = 'UPDATE t SET v = (SELECT 1 FROM pg_sleep(3600)) WHERE id = 1';

  test.each([
    ['a Query', [query(SLOW)], 'E Z'],
    ['an Execute with its Sync', [run(SLOW), sync], '1 2 E Z'],
  ])('a cancel hits %s as it would directly', async (_, messages, expected) => {
    const key = client.received.find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8);
    client.received.splice(0);
    client.send(...messages);
    await sleeping();
    connect(bench.port, '127.0.0.1').end(
      encodeCancelRequest({
        processId: key.readInt32BE(0),
        secretKey: Uint8Array.from(key.subarray(4)),
      }),
    );
    await client.until((all) => all.some(({ type }) => type === 'Z'));
    expect(letters(client.received)).toBe(expected);
    expect(errors(client.received)[0]).toMatchObject({
      C: '57014',
      M: 'canceling statement due to user request',
    });
    expect(letters(await client.ask([query('UPDATE t SET v = 1 WHERE id = 1')]))).toBe('C Z');
  });

  test('the end of the session leaves nothing committed', async () => {
    await using other = await startBench({ target: target(), script });
    await using ended = await RawClient.open(other.port);
    ended.send(query(SLOW));
    await sleeping();
    other.session.abort();
    await ended.closed();
    await other.idle();
    expect(await changed()).toBe(0);
  });

  test('the loss of the target ends the connection', async () => {
    await using other = await startBench({ target: target(), script });
    await using lost = await RawClient.open(other.port);
    lost.send(query(SLOW));
    await sleeping();
    await sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'",
    );
    await lost.closed();
    expect(errors(lost.received).at(-1)).toMatchObject({ C: '57P01' });
    expect(await changed()).toBe(0);
  });

  test('a result that is cut off does not keep the count from coming', async () => {
    const grant = testGrant();
    const limits = { ...grant.limits, maxRows: 1 };
    await using short = await startBench({
      target: target(),
      script,
      grant: () => ({ ...grant, limits }),
    });
    await using reader = await RawClient.open(short.port);
    const update = 'UPDATE t SET v = 1 WHERE id <= 2 RETURNING id';
    const extended = await reader.ask([run(update), sync]);
    expect(errors(extended)[0]).toMatchObject({ C: '54000' });
    expect(errors(await reader.ask([query(update)]))[0]).toMatchObject({ C: '54000' });
    const many = await reader.ask([run('UPDATE t SET v = 9 RETURNING id'), sync]);
    expect(letters(many)).toBe('1 2 E Z');
    expect(await sql('SELECT count(*) FROM t WHERE v = 9')).toEqual([['0']]);
  });

  test('a message that is none of a COPY ends the connection, as it does directly', async () => {
    const from = client.received.length;
    client.send(query('COPY t FROM STDIN'));
    await client.until((all) => all.slice(from).some(({ type }) => type === 'G'));
    client.send(message('d', Buffer.from('10\t0\n')), query('SELECT 1'));
    await client.closed();
    expect(errors(client.received)).toMatchObject([{ C: '08P01' }, { V: 'FATAL' }]);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['5']]);
  });

  test('a Sync within a COPY commits nothing', async () => {
    const from = client.received.length;
    client.send(query('COPY t FROM STDIN'));
    await client.until((all) => all.slice(from).some(({ type }) => type === 'G'));
    const lines = (first: number): Uint8Array =>
      message('d', Buffer.from(`${first}\t0\n${first + 1}\t0\n`));
    const answers = await client.ask([lines(10), sync, lines(20), sync, copyDone]);
    expect(letters(answers)).toBe('E Z');
    expect(errors(answers)[0]).toMatchObject(REFUSAL);
    expect(await sql('SELECT count(*) FROM t')).toEqual([['5']]);
  });

  test('what is above the limit is in the record as refused, with its result', async () => {
    const from = bench.events.length;
    await client.ask([query('UPDATE t SET v = 1')]);
    const told = bench.events
      .slice(from)
      .flatMap((event) =>
        event.type === 'decision'
          ? [event.effect]
          : event.type === 'result'
            ? [event.sqlState ?? event.tag]
            : [],
      );
    expect(told).toEqual(['allow', 'refuse', '42501']);
  });
});

describe('compared with the server itself', () => {
  const many = 'INSERT INTO t SELECT n, n FROM generate_series(10, 11) n';
  const sequences: readonly (readonly (Uint8Array | readonly Uint8Array[])[])[] = [
    [query(many), query('UPDATE t SET v = 7 WHERE id < 3 RETURNING *'), query('DELETE FROM nope')],
    [query("UPDATE t SET v = 'x' WHERE id = 1"), query('UPDATE t SET v = $1'), query('SELECT 1')],
    [query('INSERT INTO t VALUES (1, 1)'), query('INSERT INTO t VALUES (90, 1) RETURNING id, 2.5')],
    [query('INSERT INTO late VALUES (1, 99)'), query('INSERT INTO late VALUES (1, 1)')],
    [query('BEGIN'), query('UPDATE t SET v = 3 WHERE id = 1'), query('x'), query(many)],
    [query('BEGIN'), query(many), query('UPDATE t SET v = 1 WHERE id = 10'), query('COMMIT')],
    [query('SELECT 1; UPDATE t SET v = 3 WHERE id = 1 RETURNING v; SELECT 2 AS b'), query(many)],
    [query('UPDATE t SET v = 3 WHERE id = 1; SELECT nope'), query('DELETE FROM t WHERE id = 3')],
    [query('DELETE FROM t WHERE id = 3 /* é 😀 */; DELETE FROM x'), query('SELECT 1')],
    [query('BEGIN READ ONLY'), query(many), query('ROLLBACK'), query(many)],
    [query('BEGIN'), run(many), sync, run('COMMIT'), sync, query('SELECT count(*) FROM t')],
    [
      parse('UPDATE t SET v = 1 WHERE id < 3 RETURNING id', 's'),
      [bind({ portal: 'p', statement: 's' }), describePortal('p'), execute('p', 1), sync],
      [query('BEGIN'), bind({ portal: 'p', statement: 's' }), execute('p', 1), sync],
      [
        execute('p', 1),
        execute('p', 9),
        sync,
        execute('p'),
        closePortal('p'),
        sync,
        query('COMMIT'),
      ],
    ],
    [run(many), run('SELECT 1/0'), run(many), sync, run('DELETE FROM t WHERE id = 1'), sync],
    [run(many), execute(), sync, query('SELECT count(*) FROM t')],
    [query('COPY t FROM STDIN'), [message('d', Buffer.from('70\t1\n')), copyDone], query(many)],
    [
      query(
        'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) UPDATE t SET v = 1 WHERE id = 1',
      ),
    ],
  ];
  const comparable = (received: readonly Received[]): string[] =>
    received
      .filter(({ type }) => !'SKR'.includes(type))
      .map(({ type, body }) => `${type} ${type === 'E' ? said(body) : body.toString('latin1')}`);
  // A Query is told of its parameters in other words; see the design note.
  const said = (body: Buffer): string => {
    const { C, M, P } = report(body);
    return C === '42P02' || C === '08P01' ? 'parameters' : `${C} ${M} ${P ?? ''}`;
  };
  const ready = (messages: readonly Uint8Array[]): number =>
    messages.filter(([first]) => first === 0x51 || first === 0x53).length;

  test.each(sequences.map((messages, index) => [index, messages] as const))(
    'sequence %i looks the same, a byte at a time as well',
    async (_, messages) => {
      const flat = messages.flat() as Uint8Array[];
      const play = async (player: RawClient): Promise<string[]> => {
        await sql(
          'TRUNCATE t, child, late; INSERT INTO t SELECT n, 0 FROM generate_series(1, 5) n',
        );
        player.received.splice(0);
        await player.ask([flat], ready(flat));
        const rest = await sql('SELECT * FROM t ORDER BY id');
        return [...comparable(player.received), JSON.stringify(rest)];
      };
      await using itself = await direct();
      const expected = await play(itself);
      expect(await play(client)).toEqual(expected);
      await using slow = await startBench({ target: target(), script, byteAtATime: true });
      await using trickling = await RawClient.open(slow.port);
      expect(await play(trickling)).toEqual(expected);
    },
  );
});

test('a count that takes too long is stopped, and nothing is committed', async () => {
  await using slow = await startBench({ target: target(), script, countWithinMs: 50 });
  await using impatient = await RawClient.open(slow.port);
  const text = 'UPDATE t SET v = (SELECT 1 FROM pg_sleep(3600)) WHERE id = 1';
  const simple = await impatient.ask([query(text)]);
  expect(errors(simple)[0]).toMatchObject({ C: '42501', R: 'HOOP_ROWS' });
  const extended = await impatient.ask([run(text), sync]);
  expect(letters(extended)).toBe('1 2 E Z');
  expect(errors(extended)[0]).toMatchObject({ R: 'HOOP_ROWS' });
  // The target takes nothing more while the first one runs.
  const many = `UPDATE t SET v = 1 WHERE id = 1 /*${'x'.repeat(100_000)}*/;`.repeat(200);
  const several = await impatient.ask([query(`${text};${many}`)]);
  expect(letters(several)).toBe('E Z');
  expect(errors(several)[0]).toMatchObject({ R: 'HOOP_ROWS' });
  expect(await changed()).toBe(0);
});
