/** COPY … TO STDOUT with masks and detectors, against a real server. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeCopyData } from '../../../../src/connectors/postgres/protocol/frontend-messages.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { type GrantText, grantOf } from '../policy/grant-fixture.ts';
import { type Bench, startBench } from './engine-bench.ts';
import {
  bind,
  copyDone,
  describePortal,
  errors,
  execute,
  letters,
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
import { realEngine } from './real-engine.ts';
import { testTarget } from './test-target.ts';

const CARD = '4539148803436467';
const { target, sql, direct } = testTarget(`
  CREATE EXTENSION citext;
  CREATE SCHEMA app; CREATE SCHEMA other;
  CREATE TYPE app.mood AS ENUM ('glad', 'sad');
  CREATE DOMAIN app.label AS varchar(40);
  CREATE TABLE app.people (id int PRIMARY KEY, email text, card varchar(40), pin int, notes text,
    mood app.mood, tag app.label, doc jsonb, words text[], raw bytea, c citext,
    shout text GENERATED ALWAYS AS (upper(notes)) STORED);
  INSERT INTO app.people VALUES
    (1, 'ann.lee@example.com', '${CARD}', 17, E'a\\tb\\nc\\\\d"e,f', 'glad', 'x', '{"k": "${CARD}"}', '{a,"${CARD}"}', '\\x3435', 'Ann'),
    (2, NULL, '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, '', 'NIL', 0, 'card ${CARD}.', 'sad', 'NIL', '{}', '{}', '', '');
  CREATE VIEW app.seen AS SELECT id, email AS mail FROM app.people;
  CREATE TABLE app.parts (id int, card text) PARTITION BY LIST (id);
  CREATE TABLE app.part_one PARTITION OF app.parts FOR VALUES IN (1);
  INSERT INTO app.parts VALUES (1, '${CARD}');
  CREATE TABLE app.open (id int, v text); INSERT INTO app.open VALUES (1, 'plain'), (2, 'plain');
  CREATE TABLE app.moved (id int, v text, w text); INSERT INTO app.moved VALUES (1, 'secret-v', 'w');
  CREATE TABLE app.wide (id int, v text); INSERT INTO app.wide SELECT 1, repeat('x', 2000000);
`);
/** Where it stands still nothing is read again because it is time to. */
let stoppedAt: number | undefined;
const real = realEngine(target, () => stoppedAt ?? performance.now());

const MASKS = [
  'app.people.email partial',
  'app.people.card full',
  'app.people.pin full',
  'app.people.mood hash',
  'app.people.tag full',
  'app.people.c full',
  'app.parts.card full',
  'app.moved.v full',
  'app.wide.v full',
];
const masked = grantOf({ rules: ['allow *'], masks: MASKS, detectors: ['card'] });

let engine: Bench;
let grant: Grant = masked;
beforeAll(async () => {
  engine = await startBench({ target: target(), ...real.parts(), grant: () => grant });
});
afterAll(() => engine[Symbol.asyncDispose]());

const copied = (received: readonly Received[]): string =>
  Buffer.concat(received.filter(({ type }) => type === 'd').map(({ body }) => body)).toString();
const warnings = (received: readonly Received[]): string[] =>
  received.filter(({ type }) => type === 'N').map(({ body }) => report(body)['M'] ?? '');

async function ask(text: string): Promise<Received[]> {
  await using client = await RawClient.open(engine.port);
  return await client.ask([query(text)]);
}

const HASH = /[0-9a-f]{32}/g;
const shown = (received: readonly Received[]): string => copied(received).replaceAll(HASH, 'HASH');

describe('a simple Query', () => {
  test('COPY of a table: masks, NULL, detectors, and no generated column', async () => {
    const answers = await ask('COPY app.people TO STDOUT');
    expect(errors(answers)).toEqual([]);
    expect(shown(answers)).toBe(
      [
        '1\ta***@***.com\t****\t\\N\ta\\tb\\nc\\\\d"e,f\tHASH\t****\t{"k": "[card]"}\t{a,[card]}\t\\\\x3435\t****',
        '2\t\\N\t****\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N',
        '3\t****\t****\t\\N\tcard [card].\tHASH\t****\t{}\t{}\t\\\\x\t****',
        '',
      ].join('\n'),
    );
    expect(letters(answers)).toBe('H d d d c C Z');
    expect(warnings(answers)).toEqual([
      '6 columns are masked in this copy: app.people.email, app.people.card, app.people.pin, app.people.mood, app.people.tag, app.people.c',
    ]);
  });

  test('of columns, of a query, of a view by a query', async () => {
    expect(copied(await ask('COPY app.people (card, id) TO STDOUT CSV'))).toBe(
      '****,1\n****,2\n****,3\n',
    );
    const sorted =
      "COPY (SELECT id, email || 'x', ')' AS \"par(en\" FROM app.people /* ) */ ORDER BY id) TO STDOUT";
    expect(copied(await ask(sorted))).toBe('1\t****\t)\n2\t\\N\t)\n3\t****\t)\n');
    expect(copied(await ask('COPY (TABLE app.seen) TO STDOUT CSV HEADER'))).toBe(
      'id,mail\n1,a***@***.com\n2,\n3,****\n',
    );
    expect(copied(await ask('COPY app.part_one TO STDOUT'))).toBe('1\t****\n');
    expect(copied(await ask('COPY (SELECT * FROM app.parts) TO STDOUT'))).toBe('1\t****\n');
    expect(
      copied(await ask("COPY (SELECT $$)$$, e'\\')', card FROM app.parts -- )\n) TO STDOUT")),
    ).toBe(")\t')\t****\n");
  });

  test('all options of csv', async () => {
    const text =
      "COPY app.people (id, email, pin, tag) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *, NULL 'x', ESCAPE '\\', DELIMITER ';', QUOTE '''')";
    expect(copied(await ask(text))).toBe(
      "id;email;pin;tag\n'1';'a***@***.com';x;'****'\n'2';x;x;x\n'3';'****';x;'****'\n",
    );
  });

  test.each([
    ['an empty text', "NULL ''", 'card', '****\n****\n****\n'],
    ['a value of the table', "NULL 'NIL'", 'card', '****\n****\n****\n'],
    ['a value of the table, with NULLs', "NULL 'NIL'", 'tag', '****\nNIL\n****\n'],
    ['with the delimiter N', "DELIMITER 'N', NULL ''", 'tag', '****\n\n****\n'],
  ])('NULL of the text format is %s', async (_title, options, column, expected) => {
    const answers = await ask(
      `COPY (SELECT ${column} FROM app.people ORDER BY id) TO STDOUT (${options})`,
    );
    expect([errors(answers), copied(answers)]).toEqual([[], expected]);
  });

  test('what the server refuses is refused in its words', async () => {
    const cases = [
      ['COPY app.seen TO STDOUT', '42809', 'cannot copy from view "seen"'],
      ['COPY app.nowhere TO STDOUT', '42P01', 'relation "app.nowhere" does not exist'],
    ];
    for (const [text = '', state, message] of cases) {
      expect(errors(await ask(text))).toMatchObject([{ C: state, M: message }]);
    }
  });

  test('options that are not understood are refused', async () => {
    for (const options of [
      "DELIMITER 'ab'",
      'FORMAT csv, FORMAT text',
      'HEADER match',
      'FREEZE',
      'nope',
    ]) {
      const answers = await ask(`COPY app.people TO STDOUT (${options})`);
      expect([copied(answers), errors(answers).map(({ R }) => R)]).toEqual([
        '',
        ['HOOP_UNTRACEABLE'],
      ]);
    }
  });

  test('another encoding than that of the connection is refused, and the same is not', async () => {
    const other = await ask("COPY app.people (id, card) TO STDOUT (ENCODING 'LATIN1')");
    expect(errors(other)).toMatchObject([{ R: 'HOOP_ENCODING' }]);
    const same = await ask("COPY app.people (id, card) TO STDOUT (ENCODING 'utf-8')");
    expect(copied(same)).toBe('1\t****\n2\t****\n3\t****\n');
  });

  test('several statements in one text', async () => {
    const text =
      'BEGIN; SELECT 1; COPY app.parts TO STDOUT; COPY (SELECT * FROM app.parts) TO STDOUT; COPY app.part_one TO STDOUT; COMMIT';
    const answers = await ask(text.replace('COPY app.parts TO STDOUT; ', ''));
    expect([errors(answers), copied(answers), status(answers)]).toEqual([
      [],
      '1\t****\n1\t****\n',
      'I',
    ]);
    const changed = await ask('CREATE TEMP TABLE t AS SELECT 1; COPY app.part_one TO STDOUT');
    // Decided when the table before it is there.
    expect([copied(changed), errors(changed)]).toEqual(['1\t****\n', []]);
  });

  test('in a transaction, which goes on', async () => {
    await using client = await RawClient.open(engine.port);
    await client.ask([query('BEGIN ISOLATION LEVEL SERIALIZABLE')]);
    const answers = await client.ask([query('COPY app.part_one TO STDOUT')]);
    expect([copied(answers), status(answers)]).toEqual(['1\t****\n', 'T']);
    await client.ask([query('SELECT 1/0')]);
    const failed = await client.ask([query('COPY app.part_one TO STDOUT')]);
    expect([errors(failed)[0]?.['C'], status(failed)]).toEqual(['25P02', 'E']);
    expect(status(await client.ask([query('ROLLBACK')]))).toBe('I');
  });

  test('leaves no transaction open', async () => {
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([query('COPY app.part_one TO STDOUT')]);
    expect(status(answers)).toBe('I');
    const after = await client.ask([query('SELECT now() = statement_timestamp()')]);
    expect(rows(after)).toEqual([['t']]);
  });

  test('pipelined Queries', async () => {
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask(
      [
        query('SELECT 1'),
        query('COPY app.part_one TO STDOUT'),
        query('COPY nope TO STDOUT'),
        query('SELECT 2'),
        query('COPY app.part_one TO STDOUT'),
      ],
      5,
    );
    expect(letters(answers)).toBe('T D C Z H d c C Z E Z T D C Z H d c C Z');
    expect(copied(answers)).toBe('1\t****\n1\t****\n');
  });
});

describe('the extended protocol', () => {
  test('pipelined with other statements', async () => {
    await using client = await RawClient.open(engine.port);
    const answers = await client.ask([
      run('SELECT card FROM app.parts'),
      run('COPY app.part_one TO STDOUT'),
      run('SELECT 2'),
      sync,
    ]);
    expect(letters(answers)).toBe('1 2 D C 1 2 H d c C 1 2 D C Z');
    expect([rows(answers), copied(answers)]).toEqual([[['****'], ['2']], '1\t****\n']);
  });

  test('a named statement runs again and again, also where NULL has to be spelt otherwise', async () => {
    await using client = await RawClient.open(engine.port);
    const text = "COPY (SELECT tag FROM app.people ORDER BY id) TO STDOUT (NULL 'NIL')";
    await client.ask([parse(text, 's'), sync]);
    for (let time = 0; time < 3; time += 1) {
      const answers = await client.ask([
        bind({ statement: 's' }),
        describePortal(),
        execute(),
        sync,
      ]);
      expect([letters(answers), copied(answers)]).toEqual([
        '2 n H d d d c C Z',
        '****\nNIL\n****\n',
      ]);
    }
  });

  test('an error while it runs, and the next one', async () => {
    await using client = await RawClient.open(engine.port);
    const bad = "COPY (SELECT tag, 1 / (id - 2) FROM app.people ORDER BY id) TO STDOUT (NULL '')";
    const answers = await client.ask([run(bad), run('SELECT 1'), sync]);
    expect(letters(answers)).toBe('1 2 H E Z');
    expect(errors(answers)[0]?.['C']).toBe('22012');
    expect(copied(await client.ask([run(bad.replace('id - 2', '9')), sync]))).toContain(
      '****\t0\n',
    );
  });
});

describe('what others do meanwhile', () => {
  afterEach(() => {
    stoppedAt = undefined;
  });

  test('a table that was swapped since it was read is not copied by what it was', async () => {
    await using client = await RawClient.open(engine.port);
    stoppedAt = performance.now();
    await client.ask([query('COPY app.moved TO STDOUT')]);
    await sql(
      'ALTER TABLE app.moved RENAME v TO x; ALTER TABLE app.moved RENAME w TO v; ALTER TABLE app.moved RENAME x TO w',
    );
    const answers = await client.ask([query('COPY app.moved TO STDOUT')]);
    expect(copied(answers)).not.toContain('secret-v');
    expect(errors(answers).map(({ R }) => R)).toEqual(['HOOP_RESULT_MISMATCH']);
    await sql(
      'ALTER TABLE app.moved RENAME v TO x; ALTER TABLE app.moved RENAME w TO v; ALTER TABLE app.moved RENAME x TO w',
    );
    const again = await client.ask([query('COPY app.moved TO STDOUT')]);
    expect(copied(again)).toBe('1\t****\tw\n');
  });

  test('a new table is found, also where the catalog was read anew between verdict and search', async () => {
    const parts = real.parts();
    const now = performance.now();
    stoppedAt = now;
    let isFirst = true;
    const policy: typeof parts.policy = {
      async decide(...asked) {
        const verdict = await parts.policy.decide(...asked);
        // Time to read it again has come just now, and not once more.
        if (isFirst) stoppedAt = now + 60_000;
        isFirst = false;
        return verdict;
      },
    };
    await using bench = await startBench({
      target: target(),
      ...parts,
      policy,
      grant: () => grant,
    });
    await parts.catalog.refresh();
    await sql('CREATE TABLE app.new (v text)');
    await using client = await RawClient.open(bench.port);
    const answers = await client.ask([query('COPY app.new TO STDOUT')]);
    expect(errors(answers)).toEqual([]);
    expect(letters(answers)).toBe('H c C Z');
  });

  test('what was described stays locked until the COPY has ended', async () => {
    await using other = await direct();
    // Of the server itself: what Parse looks up without a Sync stays locked for the Query behind it.
    await other.ask([parse('SELECT v FROM app.open', 'd'), query('COPY app.open TO STDOUT')]);
    other.send([parse('SELECT v FROM app.open', 'e'), Uint8Array.of(0x48, 0, 0, 0, 4)]);
    await other.until((all) => all.at(-1)?.type === '1');
    const locked = await sql(
      "SELECT count(*) FROM pg_locks WHERE relation = 'app.open'::regclass AND mode = 'AccessShareLock'",
    );
    expect(locked).toEqual([['1']]);
    const answers = await other.ask([query('COPY app.open TO STDOUT')]);
    expect([letters(answers), status(answers)]).toEqual(['H d d c C Z', 'I']);
    const free = await sql("SELECT count(*) FROM pg_locks WHERE relation = 'app.open'::regclass");
    expect(free).toEqual([['0']]);
  });
});

describe('limits and the record', () => {
  test('rows above the limit are withheld, with masks and without', async () => {
    for (const changes of [{ masks: MASKS }, {}] satisfies GrantText[]) {
      const base = grantOf({ rules: ['allow *'], ...changes });
      grant = { ...base, limits: { ...base.limits, maxRows: 2 } };
      await using client = await RawClient.open(engine.port);
      for (const options of ['', 'CSV HEADER', 'BINARY']) {
        const answers = await client.ask([query(`COPY app.people (id) TO STDOUT ${options}`)]);
        expect(errors(answers).map(({ R }) => R)).toEqual(['HOOP_LIMIT']);
        expect(status(answers)).toBe('I');
      }
      const fits = await client.ask([query('COPY app.open TO STDOUT')]);
      expect(copied(fits)).toBe('1\tplain\n2\tplain\n');
    }
    grant = masked;
  });

  test('events count rows, masked values and hits', async () => {
    const from = engine.events.length;
    await ask('COPY app.people TO STDOUT');
    const results = engine.events.slice(from).filter((event) => event.type === 'result');
    expect(results).toMatchObject([
      { rows: 3, maskedValues: 13, detected: { card: 3 }, tag: 'COPY 3' },
    ]);
    const [decision] = engine.events.slice(from).filter((event) => event.type === 'decision');
    expect(decision).toMatchObject({ outputsMasked: [1, 2, 3, 5, 6, 10] });
  });

  test('rows that nobody looks at are counted, too', async () => {
    grant = grantOf({ rules: ['allow *'] });
    const from = engine.events.length;
    await ask('COPY app.open TO STDOUT');
    grant = masked;
    const results = engine.events.slice(from).filter((event) => event.type === 'result');
    expect(results).toMatchObject([{ rows: 2, maskedValues: 0, tag: 'COPY 2' }]);
  });

  test('a row above the limit of the target ends the connection', async () => {
    await using small = await startBench({
      target: { ...target(), maxMessageBytes: 1024 * 1024 },
      ...real.parts(),
      grant: () => masked,
    });
    await using client = await RawClient.open(small.port);
    client.send([query('COPY app.wide TO STDOUT')]);
    await client.closed();
    expect(copied(client.received)).toBe('');
    expect(errors(client.received)).toMatchObject([{ S: 'FATAL', R: 'HOOP_TOO_LARGE' }]);
  });
});

test('pg_dump gets no masked values, and other programs are warned', async () => {
  await using dump = await RawClient.open(engine.port, { application_name: 'pg_dump' });
  const answers = await dump.ask([query('COPY app.people (id, card) TO stdout')]);
  expect([copied(answers), errors(answers)[0]?.['R']]).toEqual(['', 'HOOP_DENIED']);
  expect(errors(answers)[0]?.['M']).toBe('pg_dump would write masked values as if they were real');
  const open = await dump.ask([query('COPY app.open TO stdout')]);
  expect([copied(open), warnings(open)]).toEqual(['1\tplain\n2\tplain\n', []]);
});

describe('programs', () => {
  const run = promisify(execFile);
  const psql = (...rest: string[]) =>
    run('psql', [
      '-X',
      '-d',
      `postgres://x@127.0.0.1:${engine.port}/postgres?sslmode=disable`,
      ...rest,
    ]);

  test('psql: \\copy to, and COPY', async () => {
    const out = await psql(
      ...['-c', '\\copy app.people (id, card) to stdout with (format csv, header)'],
      ...['-c', "COPY (SELECT id, email FROM app.people) TO STDOUT (DELIMITER '|', NULL '-')"],
    );
    expect(out.stdout).toBe('id,card\n1,****\n2,****\n3,****\n1|a***@***.com\n2|-\n3|****\n');
    expect(out.stderr).toContain(
      'WARNING:  1 column is masked in this copy: app.people.card\nDETAIL:  The copied values are not the ones in the table.\n',
    );
  });
});

test('other encodings of the connection', async () => {
  await using client = await RawClient.open(engine.port, { client_encoding: 'LATIN1' });
  const answers = await client.ask([
    query(
      `COPY (SELECT 'caf' || chr(233) || ' ${CARD}', id FROM app.people ORDER BY id) TO STDOUT`,
    ),
  ]);
  const data = Buffer.concat(answers.filter(({ type }) => type === 'd').map(({ body }) => body));
  expect(data.toString('latin1').split('\n')[0]).toBe('caf\u00e9 [card]\t1');
  const masked = await client.ask([query('COPY app.people (email) TO STDOUT')]);
  expect(errors(masked)[0]).toMatchObject({ R: 'HOOP_ENCODING' });
});

test('what its own transaction has changed is known', async () => {
  await using client = await RawClient.open(engine.port);
  await client.ask([query('BEGIN; CREATE TEMP TABLE mine AS SELECT 1 AS a, 2 AS b')]);
  const copy = await client.ask([query('COPY mine TO STDOUT')]);
  expect([errors(copy), copied(copy)]).toEqual([[], '1\t2\n']);
  await client.ask([query('ALTER TABLE mine ADD c text DEFAULT 3')]);
  const again = await client.ask([query('COPY mine TO STDOUT (HEADER)')]);
  expect([errors(again), copied(again)]).toEqual([[], 'a\tb\tc\n1\t2\t3\n']);
  await client.ask([query('ROLLBACK')]);
});

/**
 * Random rows and options: what our COPY says, read by the server's own COPY FROM, is what our
 * SELECT says.
 */
describe('COPY and SELECT show the same', () => {
  const TYPES = ['text', 'int', 'citext', 'varchar(30)', 'jsonb', 'text[]', 'numeric'] as const;
  let seed = 20261122;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % below;
  };
  const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
  const PIECES = [
    'a',
    'é',
    '"',
    "'",
    ',',
    '\\',
    '\t',
    '\n',
    '\r',
    'N',
    '\\N',
    '\\.',
    '|',
    '*',
    'NIL',
    ' ',
    '{',
    '}',
    CARD,
    '4',
    '.',
  ];
  const randomText = (): string => Array.from({ length: random(6) }, () => pick(PIECES)).join('');
  const literal = (text: string): string =>
    `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
  const value = (type: (typeof TYPES)[number]): string => {
    if (random(5) === 0) return 'NULL';
    switch (type) {
      case 'int':
        return String(random(1000));
      case 'numeric':
        return pick(['1.5', CARD, '0']);
      case 'jsonb':
        return `to_jsonb(${literal(randomText())}::text)`;
      case 'text[]':
        return `ARRAY[${literal(randomText())}, NULL, ${literal(randomText())}]::text[]`;
      default:
        return `left(${literal(randomText())}, 30)`;
    }
  };
  const options = (columns: number): { readonly text: string; readonly isLossless: boolean } => {
    const format = pick(['text', 'csv', 'binary']);
    if (format === 'binary') return { text: 'FORMAT binary', isLossless: true };
    const parts = [`FORMAT ${format}`];
    const delimiter = pick([undefined, '|', ';', '*', 'N']);
    let spelling = pick([undefined, '', 'NIL', '\\N', '****', '4']);
    if (delimiter === 'N' && (spelling === undefined || spelling.includes('N'))) spelling = '';
    if (delimiter !== undefined && spelling?.includes(delimiter)) spelling = '';
    if (delimiter !== undefined) parts.push(`DELIMITER '${delimiter}'`);
    if (format === 'csv') {
      const quote = pick([undefined, '4', '!', "''"]);
      if (quote !== undefined && spelling?.includes(quote)) spelling = '';
      if (quote !== undefined) parts.push(`QUOTE '${quote}'`);
      const escaping = pick([undefined, '\\', '3', '*']);
      if (escaping !== undefined) parts.push(`ESCAPE '${escaping}'`);
      const forced = pick([undefined, undefined, '*', `(c${random(columns)})`]);
      if (forced !== undefined) parts.push(`FORCE_QUOTE ${forced}`);
      if (random(3) === 0) parts.push('HEADER');
    }
    if (spelling !== undefined) parts.push(`NULL '${spelling}'`);
    const isUnambiguous = format === 'csv' || spelling === undefined || spelling === '\\N';
    return { text: parts.join(', '), isLossless: isUnambiguous };
  };
  const KINDS = ['full', 'partial', 'hash', 'null', undefined, undefined] as const;

  test.each(Array.from({ length: 60 }, (_, round) => round))('round %i', async (round) => {
    const name = `r${round}`;
    const types = Array.from({ length: 1 + random(5) }, () => pick(TYPES));
    const columns = types.map((type, index) => `c${index} ${type}`).join(', ');
    const values = Array.from({ length: 8 }, () => `(${types.map(value).join(', ')})`).join(', ');
    await sql(`CREATE TABLE other.${name} (k serial, ${columns});
      INSERT INTO other.${name} (${types.map((_, index) => `c${index}`).join(', ')}) VALUES ${values};
      CREATE TABLE other.${name}_back (${types.map((type, index) => `c${index} ${type.replace('30', '80')}`).join(', ')}, n serial)`);
    const masks = types.flatMap((_, index) => {
      const kind = pick(KINDS);
      return kind === undefined ? [] : [`other.${name}.c${index} ${kind}`];
    });
    grant = grantOf({
      rules: ['allow *'],
      masks,
      detectors: pick([[], ['card'], ['card', 'email']] as const),
    });
    const { text, isLossless } = options(types.length);
    const names = types.map((_, index) => `c${index}`).join(', ');
    await using client = await RawClient.open(engine.port);
    const isQuery = random(2) === 0;
    const what = isQuery
      ? `(SELECT ${names} FROM other.${name} ORDER BY k)`
      : `other.${name} (${names})`;
    const copy = await client.ask([query(`COPY ${what} TO STDOUT (${text})`)]);
    expect(errors(copy), text).toEqual([]);
    const selected = await client.ask([query(`SELECT ${names} FROM other.${name} ORDER BY k`)]);
    expect(rows(selected), text).toHaveLength(8);
    grant = masked;
    await using server = await direct();
    const data = copy
      .filter(({ type }) => type === 'd')
      .map(({ body }) => encodeCopyData({ data: body }));
    const into = text.replace(/, FORCE_QUOTE (\*|\(c\d\))/, '');
    const loaded = await server.ask([
      query(`COPY other.${name}_back (${names}) FROM STDIN (${into})`),
      data,
      copyDone,
    ]);
    expect(errors(loaded), text).toEqual([]);
    const back = rows(
      await server.ask([query(`SELECT ${names} FROM other.${name}_back ORDER BY n`)]),
    );
    // In binary an array with a hit in it is NULL, in rows as in a COPY.
    const isHit = (one: string | null, column: number): boolean =>
      text === 'FORMAT binary' && types[column] === 'text[]' && one?.includes('[') === true;
    const expected = rows(selected).map((row) =>
      row.map((one, column) => (isHit(one, column) ? null : one)),
    );
    if (isLossless) expect(back, text).toEqual(expected);
    else expect(back.length, text).toBe(expected.length);
    const spelling = /NULL '([^']*)'/.exec(text)?.[1];
    const blur = (row: readonly (string | null)[]) =>
      row.map((one) => (one === spelling ? null : one));
    expect(back.map(blur), text).toEqual(expected.map(blur));
  });
});
