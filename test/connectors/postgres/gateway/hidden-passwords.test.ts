/** Passwords in the text of a statement that others read. */
import { expect, test } from 'vitest';
import { hidePasswords } from '../../../../src/connectors/postgres/gateway/statements/hidden-passwords.ts';

test.each([
  "ALTER ROLE app PASSWORD 'pw-1'",
  "alter user app with encrypted password\n'pw-1'",
  "ALTER ROLE app PASSWORD/* new */'pw-1' VALID UNTIL '2040-01-02'",
  "ALTER ROLE app PASSWORD -- it's\n 'pw-1'",
  "ALTER ROLE app PASSWORD /* /* it's */ ' */ 'pw-1'",
  "ALTER ROLE app PASSWORD E'pw\\-1\\'pw-1'",
  "ALTER ROLE app PASSWORD U&'pw-1'",
  'ALTER ROLE app PASSWORD $$pw-1$$',
  'ALTER ROLE app PASSWORD pw-1',
  'create user app with password pw1 pw-1',
  'ALTER ROLE app PASSWORD "pw-1"',
  "ALTER ROLE app PASSWORD 'pw-1",
  'ALTER ROLE app PASSWORD = pw-1; SELECT 2',
  'ALTER ROLE app PASSWORD $q$pw-1$q$',
  "ALTER ROLE app PASSWORD 'pw-'\n'1 pw-1'",
  "ALTER ROLE app PASSWORD 'it''s pw-1'",
  "CREATE USER app PASSWORD 'pw-1'; SELECT 1",
  "CREATE USER MAPPING FOR app SERVER s OPTIONS (user 'app', password 'pw-1', token 'pw-1')",
  "ALTER USER MAPPING FOR app SERVER s OPTIONS (SET password 'pw-1')",
  "CREATE SERVER s FOREIGN DATA WRAPPER f OPTIONS (host 'db', password 'pw-1')",
  "CREATE SUBSCRIPTION s CONNECTION 'host=db password=pw-1' PUBLICATION p",
  "SELECT dblink_connect('host=db password=pw-1 user=app')",
  "SELECT dblink_connect('host=db password=''pw 1 pw-1'' user=app')",
  "SELECT dblink_connect('postgres://app:pw-1@db/shop')",
  "ALTER SYSTEM SET primary_conninfo = 'host=db password=pw-1'",
  "DO $$ BEGIN ALTER ROLE app PASSWORD 'pw-1'; END $$",
  "DO $$ BEGIN EXECUTE 'ALTER ROLE app PASSWORD ''pw-1'''; END $$",
  "DO $$ BEGIN EXECUTE format('ALTER ROLE %I PASSWORD %L', 'app', 'pw-1'); END $$",
  "DO $$ BEGIN EXECUTE 'ALTER USER app PASSWORD ' || quote_literal('pw-1'); END $$",
  "DO 'BEGIN ALTER ROLE app PASSWORD ''pw-1''; END'",
])('hoop hides the password in %s', (text) => {
  const shown = hidePasswords(text);
  expect(shown).toMatch(/\*{4}|\[url-password\]/);
  expect(shown).not.toMatch(/pw|1'/);
  expect(hidePasswords(shown)).toBe(shown);
});

test('hoop shows the rest as it is', () => {
  expect(hidePasswords("ALTER ROLE app PASSWORD 'pw' VALID UNTIL '2040-01-01'")).toBe(
    "ALTER ROLE app PASSWORD '****' VALID UNTIL '2040-01-01'",
  );
});

test.each([
  "UPDATE people SET note = 'password reset' WHERE name = 'bob'",
  "SELECT 'a' AS password, 'b' -- password 'c'",
  "UPDATE users SET password = crypt($1, 'x') WHERE name = 'bob'",
  'ALTER ROLE app PASSWORD NULL VALID UNTIL infinity',
  'CREATE USER app; SELECT password FROM users',
  'SELECT "password" FROM t WHERE x = $1',
  "SELECT 'user'; SELECT 'password', 'x'",
])('hoop leaves %s as it is', (text) => {
  expect(hidePasswords(text)).toBe(text);
});

test('a string without an end, and a long text, are read to their end', () => {
  expect(hidePasswords("ALTER ROLE app PASSWORD 'x")).toBe('ALTER ROLE app PASSWORD ****');
  const long = `SELECT '${'x'.repeat(200_000)}', 'password=pw'`;
  expect(hidePasswords(long)).toMatch(/'password=\*\*\*\*'$/);
});
