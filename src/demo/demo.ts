/**
 * Everything that `hoop demo` needs, started on loopback: identity provider, token issuer of a CI,
 * PostgreSQL, policy repository, gateway, and one logged-in HOOP_HOME for each identity. Also the
 * bench on which the end-to-end tests run.
 *
 *   OIDC provider ──┐                        ┌── policy.git (signed commits)
 *                   ├── gateway (a process) ─┤
 *   PostgreSQL ─────┘      │ TLS             └── dataDir (recordings, index, keys)
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
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCertificateAuthority, issueServerCertificate } from '../certificates.ts';
import { HoopError } from '../errors.ts';
import { startCiIssuer } from './ci-issuer.ts';
import { completeLogin } from './complete-login.ts';
import { type HoopService, runHoop, startHoop } from './hoop-process.ts';
import { type DemoAccount, startOidcProvider } from './oidc-provider.ts';
import { readPolicyDirectory } from './policy-directory.ts';
import {
  createPolicyRepository,
  openPolicyRepository,
  POLICY_BRANCH,
  type PolicyRepository,
} from './policy-repository.ts';
import { samplePolicy } from './sample-policy.ts';
import { type DemoTarget, openTarget } from './sample-target.ts';
import { Watchdog } from './watchdog.ts';

export const DEMO_TARGET = 'prod-db';

export interface DemoOptions {
  /** A directory with another policy; its targets without an address get the demo's server. */
  readonly policy?: string;
  /** A PostgreSQL server to use instead of the embedded one, as a superuser or owner. */
  readonly postgres?: string;
  /** Keeps all state here. Default: a temporary directory that is removed at the end. */
  readonly data?: string;
  /**
   * Credentials for the targets of another policy: name → user and password. A name that is not
   * here gets the sample role, or the role of the `postgres` URL.
   */
  readonly credentials?: Readonly<
    Record<string, { readonly user: string; readonly password: string }>
  >;
  /** How often the gateway looks for a new policy. Default 1, so that nobody waits in the tour. */
  readonly pollSeconds?: number;
  readonly note: (text: string) => void;
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
  /** Names of all targets in the policy that stand for the demo's server. */
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
      rmSync(directory, { recursive: true, force: true });
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
  const provider = stack.use(await startOidcProvider(remembered(directory, 'idp')));
  remember(directory, 'idp', provider);
  const ci = stack.use(await startCiIssuer(remembered(directory, 'ci')));
  remember(directory, 'ci', ci);

  note(options.postgres ? 'preparing the sample data' : 'starting PostgreSQL');
  const target = stack.use(await openTarget({ ...options, directory, watchdog }));
  signal.throwIfAborted();

  note('writing the signed policy');
  const policyRoot = join(directory, 'policy');
  const source = options.policy
    ? readPolicyDirectory(options.policy, provider)
    : {
        files: samplePolicy({ ...provider, ciIssuer: ci.issuer }),
        targets: [DEMO_TARGET],
        credentials: [DEMO_TARGET],
      };
  const policy = existsSync(policyRoot)
    ? openPolicyRepository(policyRoot)
    : await createPolicyRepository(policyRoot, source.files);
  const credentials = Object.fromEntries(
    source.credentials.map((name) => [name, options.credentials?.[name] ?? target]),
  );

  note('starting the gateway');
  const certificates = writeCertificates(directory);
  const config = writeGatewayConfig({
    directory,
    policy,
    target,
    targetNames: source.targets,
    certificates,
    credentials,
    pollSeconds: options.pollSeconds ?? 1,
  });
  const variables = credentialVariables(credentials);
  const launch = (): Promise<HoopService> =>
    startHoop(['gateway', 'start', '--config', config.file, '--json'], 'listening', {
      home: join(directory, 'gateway-home'),
      logFile: join(directory, 'gateway.log'),
      variables,
      watchdog,
      signal,
    });
  let gatewayProcess = await launch();
  stack.defer(async () => {
    await gatewayProcess[Symbol.asyncDispose]();
  });
  const gateway = String(gatewayProcess.ready['url']);
  config.fixPort(gateway);

  note('logging in the demo identities');
  const homes = await logIn({
    directory,
    gateway,
    ca: certificates.ca,
    accounts: provider.accounts,
    signal,
  });
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
    targetNames: source.targets,
    accounts: provider.accounts,
    homes,
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

interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

function writeCertificates(directory: string): Certificates {
  const files = {
    ca: join(directory, 'ca.pem'),
    certificate: join(directory, 'gateway.pem'),
    key: join(directory, 'gateway-key.pem'),
  };
  if (!existsSync(files.key)) {
    const authority = createCertificateAuthority({ name: 'hoop demo CA' });
    const server = issueServerCertificate(authority, { names: ['localhost'], ips: ['127.0.0.1'] });
    writeFileSync(files.ca, authority.certificate);
    writeFileSync(files.certificate, server.certificate);
    writeFileSync(files.key, server.privateKey, { mode: 0o600 });
  }
  return files;
}

interface GatewayConfigOptions {
  readonly directory: string;
  readonly policy: PolicyRepository;
  readonly target: DemoTarget;
  readonly targetNames: readonly string[];
  readonly certificates: Certificates;
  readonly credentials: Credentials;
  readonly pollSeconds: number;
}

type Credentials = Readonly<Record<string, { readonly user: string; readonly password: string }>>;

/** Passwords go to the gateway by environment variables: the file may be looked at. */
function writeGatewayConfig(o: GatewayConfigOptions): { file: string; fixPort(url: string): void } {
  const file = join(o.directory, 'gateway.yaml');
  const portFile = join(o.directory, 'gateway-port');
  const { target } = o;
  const write = (port: string): void => {
    const lines = [
      'version: 1',
      'name: demo-gateway',
      `listen: 127.0.0.1:${port}`,
      `tls: { cert: ${o.certificates.certificate}, key: ${o.certificates.key} }`,
      `dataDir: ${join(o.directory, 'gateway')}`,
      // A laptop may well be nearly full, and the demo is small.
      'recording: { minFreePercent: 1 }',
      'policy:',
      `  repository: ${o.policy.directory}`,
      `  clientRepository: ${o.policy.directory}`,
      `  branch: ${POLICY_BRANCH}`,
      `  allowedSigners: ${o.policy.allowedSigners}`,
      `  pollSeconds: ${o.pollSeconds}`,
      'addresses:',
      ...o.targetNames.map((name) => `  ${name}: ${target.host}:${target.port}`),
      'credentials:',
      ...Object.entries(o.credentials).map(
        ([name, { user }]) =>
          `  ${name}: { user: ${user}, password: { env: ${variableName(name)} } }`,
      ),
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
  };
  write(existsSync(portFile) ? readFileSync(portFile, 'utf8') : '0');
  return {
    file,
    fixPort: (url) => {
      const { port } = new URL(url);
      writeFileSync(portFile, port);
      write(port);
    },
  };
}

function credentialVariables(credentials: Credentials): Record<string, string> {
  const entries = Object.entries(credentials);
  return Object.fromEntries(entries.map(([name, { password }]) => [variableName(name), password]));
}

function variableName(credential: string): string {
  return `HOOP_DEMO_${credential.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_PASSWORD`;
}

/** The port of an earlier start, which the policy names, so that `--data DIR` can go on. */
function remembered(directory: string, service: 'idp' | 'ci'): { port?: number } {
  const file = join(directory, `${service}-port`);
  return existsSync(file) ? { port: Number(readFileSync(file, 'utf8')) } : {};
}

function remember(
  directory: string,
  service: 'idp' | 'ci',
  { issuer }: { readonly issuer: string },
): void {
  writeFileSync(join(directory, `${service}-port`), new URL(issuer).port);
}

interface LogInOptions {
  readonly directory: string;
  readonly gateway: string;
  readonly ca: string;
  readonly accounts: readonly DemoAccount[];
  readonly signal: AbortSignal;
}

/** A real login for each identity: the CLI prints the address, we follow it as a browser would. */
async function logIn(o: LogInOptions): Promise<Record<string, string>> {
  const entries = o.accounts.map(async (account): Promise<[string, string]> => {
    const home = join(o.directory, 'homes', account.name);
    mkdirSync(home, { recursive: true, mode: 0o700 });
    let page: Promise<void> | undefined;
    const result = await runHoop(['login', '--gateway', o.gateway, '--ca', o.ca, '--no-browser'], {
      home,
      variables: { HOOP_TOKEN_STORE: 'file' },
      signal: o.signal,
      onStderr: (line) => {
        const url = /https?:\/\/\S*client_id=\S+/.exec(line)?.[0];
        if (url) {
          page = completeLogin(url, account, o.signal);
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
    return [account.name, home];
  });
  return Object.fromEntries(await Promise.all(entries));
}
