/**
 * Settings that say what values in a statement stand for: '01/02/2026' under DateStyle, an instant
 * under TimeZone, current_setting('app.tenant') in a condition or a row security policy. An approval
 * is bound to them, since it may be used on another connection than the one it was asked on.
 */
import { askAside } from '../target/probe.ts';
import type { BoundSetting } from '../types.ts';
import type { StreamState } from '../wire/stream-state.ts';

/** Of the server's own; all that have a dot in their names are the application's or an extension's. */
const SERVER_SETTINGS: readonly string[] = [
  'array_nulls',
  'bytea_output',
  'datestyle',
  'default_text_search_config',
  'extra_float_digits',
  // Rows beyond so many are left out of what an index finds.
  'gin_fuzzy_search_limit',
  'intervalstyle',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'row_security',
  'session_replication_role',
  'timezone',
  'timezone_abbreviations',
  // A client cannot switch it on; a database or a role may begin with it.
  'transform_null_equals',
  'xmlbinary',
  'xmloption',
];
/** What PostgreSQL takes as such a name; another one is not asked for. */
const NAME = /^[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*(\.[a-z0-9_$\u0080-\uffff]+)*$/;
const MAX_NAMES = 100;

/** Names of such settings that the client has set on one connection. */
export class NamedSettings {
  readonly #names = new Set<string>();
  /** There are some that nobody can ask for by name. */
  #areMore = false;

  add(name: string): void {
    // As the server compares names: a letter beyond ASCII has its case.
    const lower = name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
    if (!lower.includes('.') && lower !== '*' && !SERVER_SETTINGS.includes(lower)) return;
    if (!NAME.test(lower) || this.#names.size >= MAX_NAMES) this.#areMore = true;
    else this.#names.add(lower);
  }

  get names(): ReadonlySet<string> {
    return this.#names;
  }

  get areMore(): boolean {
    return this.#areMore;
  }
}

/** @returns undefined: it could not be asked, as in a transaction that has failed. */
export async function askSettings(
  state: StreamState,
): Promise<readonly BoundSetting[] | undefined> {
  const { names, areMore } = state.settings.named;
  const all = [...new Set([...SERVER_SETTINGS, ...names])].sort();
  const list = all.map((name) => `'${name}'`).join(', ');
  const rows = await askAside(
    state,
    `SELECT name, pg_catalog.current_setting(name, true)
FROM pg_catalog.unnest(ARRAY[${list}]::pg_catalog.text[]) AS name`,
  );
  return (
    rows && [
      ...rows.map(([name = null, value = null]) => ({
        name: name ?? '',
        value,
        isNamed: name !== null && names.has(name),
      })),
      // What it holds nobody can say: what is asked for here is good on this connection alone.
      ...(areMore ? [{ name: '*', value: state.id, isNamed: false }] : []),
    ]
  );
}
