/**
 * Which inherited variables a child does not get: those that lead to a database, a server or a cloud
 * past hoop, those with which it could get another identity than its run's, and the usual secrets.
 * This keeps an agent from finding them by accident; files and what other processes hold it does
 * not hide. Keys of the agents themselves (ANTHROPIC_API_KEY, OPENAI_API_KEY, …) stay: without them
 * nothing would run.
 */
import { LIBPQ_SETTINGS } from '../libpq-settings.ts';

/** Why a variable is taken away, for people. */
export type RemovalReason =
  | 'leads to a database'
  | 'cloud credential'
  | 'identity of the CI job'
  | 'secret store'
  | 'code host or registry'
  | 'ssh or Kubernetes'
  | 'password or secret'
  | 'of an outer hoop'
  | 'does not exist in the fence'
  | 'not let into the fence'
  | 'dropped by you';

interface Rule {
  readonly reason: RemovalReason;
  readonly names: RegExp;
}

const RULES: readonly Rule[] = [
  // Of libpq: a setting left here would lead elsewhere, or break the local port.
  { reason: 'leads to a database', names: /^PG[A-Z0-9_]+$/ },
  {
    reason: 'leads to a database',
    names:
      /(^|_)(DATABASE|DB|POSTGRES(QL)?|PG|MYSQL|MARIADB|MONGO(DB)?|REDIS|REDSHIFT|CLICKHOUSE|SNOWFLAKE|MSSQL|ORACLE|JDBC|DATASOURCE)_(\w+_)?(URL|URI|DSN|PASS|PASSWORD|PWD|USER|USERNAME|CONNECTION|AUTH)(_\w+)?$/,
  },
  {
    reason: 'leads to a database',
    names:
      /^(MYSQL_PWD|REDISCLI_AUTH|SQLCMDPASSWORD|SNOWSQL_PWD|SPRING_DATASOURCE_\w+|(\w+_)?CONNECTION_?STRINGS?(_\w+)?|(CUSTOM|SQL|SQLAZURE|MYSQL|POSTGRESQL)CONNSTR_\w+)$/,
  },
  // https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html
  {
    reason: 'cloud credential',
    names:
      /^AWS_(ACCESS_KEY(_ID)?|SECRET_(ACCESS_)?KEY|SESSION_TOKEN|SECURITY_TOKEN|PROFILE|DEFAULT_PROFILE|CONFIG_FILE|SHARED_CREDENTIALS_FILE|CREDENTIAL_EXPIRATION|ROLE_ARN|WEB_IDENTITY_TOKEN_FILE|CONTAINER_\w+)$/,
  },
  // https://cloud.google.com/docs/authentication/application-default-credentials
  {
    reason: 'cloud credential',
    names:
      /^(GOOGLE_(APPLICATION_)?CREDENTIALS|GOOGLE_OAUTH_ACCESS_TOKEN|GOOGLE_GHA_CREDS_PATH|CLOUDSDK_AUTH_\w+|CLOUDSDK_CONFIG|GCLOUD_SERVICE_KEY)$/,
  },
  // https://learn.microsoft.com/dotnet/api/azure.identity.environmentcredential
  {
    reason: 'cloud credential',
    names:
      /^(AZURE_(CLIENT_SECRET|CLIENT_CERTIFICATE_\w+|CLIENT_SEND_CERTIFICATE_CHAIN|USERNAME|PASSWORD|CREDENTIALS|FEDERATED_TOKEN(_FILE)?|STORAGE_(KEY|CONNECTION_STRING|SAS_TOKEN))|ARM_(CLIENT_SECRET|ACCESS_KEY|SAS_TOKEN|OIDC_\w+|CLIENT_CERTIFICATE\w*)|MSI_(ENDPOINT|SECRET)|IDENTITY_(ENDPOINT|HEADER))$/,
  },
  {
    reason: 'cloud credential',
    names:
      /^(DIGITALOCEAN_(ACCESS_)?TOKEN|CLOUDFLARE_API_(TOKEN|KEY)|HEROKU_API_KEY|FLY_(API|ACCESS)_TOKEN|RAILWAY_(API_)?TOKEN|VERCEL_TOKEN|NETLIFY_AUTH_TOKEN|SUPABASE_(ACCESS_TOKEN|SERVICE_ROLE_KEY|DB_PASSWORD)|NEON_API_KEY|PLANETSCALE_SERVICE_TOKEN\w*|TF_TOKEN_\w+|TFE_TOKEN|PULUMI_ACCESS_TOKEN|HCLOUD_TOKEN|LINODE_TOKEN)$/,
  },
  // With these a child could ask for tokens of its own, and be the whole job instead of its run.
  {
    reason: 'identity of the CI job',
    names:
      /^(ACTIONS_(ID_TOKEN_REQUEST_(TOKEN|URL)|RUNTIME_TOKEN)|CI_JOB_(TOKEN|JWT\w*)|CI_(REPOSITORY_URL|BUILD_TOKEN)|\w*ID_TOKEN|DEVIN_OIDC_\w+|CIRCLE_(OIDC_TOKEN\w*|TOKEN)|BUILDKITE_AGENT_(ACCESS_TOKEN|JOB_API_\w+)|BITBUCKET_STEP_OIDC_TOKEN|SYSTEM_ACCESSTOKEN|SYSTEM_OIDCREQUESTURI|VERCEL_OIDC_TOKEN|SPIFFE_ENDPOINT_SOCKET)$/,
  },
  {
    reason: 'secret store',
    names:
      /^(VAULT_(TOKEN|SECRET_ID)|CONSUL_HTTP_TOKEN|NOMAD_TOKEN|OP_(SERVICE_ACCOUNT_TOKEN|CONNECT_TOKEN|SESSION_\w+)|BW_(SESSION|CLIENTSECRET|PASSWORD)|BWS_ACCESS_TOKEN|DOPPLER_TOKEN|INFISICAL_TOKEN|SOPS_AGE_KEY(_\w+)?|CONJUR_AUTHN_\w+|AKEYLESS_ACCESS_\w+)$/,
  },
  {
    reason: 'code host or registry',
    names:
      /^((GH|GITHUB)_(\w+_)?(TOKEN|PAT)|GH_PAT|(GITLAB|GL|GITEA|FORGEJO|BITBUCKET)_(\w+_)?TOKEN|CI_(REGISTRY|DEPLOY)_PASSWORD|AZURE_DEVOPS_EXT_(\w+_)?PAT|HOMEBREW_GITHUB_API_TOKEN|COMPOSER_AUTH|REGISTRY_AUTH_FILE|(\w+_)?NPM_(\w+_)?TOKEN|NPM_CONFIG_.*_AUTH(TOKEN)?|NODE_AUTH_TOKEN|(PYPI|UV_PUBLISH|POETRY_PYPI)_\w*TOKEN\w*|CARGO_REGISTRY_TOKEN|GEM_HOST_API_KEY|RUBYGEMS_API_KEY|NUGET_API_KEY|DOCKER_AUTH_CONFIG)$/,
  },
  {
    reason: 'ssh or Kubernetes',
    names:
      /^(SSH_(AUTH_SOCK|AGENT_PID|ASKPASS\w*|PRIVATE_KEY\w*)|SSHPASS|GIT_(ASKPASS|SSH_COMMAND)|KUBECONFIG|HELM_KUBETOKEN)$/,
  },
  {
    reason: 'password or secret',
    names:
      /(^|_)(PASSWORD|PASSWD|PASSPHRASE|SECRET|SECRET_KEY|PRIVATE_KEY|MASTER_KEY)(_(FILE|PATH|BASE|BASE64|\d+))?$/,
  },
  { reason: 'of an outer hoop', names: /^HOOP_(?!CARRIER$)\w+$/ },
];

/** A connection string is one under any name. Of proxies (http://user:pass@…) it is no business. */
const DATABASE_URL =
  /^\s*["']?(jdbc:)?(postgres(ql)?|cockroachdb|redshift|mysql|mariadb|mssql|sqlserver|oracle|mongodb(\+srv)?|rediss?|clickhouse|snowflake|amqps?)(\+\w+)?:/i;

/** Of libpq (`host=… password=…`), of ODBC and .NET (`Server=…;Pwd=…`): a password beside a place. */
const CONNECTION_PASSWORD = /(^|[\s;])(password|pwd)\s*=/i;
const CONNECTION_PLACE = /(^|[\s;])(host|hostaddr|server|data source|addr|address)\s*=/i;

export interface EnvironmentChoice {
  /** Names, or beginnings of names with `*` behind them. */
  readonly keep: readonly string[];
  readonly drop: readonly string[];
}

const NO_CHOICE: EnvironmentChoice = { keep: [], drop: [] };

export class RemovedVariables {
  readonly #choices: readonly EnvironmentChoice[];

  /** What is typed goes before what is configured; in each, `drop` before `keep`. */
  constructor(typed: EnvironmentChoice = NO_CHOICE, configured: EnvironmentChoice = NO_CHOICE) {
    this.#choices = [typed, configured];
  }

  /** Somebody has said so, and has not said before that it is dropped. */
  isKept(name: string): boolean {
    const said = this.#choices.find(({ keep, drop }) =>
      [...keep, ...drop].some((pattern) => matches(pattern, name)),
    );
    return said !== undefined && !said.drop.some((pattern) => matches(pattern, name));
  }

  /** @returns undefined: the child gets it */
  reason(name: string, value: string): RemovalReason | undefined {
    for (const { keep, drop } of this.#choices) {
      if (drop.some((pattern) => matches(pattern, name))) {
        return 'dropped by you';
      }
      if (keep.some((pattern) => matches(pattern, name))) {
        return undefined;
      }
    }
    if (LIBPQ_SETTINGS.includes(name)) {
      return undefined;
    }
    // Windows does not distinguish case, and neither do those who write `database_url`.
    const upper = name.toUpperCase();
    const rule = RULES.find(({ names }) => names.test(upper));
    return rule?.reason ?? (leadsToDatabase(value) ? 'leads to a database' : undefined);
  }
}

function leadsToDatabase(value: string): boolean {
  return (
    DATABASE_URL.test(value) || (CONNECTION_PASSWORD.test(value) && CONNECTION_PLACE.test(value))
  );
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
