/**
 * Texts that a parser may see otherwise than the server does: statements of the corpus, cut, joined
 * and sprinkled with what ends or hides a token.
 */
import type { Random } from './random.ts';

/** What begins, ends or escapes quotes and comments, or looks like white space to some. */
const SPRINKLES = [
  ...["'", '"', '$$', '$a$', '$1', "E'\\'", "U&'\\0027'", 'U&"\\0061"', "b'1'", "x'f'", "N'a'"],
  ...['--', '--\n', '/*', '*/', '/* /* */ */', '/*/', '-- \r', '\n', '\r', '\t', '\f', '\v', '\b'],
  ...[' ', '\u{a0}', '\u{3000}', '\u{feff}', '\u{200b}', '\u{2028}', 'ı', 'İ', '\u{ff07}', 'é'],
  ...[
    ';',
    ';;',
    '\\',
    '\\;',
    '\\\\',
    '::text',
    '1_000',
    '0x1F',
    '0b1',
    '1e',
    '.5.',
    ':x',
    '::',
    ':=',
  ],
  ...['(', ')', '[', ']', ',', '.', '*', '@', '#', '?', '=>', '||', '->>', '<>', '!', '~~'],
] as const;

const WORDS = [
  ...['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'FROM', 'WHERE', 'WITH', 'RETURNING', 'UNION ALL'],
  ...['AS', 'INTO', 'VALUES', 'TABLE', 'EXPLAIN', 'ANALYZE', 'PREPARE', 'EXECUTE', 'DECLARE'],
  ...['LATERAL', 'MATERIALIZED', 'UESCAPE', 'OPERATOR(pg_catalog.+)', 'ONLY', 'NULL', 'CASE'],
] as const;

/** Whole statements that change how later ones are read, or what they mean. */
const SETTINGS = [
  ...['SET standard_conforming_strings = off', 'SET standard_conforming_strings = on'],
  ...['SET escape_string_warning = off', "SET client_encoding = 'SJIS'", 'SET NAMES LATIN1'],
  ...["SET client_encoding = 'UTF8'", "SET backslash_quote = 'on'", 'SET search_path = pg_temp'],
  ...["SELECT set_config('standard_conforming_strings', 'off', false)", 'RESET ALL'],
  ...['BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT s', 'ROLLBACK TO s', 'DISCARD ALL'],
  ...["PREPARE p AS SELECT 'prepared'", 'EXECUTE p', 'DEALLOCATE p', 'DEALLOCATE ALL'],
  ...["DO $$BEGIN PERFORM 'done'; END$$", 'CLOSE ALL', "DO 'begin execute ''select 1''; end'"],
  ...['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'FETCH ALL FROM c', 'EXPLAIN ANALYZE EXECUTE p'],
] as const;

/** A word, a quoted piece, a run of space or a single character. */
const TOKENS = /\w+|'(?:[^']|'')*'|"[^"]*"|\s+|./gsu;

export function mutate(corpus: readonly string[], random: Random): string {
  if (random.below(6) === 0) return random.pick(SETTINGS);
  let text = random.pick(corpus);
  for (let changes = random.below(4); changes > 0; changes -= 1) {
    text = change(text, corpus, random);
  }
  return text;
}

function change(text: string, corpus: readonly string[], random: Random): string {
  const tokens = text.match(TOKENS) ?? [];
  const at = random.below(tokens.length + 1);
  const other = random.pick(corpus);
  const insert = (what: string): string =>
    [...tokens.slice(0, at), what, ...tokens.slice(at)].join('');
  return random.pick<() => string>([
    () => insert(random.pick(SPRINKLES)),
    () => insert(random.pick(SPRINKLES)),
    () => insert(` ${random.pick(WORDS)} `),
    () => [...tokens.slice(0, at), ...tokens.slice(at + 1)].join(''),
    () => tokens.slice(0, at).join(''),
    () => [...tokens.slice(0, at), ...(other.match(TOKENS) ?? []).slice(at)].join(''),
    () => `${text};${random.pick(['', ' ', '\n', '--\n', '/**/'])}${other}`,
    () => `${text}${random.pick(['--', '/*', "'", '$$', '\\'])};${other}`,
    () => `/* ${text} */ ${other}`,
    () => `(${text})`,
    () => `WITH x AS (${text}) SELECT * FROM x`,
    () => `EXPLAIN ${random.pick(['', 'ANALYZE ', '(ANALYZE, FORMAT json) '])}${text}`,
    () => `PREPARE p AS ${text}`,
    () => `DO $q$ BEGIN ${text}; END $q$`,
    () => text.toUpperCase(),
    () => `SELECT '${text}'`,
    () => `SELECT E'${text.replaceAll("'", "\\'")}'`,
  ])();
}
