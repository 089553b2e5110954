import { expect, test } from 'vitest';
import {
  guardSetting,
  isSafeEncoding,
} from '../../../../src/connectors/postgres/policy/verdict/guards.ts';
import { refuseStartupParameters } from '../../../../src/connectors/postgres/policy/verdict/guards-startup.ts';
import { grantOf } from './grant-fixture.ts';

const plain = grantOf({ rules: ['allow select'] });
const named = grantOf({ rules: ['allow set role, set app.tenant, set session_replication_role'] });
const masked = grantOf({
  rules: ['allow select, set debug_print_plan'],
  masks: ['public.customers.ssn full'],
});

test.each([
  ['statement_timeout', '5s'],
  ['TimeZone', 'Europe/Berlin'],
  ['search_path', 'analytics, public'],
  ['application_name', 'x'],
  ['extra_float_digits', '3'],
  ['standard_conforming_strings', 'on'],
  ['client_encoding', 'UTF-8'],
  ['client_encoding', 'LATIN1'],
  ['client_min_messages', 'warning'],
  ['row_security', 'off'],
  ['row_security', 'FALSE'],
  ['row_security', '0'],
  ['row_security', 'on'],
])('every session may SET %s TO %s', (name, value) => {
  expect(guardSetting(name, value, plain)).toBeUndefined();
});

test.each([
  ['standard_conforming_strings', 'off', 'HOOP_SETTING'],
  ['STANDARD_CONFORMING_STRINGS', 'off', 'HOOP_SETTING'],
  ['standard_conforming_strings', undefined, 'HOOP_SETTING'],
  ['backslash_quote', 'on', 'HOOP_SETTING'],
  ['transform_null_equals', 'on', 'HOOP_SETTING'],
  ['client_encoding', 'SJIS', 'HOOP_ENCODING'],
  ['client_encoding', 'GBK', 'HOOP_ENCODING'],
  ['client_encoding', undefined, 'HOOP_ENCODING'],
  ['names', 'big5', 'HOOP_ENCODING'],
  ['role', 'postgres', 'HOOP_SETTING'],
  ['session_authorization', 'postgres', 'HOOP_SETTING'],
  ['session_replication_role', 'replica', 'HOOP_SETTING'],
  ['local_preload_libraries', 'x', 'HOOP_SETTING'],
  ['client_min_messages', 'debug5', 'HOOP_SETTING'],
  ['app.tenant', '1', 'HOOP_SETTING'],
  ['no_such_setting', '1', 'HOOP_SETTING'],
  ['*', '1', 'HOOP_SETTING'],
])('SET %s TO %s is refused', (name, value, code) => {
  expect(guardSetting(name, value, plain)).toMatchObject({ code, sqlState: '42501' });
});

test('a rule that names a setting allows it, unless it changes how SQL is read', () => {
  expect(guardSetting('role', 'app', named)).toBeUndefined();
  expect(guardSetting('app.tenant', '7', named)).toBeUndefined();
  expect(guardSetting('session_replication_role', 'replica', named)).toBeUndefined();
  const careless = grantOf({
    rules: ['allow set standard_conforming_strings, set client_encoding'],
  });
  expect(guardSetting('standard_conforming_strings', 'off', careless)).toBeDefined();
  expect(guardSetting('client_encoding', 'SJIS', careless)).toBeDefined();
  expect(guardSetting('debug_print_plan', 'on', masked)).toBeDefined();
});

test.each([
  ['Shift-JIS', 'Bytes of its multibyte characters can be ASCII'],
  ['nonsense', 'hoop does not know it'],
  ['MULE_INTERNAL', 'hoop does not know it'],
])('the client encoding %s is refused for what it is', (name, detail) => {
  expect(guardSetting('client_encoding', name, plain)?.detail).toContain(detail);
});

test('encodings are compared as PostgreSQL compares them', () => {
  for (const name of ['utf8', 'UTF-8', 'unicode', 'SQL_ASCII', 'ISO-8859-1', 'win1252', 'EUC_JP']) {
    expect(isSafeEncoding(name), name).toBe(true);
  }
  for (const name of [
    'SJIS',
    'Shift_JIS',
    'SHIFT_JIS_2004',
    'BIG5',
    'GBK',
    'GB18030',
    'UHC',
    'JOHAB',
    'MULE_INTERNAL',
    '',
  ]) {
    expect(isSafeEncoding(name), name).toBe(false);
  }
});

function startup(parameters: Record<string, string>, grant = plain) {
  return refuseStartupParameters(new Map(Object.entries(parameters)), grant);
}

test.each<[string, Record<string, string>]>([
  [
    'what psql sends',
    { user: 'u', database: 'd', application_name: 'psql', client_encoding: 'UTF8' },
  ],
  ['JDBC', { DateStyle: 'ISO', TimeZone: 'UTC', extra_float_digits: '2', client_encoding: 'UTF8' }],
  ['options with -c', { options: '-c statement_timeout=5s -c search_path=a\\ b' }],
  ['options with --', { options: '--lock-timeout=1s' }],
  ['options with a blank that is none to C', { options: '-c application_name=x\u00a0--role=a' }],
  [
    'options with every blank that is one',
    { options: '\t-c\nwork_mem=1MB\v--lock_timeout=1s\f\r' },
  ],
  ['no replication', { replication: 'false' }],
  ['a protocol extension', { '_pq_.x': '1' }],
])('a connection may start with %s', (_name, parameters) => {
  expect(startup(parameters)).toBeUndefined();
});

test.each<[string, Record<string, string>]>([
  ['a role in options', { options: '-c role=admin' }],
  ['a role with blanks around', { options: '  -c   role=admin ' }],
  ['a role glued to -c', { options: '-crole=admin' }],
  ['a role after a vertical tab', { options: '-c work_mem=1MB\v-crole=admin' }],
  ['a switch among others', { options: '-c work_mem=1MB -O' }],
  ['switches in one word', { options: '-Oc work_mem=1MB' }],
  ['a backslash at the end', { options: '-c work_mem=1MB \\' }],
  ['a name that is quoted', { options: '-c "role"=admin' }],
  ['-c without anything', { options: '-c' }],
  ['a word without a switch', { options: 'work_mem=1MB' }],
  ['settings in capitals', { ROLE: 'admin' }],
  ['a replication parameter in capitals, which is no setting', { REPLICATION: 'true' }],
  ['a role with dashes', { options: '--session-authorization=admin' }],
  ['strings that do not conform', { options: '-c standard_conforming_strings=off' }],
  [
    'a word that only a backslash holds together',
    { options: '-c application_name=x\\ y -c role=a' },
  ],
  ['a setting as a parameter', { standard_conforming_strings: 'off' }],
  ['an unsafe encoding', { client_encoding: 'SJIS' }],
  ['replication', { replication: 'true' }],
  ['logical replication', { replication: 'database' }],
  ['a switch of the server', { options: '-F' }],
  ['a switch that is cut off', { options: '-c' }],
  ['a setting without a value', { options: '-c role' }],
  ['something that is no switch', { options: 'role=admin' }],
])('a connection may not start with %s', (_name, parameters) => {
  expect(startup(parameters)).toMatchObject({ sqlState: '42501' });
});

test('under passthrough only replication is refused', () => {
  const anything = grantOf({ passthrough: true });
  expect(startup({ options: '-F -c role=x', client_encoding: 'SJIS' }, anything)).toBeUndefined();
  expect(startup({ replication: '1' }, anything)).toBeDefined();
});

test('a grant that restricts nothing covers settings, unless they change how SQL is read', () => {
  const free = grantOf({ rules: ['allow *'] });
  for (const name of ['app.tenant', 'role', 'session_replication_role', 'no_such_setting']) {
    expect([name, guardSetting(name, 'x', free)]).toEqual([name, undefined]);
  }
  expect(guardSetting('*', 'x', free)?.hint).toContain('as a literal');
  expect(guardSetting('standard_conforming_strings', 'off', free)).toBeDefined();
  expect(guardSetting('client_encoding', 'SJIS', free)).toBeDefined();
  for (const rules of [['allow *', 'deny drop'], ['allow * on public.*'], ['allow select']]) {
    expect(guardSetting('app.tenant', 'x', grantOf({ rules }))).toBeDefined();
  }
  const masks = ['public.customers.ssn full'];
  expect(guardSetting('app.tenant', 'x', grantOf({ rules: ['allow *'], masks }))).toBeDefined();
});

test('a setting would outlast temporary access, so that covers none that it does not name', () => {
  const [rule, named] = grantOf({ rules: ['allow *', 'allow set app.tenant'] }).rules;
  if (!rule || !named) throw new TypeError('no rules');
  const temporary = { ...rule, rule: { ...rule.rule, grant: 'g' } };
  const grant = grantOf({});
  expect(guardSetting('app.tenant', 'x', { ...grant, rules: [temporary] })?.detail).toContain(
    'temporary access',
  );
  expect(guardSetting('app.tenant', 'x', { ...grant, rules: [temporary, named] })).toBeUndefined();
  expect(guardSetting('app.tenant', 'x', { ...grant, rules: [rule, temporary] })).toBeUndefined();
});
