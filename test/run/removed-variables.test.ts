import { expect, test } from 'vitest';
import { buildEnvironment } from '../../src/run/environment.ts';
import { RemovedVariables } from '../../src/run/removed-variables.ts';

const DEFAULT = new RemovedVariables();

test.each([
  ['PGPASSWORD', 'leads to a database'],
  ['PGHOST', 'leads to a database'],
  ['DATABASE_URL', 'leads to a database'],
  ['STAGING_DATABASE_URL', 'leads to a database'],
  ['DATABASE_URL_REPLICA', 'leads to a database'],
  ['POSTGRES_PASSWORD', 'leads to a database'],
  ['DB_PASS', 'leads to a database'],
  ['DB_ADMIN_PASSWORD', 'leads to a database'],
  ['database_url', 'leads to a database'],
  ['MYSQL_PWD', 'leads to a database'],
  ['REDIS_URL', 'leads to a database'],
  ['ConnectionStrings__Default', 'leads to a database'],
  ['POSTGRESQLCONNSTR_main', 'leads to a database'],
  ['GOOGLE_GHA_CREDS_PATH', 'cloud credential'],
  ['DEVIN_OIDC_TOKEN_FILE', 'identity of the CI job'],
  ['CI_REPOSITORY_URL', 'identity of the CI job'],
  ['VAULT_SECRET_ID', 'secret store'],
  ['NOMAD_TOKEN', 'secret store'],
  ['YARN_NPM_AUTH_TOKEN', 'code host or registry'],
  ['npm_config_//registry.example.com/:_authToken', 'code host or registry'],
  ['AZURE_DEVOPS_EXT_PAT', 'code host or registry'],
  ['COMPOSER_AUTH', 'code host or registry'],
  ['HELM_KUBETOKEN', 'ssh or Kubernetes'],
  ['SECRET_KEY_BASE', 'password or secret'],
  ['RAILS_MASTER_KEY', 'password or secret'],
  ['AWS_SECRET_ACCESS_KEY', 'cloud credential'],
  ['AWS_PROFILE', 'cloud credential'],
  ['AWS_CONTAINER_CREDENTIALS_FULL_URI', 'cloud credential'],
  ['GOOGLE_APPLICATION_CREDENTIALS', 'cloud credential'],
  ['AZURE_CLIENT_SECRET', 'cloud credential'],
  ['ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'identity of the CI job'],
  ['HOOP_ID_TOKEN', 'identity of the CI job'],
  ['CIRCLE_OIDC_TOKEN_V2', 'identity of the CI job'],
  ['CI_JOB_TOKEN', 'identity of the CI job'],
  ['VAULT_TOKEN', 'secret store'],
  ['OP_SESSION_my', 'secret store'],
  ['GH_TOKEN', 'code host or registry'],
  ['GITHUB_TOKEN', 'code host or registry'],
  ['NPM_TOKEN', 'code host or registry'],
  ['SSH_AUTH_SOCK', 'ssh or Kubernetes'],
  ['KUBECONFIG', 'ssh or Kubernetes'],
  ['APP_PASSWORD', 'password or secret'],
  ['OAUTH_CLIENT_SECRET', 'password or secret'],
  ['HOOP_TOKEN', 'of an outer hoop'],
  ['HOOP_HOME', 'of an outer hoop'],
  ['HOOP_PROD_DB_URL', 'leads to a database'],
])('%s is not passed on: %s', (name, reason) => {
  expect(DEFAULT.reason(name, 'x')).toBe(reason);
});

test.each([
  'host=db.internal user=app password=geheim',
  'Server=db.internal;Database=shop;User Id=app;Pwd=geheim;',
  '"postgres://app:geheim@db.internal/shop"',
])('a connection string is not passed on under any name: %s', (value) => {
  expect(DEFAULT.reason('MAIN', value)).toBe('leads to a database');
});

test.each([
  ['PATH', '/bin'],
  ['HOME', '/home/a'],
  ['TERM', 'xterm'],
  ['LANG', 'C.UTF-8'],
  ['SSH_CONNECTION', '::1 1 ::1 22'],
  ['SSH_TTY', '/dev/pts/1'],
  ['AWS_REGION', 'eu-west-1'],
  ['ANTHROPIC_API_KEY', 'x'],
  ['OPENAI_API_KEY', 'x'],
  ['GEMINI_API_KEY', 'x'],
  ['CLAUDE_CODE_OAUTH_TOKEN', 'x'],
  ['GITHUB_ACTIONS', 'true'],
  ['GITHUB_REPOSITORY', 'a/b'],
  ['CI', 'true'],
  ['GITLAB_CI', 'true'],
  ['PGTZ', 'UTC'],
  ['PGAPPNAME', 'report'],
  ['HTTPS_PROXY', 'http://user:secret@proxy:3128'],
  ['DBUS_SESSION_BUS_ADDRESS', 'unix:path=/run/user/1/bus'],
  ['PASSWORD_STORE_DIR', '/home/a/.store'],
  ['USERNAME', 'a'],
  ['DB_NAME', 'shop'],
  ['HOOP_CARRIER', 'websocket'],
  ['PROMPT', 'the password: ask for it'],
  ['MAIL_SETTINGS', 'host=mail.example.com port=25'],
])('%s stays', (name, value) => {
  expect(DEFAULT.reason(name, value)).toBeUndefined();
});

test.each([
  'postgres://app:secret@db.internal/shop',
  'postgresql+psycopg://app@db.internal/shop',
  'jdbc:postgresql://db.internal/shop?user=app',
  'mongodb+srv://app:secret@cluster/db',
  'redis://:secret@cache:6379',
])('a connection string is recognised by its value: %s', (value) => {
  expect(DEFAULT.reason('PRIMARY', value)).toBe('leads to a database');
});

test('what is typed goes before what is configured, and dropping before keeping', () => {
  const typed = { keep: ['GH_TOKEN', 'AWS_*'], drop: ['AWS_SESSION_TOKEN', 'EDITOR'] };
  const configured = { keep: ['SSH_AUTH_SOCK', 'EDITOR'], drop: ['GH_TOKEN', 'LESS*'] };
  const rules = new RemovedVariables(typed, configured);
  expect(rules.reason('GH_TOKEN', 'x')).toBeUndefined();
  expect(rules.reason('AWS_PROFILE', 'x')).toBeUndefined();
  expect(rules.reason('AWS_SESSION_TOKEN', 'x')).toBe('dropped by you');
  expect(rules.reason('EDITOR', 'vi')).toBe('dropped by you');
  expect(rules.reason('SSH_AUTH_SOCK', 'x')).toBeUndefined();
  expect(rules.reason('LESSOPEN', 'x')).toBe('dropped by you');
  expect(rules.reason('NPM_TOKEN', 'x')).toBe('code host or registry');
});

test('a part of the run replaces what was inherited, and the later part the earlier one', () => {
  const environment = buildEnvironment(
    { PATH: '/bin', PGHOST: 'db.internal', GH_TOKEN: 'secret', HOOP_RUN: 'outer' },
    DEFAULT,
    [
      { PGHOST: '127.0.0.1', HOOP_RUN: 'first' },
      { HOOP_RUN: 'second', HOOP_BRIEFING: '/b' },
    ],
  );
  expect(environment.variables).toEqual({
    PATH: '/bin',
    PGHOST: '127.0.0.1',
    HOOP_RUN: 'second',
    HOOP_BRIEFING: '/b',
  });
  expect([...environment.set.keys()]).toEqual(['HOOP_BRIEFING', 'HOOP_RUN', 'PGHOST']);
  expect(environment.kept).toEqual(['PATH']);
  expect([...environment.removed]).toEqual([['GH_TOKEN', 'code host or registry']]);
});
