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
  | 'messages'
  /**
   * Chooses the plan, and so the order of rows that nobody has sorted: with `enable_seqscan` off
   * they come as they stand in an index, which may be one on a masked column.
   */
  | 'plan';

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

/**
 * work_mem is not one of them: pools and reports set it, and all that it chooses is whether rows
 * that are grouped anyway are sorted or hashed. Nor is jit, which changes how a plan runs.
 */
const PLAN_SETTINGS: ReadonlySet<string> = new Set(
  `constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost
  cursor_tuple_fraction debug_parallel_query default_statistics_target effective_cache_size
  force_parallel_mode from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed
  geqo_selection_bias geqo_threshold hash_mem_multiplier join_collapse_limit
  max_parallel_workers_per_gather min_parallel_index_scan_size min_parallel_table_scan_size
  parallel_leader_participation parallel_setup_cost parallel_tuple_cost plan_cache_mode
  random_page_cost recursive_worktable_factor seq_page_cost`.split(/\s+/),
);

/** @param name as in the catalog, lower case; `all` and `*` (unknown name) can be anything. */
export function settingEffect(name: string): SettingEffect | undefined {
  const setting = name.toLowerCase();
  const choosesPlan = setting.startsWith('enable_') || PLAN_SETTINGS.has(setting);
  return EFFECTS.get(setting) ?? (choosesPlan ? 'plan' : undefined);
}
