/** The two policies under which hoop is compared with the server. */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const TARGET = 'conformance';

/** Verbs are `set NAME`, so only these can be named. */
const NAMEABLE = /^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*$/;

/** @returns a directory for `startDemo({ policy })`; the caller removes it. */
export function writePolicy(
  kind: 'passthrough' | 'strict',
  database: string,
  nameable: Nameable,
): string {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-conformance-policy-'));
  for (const folder of ['targets', 'policies']) mkdirSync(join(directory, folder));
  const write = (path: string, value: unknown): void =>
    // JSON is YAML.
    writeFileSync(join(directory, path), `${JSON.stringify(value, undefined, 2)}\n`);
  write('hoop.yaml', { version: 1, org: 'conformance', identityProviders: [] });
  write('targets/conformance.yaml', {
    name: TARGET,
    kind: 'postgres',
    database,
    credential: TARGET,
    tls: { mode: 'disable' },
    recording: 'full',
  });
  write('policies/everything.yaml', {
    name: 'everything',
    who: { groups: ['engineering'] },
    targets: { names: [TARGET] },
    limits: { maxConnections: 100 },
    ...(kind === 'passthrough' ? { statements: 'anything' } : { rules: allowAll(nameable) }),
  });
  return directory;
}

/** What the server has that a rule must name, and `*` does not cover. */
export interface Nameable {
  readonly settings: readonly string[];
  readonly functions: readonly string[];
}

/** Reads Nameable: settings that a session can change, functions that reach files or administration. */
export const NAMEABLE_SQL = `
  SELECT name, 'setting' AS kind FROM pg_settings
   WHERE context IN ('user', 'superuser', 'superuser-backend', 'backend')
  UNION
  SELECT proname, 'function' FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace
     AND proname ~ '^(pg_read_|pg_ls_|pg_stat_file|pg_current_logfile|pg_hba_|pg_ident_|lo_import|lo_export|pg_show_all|pg_reload|pg_rotate|pg_promote|pg_switch|pg_import|pg_backup|pg_start|pg_stop|pg_create_restore|pg_wal_replay|pg_stat_reset|pg_log_|brin_|gin_|pg_(create|drop|copy|advance)_)|replication_(slot|origin)'`;

/** Not in pg_settings, or made by the suites. */
const MORE_SETTINGS = ['role', 'session_authorization', 'spec.session'];

const NAMED_COMMANDS = [
  ...['extension', 'foreign data wrapper', 'server'],
  ...['publication', 'subscription', 'user mapping'],
].flatMap((object) => [`alter ${object}`, `create ${object}`]);
const MORE_COMMANDS = [
  ...['copy program', 'alter system', 'load', 'import foreign schema', 'drop subscription'],
  ...['create access method', 'create foreign table', 'create language', 'create tablespace'],
];

/** As much as rules can allow: what is refused under them is refused by a guard that no rule lifts. */
function allowAll({ settings, functions }: Nameable): unknown {
  const set = [...settings, ...MORE_SETTINGS].filter((name) => NAMEABLE.test(name));
  return [
    { name: 'all', allow: { verbs: ['*'] } },
    { name: 'functions', allow: { functions: ['*.*'] } },
    { name: 'files', allow: { functions: functions.map((name) => `pg_catalog.${name}`) } },
    {
      name: 'system',
      allow: {
        verbs: ['*'],
        relations: ['pg_catalog.*', 'information_schema.*', 'pg_toast.*', ...FILE_VIEWS],
      },
    },
    { name: 'settings', allow: { verbs: set.map((name) => `set ${name}`) } },
    {
      name: 'server',
      allow: { verbs: [...MORE_COMMANDS, ...NAMED_COMMANDS] },
    },
  ];
}

const FILE_VIEWS = ['pg_file_settings', 'pg_hba_file_rules', 'pg_ident_file_mappings'].map(
  (name) => `pg_catalog.${name}`,
);
