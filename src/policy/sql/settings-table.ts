/** Settings that change what a statement means, who runs it, or what the server tells about it. */

export type SettingEffect =
  /** Changes how the server reads SQL text, so that it and the gateway could read two statements. */
  | 'parsing'
  /** client_encoding: which bytes are ASCII. */
  | 'encoding'
  /** Who the statement runs as. */
  | 'identity'
  /** What an unqualified name means. */
  | 'names'
  /** Switches off triggers or protections, or loads code. */
  | 'guard'
  /** Makes the server send more of its inner life (query trees, debug messages). */
  | 'messages';

const EFFECTS: ReadonlyMap<string, SettingEffect> = new Map<string, SettingEffect>([
  ['standard_conforming_strings', 'parsing'],
  ['backslash_quote', 'parsing'],
  // Only a warning in 18, but it exists for the same lexer switch.
  ['escape_string_warning', 'parsing'],
  // `x = NULL` becomes `x IS NULL`: another statement than the one that was judged.
  ['transform_null_equals', 'parsing'],
  ['client_encoding', 'encoding'],
  // SET NAMES is client_encoding, under which name the parser reports it.
  ['names', 'encoding'],
  ['role', 'identity'],
  ['session_authorization', 'identity'],
  ['search_path', 'names'],
  ['session_replication_role', 'guard'],
  ['allow_system_table_mods', 'guard'],
  ['ignore_system_indexes', 'guard'],
  ['zero_damaged_pages', 'guard'],
  ['lo_compat_privileges', 'guard'],
  ['event_triggers', 'guard'],
  ['createrole_self_grant', 'guard'],
  ['local_preload_libraries', 'guard'],
  ['session_preload_libraries', 'guard'],
  ['dynamic_library_path', 'guard'],
  ['extension_control_path', 'guard'],
  ['restrict_nonsystem_relation_kind', 'guard'],
  ['debug_print_parse', 'messages'],
  ['debug_print_rewritten', 'messages'],
  ['debug_print_plan', 'messages'],
  ['log_parser_stats', 'messages'],
  ['log_planner_stats', 'messages'],
  ['log_executor_stats', 'messages'],
  ['log_statement_stats', 'messages'],
  ['trace_notify', 'messages'],
  ['trace_sort', 'messages'],
  ['backtrace_functions', 'messages'],
]);

/** @param name as in the catalog, lower case; `all` and `*` (unknown name) can be anything. */
export function settingEffect(name: string): SettingEffect | undefined {
  return EFFECTS.get(name.toLowerCase());
}
