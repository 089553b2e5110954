import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalogSource } from '../../../../src/connectors/postgres/gateway/catalog/catalog-reader.ts';
import type { Catalog } from '../../../../src/connectors/postgres/policy/facts/catalog-types.ts';
import type {
  StatementContext,
  Verdict,
} from '../../../../src/connectors/postgres/policy/facts/types.ts';
import { SqlParser } from '../../../../src/connectors/postgres/policy/parse/parser.ts';
import { createStatementPolicy } from '../../../../src/connectors/postgres/policy/parse/statement-policy.ts';
import type { EmbeddedPostgres } from '../../../../src/demo/embedded-postgres.ts';
import type { Grant } from '../../../../src/policy/types.ts';
import { startTestPostgres } from '../../../postgres-template.ts';
import { type GrantText, grantOf } from './grant-fixture.ts';

/** The cases are in decisions.txt, whose head says how to read them. */
const TEXT = readFileSync(new URL('decisions.txt', import.meta.url), 'utf8');
const SCHEMA = readFileSync(new URL('decisions.sql', import.meta.url), 'utf8');

interface Case {
  readonly line: number;
  readonly who: string;
  readonly expected: string;
  readonly sql: string;
}

const { grants, cases } = readCases();
const parser = SqlParser.create();
const policy = createStatementPolicy(parser);
let server: EmbeddedPostgres;
let client: pg.Client;
let catalog: Catalog;

beforeAll(async () => {
  server = await startTestPostgres();
  client = new pg.Client({
    connectionString: server.url('postgres'),
    types: { getTypeParser: () => (text: string) => text },
  });
  await client.connect();
  await client.query(SCHEMA);
  const source = openCatalogSource({
    query: async (sql) => (await client.query({ text: sql, rowMode: 'array' })).rows,
    parse: async (sql) => {
      const parsed = await parser.parse(sql);
      if (parsed.type !== 'tree') {
        throw new TypeError(parsed.message);
      }
      return parsed.tree;
    },
  });
  catalog = await source.current();
});

afterAll(async () => {
  await client.end();
  await server[Symbol.asyncDispose]();
  await parser[Symbol.asyncDispose]();
});

function context(more: Partial<StatementContext> = {}): StatementContext {
  return {
    catalog,
    searchPath: ['pg_catalog', 'public'],
    role: 'postgres',
    parameterTypes: [],
    cursor: () => undefined,
    prepared: () => undefined,
    ...more,
  };
}

async function decide(sql: string, grant: Grant): Promise<Verdict> {
  const inner = 'SELECT card FROM clients';
  const verdict = await policy.decide(inner, context(), grant);
  const prepared = verdict.effect === 'allow' ? verdict.statements[0] : undefined;
  return policy.decide(
    sql,
    context({ prepared: (name) => (name === 'q' ? prepared : undefined) }),
    grant,
  );
}

function inWords(verdict: Verdict): string {
  if (verdict.effect === 'refuse') {
    const { code } = verdict.refusal;
    return code === 'HOOP_UNPARSED' ? 'syntax' : `refuse ${code}`;
  }
  const masks = verdict.statements.at(-1)?.masks ?? [];
  const waits = verdict.statements.some(({ approvals = [] }) => approvals.length > 0);
  return [waits ? 'approve' : 'allow', ...masks.map((mask) => mask?.mask ?? '-')].join(' ');
}

describe.each([...grants.keys()])('for %s', (who) => {
  test.each(cases.filter((entry) => entry.who === who))(
    '$sql is: $expected (line $line)',
    async ({ sql, expected }) => {
      const grant = grants.get(who);
      if (!grant) {
        throw new TypeError(`nobody is called ${who}`);
      }
      const verdict = await decide(sql, grant);
      const refusal = verdict.effect === 'refuse' ? verdict.refusal : undefined;
      expect(inWords(verdict), JSON.stringify(refusal)).toBe(expected);
    },
  );
});

test('every case belongs to someone', () => {
  expect(cases.length).toBeGreaterThan(100);
  expect(cases.filter(({ who }) => !grants.has(who))).toEqual([]);
});

function grantCalled(who: string): Grant {
  const grant = grants.get(who);
  if (!grant) {
    throw new TypeError(`nobody is called ${who}`);
  }
  return grant;
}

async function refusal(who: string, sql: string) {
  const verdict = await decide(sql, grantCalled(who));
  if (verdict.effect === 'allow') {
    throw new TypeError('allowed');
  }
  return verdict.refusal;
}

test('a denial names the rule, its place, the commit, and what may be done instead', async () => {
  expect(await refusal('maintainer', 'TRUNCATE purchases')).toEqual({
    code: 'HOOP_DENIED',
    sqlState: '42501',
    message: 'TRUNCATE on public.purchases is denied by policy',
    detail: 'Rule p/rule-6 (policies/p.yaml:15, policy 0123456789ab) says so.',
    hint: 'Allowed here: select on public.*, reports.*, scratch.*, pg_temp.*; insert on public.*, scratch.*, pg_temp.*; update with WHERE on public.*; create table, drop table on scratch.*, pg_temp.*. Once approved: delete.',
    position: undefined,
    rule: { id: 'p/rule-6', file: 'policies/p.yaml', line: 15 },
  });
});

test('what no rule allows says so, and what would', async () => {
  expect(await refusal('clerk', 'DELETE FROM purchases')).toMatchObject({
    message: 'DELETE on public.purchases is not allowed by policy',
    detail: 'No rule of policy 0123456789ab allows it.',
    hint: 'Allowed here: select on public.purchases; insert on public.clients.',
  });
  expect(await refusal('maintainer', 'UPDATE purchases SET state = 1')).toMatchObject({
    message: 'UPDATE on public.purchases without an effective WHERE is not allowed by policy',
    hint: 'Add a WHERE clause that names the rows.',
  });
  expect(await refusal('analyst', 'SELECT name_of(1)')).toMatchObject({
    hint: 'A rule can allow it: allow: { functions: ["public.name_of"], mayShow: masked }. It may then show what is masked for you.',
  });
  const unmasked = await decide('SELECT name_of(1)', grantOf({ rules: ['allow select'] }));
  expect(unmasked).toMatchObject({
    refusal: { hint: 'A rule can allow it: allow: { functions: ["public.name_of"] }.' },
  });
});

test('pg_notify() is allowed where NOTIFY is, and LISTEN beside masks where a rule names it', async () => {
  const masks = ['public.clients.card full'];
  const notify = "SELECT pg_notify('jobs', 'go')";
  const select = 'allow select';
  const allowed = async (sql: string, rules: readonly string[]): Promise<boolean> =>
    (await decide(sql, grantOf({ rules, masks, inference: 'deny' }))).effect === 'allow';
  expect(await allowed(notify, [select])).toBe(false);
  expect(await allowed(notify, [select, 'allow notify on public.clients'])).toBe(false);
  expect(await allowed(notify, [select, 'deny notify'])).toBe(false);
  expect(await allowed(notify, [select, 'allow notify'])).toBe(true);
  expect(await allowed("SELECT pg_notify('jobs', card) FROM clients", ['allow *'])).toBe(false);
  expect(await allowed('LISTEN jobs', ['allow *'])).toBe(false);
  expect(await allowed('LISTEN jobs', ['allow *', 'allow listen'])).toBe(true);
  expect(await allowed('LISTEN jobs', ['allow *', 'allow listen', 'deny listen'])).toBe(false);
});

test('a refused GRANT on a masked table says what GRANT changes, and ALTER TABLE what it may do', async () => {
  const masks = ['public.clients.card full'];
  const refused = async (sql: string) =>
    decide(sql, grantOf({ rules: ['allow *'], masks, inference: 'deny' }));
  expect(await refused('GRANT SELECT ON clients TO postgres')).toMatchObject({
    refusal: {
      message: 'GRANT on public.clients, which has masked columns, is not possible',
      detail: expect.stringContaining('It changes who may use the table'),
      hint: 'Have someone for whom no column is masked do it.',
    },
  });
  expect(await refused('ALTER TABLE clients RENAME COLUMN card TO number')).toMatchObject({
    refusal: {
      detail: expect.stringContaining('It could move a column away from its mask.'),
      hint: expect.stringContaining('ALTER TABLE can add columns'),
    },
  });
});

test('a statement without a WHERE that would wait with one is told what is missing', async () => {
  const rules = ['allow select', 'approve update, delete with WHERE on public.purchases'];
  const verdict = await decide('DELETE FROM purchases', grantOf({ rules }));
  expect(verdict).toMatchObject({
    effect: 'refuse',
    refusal: {
      message: 'DELETE on public.purchases without an effective WHERE is not allowed by policy',
      hint: 'Add a WHERE clause that names the rows; an approver then decides about it.',
    },
  });
  // Approve beats allow, with a WHERE as well.
  const both = ['allow delete with WHERE', ...rules];
  expect(await decide('DELETE FROM purchases', grantOf({ rules: both }))).toMatchObject({
    refusal: { hint: 'Add a WHERE clause that names the rows; an approver then decides about it.' },
  });
});

test('a refusal does not name what stands behind a view', async () => {
  const text = JSON.stringify(await refusal('reader', 'SELECT * FROM reports.key_names'));
  expect(text).toContain('SELECT on reports.key_names is denied');
  expect(text).not.toContain('secret.keys');
});

test('a typo is told as the server tells it', async () => {
  const { message, position, sqlState, detail, hint } = await refusal(
    'analyst',
    'SELECT 1 FRM x y',
  );
  const told = await client.query('SELECT 1 FRM x y').catch((error: unknown) => error);
  expect(told).toMatchObject({ message, code: sqlState, position: String(position) });
  expect([detail, hint]).toEqual([undefined, undefined]);
});

test.each([
  ['SELECT id FROM no_such_table', '42P01'],
  ['SELECT nothing FROM purchases', '42703'],
  ['SELECT p.nothing FROM purchases p', '42703'],
  ['SELECT id FROM reports.nothing', '42P01'],
  ['DELETE FROM nothing', '42P01'],
  ['UPDATE purchases p SET nothing = 1 WHERE id = 1', '42703'],
  ['INSERT INTO purchases (nothing) VALUES (1)', '42703'],
  ['SELECT stat FROM purchases', '42703'],
  ['SELECT p.stat FROM purchases p', '42703'],
  ['SELECT q.state FROM purchases p', '42P01'],
  ['SELECT purchases.state FROM purchases p', '42P01'],
  ['SELECT id FROM purchases UNION SELECT id, state FROM purchases', '42601'],
  ['INSERT INTO purchases (id) VALUES (1, 2)', '42601'],
  ["SELECT id, no_such(state), no_such('x') FROM purchases", '42883'],
  ['SELECT no_such()', '42883'],
  ['SELECT public.no_such(id, 1.5, ARRAY[now()], $$x$$::varchar) FROM purchases', '42883'],
  ['SELECT no_such(a => 1)', '42883'],
  ['SELECT id::no_such FROM purchases', '42704'],
  ['EXECUTE nothing', '26000'],
  ['FETCH 1 FROM nothing', '34000'],
])('%s is told as the server tells it: %s', async (sql, code) => {
  const { message, position, sqlState, hint } = await refusal('analyst', sql);
  // The reading of the catalog has set it to nothing.
  await client.query('SET search_path = public');
  const told = await client.query(sql).catch((error: unknown) => error);
  expect(told).toMatchObject({ message, code });
  expect(sqlState).toBe(code);
  if (String(message).startsWith('column')) expect(told).toMatchObject({ hint });
  if (position !== undefined) {
    expect(told).toHaveProperty('position', String(position));
  }
});

test('a statement too large or too deep is refused with 54000', async () => {
  const sum = `SELECT 0${' + 1'.repeat(10_000)}`;
  expect(await refusal('owner', sum)).toMatchObject({ code: 'HOOP_TOO_LARGE', sqlState: '54000' });
  const large = `SELECT '${'x'.repeat(2_000_000)}'`;
  expect(await refusal('owner', large)).toMatchObject({ code: 'HOOP_TOO_LARGE' });
  expect(await refusal('owner', 'SELECT \0')).toMatchObject({ code: 'HOOP_UNPARSED' });
});

test('errors are redacted where a masked value could be in them', async () => {
  const redacts = async (who: string, sql: string) => {
    const verdict = await decide(sql, grantCalled(who));
    return verdict.effect === 'allow' && verdict.statements[0]?.redactErrors;
  };
  expect(await redacts('analyst', 'SELECT id FROM clients WHERE ssn::int > 1')).toBe(true);
  expect(await redacts('maintainer', "UPDATE clients SET name = 'x' WHERE id = 1")).toBe(true);
  // Its trigger reports whole rows, and could report others.
  expect(await redacts('maintainer', "UPDATE purchases SET state = 'x' WHERE id = 1")).toBe(true);
  // Every column of that type is checked, and foreign keys reach rows that the statement does not name.
  expect(await redacts('builder', 'ALTER DOMAIN pan ADD CHECK (VALUE::int > 0)')).toBe(true);
  expect(await redacts('builder', 'DELETE FROM agents WHERE id = 1')).toBe(true);
  expect(await redacts('builder', 'DELETE FROM purchases_2 WHERE id = 1')).toBe(false);
  expect(await redacts('analyst', 'SELECT id / 0 FROM purchases')).toBe(false);
  expect(await redacts('reader', 'SELECT ssn::int FROM clients')).toBe(false);
});

test('under passthrough nothing is parsed', async () => {
  expect(await decide('this is no SQL', grantOf({ passthrough: true }))).toEqual({
    effect: 'allow',
    statements: [],
  });
});

test('a verdict is remembered for the same catalog, path and grant, and for nothing else', async () => {
  const grant = grantCalled('analyst');
  const sql = 'SELECT name FROM clients';
  const first = await policy.decide(sql, context(), grant);
  expect(await policy.decide(sql, context(), grant)).toBe(first);
  const other = [
    policy.decide(sql, context({ searchPath: ['reports'] }), grant),
    policy.decide(sql, context({ role: 'x' }), grant),
    policy.decide(sql, context({ unsettled: 'all' }), grant),
    policy.decide(sql, context({ parameterTypes: [23] }), grant),
    policy.decide(sql, context(), { ...grant, generation: 'other' }),
  ];
  for (const verdict of await Promise.all(other)) {
    expect(verdict).not.toBe(first);
  }
  const execute = await decide('EXECUTE q', grant);
  expect(await policy.decide('EXECUTE q', context(), grant)).not.toEqual(execute);
});

function readCases(): { grants: Map<string, Grant>; cases: Case[] } {
  const grants = new Map<string, Grant>();
  const cases: Case[] = [];
  let name = '';
  let text: Lines = { rules: [], masks: [], detectors: [], inference: 'allow' };
  for (const [index, line] of TEXT.split('\n').entries()) {
    const who = /^who (.+)$/.exec(line)?.[1];
    const entry = /^([a-z-]+) *\| *(.*?) *\|(.*)$/.exec(line);
    if (who !== undefined) {
      name = who;
      text = { rules: [], masks: [], detectors: [], inference: 'allow' };
    } else if (entry) {
      const [, someone = '', expected = '', sql = ''] = entry;
      cases.push({ line: index + 1, who: someone, expected, sql: sql.trimStart() });
    } else if (line.startsWith('  ')) {
      addLine(text, line.trim());
      grants.set(name, grantOf(text satisfies GrantText));
    }
  }
  return { grants, cases };
}

interface Lines {
  readonly rules: string[];
  readonly masks: string[];
  detectors: ['card'] | [];
  inference: 'allow' | 'deny';
}

function addLine(to: Lines, line: string): void {
  if (line.startsWith('mask ')) {
    to.masks.push(line.slice('mask '.length));
  } else if (line === 'detector card') {
    to.detectors = ['card'];
  } else if (line === 'inference deny') {
    to.inference = 'deny';
  } else {
    to.rules.push(line);
  }
}

test('where nothing is restricted, names are left to the server, and what they may do is unknown', async () => {
  for (const sql of [
    'SELECT id FROM made_just_now',
    'SELECT made_just_now(1)',
    'DROP TABLE gone',
  ]) {
    const verdict = await decide(sql, grantOf({ rules: ['allow *'] }));
    expect(verdict.effect).toBe('allow');
    if (verdict.effect !== 'allow') continue;
    const [statement] = verdict.statements;
    const { runsUserCode, changesCatalog } = statement?.analysis.protocol ?? {};
    expect(runsUserCode || changesCatalog).toBe(true);
  }
  const restricted = [
    grantOf({ rules: ['allow *', 'deny drop'] }),
    grantOf({ rules: ['allow select'] }),
    grantOf({ rules: ['allow *'], masks: ['public.clients.ssn full'] }),
  ];
  for (const grant of restricted) {
    const verdict = await decide('SELECT id FROM made_just_now', grant);
    expect(verdict).toMatchObject({ effect: 'refuse', refusal: { sqlState: '42P01' } });
  }
});

test('what reaches other servers is allowed by a rule that names the command, and by no other', async () => {
  const sql = 'CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw';
  const effectUnder = async (text: Parameters<typeof grantOf>[0]) =>
    (await decide(sql, grantOf(text))).effect;
  expect(await effectUnder({ rules: ['allow *', 'allow create server'] })).toBe('allow');
  expect(await effectUnder({ rules: ['allow *'] })).toBe('refuse');
  expect(await effectUnder({ rules: ['allow *', 'allow create'] })).toBe('refuse');
  expect(await effectUnder({ rules: ['allow *', 'allow create server', 'deny create'] })).toBe(
    'refuse',
  );
  const masks = ['public.clients.ssn full'];
  expect(await effectUnder({ rules: ['allow *', 'allow create server'], masks })).toBe('refuse');
  const inC = "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x'";
  const named = grantOf({ rules: ['allow *', 'allow create function'] });
  expect((await decide(inC, named)).effect).toBe('refuse');
});

test('the name of a setting may come from pg_settings where the query leaves it no choice', async () => {
  const grant = grantOf({ rules: ['allow select', 'allow set restrict_nonsystem_relation_kind'] });
  const settings = async (sql: string) => {
    const verdict = await decide(sql, grant);
    return verdict.effect === 'allow' && verdict.statements[0]?.analysis.protocol.settings;
  };
  const from = "set_config(name, 'view, foreign-table', false) FROM pg_settings";
  const name = 'restrict_nonsystem_relation_kind';
  for (const sql of [
    `SELECT ${from} WHERE name = '${name}'`,
    `SELECT pg_catalog.${from} WHERE name OPERATOR(pg_catalog.=) '${name}'`,
  ]) {
    expect(await settings(sql)).toEqual([{ name, value: 'view, foreign-table', local: false }]);
  }
  for (const sql of [
    `SELECT ${from}`,
    `SELECT ${from} WHERE name <> '${name}'`,
    `SELECT ${from} WHERE name = '${name}' OR true`,
    `SELECT ${from} WHERE NOT name = '${name}'`,
    `SELECT ${from} WHERE setting = '${name}'`,
    `SELECT ${from} AS pg_settings (a, name) WHERE name = '${name}'`,
    `SELECT ${from}, pg_settings b WHERE name = '${name}'`,
    `SELECT set_config(name || '', 'x', false) FROM pg_settings WHERE name = '${name}'`,
    `SELECT (SELECT set_config(name, 'x', false) FROM (SELECT 'role' AS name) s) FROM pg_settings WHERE name = '${name}'`,
    `SELECT set_config(name, 'x', false) FROM (SELECT 'role' AS name) pg_settings WHERE name = '${name}'`,
    `SELECT ${from} WHERE name = 'role'`,
  ]) {
    expect(await settings(sql)).toBe(false);
  }
});
