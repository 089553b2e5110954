/**
 * With a policy that allows everything the client must see what it would see without the gateway:
 * the same messages with the same bytes in the same order.
 */
import { describe, expect, test } from 'vitest';
import { type Script, startBench, testGrant } from './engine-bench.ts';
import {
  bind,
  closePortal,
  closeStatement,
  copyDone,
  describePortal,
  describeStatement,
  execute,
  flush,
  message,
  parse,
  query,
  RawClient,
  type Received,
  report,
  run,
  sync,
} from './raw-client.ts';
import { testTarget } from './test-target.ts';

const { target, direct } = testTarget(`
  CREATE TABLE t (id int PRIMARY KEY, v text CHECK (v <> ''));
  INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 500) g;
  CREATE FUNCTION noisy() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'hello %', 1; RETURN 1; END $$;
`);

type Step = {
  readonly send: readonly (Uint8Array | readonly Uint8Array[])[];
  /** ReadyForQuery to wait for; default one. */
  readonly ready?: number;
  /** Waits for this letter instead. */
  readonly letter?: string;
};

const script: Script = (text) => {
  if (/^\s*copy .* from/i.test(text))
    return { effect: { copy: { direction: 'in', format: 'text' } } };
  if (/^\s*copy/i.test(text)) return { effect: { copy: { direction: 'out', format: 'text' } } };
  if (/^\s*set|reset|discard/i.test(text)) {
    return { effect: { settings: [{ name: '*', value: undefined, local: false }] } };
  }
  if (text.includes('noisy') || /^\s*do/i.test(text)) return { effect: { runsUserCode: true } };
  if (/^\s*create/i.test(text)) return { effect: { changesCatalog: true } };
  if (/^\s*prepare (\w+)/i.test(text)) {
    return { effect: { prepare: /prepare (\w+)/i.exec(text)?.[1] ?? '' } };
  }
  if (/;\s*\S/.test(text)) return text.split(';').map(() => ({ needsPlace: true }));
  return { needsPlace: true };
};

const copyData = (text: string): Uint8Array => message('d', Buffer.from(text));
const copyFail = message('f', Buffer.from('no more\0'));

const cases: Record<string, readonly Step[]> = {
  'a simple Query': [{ send: [query('SELECT * FROM t WHERE id < 4')] }],
  'an empty Query': [
    { send: [query('')] },
    { send: [query(' ; ')] },
    { send: [parse(''), bind(), describePortal(), execute(), sync] },
  ],
  'several statements in one Query': [
    { send: [query("SELECT 1; SELECT 2, 'x'; SELECT id FROM t LIMIT 2")] },
    { send: [query('SELECT 1; SELECT 1/0; SELECT 2')] },
  ],
  'several Query messages in one packet': [
    { send: [query('SELECT 1'), query('SELECT 1/0'), query('SELECT 2')], ready: 3 },
  ],
  'syntax and runtime errors': [
    { send: [query('SELEC 1')] },
    { send: [query('SELECT 1/0')] },
    { send: [query('SELECT nothing')] },
    { send: [query("INSERT INTO t VALUES (1, 'x')")] },
    { send: [query("INSERT INTO t VALUES (1000, '')")] },
  ],
  'the extended protocol': [
    { send: [run('SELECT * FROM t WHERE id < 3'), sync] },
    {
      send: [
        parse('SELECT $1::int, $2::text'),
        bind({ values: ['7', 'x'] }),
        describePortal(),
        execute(),
        sync,
      ],
    },
    { send: [parse('SELECT id, v FROM t WHERE id = $1', 'a'), describeStatement('a'), sync] },
    { send: [bind({ statement: 'a', values: ['5'], formats: [1, 0] }), execute(), sync] },
    {
      send: [
        bind({ statement: 'a', values: ['6'], formats: [1] }),
        describePortal(),
        execute(),
        sync,
      ],
    },
    { send: [closeStatement('a'), sync] },
    { send: [bind({ statement: 'a' }), execute(), sync] },
  ],
  'portals with row limits': [
    { send: [query('BEGIN')] },
    { send: [parse('SELECT id FROM t ORDER BY id'), bind({ portal: 'p' }), execute('p', 2), sync] },
    { send: [execute('p', 2), sync] },
    { send: [execute('p', 1), execute('p', 1), sync] },
    { send: [execute('p', 0), execute('p', 0), closePortal('p'), sync] },
    { send: [execute('p', 0), sync] },
    { send: [query('COMMIT')] },
  ],
  'Flush instead of Sync': [
    { send: [parse('SELECT 1'), flush], letter: '1' },
    { send: [bind(), describePortal(), flush], letter: 'T' },
    { send: [execute(), flush], letter: 'C' },
    { send: [sync] },
  ],
  'an error in a pipeline, and what follows it': [
    { send: [run('SELECT 1'), run('SELECT 1/0'), run('SELECT 2'), query('SELECT 3'), sync] },
    { send: [run('SELEC 1'), flush], letter: 'E' },
    { send: [run('SELECT 4'), sync] },
    { send: [run('SELECT 5'), sync, run('SELECT 1/0'), sync, run('SELECT 6'), sync], ready: 3 },
    { send: [execute('nope'), sync] },
    { send: [bind({ statement: 'nope' }), sync] },
    { send: [bind({ portal: 'x', statement: '' }), sync] },
  ],
  transactions: [
    { send: [query('BEGIN')] },
    { send: [query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')] },
    { send: [query('SELECT count(*) FROM t')] },
    { send: [query('SAVEPOINT s')] },
    { send: [query('SELECT 1/0')] },
    { send: [query('SELECT 1')] },
    { send: [run('SELECT 1'), sync] },
    { send: [query('ROLLBACK TO s')] },
    { send: [query('SELECT 1')] },
    { send: [query('COMMIT')] },
    { send: [query('COMMIT')] },
  ],
  'a pipelined transaction': [
    { send: [run('BEGIN'), run('SELECT count(*) FROM t'), run('COMMIT'), sync] },
    {
      send: [query('BEGIN'), run('SELECT 1/0'), sync, query('ROLLBACK'), query('SELECT 1')],
      ready: 4,
    },
  ],
  settings: [
    { send: [query("SET application_name = 'abc'")] },
    { send: [query('SET search_path TO pg_catalog, public'), query('SHOW search_path')], ready: 2 },
    { send: [run('SET search_path TO public'), run('SELECT count(*) FROM t'), sync] },
    { send: [query("SET client_encoding = 'LATIN1'"), query("SELECT 'x'")], ready: 2 },
    { send: [query('RESET ALL')] },
  ],
  'notices and user code': [
    { send: [query('SELECT noisy()'), query('SELECT noisy()')], ready: 2 },
    { send: [run('SELECT noisy()'), run('SELECT count(*) FROM t'), sync] },
    { send: [query("DO $$ BEGIN RAISE WARNING 'careful'; END $$")] },
    { send: [query('CREATE TEMP TABLE IF NOT EXISTS n (a int)')] },
    { send: [query('CREATE TEMP TABLE IF NOT EXISTS n (a int)')] },
  ],
  'COPY out': [
    { send: [query('COPY t TO STDOUT')] },
    { send: [run('COPY (SELECT 1) TO STDOUT'), sync] },
  ],
  'COPY in': [
    { send: [query('CREATE TEMP TABLE c (a int)')] },
    { send: [query('COPY c FROM STDIN')], letter: 'G' },
    { send: [copyData('1\n'), copyData('2\n'), copyDone] },
    { send: [query('COPY c FROM STDIN')], letter: 'G' },
    { send: [copyData('1\n'), copyFail] },
    { send: [query('COPY c FROM STDIN'), copyData('3\n4'), copyData('\n'), copyDone] },
    { send: [query('COPY c FROM STDIN'), copyData('x\n'), copyDone, query('SELECT 1')], ready: 2 },
    { send: [run('COPY c FROM STDIN'), copyData('5\n'), copyDone, sync] },
    { send: [run('COPY c FROM STDIN'), sync], letter: 'G' },
    { send: [copyData('6\n'), copyDone, sync] },
    { send: [run('COPY c FROM STDIN'), sync], letter: 'G' },
    { send: [copyData('x\n'), copyDone, sync] },
    { send: [query('SELECT a + 0 AS a FROM c ORDER BY 1')] },
    { send: [copyData('stray\n'), copyDone, query('SELECT 1')] },
  ],
  'SQL-level prepared statements and names': [
    { send: [query('PREPARE s AS SELECT 1')] },
    { send: [parse('SELECT 2', 's'), sync] },
    { send: [bind({ statement: 's' }), execute(), sync] },
    { send: [parse('SELECT 3', 'u'), sync, parse('SELECT 4', 'u'), sync], ready: 2 },
    { send: [bind({ statement: 'u' }), execute(), sync] },
  ],
  'large results': [
    { send: [query("SELECT repeat('x', 300000), g FROM generate_series(1, 5) g")] },
    { send: [query('SELECT g, md5(g::text) FROM generate_series(1, 20000) g')] },
  ],
};

async function play(client: RawClient, steps: readonly Step[]): Promise<string[]> {
  const from = client.received.length;
  for (const { send, ready, letter } of steps) {
    const start = client.received.length;
    if (letter === undefined) await client.ask(send, ready ?? 1);
    else {
      client.send(...send);
      await client.until((all) => all.slice(start).some(({ type }) => type === letter));
    }
  }
  return client.received.slice(from).map(text);
}

function text({ type, body }: Received): string {
  // File, line and routine of the server's source differ where the gateway speaks in its words.
  if (type === 'E') return `E ${JSON.stringify({ ...report(body), F: '', L: '', R: '' })}`;
  return `${type} ${body.length > 200 ? `${body.length} bytes` : body.toString('latin1')}`;
}

describe.each([false, true])('byte at a time: %s', (byteAtATime) => {
  test.each(Object.entries(cases))('%s', async (_title, steps) => {
    await using native = await direct();
    const expected = await play(native, steps);
    await using bench = await startBench({ target: target(), script, byteAtATime });
    await using client = await RawClient.open(bench.port);
    const actual = await play(client, steps);
    expect(actual).toEqual(expected);
    expect(bench.failures).toEqual([]);
  });
});

/** A call of the function with this OID, without arguments. */
function functionCall(oid: number): Uint8Array {
  const body = Buffer.alloc(10);
  body.writeUInt32BE(oid, 0);
  return message('F', body);
}

const PG_CLIENT_ENCODING = 810;
const bytes = (hex: string): string => Buffer.from(hex, 'hex').toString('latin1');
const rawQuery = (text: string): Uint8Array =>
  message('Q', Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(1)]));
const rawParse = (name: string, text: string): Uint8Array =>
  message('P', Buffer.from(`${name}\0${text}\0\0\0`, 'latin1'));

/** What no policy of rules lets through. */
const unguarded: Record<string, readonly Step[]> = {
  'SQL that no parser of ours would take': [
    { send: [query('SELEC 1; \u0001')] },
    { send: [parse('this is no SQL'), bind(), execute(), sync] },
    { send: [query(`SELECT ${'('.repeat(3000)}1${')'.repeat(3000)}`)] },
  ],
  'settings that change how SQL is read': [
    { send: [query('SET standard_conforming_strings = off')] },
    { send: [query("SELECT 'a\\'; SELECT 1 --'")] },
    { send: [query("SET backslash_quote = on; SELECT 'a\\'b'")] },
  ],
  'encodings in which a byte of a character looks like a backslash': [
    { send: [query("SET client_encoding = 'SJIS'")] },
    { send: [rawQuery(`SELECT '${bytes('835c')}', length('${bytes('835c')}')`)] },
    { send: [rawParse(bytes('835c'), `SELECT '${bytes('835c')}'`), sync] },
    { send: [query("SET client_encoding = 'UTF8'")] },
    { send: [rawQuery(`SELECT '${bytes('ff')}'`)] },
    { send: [rawParse(bytes('c3'), 'SELECT 1'), sync] },
  ],
  'function call messages': [
    { send: [functionCall(PG_CLIENT_ENCODING)] },
    { send: [functionCall(1)] },
    { send: [query('BEGIN'), functionCall(1), functionCall(PG_CLIENT_ENCODING)], ready: 3 },
    { send: [query('ROLLBACK')] },
  ],
};

describe.each([false, true])('under a passthrough grant, byte at a time: %s', (byteAtATime) => {
  test.each(Object.entries({ ...cases, ...unguarded }))('%s', async (_title, steps) => {
    await using native = await direct();
    const expected = await play(native, steps);
    const grant = testGrant({ passthrough: true });
    await using bench = await startBench({
      ...{ target: target(), grant: () => grant, byteAtATime },
      script: () => {
        throw new Error('the policy is not asked');
      },
    });
    await using client = await RawClient.open(bench.port);
    expect(await play(client, steps)).toEqual(expected);
    expect(bench.failures).toEqual([]);
    const decisions = bench.events.filter(({ type }) => type === 'decision');
    expect(decisions.length).toBeGreaterThan(0);
    for (const decision of decisions) {
      expect(decision).toMatchObject({ effect: 'allow', rules: [{ id: 'builtin/passthrough' }] });
    }
  });
});
