import { afterAll, expect, test } from 'vitest';
import { MAX_SQL_BYTES } from '../../../../src/connectors/postgres/policy/parse/parse-outcome.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';

const parser = SqlParser.create();
afterAll(() => parser[Symbol.asyncDispose]());

test('a statement becomes a tree, and the same text the same tree', async () => {
  const first = await parser.parse('select 1 as kept');
  expect(first).toMatchObject({ type: 'tree', tree: { stmts: [{ stmt: { SelectStmt: {} } }] } });
  const second = await parser.parse('select 1 as kept');
  expect(second).toBe(first);
});

test.each([
  ['selec 1', 'syntax error at or near "selec"', 1],
  ['select 1 frm x y', 'syntax error at or near "x"', 14],
  ['select 1 +', 'syntax error at end of input', 11],
  ["select 'abc", 'unterminated quoted string at or near "\'abc"', 8],
  ['select "é😀" frm x y', 'syntax error at or near "x"', 17],
  ['/* x', 'unterminated /* comment at or near "/* x"', 1],
])(
  '%s is the parser’s own complaint, at the place where the server has it',
  async (sql, message, position) => {
    const outcome = await parser.parse(sql);
    expect(outcome).toMatchObject({ type: 'syntax', message });
    if (position !== undefined) {
      expect(outcome).toHaveProperty('position', position);
    }
  },
);

test('texts without a statement are no error', async () => {
  for (const sql of ['', ' ', ';', '-- nothing', '/* nothing */ ;; ']) {
    const outcome = await parser.parse(sql);
    expect(outcome.type, sql).toBe('tree');
    expect(outcome, sql).not.toHaveProperty('tree.stmts.0');
  }
});

test('40 sums of 10 000 terms are refused and the parser goes on', async () => {
  for (let index = 0; index < 40; index += 1) {
    const outcome = await parser.parse(`select ${index}${' + 1'.repeat(10_000)}`);
    expect(outcome).toMatchObject({ type: 'refused', reason: 'depth' });
  }
  expect((await parser.parse('select 41')).type).toBe('tree');
  expect(parser.replacedWorkers).toBe(0);
});

test.each([
  ['parentheses', `select ${'('.repeat(50_000)}1${')'.repeat(50_000)}`],
  ['subqueries', `select ${'(select '.repeat(5000)}1${')'.repeat(5000)}`],
  ['negations', `select ${'not '.repeat(100_000)}true`],
  ['arrays', `select ${'array['.repeat(5000)}1${']'.repeat(5000)}`],
  ['unions', `select 1${' union all select 1'.repeat(5000)}`],
  ['cases', `select ${'case when true then '.repeat(3000)}1${' end'.repeat(3000)}`],
  ['casts', `select 1${'::int'.repeat(20_000)}`],
  ['open parentheses', `select ${'('.repeat(500_000)}`],
  ['comments', `${'/*'.repeat(5_000)} select 1`],
  ['joins', `select * from a${' join a on true'.repeat(5000)}`],
])('deep nesting by %s is answered, not died of', async (_name, sql) => {
  const outcome = await parser.parse(sql);
  expect(['refused', 'syntax']).toContain(outcome.type);
  expect((await parser.parse(`select 'after ${_name}'`)).type).toBe('tree');
});

test('an INSERT of nearly 1 MB is parsed and its memory given back', async () => {
  const row = "(1, 'some text of a row', '2026-01-01', null)";
  const sql = `insert into t values ${Array(20_000).fill(row).join(',')}`;
  expect(sql.length).toBeLessThan(MAX_SQL_BYTES);
  const outcomes = await Promise.all([parser.parse(sql), parser.parse(`${sql} returning 1`)]);
  expect(outcomes.map(({ type }) => type)).toEqual(['tree', 'tree']);
  expect((await parser.parse('select 42')).type).toBe('tree');
});

test('the body of a trigger function is read in the thread, and is no SQL', async () => {
  const text = 'BEGIN NEW.a := lower(NEW.b); RETURN NEW; END';
  const found = await parser.parseTrigger(text);
  expect(found).toMatchObject({
    type: 'tree',
    tree: {
      body: {
        records: [],
        steps: [
          { kind: 'assign', record: 'new', column: 'a', value: { FuncCall: {} } },
          { kind: 'return', records: ['new'] },
        ],
      },
    },
  });
  // Whoever sends the same as a statement is told that it is none.
  expect(await parser.parse(text)).toMatchObject({ type: 'syntax' });
  for (const other of [
    '',
    "BEGIN NEW.a := 'x; END",
    'BEGIN NEW.a := ; RETURN NEW; END',
    'SELECT 1',
  ]) {
    expect(await parser.parseTrigger(other), other).toEqual({ type: 'tree', tree: {} });
  }
  expect(await parser.parseTrigger(`BEGIN ${'IF true THEN '.repeat(300)}`)).toMatchObject({
    tree: {},
  });
  expect(parser.replacedWorkers).toBe(0);
});

test('a larger text is refused without being parsed, counted in bytes', async () => {
  expect(await parser.parse(`select '${'x'.repeat(MAX_SQL_BYTES)}'`)).toMatchObject({
    type: 'refused',
    reason: 'size',
    message: 'the statement is larger than 1024 KiB',
  });
  expect(await parser.parse(`select '${'é'.repeat(MAX_SQL_BYTES / 2)}'`)).toMatchObject({
    reason: 'size',
  });
});

test('what would be another text for the parser than for the server is refused', async () => {
  for (const sql of ['select 1\0; drop table t', 'select \ud800']) {
    expect(await parser.parse(sql)).toMatchObject({ type: 'refused', reason: 'parser' });
  }
});

test('a worker that dies is replaced, and only its own text is refused', async () => {
  // Too small a stack for a sum of this length: the WASM module runs out of it and is dead.
  await using fragile = SqlParser.create({ workers: 1, stackMegabytes: 1 });
  expect((await fragile.parse('select 1')).type).toBe('tree');
  const [killer, waiting] = await Promise.all([
    fragile.parse(`select 0${' + 1'.repeat(30_000)}`),
    fragile.parse('select 2'),
  ]);
  expect(killer).toMatchObject({ type: 'refused', reason: 'parser' });
  expect(waiting.type).toBe('tree');
  expect(fragile.replacedWorkers).toBe(1);
  expect((await fragile.parse('select 3')).type).toBe('tree');
});

test('a text that takes too long is given up with its worker, while others go on', async () => {
  await using hasty = SqlParser.create({ timeoutMs: 300 });
  await hasty.parse('select 1');
  // The first text of a thread may take as long as its start: this one is the first large one.
  await hasty.parse(`select '${'x'.repeat(20_000)}'`);
  const [slow, quick] = await Promise.all([
    hasty.parse(`${'/*'.repeat(200_000)} select 1`),
    hasty.parse('select 2'),
  ]);
  expect(slow).toMatchObject({ type: 'refused', reason: 'parser' });
  expect(quick.type).toBe('tree');
  expect(hasty.replacedWorkers).toBe(1);
});

test('many texts at once are all answered by two workers', async () => {
  await using pool = SqlParser.create();
  const outcomes = await Promise.all(
    Array.from({ length: 300 }, (_, index) => pool.parse(`select ${index}, 'é'`)),
  );
  expect(outcomes.every(({ type }) => type === 'tree')).toBe(true);
});

test('after its end a parser refuses instead of hanging', async () => {
  const ended = SqlParser.create();
  const last = ended.parse('select 1');
  await ended[Symbol.asyncDispose]();
  expect(['tree', 'refused']).toContain((await last).type);
  expect((await ended.parse('select 2')).type).toBe('refused');
});

test('small texts do not wait for a thread that large ones have used up', async () => {
  await using pool = SqlParser.create();
  expect((await pool.parse('select 1')).type).toBe('tree');
  // It is left alone: what a large text leaves may have to end, and the next one is slow to start.
  expect((await pool.parse(`select '${'x'.repeat(20_000)}'`)).type).toBe('tree');
  expect(pool.threads).toBe(2);
});

test('a session that asks for more than may wait takes no place from another one', async () => {
  await using shared = SqlParser.create({ workers: 1 });
  const [greedy, other] = [{}, {}];
  const sent = Array.from({ length: 3000 }, (_, at) =>
    shared.parse(`select a${at} from t`, greedy),
  );
  const mine = await shared.parse('select mine from t', other);
  expect(mine.type).toBe('tree');
  const outcomes = await Promise.all(sent);
  const refused = outcomes.filter(({ type }) => type === 'refused');
  // Of its own places one more was free: that of the text that the thread had taken.
  expect(refused).toHaveLength(3000 - 1025);
  expect(outcomes.at(-1)).toMatchObject({ type: 'refused', reason: 'parser' });
  expect((await shared.parse('select again from t', greedy)).type).toBe('tree');
});

test.each([
  ['small', 0],
  ['large', 20_000],
])('of a session that sends many %s texts, another one does not wait for all', async (_, size) => {
  await using shared = SqlParser.create({ workers: 1 });
  const order: string[] = [];
  const ask = async (owner: object, name: string): Promise<void> => {
    await shared.parse(`select ${name} from t${' '.repeat(size)}`, owner);
    order.push(name);
  };
  const [greedy, other] = [{}, {}];
  await Promise.all([...['a', 'b', 'c', 'd'].map((name) => ask(greedy, name)), ask(other, 'x')]);
  expect(order).toEqual(['a', 'x', 'b', 'c', 'd']);
});

test('who asks for what somebody else waits for does not wait for the turns of that one', async () => {
  await using shared = SqlParser.create({ workers: 1 });
  const [greedy, other] = [{}, {}];
  const order: string[] = [];
  const ask = async (owner: object, name: string, who: string): Promise<void> => {
    await shared.parse(`select ${name} from t`, owner);
    order.push(`${who} ${name}`);
  };
  await Promise.all([
    ...['a', 'b', 'c', 'd'].map((name) => ask(greedy, name, 'greedy')),
    ask(other, 'd', 'other'),
  ]);
  expect(order.indexOf('other d')).toBe(1);
});
