/**
 * Columns of system relations that show table data, other people's statements, secrets or server
 * files. Everything else in pg_catalog and information_schema describes structure and may be read.
 */

interface SensitiveColumns {
  /** undefined: all columns. */
  readonly columns: ReadonlySet<string> | undefined;
  readonly reason: string;
  /** Phrase for `serverAccess`, when it is the server's files that are read. */
  readonly server?: string;
}

const STATISTICS = 'shows sampled values of table columns';
const STATEMENTS = 'shows statements of other sessions, with the values in them';
const SECRETS = 'shows password hashes or connection secrets';
const DATA = 'shows raw data of tables or large objects';

const SAMPLED = [
  'most_common_vals',
  'most_common_freqs',
  'most_common_base_freqs',
  'most_common_val_nulls',
  'histogram_bounds',
  'most_common_elems',
  'most_common_elem_freqs',
  'elem_count_histogram',
  'range_length_histogram',
  'range_bounds_histogram',
  // Order of the values against the order on disk: stays out of reach with the values.
  'correlation',
];

const SENSITIVE: ReadonlyMap<string, SensitiveColumns> = new Map([
  ['pg_statistic', { columns: undefined, reason: STATISTICS }],
  ['pg_statistic_ext_data', { columns: undefined, reason: STATISTICS }],
  ['pg_stats', some(STATISTICS, ...SAMPLED)],
  ['pg_stats_ext', some(STATISTICS, ...SAMPLED)],
  ['pg_stats_ext_exprs', some(STATISTICS, ...SAMPLED)],
  ['pg_stat_activity', some(STATEMENTS, 'query')],
  // pg_stat_statements is an extension's view, but its text is that of everyone.
  ['pg_stat_statements', some(STATEMENTS, 'query')],
  ['pg_authid', some(SECRETS, 'rolpassword')],
  ['pg_shadow', some(SECRETS, 'passwd')],
  ['pg_user_mapping', some(SECRETS, 'umoptions')],
  ['pg_user_mappings', some(SECRETS, 'umoptions')],
  ['pg_subscription', some(SECRETS, 'subconninfo')],
  ['pg_stat_wal_receiver', some(SECRETS, 'conninfo')],
  ['user_mapping_options', some(SECRETS, 'option_value')],
  ['_pg_user_mappings', some(SECRETS, 'umoptions')],
  ['pg_largeobject', some(DATA, 'data')],
  ['pg_file_settings', file('pg_file_settings')],
  ['pg_hba_file_rules', file('pg_hba_file_rules')],
  ['pg_ident_file_mappings', file('pg_ident_file_mappings')],
]);

export interface SensitiveColumn {
  readonly reason: string;
  readonly server: string | undefined;
  /** The relation has other columns, which may be shown. */
  readonly isPart: boolean;
}

/** @returns why this column of a system relation must not be shown while masks apply. */
export function sensitiveColumn(relation: string, column: string): SensitiveColumn | undefined {
  const known = SENSITIVE.get(relation);
  if (!known || (known.columns && !known.columns.has(column))) {
    return undefined;
  }
  return { reason: known.reason, server: known.server, isPart: known.columns !== undefined };
}

function some(reason: string, ...columns: string[]): SensitiveColumns {
  return { columns: new Set(columns), reason };
}

function file(name: string): SensitiveColumns {
  return { columns: undefined, reason: 'reads server files', server: `${name} (server files)` };
}
