import { parse } from 'libpg-query';
import { afterAll, describe, expect, test } from 'vitest';
import {
  type ConstantShape,
  ConstantShapes,
  constantShape,
} from '../../../../src/connectors/postgres/policy/parse/constant-shapes.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';

const parser = SqlParser.create({ workers: 1 });
afterAll(() => parser[Symbol.asyncDispose]());

/** The tree from PostgreSQL's own parser, with nothing of ours in between. */
async function parseAlone(text: string): Promise<object> {
  return parse(text);
}

function shapeOf(text: string): ConstantShape {
  const shape = constantShape(text);
  if (shape === undefined) {
    throw new TypeError(`nothing to exchange in ${text}`);
  }
  return shape;
}

/** What is given for `second` after `first` was parsed; undefined: it is parsed itself. */
async function exchanged(first: string, second: string): Promise<unknown> {
  const shapes = new ConstantShapes();
  shapes.learn(shapeOf(first), await parseAlone(first), 1000);
  return plain(shapes.tree(shapeOf(second))?.tree);
}

/** Without what watches who reads. */
function plain(tree: unknown): unknown {
  return tree === undefined ? undefined : JSON.parse(JSON.stringify(tree));
}

test.each([
  ['select a from t where id = 12345;', 'select a from t where id = 99999;'],
  ['select 0', 'select 7'],
  ['select 7', 'select 0'],
  ['select 7 + 0', 'select 0 + 7'],
  ['select f(1,2, 3 ) from t', 'select f(9,0, 7 ) from t'],
  ['insert into t values (10, 20), (30, 40)', 'insert into t values (99, 00), (01, 10)'],
  [
    'select 1 from t order by 1 limit 10 offset 20',
    'select 2 from t order by 2 limit 99 offset 00',
  ],
  ['select cast(a as numeric(10, 2)) from t', 'select cast(a as numeric(30, 0)) from t'],
  ['select 1; select 2', 'select 3; select 4'],
  ['select 007', 'select 123'],
  ['select sum(a) over (rows 5 preceding)', 'select sum(a) over (rows 9 preceding)'],
  ['set statement_timeout = 500', 'set statement_timeout = 900'],
  ["select ' 1 '", "select ' 2 '"],
  ["select a from t where b = 'one' and c='x' ", "select a from t where b = 't(,' and c=';' "],
  ["select '', a", "select '', a"],
  ["insert into t values ('a', 1), ('b', 2)", "insert into t values ('7', 0), (' ', 9)"],
  ["select 'a'::text, date '2020-01-01'", "select 'b'::text, date '1999-12-31'"],
  ["select interval '1 day', a ~ 'x*'", "select interval '2 dyn', a ~ '-y'"],
  ["select a || 'b' || 'c\nd' ", "select a || '1' || '\n--'  ".slice(0, -1)],
  ["select 'it''s' , ' b'", "select 'it''s' , ' c'"],
  ["select '/ab' , '-- 1'", "select 'ab/' , '* 1 '"],
])('%s gives for %s the tree that the parser gives', async (first, second) => {
  expect(await exchanged(first, second)).toEqual(await parseAlone(second));
});

test.each([
  // In a comment, a name, another string.
  ['select /* 1 */ a', 'select /* 2 */ a'],
  ['select a -- 1 ', 'select a -- 2 '],
  ['select " 1 "', 'select " 2 "'],
  ['select $$ 1 $$', 'select $$ 2 $$'],
  ["select E'\\' 1 '", "select E'\\' 2 '"],
  ["select E' 1 '", "select E' 2 '"],
  ["select U&' 1 '", "select U&' 2 '"],
  ["select X' 1 '", "select X' 2 '"],
  ['select \'a\', "x" as "\'b\'"', 'select \'c\', "x" as "\'d\'"'],
  ["select 'a' -- 'b' ", "select 'c' -- 'd' "],
  ["select $$ 'a' $$", "select $$ 'b' $$"],
  // Strings that are no constants of an expression.
  ["copy t from 'a'", "copy t from 'b'"],
  ["do 'a'", "do 'b'"],
  ["comment on table t is 'a'", "comment on table t is 'b'"],
  [
    "create function f() returns int language sql as 'select 1'",
    "create function f() returns int language sql as 'select 2'",
  ],
  ["prepare transaction 'a'", "prepare transaction 'b'"],
  // Values that the grammar looks at.
  ['select cast(a as float( 10 ))', 'select cast(a as float( 50 ))'],
  ['select - 1 ', 'select - 2 '],
  ['fetch 1 from c', 'fetch 2 from c'],
  ['alter role r connection limit 1', 'alter role r connection limit 2'],
  [
    'create table p partition of t for values with (modulus 4, remainder 1)',
    'create table p partition of t for values with (modulus 8, remainder 3)',
  ],
])('%s is not taken for %s', async (first, second) => {
  expect(await exchanged(first, second)).toBeUndefined();
});

test.each([
  ['no integer', 'select a from t'],
  ['a fraction', 'select 1.5'],
  ['an exponent', 'select 1e5'],
  ['more than nine digits', 'select 1234567890'],
  ['digits in a name', 'select a1'],
  ['a parameter', 'select $1'],
  ['hexadecimal', 'select 0x10'],
  ['underscores', 'select 1_000'],
  ['beyond ASCII', "select 1, 'é'"],
  ['a string with a quote', "select 'it''s'"],
  ['a string with a backslash', "select 'a\\b'"],
  ['a string with the beginning of a comment', "select 'a/*+ b'"],
  ['a string with a bracket', "select 'a [card]'"],
  ['a string that may be a document', "select ' {}'"],
  ['a null of JSON', "select ' null '"],
  ['the end of a string', "select 'a"],
  ['a NUL', 'select 1 \u0000'],
  ['too long', `select 1${' '.repeat(5000)}`],
])('nothing is exchanged: %s', (_why, text) => {
  expect(constantShape(text)).toBeUndefined();
});

test('texts of other lengths are other shapes, since locations would differ', () => {
  expect(shapeOf('select 10').key).not.toBe(shapeOf('select 9').key);
});

test('a string and a text that only looks like one are not taken for each other', async () => {
  const shapes = new ConstantShapes();
  // Read from left to right, another pair of quotes is the string.
  const [one, other] = ["select 'a' , x'b' ,'c'", "select 'a' , x'b' ,'c'"];
  shapes.learn(shapeOf(one), await parseAlone(one), 1000);
  expect(plain(shapes.tree({ ...shapeOf(other), places: [7] })?.tree)).toBeUndefined();
});

test('a tree that was given out is not changed by the next', async () => {
  const shapes = new ConstantShapes();
  const text = 'select 1, 2 from t where a = 3';
  const tree = await parseAlone(text);
  const before = structuredClone(tree);
  shapes.learn(shapeOf(text), tree, 1000);
  const given = shapes.tree(shapeOf('select 4, 5 from t where a = 6'));
  const kept = plain(given?.tree);
  shapes.tree(shapeOf('select 7, 8 from t where a = 9'));
  expect(plain(given?.tree)).toEqual(kept);
  expect(tree).toEqual(before);
});

test('the parser answers texts of a known shape itself', async () => {
  await parser.parse('select a from t where id = 10');
  const outcome = await parser.parse('select a from t where id = 42');
  expect(outcome).toMatchObject({ type: 'tree', wasRead: expect.any(Function) });
  const tree = outcome.type === 'tree' ? plain(outcome.tree) : undefined;
  expect(tree).toEqual(await parseAlone('select a from t where id = 42'));
});

describe('a look at the value of an exchanged constant is noticed', () => {
  // biome-ignore lint/suspicious/noExplicitAny: the tests reach into a tree of the parser.
  type Tree = any;
  const constant = (tree: Tree) =>
    tree.stmts[0].stmt.SelectStmt.targetList[0].ResTarget.val.A_Const;
  test.each<[string, boolean, (tree: Tree) => unknown]>([
    ['the kind of a constant', false, (tree) => constant(tree).ival !== undefined],
    ['its place', false, (tree) => constant(tree).location],
    ['the names of its members', false, (tree) => Object.keys(constant(tree))],
    ['its value', true, (tree) => constant(tree).ival.ival],
    ['whether it has a value', true, (tree) => 'ival' in constant(tree).ival],
    ['the members of its value', true, (tree) => Object.entries(constant(tree).ival)],
    ['a copy of its value', true, (tree) => ({ ...constant(tree).ival })],
    ['all of the tree as text', true, (tree) => JSON.stringify(tree)],
  ])('%s: %s', async (_what, isRead, look) => {
    const shapes = new ConstantShapes();
    shapes.learn(shapeOf('select 1'), await parseAlone('select 1'), 1000);
    const given = shapes.tree(shapeOf('select 2'));
    expect(given?.wasRead()).toBe(false);
    look(given?.tree);
    expect(given?.wasRead()).toBe(isRead);
  });
});
