/** A rule that a hint shows loads, and the statement that was refused passes with it. */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { evaluate } from '../../src/connectors/postgres/policy/verdict/evaluate.ts';
import { guardSetting } from '../../src/connectors/postgres/policy/verdict/guards.ts';
import { decideSsh } from '../../src/connectors/ssh/policy/decide-ssh.ts';
import { problemLine } from '../../src/policy/load-policy.ts';
import { principalGrant } from '../../src/policy/principal-grant.ts';
import type { Grant, Refusal } from '../../src/policy/types.ts';
import { type SqlBench, startSqlBench } from '../connectors/postgres/policy/sql-bench.ts';
import { HOST_KEY, principal } from '../connectors/ssh/policy/ssh-fixture.ts';
import { loadPolicy } from '../policy/with-connectors.ts';

const BUILDERS = 'src/policy/words/rule-snippet.ts';

/** Functions of src that built a rule for a hint while these tests ran. */
const built = vi.hoisted(() => new Set<string>());

vi.mock('../../src/policy/words/rule-snippet.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/policy/words/rule-snippet.ts')>();
  const noted = <A extends readonly unknown[]>(build: (...given: A) => string) => {
    return (...given: A): string => {
      const stack = new Error().stack ?? '';
      for (const [, name = ''] of stack.matchAll(/^ +at (\w+) \(.*\/src\//gm)) built.add(name);
      return build(...given);
    };
  };
  return {
    allowSnippet: noted(original.allowSnippet),
    conditionsSnippet: noted(original.conditionsSnippet),
  };
});

let bench: SqlBench;
beforeAll(async () => {
  bench = await startSqlBench(fileURLToPath(new URL('hint-rules.sql', import.meta.url)));
});
afterAll(async () => {
  await bench?.[Symbol.asyncDispose]();
});

interface Setting {
  readonly target: string;
  /** Lines of YAML, each an entry of `rules`. */
  readonly rules: readonly string[];
  readonly masks?: readonly string[];
}

function grantOf({ target, rules, masks = [] }: Setting): Grant {
  const list = (entries: readonly string[]) => entries.map((one) => `  - ${one}\n`).join('');
  const { policy, problems } = loadPolicy(
    new Map([
      [
        'hoop.yaml',
        'version: 1\nidentityProviders: [{ issuer: "https://idp.example", clientId: hoop }]\n',
      ],
      ['targets/db.yaml', 'name: db\nkind: postgres\ndatabase: shop\n'],
      [
        'targets/web-1.yaml',
        `name: web-1\nkind: ssh\nhostKeys: ["${HOST_KEY}"]\nlogins: [{ user: deploy, credential: web }]\n`,
      ],
      [
        'policies/p.yaml',
        `name: p\nwho: { everyone: true }\ntargets: { names: [${target}] }\nrules:\n${list(rules)}${masks.length === 0 ? '' : `masks:\n${list(masks)}`}`,
      ],
    ]),
  );
  expect(problems.map(problemLine)).toEqual([]);
  const grant = policy && principalGrant(policy, 'c0ffee', principal(), target);
  if (grant === undefined) throw new Error('nothing is granted');
  return grant;
}

/** Every `{ … }` of a text, nested ones within: hints show no other braces. */
function rulesIn(text: string): string[] {
  return [...text.matchAll(/\{ (?:"(?:[^"\\]|\\.)*"|[^"{}])* \}/g)].map(
    ([rule]) => `allow: ${rule}`,
  );
}

async function refusalOf(sql: string, grant: Grant): Promise<Refusal | undefined> {
  const context = { searchPath: ['pg_catalog', 'app'] };
  const verdict = evaluate(await bench.analyse(sql, context), grant, {
    catalog: bench.catalog,
    text: sql,
  });
  return verdict.effect === 'refuse' ? verdict.refusal : undefined;
}

const READ = 'allow: { verbs: [select], relations: ["app.*"] }';
const WRITE = 'allow: { verbs: [insert], relations: ["app.*"] }';
const ALL = 'allow: { verbs: ["*"] }';
const NAMED = 'allow: { functions: [app.promote] }';
const DENY = 'deny: { verbs: [truncate] }';
const MASK = '{ column: app.cards.pan, mask: full }';

test.each<[name: string, sql: string, rules: readonly string[], masks?: readonly string[]]>([
  ['a sequence with an odd name', `SELECT nextval('app."Tax.No #"')`, [READ]],
  ['setting a sequence of a table', `SELECT setval('app."Odd: ""Table""_id_seq"', 7)`, [READ]],
  ['a new value without a rule to read', `SELECT nextval('app."Tax.No #"')`, [READ, DENY]],
  ['a function with an odd name', `SELECT app."say ""it""*"(1)`, [READ]],
  ['one beside masks', `SELECT app."say ""it""*"(1)`, [READ], [MASK]],
  ['one that a rule names without mayShow', 'SELECT app.promote()', [READ, NAMED], [MASK]],
  ['one in a default', "INSERT INTO app.made (v) VALUES ('x')", [WRITE]],
  ['an operator of a user', 'SELECT c OPERATOR(app.@+@) 1 FROM app.cards c', [READ]],
  ['a built-in function with effects', 'SELECT pg_cancel_backend(1)', [READ]],
  ['pg_notify()', "SELECT pg_notify('a', 'b')", [READ]],
  ['a function that may change logins', 'SELECT app.promote()', [ALL]],
  ['LISTEN beside masks', 'LISTEN jobs', [ALL], [MASK]],
  ['a file of the server', "SELECT pg_read_file('x')", [ALL]],
  ['two functions that read files', "SELECT pg_read_file('x'), pg_ls_dir('y')", [ALL]],
  ['a view of files', 'SELECT * FROM pg_hba_file_rules', [ALL]],
  ['COPY to a program', "COPY app.cards TO PROGRAM 'x'", [ALL]],
  ['COPY from a file of the server', "COPY app.cards FROM '/x'", [ALL]],
  ['administration of the server', "ALTER SYSTEM SET work_mem = '1MB'", [ALL]],
  ['another server', 'CREATE SERVER s FOREIGN DATA WRAPPER f', [ALL]],
  ['a function of an extension that connects', "SELECT app.dblink_connect('x')", [ALL]],
  ['one under rules', "SELECT app.dblink_connect('x')", [READ, DENY]],
  ['a password', "ALTER ROLE postgres PASSWORD 'x'", [ALL]],
  ['a setting of an application', "SET app.tenant = 'x'", [READ]],
  ['one with capitals', `SET "App.Tenant" = 'x'`, [READ]],
  ['set_config()', "SELECT set_config('app.tenant', 'x', true)", [READ]],
  ['a role', 'SET ROLE other', [READ]],
])('%s is allowed by the rules that the hint shows', async (_name, sql, rules, masks = []) => {
  const given = { target: 'db', rules, masks };
  const refused = await refusalOf(sql, grantOf(given));
  const shown = rulesIn(refused?.hint ?? '');
  expect(shown, JSON.stringify(refused)).not.toEqual([]);
  const grant = grantOf({ ...given, rules: [...rules, ...shown] });
  expect(await refusalOf(sql, grant)).toBeUndefined();
});

test.each(['bash', 'bash --login -c bash', '/bin/sh', 'zsh -l'])(
  'the shell %s is allowed by each of the rules that its refusal shows',
  (command) => {
    const refused = (rules: readonly string[]): Refusal | undefined => {
      const verdict = decideSsh(grantOf({ target: 'web-1', rules }), 'deploy', {
        kind: 'exec',
        command,
      });
      return verdict.effect === 'refuse' ? verdict.refusal : undefined;
    };
    const rules = [
      'allow: { ssh: exec, commands: ["ls **"] }',
      'deny: { ssh: exec, commands: ["rm **"] }',
    ];
    const shown = rulesIn(refused(rules)?.detail ?? '');
    expect(shown.length).toBeGreaterThan(0);
    for (const rule of shown) expect(refused([...rules, rule])).toBeUndefined();
  },
);

test.each([
  ['a setting that no rule can name', (grant: Grant) => guardSetting('a b', 'x', grant)],
  ['a setting that is computed', (grant: Grant) => guardSetting('*', undefined, grant)],
])('%s is refused without a rule to copy', (_name, guard) => {
  const refused = guard(grantOf({ target: 'db', rules: [READ] }));
  expect(refused).toBeDefined();
  expect(rulesIn(refused?.hint ?? '')).toEqual([]);
});

test.each([
  ['under rules', [READ], []],
  ['beside masks', [READ], [MASK]],
  ['beside a deny', [ALL, DENY], []],
])('a function that is not found shows no rule %s', async (_name, rules, masks) => {
  for (const sql of ['SELECT lacking(1)', "SELECT lacking('x') FROM app.cards"]) {
    const refused = await refusalOf(sql, grantOf({ target: 'db', rules, masks }));
    expect(refused).toBeDefined();
    expect(rulesIn(refused?.hint ?? ''), JSON.stringify(refused)).toEqual([]);
  }
});

test('each function that builds a rule for a hint is reached by a case above', () => {
  const callers = globSync('src/**/*.ts')
    .filter((file) => file !== BUILDERS)
    .flatMap((file) => {
      let within = '';
      return readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line) => {
          within = /^(?:export )?(?:async )?function (\w+)/.exec(line)?.[1] ?? within;
          const calls = /\b(?:allow|conditions)Snippet\(/.test(line);
          return calls ? [`${within}`] : [];
        });
    });
  expect(callers.length).toBeGreaterThan(7);
  expect([...new Set(callers)].filter((name) => !built.has(name))).toEqual([]);
});
