/**
 * What the built-in functions do besides computing a value from their arguments.
 *
 * The rule: immutable and stable functions are harmless unless listed here; volatile ones are
 * refused unless listed here. Names are those of PostgreSQL 13 to 18.
 */

export type FunctionEffect =
  /** Computes from its arguments. */
  | { readonly kind: 'pure' }
  /** Its arguments outlive the statement: settings, sequences, locks, notifications. */
  | { readonly kind: 'stores' }
  /** Takes as long as its argument says. */
  | { readonly kind: 'waits' }
  /** Runs SQL text or reads data that no analysis of this statement can see. */
  | { readonly kind: 'hidden'; readonly reason: string; readonly hint: string | undefined }
  /** Reaches the server's files, programs or administration. */
  | { readonly kind: 'server'; readonly what: string };

const PURE: FunctionEffect = { kind: 'pure' };

const RUNS_SQL = hidden('runs SQL passed as an argument', 'Send that SQL as a separate statement.');
const READS_WHOLE = hidden(
  'exports whole relations that its argument names',
  'Select the columns from the relation itself.',
);
const LARGE_OBJECT = hidden('reads or writes large objects, which masks do not cover');
const STATISTICS = hidden(
  'shows sampled values of table columns',
  'Select from pg_stats or pg_stats_ext instead: sampled values are masked there.',
);
const STATEMENTS = hidden(
  'shows statements of other sessions, with the values in them',
  'Select from pg_stat_activity instead: statements of other sessions are masked there.',
);
const SETTINGS = hidden(
  'shows settings, which may be connection strings or commands',
  'Select from pg_settings instead: what may hold a password is masked there.',
);
const CHANGES = hidden('reads row contents from the write-ahead log');

/** Patterns first: families of names that only grow. */
const FAMILIES: readonly (readonly [RegExp, FunctionEffect | 'server files' | 'administration'])[] =
  [
    [/^(table|schema|database|cursor)_to_xml/, READS_WHOLE],
    [/^query_to_xml/, RUNS_SQL],
    [/^ts_stat$/, RUNS_SQL],
    [/^(lo_import|lo_export)$/, 'server files'],
    [/^(lo_|loread$|lowrite$)/, LARGE_OBJECT],
    [
      /^pg_(read_|ls_|stat_file$|current_logfile$|hba_file_rules$|ident_file_mappings$)/,
      'server files',
    ],
    [/^pg_show_all_file_settings$/, 'server files'],
    [/^pg_show_all_settings$/, SETTINGS],
    [/^pg_(available_)?wal_summar/, CHANGES],
    [/^pg_logical_(slot|emit)/, CHANGES],
    [/^pg_mcv_list_items$/, STATISTICS],
    [/^pg_stat_get_(activity|backend_activity)$/, STATEMENTS],
    [
      /^pg_(reload_conf|rotate_logfile|promote|switch_wal|import_system_collations)/,
      'administration',
    ],
    [/^pg_(backup|start_backup|stop_backup|create_restore_point|wal_replay)/, 'administration'],
    [/replication_(slot|origin)|^pg_sync_replication/, 'administration'],
    [/^pg_stat_reset|^pg_(clear|restore)_(attribute|relation)_stats/, 'administration'],
    [/^pg_log_/, 'administration'],
    [/^binary_upgrade_/, 'administration'],
    [/^(brin|gin)_(de)?(summarize|clean)/, 'administration'],
  ];

type VolatileKind = 'pure' | 'stores' | 'waits';

/** Reading functions among those families that say nothing about data. */
const READ_ONLY_EXCEPTIONS: ReadonlySet<string> = new Set([
  'pg_get_replication_slots',
  'pg_stat_get_replication_slot',
  'pg_replication_origin_oid',
  'pg_show_replication_origin_status',
  'pg_get_wal_replay_pause_state',
  'pg_get_wal_summarizer_state',
  'pg_is_wal_replay_paused',
]);

const VOLATILE: ReadonlyMap<string, VolatileKind> = new Map([
  ...names(
    'pure',
    `array_sample array_shuffle clock_timestamp current_query currval gen_random_uuid lastval
     pg_advisory_unlock_all pg_blocking_pids pg_collation_actual_version pg_control_checkpoint
     pg_control_init pg_control_recovery pg_control_system pg_current_wal_flush_lsn
     pg_current_wal_insert_lsn pg_current_wal_lsn pg_database_collation_actual_version
     pg_database_size pg_export_snapshot pg_get_aios pg_get_backend_memory_contexts
     pg_get_loaded_modules pg_get_multixact_members pg_get_sequence_data pg_get_shmem_allocations
     pg_get_shmem_allocations_numa pg_get_wait_events pg_get_wal_replay_pause_state
     pg_get_wal_resource_managers pg_get_wal_summarizer_state pg_indexes_size pg_is_in_recovery
     pg_is_wal_replay_paused pg_isolation_test_session_is_blocked pg_jit_available
     pg_last_committed_xact pg_last_wal_receive_lsn pg_last_wal_replay_lsn
     pg_last_xact_replay_timestamp pg_lock_status pg_notification_queue_usage
     pg_partition_ancestors pg_partition_tree pg_prepared_xact pg_relation_size
     pg_safe_snapshot_blocking_pids pg_sequence_last_value pg_show_replication_origin_status
     pg_stat_clear_snapshot pg_stat_force_next_flush pg_stat_have_stats pg_table_size
     pg_tablespace_size pg_timezone_names pg_total_relation_size pg_xact_commit_timestamp
     pg_xact_commit_timestamp_origin pg_xact_status random random_normal timeofday
     txid_status uuidv4 uuidv7`,
  ),
  // AT TIME ZONE: of timetz, it is VOLATILE in PostgreSQL 13.
  ...names('pure', 'timezone'),
  ...names(
    'stores',
    `nextval pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock
     pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
     pg_cancel_backend pg_notify pg_terminate_backend pg_try_advisory_lock
     pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
     set_config setseed setval`,
  ),
  ...names('waits', 'pg_sleep pg_sleep_for pg_sleep_until'),
]);

/** @param volatility pg_proc.provolatile of the function, or of all that the name may mean. */
export function builtInEffect(
  name: string,
  argumentCount: number,
  volatility: 'i' | 's' | 'v',
): FunctionEffect {
  // The form with two arguments runs its second one as SQL; with three it only computes.
  if (name === 'ts_rewrite') {
    return argumentCount === 2 ? RUNS_SQL : PURE;
  }
  if (!READ_ONLY_EXCEPTIONS.has(name)) {
    for (const [pattern, effect] of FAMILIES) {
      if (pattern.test(name)) {
        return typeof effect === 'string' ? server(name, effect) : effect;
      }
    }
  }
  if (volatility !== 'v') {
    return PURE;
  }
  const known = VOLATILE.get(name);
  return known
    ? { kind: known }
    : {
        kind: 'hidden',
        reason: 'has effects that are not known to be harmless',
        hint: undefined,
      };
}

/** Whether it runs a text as SQL that is one of its arguments. */
export function runsText(
  name: string,
  argumentCount: number,
  volatility: 'i' | 's' | 'v',
): boolean {
  return builtInEffect(name, argumentCount, volatility) === RUNS_SQL;
}

function server(name: string, area: string): FunctionEffect {
  return { kind: 'server', what: `${name}() (${area})` };
}

function names(value: VolatileKind, list: string): [string, VolatileKind][] {
  return list.split(/\s+/).map((name) => [name, value]);
}

/** Functions of extensions that keep a number or a switch in the session, which another one tells. */
const KEEPING: ReadonlySet<string> = new Set(['isn_weak', 'set_limit']);

export function keepsArguments(name: string): boolean {
  return KEEPING.has(name);
}

/** Extensions that reach other servers, files or raw pages, by what they do. */
const REACHING_EXTENSIONS: ReadonlyMap<string, string> = new Map([
  ['adminpack', 'server files'],
  ['dblink', 'connections to other servers'],
  ['file_fdw', 'server files'],
  ['pageinspect', 'raw table pages'],
  ['pg_buffercache', 'raw table pages'],
  ['pg_surgery', 'raw table pages'],
  ['pg_visibility', 'raw table pages'],
  ['pg_walinspect', 'the write-ahead log'],
  ['plperlu', 'server programs'],
  ['plpython3u', 'server programs'],
  ['postgres_fdw', 'connections to other servers'],
]);

export function extensionReach(extension: string | undefined): string | undefined {
  return extension === undefined ? undefined : REACHING_EXTENSIONS.get(extension);
}

function hidden(reason: string, hint?: string): FunctionEffect {
  return { kind: 'hidden', reason, hint };
}
