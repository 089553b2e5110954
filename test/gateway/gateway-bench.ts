/**
 * A gateway in this process with everything around it real: identity provider, signed policy
 * repository, TLS, and (where asked for) a PostgreSQL. What the API tests stand on.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { login } from '../../src/auth/login.ts';
import { openGateway } from '../../src/auth/open-gateway.ts';
import { createCertificateAuthority, issueServerCertificate } from '../../src/certificates.ts';
import type { GatewayClient } from '../../src/client/gateway-client.ts';
import { CONNECTORS } from '../../src/connectors/registry.ts';
import { SEARCH_WORKER } from '../../src/connectors/search-worker-file.ts';
import { completeLogin } from '../../src/demo/complete-login.ts';
import { onFreePort } from '../../src/demo/loopback-server.ts';
import { type OidcProvider, startOidcProvider } from '../../src/demo/oidc-provider.ts';
import type { OpensshServer } from '../../src/demo/openssh-server.ts';
import { createPolicyRepository, type PolicyRepository } from '../../src/demo/policy-repository.ts';
import { parseGatewayConfig } from '../../src/gateway/base/config.ts';
import {
  type Gateway,
  type GatewayOptions,
  startGateway,
} from '../../src/gateway/start/start-gateway.ts';
import { locateHome } from '../../src/home.ts';
import { collectLog } from './collect-log.ts';

export interface GatewayBenchOptions {
  /** Where the target is; absent: a port that nobody listens on. */
  readonly target?: { readonly host: string; readonly port: number; readonly password: string };
  /** An OpenSSH server: target `web-1`, on which engineers may run commands. */
  readonly server?: OpensshServer;
  /** No test commits to the policy. The gateway need not look for commits, which starts processes each second. */
  readonly isPolicyFixed?: boolean;
  /** Lines added to the configuration. */
  readonly config?: string;
  readonly headersTimeoutMs?: number;
  /** Absent: those that hoop has. */
  readonly connectors?: GatewayOptions['connectors'];
  readonly searchWorker?: URL;
  readonly startWithoutPolicy?: boolean;
  /** Absent: the file in its data directory. */
  readonly store?: GatewayOptions['store'];
}

export interface GatewayBench extends AsyncDisposable {
  readonly directory: string;
  readonly provider: OidcProvider;
  readonly policy: PolicyRepository;
  /** PEM. */
  readonly ca: string;
  readonly log: ReturnType<typeof collectLog>;
  /** Wall clock of the gateway, for tests to move. */
  readonly clock: { offsetMs: number };
  /** Of the gateway's disk, for tests to fill. */
  readonly disk: { freePercent: number };
  readonly signal: AbortSignal;
  gateway(): Gateway;
  /** Of the gateway, as it was at its last start. */
  configText(): string;
  /** Closes the gateway and starts it again on the same port and data. */
  restart(): Promise<void>;
  /** HOOP_HOME and the like, for code that runs as this account. */
  environment(account: string): NodeJS.ProcessEnv;
  /** A client that is logged in as this account; kept until the bench is disposed. */
  client(account: string): Promise<GatewayClient>;
}

export const ENGINEERS = `name: engineers
who: { groups: [engineering, agents] }
targets: { names: [prod-db] }
limits: { maxTime: 1h, idleTime: 10m, maxConnections: 2 }
masks:
  - { column: public.customers.email, mask: full }
rules:
  - name: read
    allow: { verbs: [select], relations: ['public.*'] }
`;

const WEB = `name: web
who: { groups: [engineering] }
targets: { names: [web-1] }
rules:
  - { name: run, allow: { ssh: [shell, exec, sftp] } }
`;

function policyFiles(
  issuer: string,
  clientId: string,
  server: OpensshServer | undefined,
): Record<string, string> {
  return {
    ...(server === undefined
      ? {}
      : {
          'targets/web-1.yaml': `name: web-1
kind: ssh
hostKeys: ${JSON.stringify(server.hostKeys)}
credential: web-1
`,
          'policies/web.yaml': WEB,
        }),
    'hoop.yaml': `version: 1
org: test
identityProviders:
  - issuer: ${issuer}
    clientId: ${clientId}
    scopes: [openid, email, profile, groups]
    claims: { name: name, email: email, groups: groups }
roles:
  auditor: { groups: [auditors] }
  approver: { groups: [approvers] }
`,
    'targets/prod-db.yaml': `name: prod-db
kind: postgres
database: postgres
credential: prod-db
recording: full
`,
    'policies/engineers.yaml': ENGINEERS,
    'policies/dba.yaml': ENGINEERS.replace('engineers', 'dba').replace(
      'engineering, agents',
      'dba',
    ),
  };
}

export async function startGatewayBench(options: GatewayBenchOptions = {}): Promise<GatewayBench> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), 'hoop-gateway-'));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const abort = new AbortController();
  stack.defer(() => abort.abort());
  const provider = stack.use(await startOidcProvider());
  const files = policyFiles(provider.issuer, provider.clientId, options.server);
  const policy = await createPolicyRepository(join(directory, 'policy'), files);
  const authority = createCertificateAuthority();
  const issued = issueServerCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
  await writeFile(join(directory, 'ca.pem'), authority.certificate);
  await writeFile(join(directory, 'cert.pem'), issued.certificate);
  await writeFile(join(directory, 'key.pem'), issued.privateKey, { mode: 0o600 });
  const { host, port } = options.target ?? { host: '127.0.0.1', port: 1 };
  const { server } = options;
  const address = server === undefined ? '' : `, web-1: "${server.host}:${server.port}"`;
  const credential =
    server === undefined
      ? ''
      : `, web-1: { user: ${server.user}, privateKeyFile: "${server.privateKeyFile}" }`;
  const repository = options.startWithoutPolicy ? join(directory, 'none') : policy.directory;
  const log = collectLog();
  const clock = { offsetMs: 0 };
  const disk = { freePercent: 50 };
  // Kept while the gateway is down, when no connection of anybody takes it.
  let listenPort = 0;
  let configText = '';
  const launch = async (): Promise<Gateway> => {
    configText = `version: 1
name: test-gateway
listen: 127.0.0.1:${listenPort}
tls: { cert: cert.pem, key: key.pem }
dataDir: data
policy:
  repository: ${repository}
  allowedSigners: ${policy.allowedSigners}
  pollSeconds: ${options.isPolicyFixed ? 3600 : 1}
addresses: { prod-db: "${host}:${port}"${address} }
credentials: { prod-db: { user: postgres, password: { env: PROD_DB } }${credential} }
${options.config ?? ''}`;
    return startGateway(parseGatewayConfig(configText, join(directory, 'gateway.yaml')), {
      connectors: options.connectors ?? CONNECTORS,
      searchWorker: options.searchWorker ?? SEARCH_WORKER,
      log: log.log,
      env: { ...process.env, PROD_DB: options.target?.password ?? 'unused' },
      signal: abort.signal,
      version: '0.0.0-test',
      clock: () => Date.now() + clock.offsetMs,
      freePercent: () => disk.freePercent,
      ...(options.store === undefined ? {} : { store: options.store }),
      ...(options.headersTimeoutMs === undefined
        ? {}
        : { headersTimeoutMs: options.headersTimeoutMs }),
    });
  };
  let gateway = await onFreePort((port) => {
    listenPort = port;
    return launch();
  });
  stack.defer(() => gateway.close());

  const environment = (name: string) => ({
    HOOP_HOME: join(directory, 'homes', name),
    HOOP_TOKEN_STORE: 'file',
  });
  const clients = new Map<string, Promise<GatewayClient>>();
  const logIn = async (name: string): Promise<GatewayClient> => {
    const account = provider.accounts.find((other) => other.name === name);
    if (account === undefined) {
      throw new RangeError(`no account ${name}`);
    }
    const env = environment(name);
    await mkdir(env.HOOP_HOME, { recursive: true, mode: 0o700 });
    await login({
      home: locateHome(env),
      config: { tokenStore: 'file' },
      gateway: gateway.url,
      ca: join(directory, 'ca.pem'),
      openBrowser: async (url) => {
        await completeLogin(url, account, abort.signal);
        return true;
      },
      note: () => undefined,
      signal: abort.signal,
    });
    const opened = logins.use(await openGateway({ env }));
    return opened.client;
  };
  const logins = stack.use(new AsyncDisposableStack());
  const owned = stack.move();
  return {
    directory,
    provider,
    policy,
    ca: authority.certificate,
    log,
    clock,
    disk,
    signal: abort.signal,
    environment,
    gateway: () => gateway,
    configText: () => configText,
    async restart() {
      await gateway.close();
      gateway = await launch();
    },
    client(name) {
      const known = clients.get(name) ?? logIn(name);
      clients.set(name, known);
      return known;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
