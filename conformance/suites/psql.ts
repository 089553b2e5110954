/** psql's \d family and the other commands that ask or change something, on one of each object. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clientProgram } from '../installation.ts';
import { runAdmin } from '../open-lane.ts';
import type { Suite } from '../suite.ts';

const LISTS =
  'd da dA dAc dAf dAo dAp db dc dC dd ddp dD dE des det deu dew df dfa dft dfp dF dFd dFp dFt dg di dl dL dm dn do dO dp dP drds dRp dRs ds dS dt dT du dv dx dX dy l z'.split(
    ' ',
  );
const NAMED =
  'customers orders events events_2020 events_rest parent child scratch rich totals counter customers_pkey orders_note far mood'.split(
    ' ',
  );

/** A case each. What they print goes to stdout and stderr, which are one here. */
const COMMANDS: readonly string[] = [
  ...LISTS.flatMap((list) => [`\\${list}`, `\\${list}+`, `\\${list} shop.*`]),
  ...NAMED.map((name) => `\\d+ shop.${name}`),
  ...[
    '\\sf shop.add',
    '\\sf+ shop.many',
    '\\sv+ shop.rich',
    '\\dconfig work_mem',
    '\\dt shop.c*|o*',
  ],
  ...[
    '\\d shop.nothing',
    '\\dx+ hstore',
    '\\h SELECT',
    '\\encoding',
    '\\lo_list',
    '\\dT+ shop.mood',
  ],
  "SELECT 1 AS a, 'x'::text AS b, now() \\gdesc",
  "SELECT $$\\d$$ AS backslash, E'\\x41' AS escaped \\gx",
  'SELECT name, mood, spent FROM shop.customers WHERE id < 4 \\crosstabview',
  "SELECT 'SELECT ' || g FROM generate_series(1, 3) g \\gexec",
  'SELECT 7 AS seven, NULL AS none \\gset my_\n\\echo :my_seven :{?my_none}',
  '\\copy shop.customers (name, mood) TO STDOUT',
  '\\copy (SELECT id, "Mixed Case; --" FROM shop.customers ORDER BY id) TO STDOUT (FORMAT csv, HEADER)',
  '\\copy shop.scratch FROM PROGRAM \'printf "1\\n2\\n"\'',
  'COPY shop.scratch FROM STDIN;\n3\n4\n\\.',
  'COPY shop.scratch FROM STDIN;\nnot a number\n\\.',
  'COPY shop.scratch TO STDOUT;\nSELECT 1; SELECT 2 \\; SELECT 3;',
  'BEGIN;\nSELECT 1/0;\nSELECT 1;\nROLLBACK;\nSELECT 2;',
  '\\set AUTOCOMMIT off\nSELECT 1;\nCOMMIT;\n\\set AUTOCOMMIT on',
  '\\set ON_ERROR_ROLLBACK on\nBEGIN;\nSELECT 1/0;\nSELECT 3;\nCOMMIT;\n\\set ON_ERROR_ROLLBACK off',
  '\\set FETCH_COUNT 3\nSELECT * FROM generate_series(1, 10);\nSELECT 1 / (5 - g) FROM generate_series(1, 10) g;\n\\unset FETCH_COUNT',
  'SELECT * FROM nothing;\nSELEC 1;\n\\errverbose',
  "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two' USING DETAIL = 'd', HINT = 'h'; END $$;",
  "DO $$ BEGIN RAISE EXCEPTION 'three' USING ERRCODE = 'P0042', TABLE = 't', COLUMN = 'c'; END $$;\n\\echo :SQLSTATE :LAST_ERROR_MESSAGE",
  "INSERT INTO shop.customers (name, spent) VALUES ('n1', -1);\n\\errverbose",
  "PREPARE p(int) AS SELECT $1 + 1;\nEXECUTE p(1);\nEXECUTE p('x');\nDEALLOCATE p;\nEXECUTE p(1);",
  'BEGIN;\nDECLARE c SCROLL CURSOR FOR SELECT * FROM generate_series(1, 5);\nFETCH 2 c;\nMOVE LAST c;\nFETCH BACKWARD 2 c;\nCLOSE c;\nFETCH c;\nROLLBACK;',
  "LISTEN ch;\nNOTIFY ch, 'payload';\nSELECT 1;\nUNLISTEN *;",
  'CALL shop.nothing(1);\nSELECT shop.add(1), * FROM shop.many();',
  "SET client_encoding = 'LATIN1';\nSELECT 'é' AS e, length('é');\nRESET client_encoding;",
  "SET standard_conforming_strings = off;\nSELECT 'a\\\\b';\nRESET standard_conforming_strings;",
  'SELECT lo_get(4242);\n\\lo_export 4242 lo.bin\n\\lo_import lo.bin\n\\lo_unlink 4242',
  ';\n;;\nSELECT;\nSELECT 1;;',
  'EXPLAIN (COSTS off) SELECT * FROM shop.customers WHERE id = 1;\nEXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT 1;',
  "SHOW work_mem;\nSET work_mem = '6MB';\nSHOW work_mem;\nRESET ALL;\nDISCARD ALL;\nSHOW search_path;",
  'BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE;\nSHOW transaction_isolation;\nCREATE TABLE t ();\nEND;',
  '\\conninfo',
];

export const psql: Suite = {
  name: 'psql',
  missing: () => undefined,
  prepare: async ({ adminUrl }) => {
    const objects = readFileSync(new URL('../sql/objects.sql', import.meta.url), 'utf8');
    const roles = 'DROP ROLE IF EXISTS conformance_reader';
    await runAdmin(adminUrl, [roles, objects]);
  },
  async run(context) {
    const script = join(context.scratch, 'script.sql');
    const marked = COMMANDS.map((command) => `\\echo ${MARK}\n${terminated(command)}\n`);
    writeFileSync(script, marked.join(''));
    const program = clientProgram(context.server, 'psql');
    const { stdout, exitCode } = await context.runProgram(
      'sh',
      ['-c', 'exec "$0" -X -f "$1" 2>&1', program, script],
      { cwd: context.scratch },
    );
    const [before = '', ...parts] = stdout.split(`${MARK}\n`);
    const outputs = new Map(
      COMMANDS.map((command, index) => [
        command.replaceAll(/\s+/g, ' ').slice(0, 60),
        normalized(parts[index] ?? '(did not run)\n'),
      ]),
    );
    return outputs.set('exit', `${before}${exitCode}\n`);
  },
};

const MARK = '@@@ next';

function terminated(command: string): string {
  return /^\\|\\\.$|;$|\\[a-z]+( [a-z_]*)?(\n|$)/.test(command) ? command : `${command};`;
}

/** Where psql is connected to, sizes on disk, and OIDs given out meanwhile are not the lane's doing. */
function normalized(text: string): string {
  return text
    .replaceAll(/port "?\d+"?/g, 'port N')
    .replaceAll(/psql:[^:]*:\d+: /g, '')
    .replaceAll(/lo_import \d+/g, 'lo_import N')
    .replaceAll(/from server process with PID \d+/gi, 'from server process with PID N')
    .replaceAll(/\b\d+ (kB|MB|bytes)\b/g, 'N $1');
}
