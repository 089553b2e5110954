/**
 * What no ordinary rule can allow: settings and verbs with which a statement could change what
 * the gateway understands of the next one, or get at data past the rules.
 */

import type { Grant, RuleRef, StatementRule } from '../../../../policy/types.ts';
import { isKnownVerb } from '../../../../policy/verbs.ts';
import { allowSnippet } from '../../../../policy/words/rule-snippet.ts';
import { settingEffect } from '../facts/settings-table.ts';
import type { SqlRefusal } from '../facts/types.ts';
import { isUnrestricted, temporaryFreedom } from './evaluate-functions.ts';
import { sqlRefusal } from './evaluate-refusal.ts';

/** The rule that a guard of hoop's own stands for in refusals and records. */
export function builtin(name: string): RuleRef {
  return { id: `builtin/${name}`, file: 'builtin', line: 0 };
}

/**
 * Settings that change speed, formats and limits of one's own session, and nothing that guards rely on.
 * row_security is one of them: off, with which pg_dump starts, makes a query fail that would be
 * filtered. Who is not filtered (BYPASSRLS, the owner without FORCE) is so with both values.
 */
const HARMLESS_SETTINGS: ReadonlySet<string> = new Set(
  `application_name array_nulls bytea_output check_function_bodies
  client_connection_check_interval client_min_messages commit_delay commit_siblings datestyle
  deadlock_timeout default_table_access_method default_tablespace default_text_search_config
  default_toast_compression default_transaction_deferrable default_transaction_isolation
  default_transaction_read_only effective_io_concurrency exit_on_error extra_float_digits
  gin_fuzzy_search_limit gin_pending_list_limit hoop.notices icu_validation_level
  idle_in_transaction_session_timeout idle_session_timeout intervalstyle io_combine_limit jit
  jit_above_cost jit_expressions jit_inline_above_cost jit_optimize_above_cost
  jit_tuple_deforming lc_messages lc_monetary lc_numeric lc_time lock_timeout
  logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem
  max_parallel_maintenance_workers max_parallel_workers password_encryption
  quote_all_identifiers row_security search_path seed statement_timeout synchronize_seqscans
  synchronous_commit tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval
  tcp_user_timeout temp_buffers temp_tablespaces timezone timezone_abbreviations
  track_activities transaction_deferrable transaction_isolation transaction_read_only
  transaction_timeout vacuum_buffer_usage_limit vacuum_cost_delay vacuum_cost_limit
  vacuum_freeze_min_age vacuum_freeze_table_age wal_skip_threshold work_mem xmlbinary xmloption`.split(
    /\s+/,
  ),
);

const RESTRICTING = /^\s*view\s*,\s*foreign-table\s*$/;

/** Settings whose other value is what every client expects anyway. */
const PARSING_DEFAULTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['standard_conforming_strings', ['on', 'true', 'yes', '1', 'tru', 'tr', 't', 'ye', 'y']],
  ['backslash_quote', ['safe_encoding', 'off', 'false', 'no', '0']],
  ['escape_string_warning', ['on', 'off', 'true', 'false', 'yes', 'no', '1', '0']],
  ['transform_null_equals', ['off', 'false', 'no', '0']],
]);

/**
 * SET, set_config(), and parameters of the StartupMessage.
 * @param name - Any case; `*` is a name that is not known.
 * @param value - undefined: not a plain literal.
 */
export function guardSetting(
  name: string,
  value: string | undefined,
  grant: Grant | undefined,
): SqlRefusal | undefined {
  const setting = name.toLowerCase();
  const effect = settingEffect(setting);
  if (effect === 'parsing') {
    const harmless = PARSING_DEFAULTS.get(setting) ?? [];
    return value !== undefined && harmless.includes(value.trim().toLowerCase())
      ? undefined
      : refuse(
          setting,
          'It changes how the server reads SQL, which policy could not follow.',
          harmless[0] === undefined ? undefined : `Leave it at ${harmless[0]}.`,
        );
  }
  // pg_dump begins with it. Without a kind it would take back what the server restricts.
  if (setting === 'restrict_nonsystem_relation_kind' && RESTRICTING.test(value ?? '')) {
    return undefined;
  }
  if (effect === 'encoding') {
    return value !== undefined && isSafeEncoding(value) ? undefined : refuseEncoding(value);
  }
  if (setting === 'client_min_messages' && /^debug/i.test(value ?? 'debug')) {
    return refuse(setting, 'Debug messages show what statements do inside.');
  }
  if (effect === 'plan') {
    return grant !== undefined && deniesInference(grant.masks)
      ? refuse(
          setting,
          'It influences the plan and thereby the order of rows: they could come in the order of a masked column.',
          'Leave the server’s value; use ORDER BY with an unmasked column to set the order.',
        )
      : undefined;
  }
  if (effect === 'names' || (effect === undefined && HARMLESS_SETTINGS.has(setting))) {
    return undefined;
  }
  if (effect === 'messages' && (grant?.masks.length ?? 0) > 0) {
    return refuse(setting, 'It would show internals of statements while columns are masked.');
  }
  if (setting === '*') {
    return refuse(
      setting,
      'The name of the setting is computed, so it could be any setting.',
      'Write the name as a literal, or send it as a parameter of its own: set_config($1, $2, true).',
    );
  }
  if (grant && allowsSetting(grant.rules, setting)) {
    return undefined;
  }
  const verb = `set ${setting}`;
  const hint = isKnownVerb(verb)
    ? `A policy rule can allow it: ${allowSnippet({ verbs: [verb] })}.`
    : 'No rule can name this setting: use a name of lowercase letters, digits and underscores.';
  if (grant === undefined || !isUnrestricted(grant)) {
    return refuse(setting, 'It is not among the settings that every session may change.', hint);
  }
  // A setting stays when a temporary grant has ended, and the rules that are left did not allow it.
  return temporaryFreedom(grant) === undefined
    ? undefined
    : refuse(setting, 'It would stay in force after your temporary access has ended.', hint);
}

/** Whether there is a masked column that nothing may be learnt of but its mask. */
export function deniesInference(masks: Grant['masks']): boolean {
  return masks.some(({ inference }) => inference === 'deny');
}

/** For SET and set_config() in a statement. RESET gives back what the session began with. */
export function guardSettings(
  settings: readonly {
    name: string;
    value: string | undefined;
    reset?: boolean;
    unchanged?: boolean;
  }[],
  grant: Grant,
): SqlRefusal | undefined {
  for (const { name, value, reset, unchanged } of settings) {
    const refusal = reset || unchanged ? undefined : guardSetting(name, value, grant);
    if (refusal) {
      return refusal;
    }
  }
  return undefined;
}

function allowsSetting(rules: readonly StatementRule[], setting: string): boolean {
  return rules.some((rule) => rule.effect === 'allow' && rule.verbs.includes(`set ${setting}`));
}

function refuse(setting: string, detail: string, hint?: string): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_SETTING',
    message:
      setting === '*'
        ? 'this setting is not allowed by policy'
        : `setting "${setting}" is not allowed by policy`,
    detail,
    hint,
    rule: builtin('settings'),
  });
}

function refuseEncoding(value: string | undefined): SqlRefusal {
  return sqlRefusal({
    code: 'HOOP_ENCODING',
    message:
      value === undefined
        ? 'this client encoding is not allowed by policy'
        : `client encoding "${value}" is not allowed by policy`,
    detail:
      value === undefined || UNSAFE_ENCODINGS.has(encodingName(value))
        ? 'Bytes of its multibyte characters can be ASCII, so statements could be read in two ways.'
        : 'hoop does not know it, so it could read statements differently from the server.',
    hint: 'Use UTF8.',
    rule: builtin('encoding'),
  });
}

/**
 * Client encodings in which no byte of a longer character is ASCII: the gateway then finds quotes
 * and backslashes where the server does.
 * Names and aliases: https://github.com/postgres/postgres/blob/REL_18_STABLE/src/common/encnames.c
 */
const SAFE_ENCODINGS: ReadonlySet<string> = new Set(
  `abc alt euccn eucjis2004 eucjp euckr euctw iso88591 iso885910 iso885913 iso885914 iso885915
  iso885916 iso88592 iso88593 iso88594 iso88595 iso88596 iso88597 iso88598 iso88599 koi8 koi8r
  koi8u latin1 latin10 latin2 latin3 latin4 latin5 latin6 latin7 latin8 latin9 sqlascii tcvn
  tcvn5712 unicode utf8 vscii win win1250 win1251 win1252 win1253 win1254 win1255 win1256 win1257
  win1258 win866 win874 windows1250 windows1251 windows1252 windows1253 windows1254 windows1255
  windows1256 windows1257 windows1258 windows866 windows874`.split(/\s+/),
);

/** Only for the words of a refusal: what is in neither list is refused as well. */
const UNSAFE_ENCODINGS: ReadonlySet<string> = new Set(
  `big5 gb18030 gbk johab mskanji shiftjis shiftjis2004 sjis uhc win932 win936 win949 win950
  windows932 windows936 windows949 windows950`.split(/\s+/),
);

export function isSafeEncoding(name: string): boolean {
  return SAFE_ENCODINGS.has(encodingName(name));
}

/** As PostgreSQL compares encoding names: letters and digits only, in any case. */
function encodingName(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, '').toLowerCase();
}
