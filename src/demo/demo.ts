/**
 * Everything that `hoop demo` needs, started on loopback: identity provider, token issuer of a CI,
 * PostgreSQL, an OpenSSH server where one is installed, policy repository, gateway, and one
 * logged-in HOOP_HOME for each identity. Also the bench on which the end-to-end tests run.
 *
 *   OIDC provider ──┐                        ┌── policy.git (signed commits)
 *                   ├── gateway (a process) ─┤
 *   PostgreSQL, sshd┘      │ TLS             └── dataDir (recordings, index, keys)
 *                     homes/{dba,engineer,auditor,devin}
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { HoopError } from '../errors.ts';
import { startCiIssuer } from './ci-issuer.ts';
import { completeLogin } from './complete-login.ts';
import {
  credentialVariables,
  type Servers,
  writeCertificates,
  writeGatewayConfig,
} from './gateway-files.ts';
import { type HoopService, runHoop, startHoop } from './hoop-process.ts';
import { freeLoopbackPort, onFreePort } from './loopback-server.ts';
import { type DemoAccount, startOidcProvider } from './oidc-provider.ts';
import { findSshd, type OpensshServer, startOpensshServer } from './openssh-server.ts';
import { readPolicyDirectory } from './policy-directory.ts';
import {
  createPolicyRepository,
  openPolicyRepository,
  type PolicyRepository,
} from './policy-repository.ts';
import { samplePolicy } from './sample-policy.ts';
import { type DemoTarget, openTarget } from './sample-target.ts';
import { Watchdog } from './watchdog.ts';

export const DEMO_TARGET = 'prod-db';
export const DEMO_SERVER = 'web-1';

export interface DemoOptions {
  /** A directory with another policy; its targets without an address get the demo's server. */
  readonly policy?: string;
  /** A PostgreSQL server to use instead of the embedded one, as a superuser or owner. */
  readonly postgres?: string;
  /** Of the embedded PostgreSQL server: the `template` that it is copied from. */
  readonly template?: string;
  /** Keeps all state here. Default: a temporary directory that is removed at the end. */
  readonly data?: string;
  /**
   * Credentials for the targets of another policy: name → user and password. A name that is not
   * here gets the sample role, or the role of the `postgres` URL.
   */
  readonly credentials?: Readonly<
    Record<string, { readonly user: string; readonly password: string }>
  >;
  /** Servers of another policy's targets, by name; their credentials have the same names. */
  readonly servers?: Servers;
  /** Lines for the end of the gateway's configuration. */
  readonly gatewayConfig?: readonly string[];
  /** How often the gateway looks for a new policy. Default 1, so that nobody waits in the tour. */
  readonly pollSeconds?: number;
  /** Logs an identity in. Default: `hoop login`, as its owner would call it. */
  readonly logIn?: (login: DemoLogin) => Promise<void>;
  readonly note: (text: string) => void;
  readonly signal: AbortSignal;
}

export interface DemoLogin {
  readonly account: DemoAccount;
  /** Its HOOP_HOME; tokens are kept in files there. */
  readonly home: string;
  readonly gateway: string;
  /** PEM file. */
  readonly ca: string;
  readonly signal: AbortSignal;
}

export interface Demo extends AsyncDisposable {
  readonly gateway: string;
  /** PEM file of the demo's private CA. */
  readonly ca: string;
  readonly issuer: string;
  readonly ci: DemoCi;
  readonly policy: PolicyRepository;
  readonly target: DemoTarget;
  /** undefined: no OpenSSH server is installed, or another policy is in force. */
  readonly server: OpensshServer | undefined;
  /** Names of all targets in the policy that stand for the demo's database server. */
  readonly targetNames: readonly string[];
  readonly accounts: readonly DemoAccount[];
  readonly homes: Readonly<Record<string, string>>;
  readonly directory: string;
  gatewayProcess(): HoopService;
  /** Ends the gateway (gracefully or not) and starts it again on the same port and data. */
  restartGateway(signal?: NodeJS.Signals): Promise<void>;
}

/** A job of the CI: an empty home and the variables that a runner would set. */
export interface DemoCi {
  readonly issuer: string;
  /** Logged in as nobody. */
  readonly home: string;
  /** The secret with which the job asks for tokens is among them. */
  readonly env: Readonly<Record<string, string>>;
}

export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { note, signal } = options;
  const temporary = options.data === undefined;
  const directory = options.data ?? mkdtempSync(join(tmpdir(), 'hoop-demo-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => {
    if (temporary) {
      // A command that somebody has started here may be ending just now, and write as it does.
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    }
  });
  const watchdog = stack.use(new Watchdog());
  if (temporary) {
    watchdog.watchDirectory(directory);
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  // The server runs as nobody when we are root: it must be able to pass through.
  chmodSync(directory, 0o711);

  note('starting the identity provider');
  const provider = stack.use(await startOidcProvider({ port: keptPort(directory, 'idp') }));
  keepPort(directory, 'idp', portOf(provider.issuer));
  const ci = stack.use(await startCiIssuer({ port: keptPort(directory, 'ci') }));
  keepPort(directory, 'ci', portOf(ci.issuer));

  note(options.postgres ? 'preparing the sample data' : 'starting PostgreSQL');
  const target = stack.use(await openTarget({ ...options, directory, watchdog }));
  signal.throwIfAborted();

  const own =
    options.policy === undefined ? await openServer({ directory, watchdog, note }) : undefined;
  const server = own && stack.use(own);
  const servers: Servers =
    server === undefined ? (options.servers ?? {}) : { [DEMO_SERVER]: server };

  note('writing the signed policy');
  const policyRoot = join(directory, 'policy');
  const source = options.policy
    ? readPolicyDirectory(options.policy, provider)
    : {
        files: samplePolicy({ ...provider, ciIssuer: ci.issuer, hostKeys: server?.hostKeys }),
        targets: [DEMO_TARGET],
        credentials: [DEMO_TARGET],
      };
  const policy = existsSync(policyRoot)
    ? openPolicyRepository(policyRoot)
    : await createPolicyRepository(policyRoot, source.files);
  const credentials = Object.fromEntries(
    source.credentials
      .filter((name) => !Object.hasOwn(servers, name))
      .map((name) => [name, options.credentials?.[name] ?? target]),
  );

  note('starting the gateway');
  const certificates = writeCertificates(directory);
  const variables = credentialVariables(credentials);
  const writeConfig = (port: number): string =>
    writeGatewayConfig({
      directory,
      port,
      policy,
      target,
      targetNames: source.targets.filter((name) => !Object.hasOwn(servers, name)),
      certificates,
      credentials,
      servers,
      pollSeconds: options.pollSeconds ?? 1,
      more: options.gatewayConfig ?? [],
    });
  let config = '';
  const launch = (): Promise<HoopService> =>
    startHoop(['gateway', 'start', '--config', config, '--json'], 'listening', {
      home: join(directory, 'gateway-home'),
      logFile: join(directory, 'gateway.log'),
      variables,
      watchdog,
      signal,
    });
  const launchOn = (port: number): Promise<HoopService> => {
    config = writeConfig(port);
    return launch();
  };
  const kept = keptPort(directory, 'gateway');
  const isNew = kept === undefined;
  let gatewayProcess = isNew
    ? await onFreePort(launchOn)
    : await launchOn(await freeLoopbackPort(kept));
  stack.defer(async () => {
    await gatewayProcess[Symbol.asyncDispose]();
  });
  const gateway = String(gatewayProcess.ready['url']);
  if (isNew) keepPort(directory, 'gateway', portOf(gateway));

  note('logging in the demo identities');
  const logIn = options.logIn ?? logIntoGateway;
  const homes = await Promise.all(
    provider.accounts.map(async (account): Promise<[string, string]> => {
      const home = join(directory, 'homes', account.name);
      mkdirSync(home, { recursive: true, mode: 0o700 });
      await logIn({ account, home, gateway, ca: certificates.ca, signal });
      return [account.name, home];
    }),
  );
  const ciHome = join(directory, 'homes', 'ci');
  mkdirSync(ciHome, { recursive: true, mode: 0o700 });
  const ciEnv = { HOOP_GATEWAY: gateway, HOOP_CA: certificates.ca, HOOP_TOKEN_STORE: 'file' };
  const owned = stack.move();
  return {
    gateway,
    ca: certificates.ca,
    issuer: provider.issuer,
    ci: { issuer: ci.issuer, home: ciHome, env: { ...ciEnv, ...ci.jobVariables } },
    policy,
    target,
    server,
    targetNames: source.targets.filter((name) => !Object.hasOwn(servers, name)),
    accounts: provider.accounts,
    homes: Object.fromEntries(homes),
    directory,
    gatewayProcess: () => gatewayProcess,
    async restartGateway(kill) {
      if (kill) {
        gatewayProcess.kill(kill);
        await gatewayProcess.exited;
      }
      await gatewayProcess[Symbol.asyncDispose]();
      gatewayProcess = await launch();
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** @returns undefined where OpenSSH's server is not installed; the demo then has one target less. */
async function openServer(options: {
  readonly directory: string;
  readonly watchdog: Watchdog;
  readonly note: (text: string) => void;
}): Promise<OpensshServer | undefined> {
  const { directory, watchdog, note } = options;
  if (findSshd() === undefined) {
    note('no SSH server: OpenSSH is not installed (on Debian: apt-get install openssh-server)');
    return undefined;
  }
  if (!hasShell()) {
    note('no SSH server: this account has no shell');
    return undefined;
  }
  note('starting an OpenSSH server');
  return startOpensshServer({ directory: join(directory, 'sshd'), watchdog });
}

/** Accounts of services have none, and some users are in no list of accounts at all. */
function hasShell(): boolean {
  try {
    return !/(^$|\/nologin$|\/false$)/.test(userInfo().shell ?? '');
  } catch {
    return false;
  }
}

type DemoService = 'idp' | 'ci' | 'gateway';

/** The port of an earlier start, which the policy or a login names, so that `--data DIR` can go on. */
function keptPort(directory: string, service: DemoService): number | undefined {
  const file = join(directory, `${service}-port`);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : undefined;
}

function keepPort(directory: string, service: DemoService, port: number): void {
  writeFileSync(join(directory, `${service}-port`), String(port));
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}

/** A real login: the CLI prints the address, we follow it as a browser would. */
export async function logIntoGateway({
  account,
  home,
  gateway,
  ca,
  signal,
}: DemoLogin): Promise<void> {
  let page: Promise<void> | undefined;
  const result = await runHoop(['login', '--gateway', gateway, '--ca', ca, '--no-browser'], {
    home,
    variables: { HOOP_TOKEN_STORE: 'file' },
    signal,
    onStderr: (line) => {
      const url = /https?:\/\/\S*client_id=\S+/.exec(line)?.[0];
      if (url) {
        page = completeLogin(url, account, signal);
      }
    },
  });
  await page;
  if (result.exitCode !== 0) {
    throw new HoopError(
      'HOOP_LOGIN_FAILED',
      `the demo identity "${account.name}" could not log in`,
      {
        detail: result.stderr.trim().slice(-1500),
      },
    );
  }
}
