/**
 * Columns of system relations that show table data, other people's statements, secrets or server
 * files. Everything else in pg_catalog and information_schema describes structure and may be read.
 *
 * All but the server's files count as masked columns that must not be computed with: a tool that
 * shows them among others goes on, and sees no value (mask-index.ts).
 */
import type { ColumnMask } from '../../../../policy/types.ts';
import type { ColumnFact } from './analysis-types.ts';

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
const SETTINGS = 'shows settings and options, which may be connection strings or commands';
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
  ['pg_statistic', some(STATISTICS, ...numbered('stanumbers'), ...numbered('stavalues'))],
  ['pg_statistic_ext_data', some(STATISTICS, 'stxdmcv', 'stxdexpr')],
  ['pg_stats', some(STATISTICS, ...SAMPLED)],
  ['pg_stats_ext', some(STATISTICS, ...SAMPLED)],
  ['pg_stats_ext_exprs', some(STATISTICS, ...SAMPLED)],
  ['pg_stat_activity', some(STATEMENTS, 'query')],
  // pg_stat_statements is an extension's view, but its text is that of everyone.
  ['pg_stat_statements', some(STATEMENTS, 'query')],
  ['pg_authid', some(SECRETS, 'rolpassword')],
  ['pg_shadow', some(SECRETS, 'passwd', 'useconfig')],
  ['pg_user_mapping', some(SECRETS, 'umoptions')],
  ['pg_user_mappings', some(SECRETS, 'umoptions')],
  ['pg_subscription', some(SECRETS, 'subconninfo')],
  ['pg_stat_wal_receiver', some(SECRETS, 'conninfo')],
  ['user_mapping_options', some(SECRETS, 'option_value')],
  ['_pg_user_mappings', some(SECRETS, 'umoptions')],
  ['pg_settings', some(SETTINGS, 'setting', 'boot_val', 'reset_val')],
  ['pg_db_role_setting', some(SETTINGS, 'setconfig')],
  ['pg_roles', some(SETTINGS, 'rolconfig')],
  ['pg_user', some(SETTINGS, 'useconfig')],
  ['pg_foreign_server', some(SETTINGS, 'srvoptions')],
  ['pg_foreign_data_wrapper', some(SETTINGS, 'fdwoptions')],
  ['foreign_server_options', some(SETTINGS, 'option_value')],
  ['foreign_data_wrapper_options', some(SETTINGS, 'option_value')],
  ['_pg_foreign_servers', some(SETTINGS, 'foreign_server_options')],
  ['_pg_foreign_data_wrappers', some(SETTINGS, 'fdwoptions')],
  ['pg_largeobject', some(DATA, 'data')],
  ['pg_file_settings', file('pg_file_settings')],
  ['pg_hba_file_rules', file('pg_hba_file_rules')],
  ['pg_ident_file_mappings', file('pg_ident_file_mappings')],
]);

type SystemColumn = Pick<ColumnFact, 'schema' | 'name' | 'column'>;

/** @returns a phrase for `serverAccess`: the column shows files of the server. */
export function serverFileOf(column: SystemColumn): string | undefined {
  return sensitive(column)?.server;
}

/** @returns what a column shows that is masked for whoever may not read everything, as a phrase. */
export function maskedSystemColumn(column: SystemColumn): string | undefined {
  const known = sensitive(column);
  return known?.server === undefined ? known?.reason : undefined;
}

/** Whether it holds texts of statements: of any session, with values in them. */
export function isStatementText(column: SystemColumn): boolean {
  return maskedSystemColumn(column) === STATEMENTS;
}

/** Its mask; where it holds, it cannot be lifted by a policy. */
export function systemMaskOf(column: SystemColumn): ColumnMask | undefined {
  if (maskedSystemColumn(column) === undefined) return undefined;
  return {
    schema: column.schema,
    relation: column.name,
    column: column.column,
    mask: 'full',
    write: 'allow',
    inference: 'deny',
    rule: { id: 'builtin/system-columns', file: 'builtin', line: 0 },
  };
}

function sensitive({ schema, name, column }: SystemColumn): SensitiveColumns | undefined {
  const isSystem = schema === 'pg_catalog' || schema === 'information_schema';
  const known = isSystem || name === 'pg_stat_statements' ? SENSITIVE.get(name) : undefined;
  return known?.columns?.has(column) === false ? undefined : known;
}

/** pg_statistic has five slots, each with numbers and values of its own. */
function numbered(name: string): string[] {
  return [1, 2, 3, 4, 5].map((slot) => `${name}${slot}`);
}

function some(reason: string, ...columns: string[]): SensitiveColumns {
  return { columns: new Set(columns), reason };
}

function file(name: string): SensitiveColumns {
  return { columns: undefined, reason: 'reads server files', server: `${name} (server files)` };
}
