/** Messages of PostgreSQL and of sftp that cost most where they are read: many, wide, at the limits. */
import { encodeInit, encodeRequest } from '../../src/connectors/ssh/protocol/sftp/request.ts';
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
  sync,
} from '../connectors/postgres/gateway/raw-client.ts';

export interface NastyMessages {
  readonly name: string;
  readonly messages: readonly Uint8Array[];
  /** ReadyForQuery that are waited for. */
  readonly answers: number;
}

const times = <T>(count: number, make: (at: number) => T | readonly T[]): T[] =>
  Array.from({ length: count }, (_, at) => make(at)).flat() as T[];

/** The most that a Bind can have. */
const MOST = 65_535;

export function nastyMessages(): readonly NastyMessages[] {
  const all = Array.from({ length: MOST }, (_, at) => `$${at + 1}`).join(',');
  const wide = parse(`select 1 where 1 in (${all})`, 'wide');
  const ones = times(MOST, () => '1');
  const inArrays = [bind({ statement: 'array', values: [`{${ones.join(',')}}`] }), execute()];
  const copyIn = query('copy orders from stdin');
  const order = (id: number): string => `${id}\t1\t1.00\tnew\t2026-01-01\n`;
  // One number twice: the server has enough of it at once, and hoop has all of it.
  const lines = message('d', Buffer.from(order(1).repeat(500_000)));
  const series = (size: number): string => `select g, 'x' from generate_series(1, ${size}) g`;
  const callOf = Buffer.alloc(10);
  const list: readonly Named[] = [
    [
      'Bind with 65,535 parameters, 20 of them',
      [wide, ...times(20, () => [bind({ statement: 'wide', values: ones }), execute()]), sync],
    ],
    [
      'Bind with 65,535 formats, 50 of them',
      [
        parse('select 1', 'one'),
        ...times(50, () => [bind({ statement: 'one', formats: times(MOST, () => 0) }), execute()]),
        sync,
      ],
    ],
    [
      'arrays of 65,535 values, 50 of them',
      [
        parse('select 1 from items where id = any($1::int[])', 'array'),
        ...times(50, () => inArrays),
        sync,
      ],
    ],
    [
      'Parse of 65,535 types, 50 of them',
      [
        ...times(50, (at) =>
          parse(
            'select 1',
            `t${at}`,
            times(MOST, () => 23),
          ),
        ),
        sync,
      ],
    ],
    [
      'prepared statements, 9,900 of them',
      [...times(9_900, (at) => parse(`select ${at % 50}`, `s${at}`)), sync],
    ],
    [
      'Describe of 9,900 prepared statements',
      [...times(9_900, (at) => describeStatement(`s${at}`)), sync],
    ],
    [
      'Close of 9,900 prepared statements',
      [...times(9_900, (at) => closeStatement(`s${at}`)), sync],
    ],
    [
      'portals, 9,900 of them',
      [
        parse('select 1', 'p'),
        ...times(9_900, (at) => bind({ statement: 'p', portal: `p${at}` })),
        ...times(9_900, (at) => [
          describePortal(`p${at}`),
          execute(`p${at}`),
          closePortal(`p${at}`),
        ]),
        sync,
      ],
    ],
    [
      'names that are not there, 20,000 of them',
      times(20_000, (at) => [describeStatement(`none${at}`), sync]),
      20_000,
    ],
    ['long names', [...times(2_000, (at) => closeStatement(`${'n'.repeat(5_000)}${at}`)), sync]],
    ['Sync, 200,000 of them', times(200_000, () => sync), 200_000],
    ['Flush, 200,000 of them', [...times(200_000, () => flush), sync]],
    ['the same Query 20,000 times', times(20_000, () => query('select 1')), 20_000],
    [
      'a Query of its own 20,000 times',
      times(20_000, (at) => query(`select ${at} as c${at}`)),
      20_000,
    ],
    ['an empty Query 50,000 times', times(50_000, () => query('')), 50_000],
    [
      'COPY of 200,000 lines, a message each',
      [
        copyIn,
        ...times(200_000, (at) => message('d', Buffer.from(order(1_000_000 + at)))),
        copyDone,
      ],
    ],
    ['COPY of 2,000,000 lines in four messages', [copyIn, ...times(4, () => lines), copyDone]],
    ['COPY of 2,000,000 lines back', [query(`copy (${series(2_000_000)}) to stdout`)]],
    ['rows, 1,000,000 of them', [query(series(1_000_000))]],
    [
      'COPY of 500,000 rows in binary',
      [query("copy (select g, 'x' from generate_series(1, 500000) g) to stdout (format binary)")],
    ],
    [
      'COPY in binary that is none',
      [
        query('copy orders from stdin (format binary)'),
        message('d', Buffer.alloc(8_000_000)),
        copyDone,
      ],
    ],
    [
      'COPY of one line of 16 MB',
      [copyIn, ...times(16, () => message('d', Buffer.alloc(1_000_000, 'x'))), copyDone],
    ],
    [
      'Bind with one value of 16 MB, 5 of them',
      [
        parse('select length($1::text)', 'long'),
        ...times(5, () => [
          bind({ statement: 'long', values: ['x'.repeat(16_000_000)] }),
          execute(),
        ]),
        sync,
      ],
    ],
    [
      // PostgreSQL ends a connection whose Close has more than 10,000 bytes, without a word.
      'prepared statements with names of 9,900 bytes, 3,000 of them',
      [
        ...times(3_000, (at) => [
          parse('select 1', `${'n'.repeat(9_900)}${at}`),
          closeStatement(`${'n'.repeat(9_900)}${at}`),
        ]),
        sync,
      ],
    ],
    [
      'Describe of one statement 50,000 times',
      [parse('select 1', 'd'), ...times(50_000, () => describeStatement('d')), sync],
    ],
    [
      'Describe of 1,500 columns, 500 times',
      [parse('select * from wide', 'w'), ...times(500, () => describeStatement('w')), sync],
    ],
    ['function calls, 5,000 of them', times(5_000, () => message('F', callOf)), 5_000],
    [
      'a portal that is executed row by row',
      [
        parse('select g from generate_series(1, 20000) g', 'rows'),
        bind({ statement: 'rows', portal: 'rows' }),
        ...times(20_000, () => execute('rows', 1)),
        sync,
      ],
    ],
  ];
  return named(list);
}

/** What code on the server sends: for a target where it may run. */
export function nastyCode(): readonly NastyMessages[] {
  const loop = (count: number, body: string): Uint8Array =>
    query(`do $$begin for i in 1..${count} loop ${body} end loop; end$$`);
  return named([
    ['notices of 100 KB, 500 of them', [loop(500, "raise notice '%', repeat('n', 100000);")]],
    [
      'notifications, 20,000 of them',
      [query('listen soak'), loop(20_000, "perform pg_notify('soak', i::text);")],
      2,
    ],
    ['settings, 20,000 of them', [loop(20_000, "perform set_config('a.b' || i, 'x', false);")]],
    [
      'errors that are caught, 20,000 of them',
      [
        loop(
          20_000,
          'begin raise exception using errcode = 22012; exception when others then end;',
        ),
      ],
    ],
    [
      'notices, 20,000 of them',
      [query("do $$begin for i in 1..20000 loop raise notice 'n %', i; end loop; end$$")],
    ],
  ]);
}

type Named = readonly [
  name: string,
  messages: readonly Uint8Array[],
  /** Default 1. */
  answers?: number,
];

function named(list: readonly Named[]): readonly NastyMessages[] {
  return list.map(([name, messages, answers = 1]) => ({ name, messages, answers }));
}

/** Each is all that a client of sftp sends, with no wait for an answer. */
export function nastySftp(
  place: string,
): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const utf8 = (text: string): Uint8Array => Buffer.from(text);
  const deep = `${place}${'/a'.repeat(2000)}`;
  const requests: [string, number, (id: number) => Uint8Array][] = [
    ['lstat', 20_000, (id) => encodeRequest(id, { type: 'lstat', path: utf8(`${place}/x${id}`) })],
    ['stat of a deep path', 2_000, (id) => encodeRequest(id, { type: 'stat', path: utf8(deep) })],
    ['realpath', 20_000, (id) => encodeRequest(id, { type: 'realpath', path: utf8('.') })],
    [
      'rename of long paths',
      1_000,
      (id) =>
        encodeRequest(id, {
          ...{ type: 'rename', path: utf8(`${deep}${id}`), to: utf8(`${deep}${id}b`) },
        }),
    ],
    [
      'a path of 30,000 names that are not there',
      20,
      (id) => encodeRequest(id, { type: 'lstat', path: utf8('/b'.repeat(30_000)) }),
    ],
    [
      'extended',
      5_000,
      (id) => encodeRequest(id, { type: 'extended', name: `none@${id}`, data: utf8('x') }),
    ],
    ['opendir', 2_000, (id) => encodeRequest(id, { type: 'opendir', path: utf8('/usr/bin') })],
    [
      'read of no handle',
      20_000,
      (id) => encodeRequest(id, { type: 'read', handle: utf8('none'), offset: 0n, length: 32_768 }),
    ],
  ];
  return requests.map(([name, count, make]) => ({
    name: `${count} requests of sftp: ${name}`,
    bytes: Buffer.concat([encodeInit(3), ...times(count, (at) => make(at + 1))]),
  }));
}
