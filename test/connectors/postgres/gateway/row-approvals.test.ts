/** Writes above a number of rows: who may approve is asked with the count. Real policy, real server. */
import { beforeEach, describe, expect, test } from 'vitest';
import { StatementPart } from '../../../../src/api/approvals.ts';
import type { ApprovalTerms, Grant } from '../../../../src/policy/types.ts';
import { grantOf } from '../policy/grant-fixture.ts';
import {
  ada,
  approvalBench,
  erin,
  grantOfCommit,
  held,
  person,
  readyAgain,
  requestIn,
} from './approval-bench.ts';
import type { Bench } from './engine-bench.ts';
import {
  bind,
  copyDone,
  describePortal,
  errors,
  execute,
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
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, sql } = testTarget(`
  CREATE TABLE t (id int PRIMARY KEY, v int);
  CREATE TABLE child (id int, t_id int REFERENCES t ON DELETE CASCADE);
  CREATE TABLE parts (id int, v int) PARTITION BY RANGE (id);
  CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
  CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (100);
  CREATE VIEW view_t AS SELECT * FROM t;
`);
const bench = approvalBench(target);

beforeEach(async () => {
  await sql(`TRUNCATE t, child, parts;
    INSERT INTO t SELECT n, 0 FROM generate_series(1, 6) n;
    INSERT INTO child SELECT n, 1 FROM generate_series(1, 6) n;
    INSERT INTO parts SELECT n, 0 FROM generate_series(1, 20) n`);
});

/** Up to 2 rows anybody may change, up to 5 with a second person, more nobody. */
function grantWith(terms: Partial<ApprovalTerms> = {}): Grant {
  return grantOfCommit(
    [
      'allow select, insert, update, delete, merge, explain on public.*',
      'approve insert, update, delete, merge, copy above 2 rows on public.*',
      'deny delete above 5 rows on public.*',
    ],
    terms,
  );
}

const started = (terms: Partial<ApprovalTerms> = {}): Promise<Bench> => {
  const grant = grantWith(terms);
  return bench.open(() => grant);
};

async function opened(one: Bench): Promise<RawClient> {
  const client = await RawClient.open(one.port);
  client.received.splice(0);
  return client;
}

const letters = (received: readonly Received[]): string =>
  received.flatMap(({ type }) => (type === 'S' || type === 'A' ? [] : [type])).join(' ');

const approve = (id: string): Promise<unknown> =>
  bench.approvals().decide(ada, id, { decision: 'approve' });
const changed = async (): Promise<string | null | undefined> =>
  (await sql('SELECT count(*) FILTER (WHERE v > 0) + 6 - count(*) FROM t'))[0]?.[0];

describe('outside of a transaction', () => {
  test('a Query above the number is rolled back, waits with its count, and runs once approved', async () => {
    await using one = await started();
    await using client = await opened(one);
    client.send(query('UPDATE t SET v = 1 WHERE id <= 4 RETURNING id'));
    const id = await held(client);
    expect(StatementPart.parse(await bench.approvals().details(id))).toMatchObject({
      changes: {
        counted: 'trial',
        rows: 4,
        relations: [{ schema: 'public', name: 't', rows: 4 }],
      },
      inTransaction: false,
      waits: true,
    });
    // Nobody waits for a lock of what has been rolled back.
    await sql("SET lock_timeout = '5s'; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    expect(await changed()).toBe('0');
    await approve(id);
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('T N D D D D C Z');
    expect(status(client.received)).toBe('I');
    expect(await changed()).toBe('4');
    expect((await bench.approvals().visible(erin, id)).state).toBe('used');
  });

  test('one person of two groups does not approve both a statement and its number of rows', async () => {
    const base = grantOfCommit([
      'allow select on public.*',
      'approve update on public.*',
      'approve update above 2 rows on public.*',
    ]);
    const rules = base.rules.map((rule) =>
      rule.rows === undefined || rule.approval === undefined
        ? rule
        : { ...rule, approval: { ...rule.approval, groups: ['dba'] } },
    );
    const both = person('bob', ['leads', 'dba']);
    await using one = await bench.open(() => ({ ...base, rules }));
    await using client = await opened(one);
    client.send(query('UPDATE t SET v = 1 WHERE id <= 4'));
    const id = await held(client);
    const decided = await bench.approvals().decide(both, id, { decision: 'approve' });
    expect(decided.state).toBe('waiting');
    expect(await changed()).toBe('0');
    await approve(id);
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('N C Z');
    expect(await changed()).toBe('4');
  });

  test('within the number nobody is asked', async () => {
    await using one = await started();
    await using client = await opened(one);
    const small = Array.from({ length: 20 }, () => run('UPDATE t SET v = 1 WHERE id = 1'));
    expect(letters(await client.ask([...small, sync]))).toBe(`${'1 2 C '.repeat(20)}Z`);
    expect(letters(await client.ask([query('UPDATE t SET v = 1 WHERE id <= 2')]))).toBe('C Z');
  });

  test('an Execute waits where it is, and its portal is bound again', async () => {
    await using one = await started();
    await using client = await opened(one);
    client.send(
      parse('UPDATE t SET v = 1 WHERE id <= $1 RETURNING id'),
      bind({ values: ['3'] }),
      describePortal(),
      execute('', 2),
      execute('', 2),
      sync,
      query('SELECT 1'),
    );
    const id = await held(client);
    await sql("SET lock_timeout = '5s'; LOCK TABLE t IN ACCESS EXCLUSIVE MODE");
    await approve(id);
    await client.until(readyAgain(2));
    expect(letters(client.received)).toBe('1 2 T N D D s D C Z T D C Z');
    expect(await changed()).toBe('3');
  });

  test('more rows than were approved are asked for anew', async () => {
    await using one = await started();
    await using client = await opened(one);
    client.send(query('UPDATE t SET v = 1 WHERE v = 0 AND id > 2'));
    const first = await held(client);
    await sql('INSERT INTO t VALUES (7, 0)');
    await approve(first);
    const notices = (): Received[] => client.received.filter(({ type }) => type === 'N');
    await client.until(() => notices().length === 2);
    const second = requestIn(report(notices()[1]?.body ?? Buffer.alloc(0)));
    expect(second).not.toBe(first);
    expect(await sql('SELECT count(*) FROM t WHERE v > 0')).toEqual([['0']]);
    await bench.approvals().decide(ada, second, { decision: 'deny' });
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('N N E Z');
    expect(errors(client.received)[0]).toMatchObject({ R: 'HOOP_APPROVAL_DENIED' });
    expect(await sql('SELECT count(*) FROM t WHERE v > 0')).toEqual([['0']]);
  });

  test('fewer rows than were approved run', async () => {
    await using one = await started();
    await using client = await opened(one);
    client.send(query('UPDATE t SET v = 1'));
    const id = await held(client);
    await sql('DELETE FROM t WHERE id = 6');
    await approve(id);
    await client.until(readyAgain(1));
    expect(letters(client.received)).toBe('N C Z');
  });

  test('what a deny rule says above a higher number nobody is asked about', async () => {
    await using one = await started();
    await using client = await opened(one);
    const answers = await client.ask([query('DELETE FROM t')]);
    expect(letters(answers)).toBe('E Z');
    // 6 rows, and those that are deleted with them.
    expect(errors(answers)[0]?.['D']).toContain('It would change 12 rows: 6 rows of public.');
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    expect(await changed()).toBe('0');
  });

  test('a cascade counts, a partitioned table too', async () => {
    await using one = await started();
    await using client = await opened(one);
    const cascade = await client.ask([query('DELETE FROM t WHERE id = 1')]);
    expect(errors(cascade)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    const parts = await client.ask([run('DELETE FROM parts'), sync]);
    expect(errors(parts)[0]?.['D']).toContain('20 rows');
    const explained = await client.ask([query('EXPLAIN ANALYZE DELETE FROM parts')]);
    expect(errors(explained)[0]?.['D']).toContain('20 rows');
    const cte = await client.ask([
      query('WITH d AS (DELETE FROM parts RETURNING id) SELECT count(*) FROM d'),
    ]);
    expect(letters(cte)).toBe('T E Z');
    const view = await client.ask([query('DELETE FROM view_t WHERE id > 0')]);
    expect(errors(view)[0]).toMatchObject({ R: 'HOOP_DENIED' });
    const prepared = await client.ask(
      [
        query('PREPARE p AS DELETE FROM parts WHERE id < $1'),
        query('EXECUTE p (3)'),
        query('EXECUTE p (15)'),
      ],
      3,
    );
    expect(letters(prepared)).toBe('C Z C Z E Z');
    expect(await changed()).toBe('0');
    expect(await sql('SELECT count(*) FROM parts')).toEqual([['18']]);
  });

  test('SQL that reads from a portal of the protocol is no way round', async () => {
    await using one = await started();
    await using client = await opened(one);
    const attack = async (how: string): Promise<void> => {
      const answers = await client.ask(
        [
          query('BEGIN'),
          parse('DELETE FROM parts RETURNING id'),
          bind({ portal: 'p' }),
          sync,
          query(how),
          query('COMMIT'),
        ],
        4,
      );
      expect(letters(answers)).toMatch(/^C Z 1 2 Z (T )?E Z C Z$/);
      expect(await sql('SELECT count(*) FROM parts')).toEqual([['20']]);
    };
    await attack('FETCH 1 FROM p');
    await attack('MOVE 1 IN p');
    await attack('FETCH ALL FROM p');
  });

  test('EXECUTE of a statement that was replaced once its portal was bound is no way round', async () => {
    await using one = await started();
    await using client = await opened(one);
    const answers = await client.ask(
      [
        query('PREPARE s AS SELECT 1'),
        query('BEGIN'),
        parse('EXECUTE s'),
        bind({ portal: 'p' }),
        sync,
        query('DEALLOCATE s'),
        query('PREPARE s AS DELETE FROM parts'),
        execute('p'),
        sync,
        query('COMMIT'),
      ],
      7,
    );
    expect(letters(answers)).toBe('C Z C Z 1 2 Z C Z C Z E Z C Z');
    expect(await sql('SELECT count(*) FROM parts')).toEqual([['20']]);
  });

  test('a partition that neither the catalog nor the snapshot has is counted', async () => {
    await using one = await started();
    await using client = await opened(one);
    await client.ask([query('BEGIN ISOLATION LEVEL REPEATABLE READ'), query('TABLE t')], 2);
    await sql('CREATE TABLE parts_new PARTITION OF parts FOR VALUES FROM (100) TO (200)');
    const many = 'INSERT INTO parts SELECT n, 0 FROM generate_series(101, 150) n RETURNING id';
    const answers = await client.ask([query(`WITH x AS (${many}) SELECT 1`), query('COMMIT')], 2);
    expect(errors(answers)[0]).toMatchObject({
      D: expect.stringContaining('would change 50 rows'),
    });
    expect(await sql('SELECT count(*) FROM parts')).toEqual([['20']]);
    await sql('DROP TABLE parts_new');
  });

  test('a client that leaves withdraws it', async () => {
    await using one = await started();
    const client = await opened(one);
    client.send(query('UPDATE t SET v = 1 WHERE id <= 4'));
    const id = await held(client);
    client.socket.destroy();
    await one.idle();
    expect((await bench.approvals().visible(erin, id)).state).toBe('withdrawn');
    expect(await changed()).toBe('0');
  });
});

describe('where it cannot wait', () => {
  test("in the client's own transaction it fails, and the transaction is repeated once it is approved", async () => {
    await using one = await started();
    await using client = await opened(one);
    const once = (): Promise<Received[]> =>
      client.ask([query('BEGIN'), query('UPDATE t SET v = 1 WHERE id <= 4'), query('COMMIT')], 3);
    const first = await once();
    expect(letters(first)).toBe('C Z E Z C Z');
    expect(errors(first)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    const id = requestIn(errors(first)[0] ?? {});
    expect(requestIn(errors(await once())[0] ?? {})).toBe(id);
    expect(await changed()).toBe('0');
    await approve(id);
    expect(letters(await once())).toBe('C Z C Z C Z');
    expect(await changed()).toBe('4');
    expect((await bench.approvals().visible(erin, id)).state).toBe('used');
    // It runs once.
    expect(errors(await once())[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
  });

  test('a BEGIN that is not answered yet makes no difference in the extended protocol', async () => {
    await using one = await started();
    await using client = await opened(one);
    const answers = await client.ask(
      [
        query('BEGIN'),
        parse('UPDATE t SET v = 1 WHERE id <= 4'),
        bind(),
        execute(),
        sync,
        query('COMMIT'),
      ],
      3,
    );
    expect(letters(answers)).toBe('C Z 1 2 E Z C Z');
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    expect(await changed()).toBe('0');
  });

  test('in a pipeline it fails with what came before it, and runs when the pipeline is sent again', async () => {
    await using one = await started();
    await using client = await opened(one);
    const once = (): Promise<Received[]> =>
      client.ask([
        run('INSERT INTO child VALUES (100, 1)'),
        parse('UPDATE t SET v = 1 WHERE id <= 4 RETURNING id'),
        bind(),
        execute('', 3),
        execute('', 3),
        sync,
      ]);
    const first = await once();
    expect(letters(first)).toBe('1 2 C 1 2 E Z');
    expect(await sql('SELECT count(*) FROM child')).toEqual([['6']]);
    await approve(requestIn(errors(first)[0] ?? {}));
    const second = await once();
    expect(letters(second)).toBe('1 2 C 1 2 D D D s D C Z');
    expect(rows(second)).toEqual([['1'], ['2'], ['3'], ['4']]);
    expect(await changed()).toBe('4');
  });

  test('an approval for fewer rows does not let more go on', async () => {
    await using one = await started();
    await using client = await opened(one);
    const once = (): Promise<Received[]> =>
      client.ask([query('BEGIN'), query('UPDATE t SET v = 1 WHERE id > 2'), query('COMMIT')], 3);
    const id = requestIn(errors(await once())[0] ?? {});
    await approve(id);
    await sql('INSERT INTO t VALUES (7, 0)');
    const second = await once();
    expect(errors(second)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    expect(requestIn(errors(second)[0] ?? {})).not.toBe(id);
    expect(await sql('SELECT count(*) FROM t WHERE v > 0')).toEqual([['0']]);
  });

  test('with `wait: no` it fails outside of a transaction too', async () => {
    await using one = await started({ waits: false });
    await using client = await opened(one);
    const first = await client.ask([query('UPDATE t SET v = 1 WHERE id <= 4')]);
    expect(letters(first)).toBe('E Z');
    await approve(requestIn(errors(first)[0] ?? {}));
    const second = await client.ask([query('UPDATE t SET v = 1 WHERE id <= 4')]);
    expect(letters(second)).toBe('C Z');
    expect(await changed()).toBe('4');
  });

  test('in one text with others it is refused, and asks to be sent by itself', async () => {
    await using one = await started();
    await using client = await opened(one);
    const answers = await client.ask([query('UPDATE t SET v = 1; SELECT 1')]);
    expect(errors(answers)[0]).toMatchObject({ R: 'HOOP_ROWS', H: 'Send it by itself.' });
    expect(await changed()).toBe('0');
  });

  test('a COPY is asked for when its data is there', async () => {
    const data = message('d', Buffer.from('10\t0\n11\t0\n12\t0\n'));
    const grant = grantOf({
      rules: ['allow select, insert, copy on public.*', 'approve insert above 2 rows on public.*'],
    });
    await using copying = await bench.open(() => grant);
    await using copier = await opened(copying);
    const once = async (): Promise<Received[]> => {
      const from = copier.received.length;
      copier.send(query('COPY t FROM STDIN'));
      await copier.until((all) => all.slice(from).some(({ type }) => type === 'G'));
      return copier.ask([data, copyDone]);
    };
    const first = await once();
    expect(letters(first)).toBe('E Z');
    expect(errors(first)[0]).toMatchObject({ R: 'HOOP_APPROVAL_PENDING' });
    await approve(requestIn(errors(first)[0] ?? {}));
    expect(letters(await once())).toBe('C Z');
    expect(await sql('SELECT count(*) FROM t')).toEqual([['9']]);
  });
});
