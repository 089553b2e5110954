/** Texts that cost most where they are read: long, wide, deep, many. The table `wide` has 1,500 columns. */
const many = (count: number, part: (index: number) => string, between = ''): string =>
  Array.from({ length: count }, (_, index) => part(index)).join(between);

const repeated = (part: string, count: number, between = ''): string =>
  many(count, () => part, between);

type Shape = readonly [name: string, sizes: readonly number[], make: (size: number) => string];

const SHAPES: readonly Shape[] = [
  ['statements', [100, 2000, 10_000, 100_000], (size) => repeated('select 1;', size)],
  [
    'statements with a place each',
    [100, 1000],
    (size) => many(size, (at) => `select ${at} as a${at};`),
  ],
  ['COPY statements', [10, 1000, 8000], (size) => repeated('copy (select 1) to stdout;', size)],
  ['SET statements', [100, 1900], (size) => repeated("set work_mem = '1MB';", size)],
  ['PREPARE statements', [100, 1900], (size) => many(size, (at) => `prepare p${at} as select 1;`)],
  ['NOTIFY statements', [100, 1900], (size) => repeated("notify soak, 'x';", size)],
  ['semicolons', [1000, 1_000_000], (size) => repeated(';', size)],
  [
    'terms of AND',
    [100, 900, 60_000],
    (size) => `select 1 from items where ${repeated('id = 1', size, ' and ')}`,
  ],
  [
    'terms of OR',
    [100, 900, 60_000],
    (size) => `select 1 from items where ${repeated('id = 1', size, ' or ')}`,
  ],
  ['terms of +', [100, 900, 100_000], (size) => `select ${repeated('1', size, '+')}`],
  [
    'terms of ||',
    [100, 900, 20_000],
    (size) => `select ${repeated('name', size, ' || ')} from items`,
  ],
  [
    'values of IN',
    [1000, 10_000, 170_000],
    (size) => `select 1 from items where id in (${repeated('12345', size, ',')})`,
  ],
  [
    'strings of IN',
    [1000, 80_000],
    (size) => `select 1 from items where name in (${repeated("'123456789'", size, ',')})`,
  ],
  ['rows of VALUES', [1000, 30_000, 200_000], (size) => `values ${repeated('(1)', size, ',')}`],
  ['elements of ARRAY', [1000, 100_000], (size) => `select array[${repeated('1', size, ',')}]`],
  [
    'elements of an array in a string',
    [1000, 500_000],
    (size) => `select '{${repeated('1', size, ',')}}'::int[]`,
  ],
  [
    'columns of a list',
    [100, 1600, 100_000],
    (size) => `select ${repeated('id', size, ',')} from items`,
  ],
  [
    'columns by star',
    [1, 10, 100, 1000],
    (size) => `select * from ${many(size, (at) => `wide w${at}`, ', ')}`,
  ],
  ['stars', [1, 100, 1000], (size) => `select ${repeated('w.*', size, ', ')} from wide w`],
  ['rows of stars', [10, 300], (size) => `select ${repeated('row(w.*)', size, ', ')} from wide w`],
  ['rows as JSON', [10, 300], (size) => `select ${repeated('to_json(w)', size, ', ')} from wide w`],
  [
    'JSON paths',
    [10, 1000],
    (size) => `select ${many(size, (at) => `to_jsonb(i)->'name'->'a${at}'`, ', ')} from items i`,
  ],
  [
    'JSON within JSON',
    [10, 400],
    (size) => `select ${repeated('json_build_object(1, ', size)}1${repeated(')', size)}`,
  ],
  [
    'queries of WITH',
    [10, 1000, 8000],
    (size) =>
      `with ${many(size, (at) => `c${at} as (select * from ${at ? `c${at - 1}` : 'items'})`, ', ')} select * from c${size - 1}`,
  ],
  [
    'wide queries of WITH',
    [10, 100],
    (size) =>
      `with ${many(size, (at) => `c${at} as (select * from ${at ? `c${at - 1}` : 'wide'})`, ', ')} select * from c${size - 1}`,
  ],
  [
    'queries of WITH, each twice',
    [10, 30],
    (size) =>
      `with ${many(size, (at) => `c${at} as (select a.id from ${at ? `c${at - 1} a, c${at - 1} b` : 'items a'})`, ', ')} select * from c${size - 1}`,
  ],
  [
    'queries of UNION',
    [100, 1000, 8000],
    (size) => repeated('select id from items', size, ' union all '),
  ],
  [
    'tables of FROM',
    [100, 2000, 20_000],
    (size) => `select 1 from ${many(size, (at) => `items t${at}`, ', ')}`,
  ],
  [
    'joins with USING',
    [50, 500, 5000],
    (size) => `select id from items ${many(size, (at) => `join items t${at} using (id)`, ' ')}`,
  ],
  [
    'natural joins',
    [50, 300],
    (size) => `select id from items ${many(size, (at) => `natural join items t${at}`, ' ')}`,
  ],
  [
    'natural joins of wide tables',
    [2, 20],
    (size) => `select 1 from wide ${many(size, (at) => `natural join wide t${at}`, ' ')}`,
  ],
  [
    'columns that are tied',
    [50, 800],
    (size) =>
      `select ${many(size, (at) => `t${at}.name`, ', ')} from ${many(size, (at) => `items t${at}`, ', ')} where ${many(size - 1, (at) => `t${at}.name = t${at + 1}.name`, ' and ')}`,
  ],
  [
    'queries within FROM',
    [50, 200, 3000],
    (size) =>
      `${repeated('select * from (', size)}select * from items${many(size, (at) => `) x${at}`)}`,
  ],
  [
    'queries within WHERE',
    [50, 200, 3000],
    (size) => `${repeated('select 1 where exists (', size)}select 1${repeated(')', size)}`,
  ],
  [
    'queries within a list',
    [50, 200, 3000],
    (size) => `${repeated('select (', size)}select 1${repeated(')', size)}`,
  ],
  [
    'parentheses',
    [100, 10_000, 400_000],
    (size) => `select ${repeated('(', size)}1${repeated(')', size)}`,
  ],
  ['open parentheses', [100, 1_000_000], (size) => `select ${repeated('(', size)}`],
  ['signs', [100, 100_000], (size) => `select ${repeated('- ', size)}1`],
  ['NOT', [100, 100_000], (size) => `select ${repeated('not ', size)}true`],
  ['casts', [100, 50_000], (size) => `select 1${repeated('::int', size)}`],
  ['subscripts', [100, 50_000], (size) => `select (array[1])${repeated('[1]', size)}`],
  [
    'calls within calls',
    [100, 800, 20_000],
    (size) => `select ${repeated('abs(', size)}1${repeated(')', size)}`,
  ],
  [
    'functions that are not there',
    [100, 20_000],
    (size) => `select ${many(size, (at) => `nofunction${at}()`, ', ')}`,
  ],
  [
    'tables that are not there',
    [100, 10_000],
    (size) => `select 1 from ${many(size, (at) => `notable${at}`, ', ')}`,
  ],
  [
    'branches of CASE',
    [100, 10_000],
    (size) => `select case ${repeated('when id = 1 then 2 ', size)}end from items`,
  ],
  [
    'arguments of COALESCE',
    [100, 50_000],
    (size) => `select coalesce(${repeated('name', size, ', ')}) from items`,
  ],
  [
    'keys of ORDER BY',
    [100, 20_000],
    (size) => `select id from items order by ${repeated('name', size, ', ')}`,
  ],
  [
    'keys of GROUP BY',
    [100, 20_000],
    (size) => `select count(*) from items group by ${repeated('name', size, ', ')}`,
  ],
  [
    'grouping sets',
    [10, 1000],
    (size) => `select count(*) from items group by ${repeated('cube (id, name)', size, ', ')}`,
  ],
  [
    'windows',
    [100, 1600],
    (size) =>
      `select ${repeated('sum(id) over (partition by name order by id)', size, ', ')} from items`,
  ],
  ['bytes of a string', [1000, 1_000_000], (size) => `select '${repeated('x', size)}'`],
  ['bytes of a name', [100, 1_000_000], (size) => `select "${repeated('x', size)}"`],
  ['bytes of a comment', [1000, 1_000_000], (size) => `/*${repeated('x', size)}*/ select 1`],
  [
    'comments within comments',
    [100, 5000, 50_000],
    (size) => `${repeated('/*', size)}${repeated('*/', size)} select 1`,
  ],
  ['comments', [100, 100_000], (size) => `${repeated('/**/ ', size)}select 1`],
  [
    'tags in a comment',
    [10, 1000],
    (size) => `select 1 /*${many(size, (at) => `a${at}='b'`, ',')}*/`,
  ],
  ['quotes', [100, 400_000], (size) => `select '${repeated("''", size)}'`],
  ['dollars', [100, 400_000], (size) => `select $a$${repeated('$b', size)}$a$`],
  [
    'characters of four bytes',
    [100, 200_000],
    (size) => `select '${repeated('😀', size)}', id from items`,
  ],
  [
    'statements behind characters of four bytes',
    [100, 1900],
    (size) => `select '😀';${repeated('select 1;', size)}`,
  ],
  ['code of DO', [1000, 1_000_000], (size) => `do $$${repeated('x', size)}$$`],
  ['parameters', [100, 60_000], (size) => `select ${many(size, (at) => `$${at + 1}`, ', ')}`],
  ['a syntax error behind', [1000, 400_000], (size) => `select ${repeated('1,', size)})`],
  ['columns of SET', [100, 10_000], (size) => `update items set ${repeated('id = 1', size, ', ')}`],
  [
    'privileges',
    [100, 50_000],
    (size) => `grant select on ${repeated('items', size, ', ')} to public`,
  ],
  [
    'columns of CREATE TABLE',
    [100, 20_000],
    (size) => `create table made (${many(size, (at) => `c${at} int`, ', ')})`,
  ],
  [
    'tables of DROP TABLE',
    [100, 50_000],
    (size) => `drop table ${many(size, (at) => `t${at}`, ', ')}`,
  ],
  [
    'long names of DROP TABLE',
    [500, 14_000],
    (size) => `drop table ${many(size, (at) => `t${at}`.padEnd(63, '_'), ', ')}`,
  ],
  [
    // In the demo each is counted, and sent by itself.
    'updates whose rows are counted',
    [100, 1900],
    (size) =>
      many(size, (at) => `update orders set status = '${'x'.repeat(200)}' where id = -${at};`),
  ],
  ['tables of LOCK', [100, 50_000], (size) => `lock table ${repeated('items', size, ', ')}`],
  [
    'columns of XMLTABLE',
    [10, 1000],
    (size) =>
      `select 1 from xmltable('/' passing '<a/>' columns ${many(size, (at) => `c${at} int`, ', ')})`,
  ],
  [
    'rules of a pattern',
    [100, 50_000],
    (size) => `select 'x' ~ '${repeated('(a|', size)}b${repeated(')', size)}'`,
  ],
  [
    'columns of JSON_TABLE',
    [10, 1000],
    (size) =>
      `select 1 from json_table('{}', '$' columns (${many(size, (at) => `c${at} int path '$.a'`, ', ')})) t`,
  ],
  [
    'arguments of a JSON function',
    [100, 20_000],
    (size) => `select jsonb_build_object(${repeated("'a', name", size, ', ')}) from items`,
  ],
  [
    'JSON objects within each other',
    [10, 300],
    (size) => `select ${repeated("json_object('a': ", size)}1${repeated(')', size)}`,
  ],
  [
    'steps of a JSON path',
    [100, 50_000],
    (size) => `select '{}'::jsonb @? '$${repeated('.a', size)}'`,
  ],
  [
    'levels of JSON',
    [100, 200_000],
    (size) => `select '${repeated('[', size)}${repeated(']', size)}'::jsonb`,
  ],
  [
    'arrays within arrays',
    [10, 500],
    (size) => `select ${repeated('array[', size)}1${repeated(']', size)}`,
  ],
  [
    'rows within rows',
    [10, 500],
    (size) => `select ${repeated('row(', size)}1${repeated(')', size)}`,
  ],
  [
    'branches of MERGE',
    [10, 2000],
    (size) =>
      `merge into items i using items j on i.id = j.id ${repeated("when matched and i.id = 1 then update set name = 'x' ", size)}`,
  ],
  [
    'queries of LATERAL',
    [10, 300],
    (size) =>
      `select 1 from items t ${many(size, (at) => `cross join lateral (select t.id as a${at}) l${at}`, ' ')}`,
  ],
  [
    'aggregates with FILTER',
    [100, 1600],
    (size) => `select ${repeated("count(*) filter (where name = 'x')", size, ', ')} from items`,
  ],
  [
    'columns of RETURNING',
    [100, 20_000],
    (size) => `delete from items where false returning ${repeated('name', size, ', ')}`,
  ],
  [
    'arguments of EXECUTE',
    [100, 50_000],
    (size) => `execute nothing(${repeated('1', size, ', ')})`,
  ],
  ['pieces of a string', [100, 100_000], (size) => `select ${repeated("'a'\n", size)}`],
  ['escapes of a string', [100, 100_000], (size) => `select e'${repeated('\\u0041', size)}'`],
  [
    'names of search_path',
    [100, 20_000],
    (size) => `set search_path = ${many(size, (at) => `s${at}`, ', ')}`,
  ],
  ['names of a column', [10, 50_000], (size) => `select ${repeated('a.', size)}b from items`],
];

export interface NastyText {
  readonly name: string;
  readonly text: string;
}

/** @param maxLength longest text, characters */
export function nastyTexts(maxLength = Number.POSITIVE_INFINITY): readonly NastyText[] {
  return SHAPES.flatMap(([name, sizes, make]) =>
    sizes.map((size) => ({ name: `${size} ${name}`, text: make(size) })),
  ).filter(({ text }) => text.length <= maxLength);
}
