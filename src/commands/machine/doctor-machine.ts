/** What `hoop doctor` looks at of the machine itself, of the gateway's certificate and of the providers. */
import { createCipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { delimiter } from 'node:path';
import { connect, DEFAULT_MAX_VERSION } from 'node:tls';
import type { InfoReply } from '../../api/login.ts';
import { KeychainTokenStore } from '../../auth/keychain-token-store.ts';
import { readCa } from '../../auth/open-gateway.ts';
import { makeRuntimeDirectory } from '../../client/runtime-directory.ts';
import { findProgram } from '../../connectors/ssh/client/ssh-files.ts';
import { isSsh2BindingLoaded } from '../../connectors/ssh/client/ssh2-binding.ts';
import { HoopError } from '../../errors.ts';
import { locateHome, readConfig } from '../../home.ts';
import { isSafeProviderUrl } from '../../policy/provider-url.ts';
import { fetchFailure, providerFetch } from '../../provider-fetch.ts';
import { openThroughProxy } from '../../proxy-connection.ts';
import { generateSigningKey, signEd25519, verifyEd25519 } from '../../recording/keys/ed25519.ts';
import { Fence, findBubblewrap } from '../../run/fence/fence.ts';
import { hasPseudoTerminals, loadBinding } from '../../run/terminal/pseudo-terminal.ts';
import { LocalListener } from '../../tunnel/local-listener.ts';
import { type DoctorCheck, passed } from '../../ui/doctor-lines.ts';
import { localTime } from '../../ui/text/times.ts';
import type { Io } from '../io.ts';

/** A keychain that asks its owner for a password would keep the others waiting. */
const KEYCHAIN_WITHIN_MS = 5_000;
const TLS_WITHIN_MS = 10_000;
const PROVIDER_WITHIN_MS = 10_000;
/** Most CAs renew a third of a certificate's life before its end; what has less left was forgotten. */
const CERTIFICATE_DAYS = 14;
const DAY_MS = 86_400_000;

export async function machineChecks(io: Io): Promise<DoctorCheck[]> {
  return [
    cryptography(),
    await ports(io),
    await keychain(io),
    ...sshChecks(io),
    ...(await runChecks(io)),
  ];
}

/** Builds of Node.js for special purposes leave some of it out. */
function cryptography(): DoctorCheck {
  const name = 'crypto';
  const hint = 'Use an official build of Node.js, without a FIPS-only OpenSSL.';
  try {
    const key = generateSigningKey();
    const message = randomBytes(32);
    const signature = signEd25519(key, message);
    createCipheriv('aes-256-gcm', randomBytes(32), randomBytes(12)).final();
    const works =
      verifyEd25519(key.publicKey, message, signature) && DEFAULT_MAX_VERSION === 'TLSv1.3';
    const text = `OpenSSL ${process.versions.openssl}: Ed25519, AES-256-GCM, TLS 1.3`;
    return works ? passed(name, text) : { name, status: 'failed', text: `not ${text}`, hint };
  } catch (error) {
    return { name, status: 'failed', text: messageOf(error), hint };
  }
}

/** What `hoop connect` opens: a port of the loopback interface, or a socket in its directory. */
async function ports(io: Io): Promise<DoctorCheck> {
  const name = 'ports';
  let directory: string | undefined;
  try {
    directory = makeRuntimeDirectory(locateHome(io.env).runtime);
    for (const listen of [
      { type: 'tcp', port: 0 },
      { type: 'unix', directory },
    ] as const) {
      const listener = await LocalListener.open(listen);
      listener.close();
    }
    return passed(name, 'ports of 127.0.0.1 and sockets can be opened');
  } catch (error) {
    const advice = error instanceof HoopError ? error.hint : undefined;
    return {
      name,
      status: 'failed',
      text: messageOf(error),
      hint:
        advice ?? 'Check XDG_RUNTIME_DIR or HOOP_HOME, and anything that restricts programs here.',
    };
  } finally {
    if (directory !== undefined) {
      rmSync(directory, { recursive: true, force: true });
    }
  }
}

async function keychain(io: Io): Promise<DoctorCheck> {
  const name = 'keychain';
  const home = locateHome(io.env);
  let tokenStore: string | undefined;
  try {
    ({ tokenStore } = readConfig(home, io.env));
  } catch (error) {
    if (!(error instanceof HoopError)) {
      throw error;
    }
    // A configuration that cannot be read is a finding of its own, further below.
  }
  if (tokenStore === 'file') {
    return { name, status: 'skipped', text: 'not used: tokens are kept in a file, as configured' };
  }
  try {
    const store = await KeychainTokenStore.open(home.state);
    await store.probe(KEYCHAIN_WITHIN_MS);
    return passed(name, `the ${store.description} works`);
  } catch (error) {
    if (!(error instanceof HoopError)) {
      throw error;
    }
    // A server without a desktop has none. The system's words about its bus would help nobody.
    return tokenStore === 'keychain'
      ? {
          name,
          status: 'failed',
          text: `${error.message}, although tokenStore is "keychain"`,
          hint: error.hint ?? 'Set tokenStore to "file" with `hoop config set tokenStore file`.',
          code: error.code,
        }
      : passed(name, 'no keychain answers here; tokens are kept in a 0600 file');
  }
}

/** How long the gateway's certificate is good: what has expired is told by the gateway's line. */
export async function certificateCheck(io: Io, baseUrl: string): Promise<DoctorCheck> {
  const name = 'tls';
  const { hostname, port } = new URL(baseUrl);
  const { ca } = readConfig(locateHome(io.env), io.env);
  const host = hostname.replace(/^\[|\]$/g, '');
  const pem = readCa(ca, io.env);
  const hint = 'The gateway answered a moment ago: try again, and check the connection to it.';
  let through: Socket | undefined;
  try {
    through = await openThroughProxy(baseUrl);
  } catch (error) {
    return { name, status: 'warning', text: messageOf(error), hint };
  }
  const socket = connect({
    ...(through === undefined ? {} : { socket: through }),
    host,
    port: Number(port || '443'),
    ...(pem === undefined ? {} : { ca: pem }),
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
  });
  try {
    const signal = AbortSignal.any([io.signal, AbortSignal.timeout(TLS_WITHIN_MS)]);
    await once(socket, 'secureConnect', { signal });
    const endsMs = Date.parse(socket.getPeerCertificate().valid_to);
    const text = `${socket.getProtocol()}, certificate until ${localTime(endsMs)}`;
    return endsMs - Date.now() < CERTIFICATE_DAYS * DAY_MS
      ? { name, status: 'warning', text, hint: 'Whoever runs the gateway should renew it now.' }
      : passed(name, text);
  } catch (error) {
    io.signal.throwIfAborted();
    return { name, status: 'warning', text: messageOf(error), hint };
  } finally {
    socket.destroy();
  }
}

/** Where the browser goes at a login; with a login that lives it is not needed. */
export function providerChecks(info: InfoReply, signal: AbortSignal): Promise<DoctorCheck[]> {
  return Promise.all(
    info.identityProviders.map(async ({ issuer, device, ca }): Promise<DoctorCheck> => {
      const name = 'provider';
      try {
        await readDiscovery(issuer, ca, signal);
        const also = device === undefined ? '' : '; --device is allowed';
        return passed(name, `${issuer} answers${also}`);
      } catch (error) {
        signal.throwIfAborted();
        return {
          name,
          status: 'warning',
          text: `${issuer} cannot be used: ${fetchFailure(error)}`,
          hint: 'New logins need it; existing ones continue. Check the connection to it (proxy, VPN).',
        };
      }
    }),
  );
}

/** https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfigurationValidation */
async function readDiscovery(
  issuer: string,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (!isSafeProviderUrl(issuer)) {
    throw new Error('it is neither https nor on this machine');
  }
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const response = await providerFetch(ca)(address, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(PROVIDER_WITHIN_MS)]),
  });
  const document: unknown = await response.json();
  if (typeof document !== 'object' || document === null || !('issuer' in document)) {
    throw new Error(`status ${response.status}, and no discovery document`);
  }
  if (document.issuer !== issuer) {
    throw new Error('its discovery document names another issuer');
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Error) {
    // What fetch says is "fetch failed"; the reason stands below.
    return error.cause instanceof Error ? error.cause.message : error.message;
  }
  return String(error);
}

/** What `hoop doctor` looks at for `hoop run`: the fence, and the recording of the terminal. */
const FENCE_WITHIN_MS = 10_000;

async function runChecks(io: Io): Promise<readonly DoctorCheck[]> {
  return [await fence(io), terminal()];
}

/** Puts one up: whether namespaces can be made shows in nothing else. */
async function fence({ env, signal }: Io): Promise<DoctorCheck> {
  const name = 'fence';
  if (process.platform !== 'linux') {
    return { name, status: 'skipped', text: '`hoop run --fence` works on Linux only' };
  }
  const home = locateHome(env);
  try {
    const program = findBubblewrap(env['PATH']);
    await using _ = await Fence.open({
      ...{ env, home, cwd: '/', hide: [], show: [], write: [] },
      // Of no run: what is not there is not shown.
      ...{ runDirectory: '', runState: '' },
      stdio: [0, 1, 2],
      signal: AbortSignal.any([signal, AbortSignal.timeout(FENCE_WITHIN_MS)]),
    });
    return passed(name, `${program} creates the namespaces that \`hoop run --fence\` needs`);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      const hint =
        'Try `bwrap --ro-bind / / --unshare-all true`; `hoop run` works without --fence.';
      return { name, status: 'warning', text: 'bwrap does not start up', hint };
    }
    if (!(error instanceof HoopError)) {
      throw error;
    }
    const { code, message, detail, hint } = error;
    const advice = [detail, hint, '`hoop run` works without --fence.'];
    return {
      ...{ name, status: 'warning', code, text: message },
      hint: advice.filter((part) => part !== undefined).join(' '),
    };
  }
}

function terminal(): DoctorCheck {
  const name = 'terminal';
  if (!hasPseudoTerminals) {
    return { name, status: 'skipped', text: '`hoop run` records the terminal on Linux only' };
  }
  try {
    loadBinding();
    return passed(name, '@lydell/node-pty is loaded; `hoop run` records the terminal with it');
  } catch (error) {
    const said = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return {
      name,
      status: 'warning',
      text: `\`hoop run\` does not record the terminal: ${said}`,
      hint: 'Install hoop again without `--omit=optional`: this installs @lydell/node-pty. Everything else works without it.',
    };
  }
}

/** What `hoop doctor` looks at for servers: the programs of this machine, and how fast it encrypts. */

/** Not in everybody's PATH. */
const PLACES_OF_SSHD = ['/usr/sbin', '/usr/local/sbin', '/sbin', '/opt/homebrew/sbin'];

function sshChecks({ env }: Pick<Io, 'env'>): DoctorCheck[] {
  const path = env['PATH'] ?? '';
  const ssh = findProgram('ssh', path);
  const sshd = findProgram('sshd', [path, ...PLACES_OF_SSHD].join(delimiter));
  return [
    ssh === undefined
      ? {
          name: 'ssh',
          status: 'warning',
          text: 'it is not on PATH; hoop needs it to reach servers',
          hint: 'Install OpenSSH’s client, e.g. `apt install openssh-client`. Databases do not need it.',
        }
      : passed('ssh', ssh),
    sshd === undefined
      ? {
          name: 'sshd',
          status: 'skipped',
          text: 'not installed; `hoop demo` then has no server',
        }
      : passed('sshd', `${sshd}, for the server of \`hoop demo\``),
    isSsh2BindingLoaded()
      ? passed('ssh-crypto', 'the native part of ssh2 is loaded')
      : {
          name: 'ssh-crypto',
          status: 'warning',
          text: `SSH works without the native part of ssh2, which is not built for Node.js ${process.versions.node}: large files take about twice as long`,
          hint: 'Build it with `npm run native` in a checkout, or `npm rebuild ssh2` where hoop is installed; this needs Python, make and a C++ compiler.',
        },
  ];
}
