/**
 * Values of settings, and options of foreign servers, that may hold a password. It is in the nature
 * of two kinds: connection strings, and commands, which have their credentials among their arguments.
 * A setting is of these kinds by its name. Where it has none here, the form of the value decides.
 */
import type { ColumnFact } from './analysis-types.ts';

type SystemColumn = Pick<ColumnFact, 'schema' | 'name' | 'column'>;

const KINDS =
  'command|conn(?:ection)?_?(?:info|str|string)|credentials?|dsn|key|pass|passphrase|passwd|password|pwd|secret|token|ur[il]';
const SECRET_NAME = new RegExp(`(?:^|[._])(?:[a-z0-9]*_)?(?:${KINDS})$`, 'i');
/** `{search_path=public,"app.key=x"}`: pg_db_role_setting has names and values in one text. */
const SECRET_ITEM = new RegExp(`(?:^|[{,"._])(?:${KINDS})=`, 'i');

/** @param name as the server knows it: archive_command, primary_conninfo, app.jwt_secret */
export function isSecretSetting(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** Columns that hold the value of one setting in each row. */
export function isSettingValue({ schema, name, column }: SystemColumn): boolean {
  return schema === 'pg_catalog' && name === 'pg_settings' && VALUES.has(column);
}

const VALUES: ReadonlySet<string> = new Set(['setting', 'boot_val', 'reset_val']);
const LISTS: ReadonlySet<string> = new Set(['setconfig', 'rolconfig', 'useconfig']);

/** Columns that hold `name=value` for several settings. */
export function isSettingList({ schema, column }: SystemColumn): boolean {
  return schema === 'pg_catalog' && LISTS.has(column);
}

/** @returns which values of a masked column are shown all the same; undefined: none. */
export function shownSettings(
  column: SystemColumn,
): 'values without secrets' | 'lists without secrets' | undefined {
  if (isSettingValue(column)) return 'values without secrets';
  return isSettingList(column) ? 'lists without secrets' : undefined;
}

/** The only values of SQL's own that consist of two words. */
const ISOLATION = /^(?:read (?:un)?committed|repeatable read)$/;

/** Whether the form of a setting's value leaves no room for a connection string, or for arguments. */
export function isPlainValue(text: string): boolean {
  if (text.includes('://')) return false;
  const isWords = /^[^\s=]*(?:, ?[^\s=,]+)*$/.test(text) || ISOLATION.test(text);
  // `15.4 (Debian 15.4-1)`, and `%m [%p] ` of log_line_prefix.
  const isVersion = /^\d[\w.]* \([^()=]*\)$/.test(text);
  const isPattern = !/[A-Za-z0-9=]/.test(text.replaceAll(/%-?\d*[A-Za-z]/g, ''));
  return isWords || isVersion || isPattern;
}

/** @param text an array of `name=value` in the server's text form */
export function isPlainList(text: string): boolean {
  return !text.includes('://') && !SECRET_ITEM.test(text) && !/passw(?:or)?d\s*=/i.test(text);
}
