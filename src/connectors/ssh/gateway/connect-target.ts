/**
 * The gateway's login on a server: TCP, key exchange, a host key that is pinned, the credential.
 * Hosts are tried in order; the next one only if this one cannot be reached, because a refused
 * credential would be refused, and counted, on every one of them.
 */
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { ConnectConfig } from 'ssh2';
import { type ErrorCode, HoopError } from '../../../errors.ts';
import { firstReached } from '../../../gateway/targets/first-reached.ts';
import { networkText } from '../../../gateway/targets/network-text.ts';
import { ReadArena } from '../../../gateway/targets/read-arena.ts';
import type { TargetHost } from '../../../gateway/targets/target-host.ts';
import { onAbort } from '../../../until.ts';
import { ssh2 } from '../shared/ssh2.ts';
import { fingerprint, isPinned, kindOf, pinnedText, signaturesFor } from './host-keys.ts';
import { declineGlobalRequests, openInTurns } from './ssh2-protocol.ts';
import { TargetReading } from './target-reading.ts';
import type { SshCredential, SshTarget, SshTargetLogin } from './types.ts';

export interface TargetConnection {
  readonly client: InstanceType<typeof ssh2.Client>;
  readonly socket: Socket;
  /** Whoever takes no more pauses this, and not the socket. */
  readonly reading: TargetReading;
  /** Identification of the server's software, e.g. `OpenSSH_9.2p1`; untrusted. */
  readonly software: string;
  readonly host: TargetHost;
  /** Of the host key that it showed. */
  readonly fingerprint: string;
}

export interface ConnectTargetOptions {
  readonly target: Omit<SshTarget, 'logins'>;
  readonly login: SshTargetLogin;
  readonly signal: AbortSignal;
}

/** Below the idle limits of common firewalls and load balancers, which begin at 60 s. */
const KEEP_ALIVE_AFTER_MS = 30_000;

/** GCM is outside of what Terrapin (CVE-2023-48795) can do; the list of ssh2 has more than this. */
const ALGORITHMS = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
} satisfies ConnectConfig['algorithms'];

const MESSAGES = {
  HOOP_TARGET_UNREACHABLE: 'cannot reach target',
  HOOP_TARGET_LOGIN: 'cannot log in to target',
  HOOP_TARGET_HOST_KEY: 'not the host key of target',
} as const satisfies { readonly [code in ErrorCode]?: string };

/**
 * @throws HoopError HOOP_TARGET_UNREACHABLE | HOOP_TARGET_LOGIN | HOOP_TARGET_HOST_KEY, HOOP_CONFIG;
 *   or the signal's reason.
 */
export async function connectSshTarget(options: ConnectTargetOptions): Promise<TargetConnection> {
  const { target, login } = options;
  const credential = await login.credential();
  return firstReached(
    target,
    target.hosts,
    (host) => connectHost(host, credential, options),
    ({ code }) => code === 'HOOP_TARGET_UNREACHABLE',
  );
}

async function connectHost(
  host: TargetHost,
  credential: SshCredential,
  options: ConnectTargetOptions,
): Promise<TargetConnection> {
  const { target } = options;
  const deadline = AbortSignal.timeout(target.connectTimeoutMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  let socket: Socket | undefined;
  try {
    const reading = await openSocket(host, target, signal);
    ({ socket } = reading);
    return await logIn(reading, host, credential, { ...options, signal });
  } catch (error) {
    socket?.destroy();
    if (options.signal.aborted) throw options.signal.reason;
    if (!deadline.aborted) throw error;
    const text = `The server did not finish the login in ${target.connectTimeoutMs} ms.`;
    throw failed(target, host, 'HOOP_TARGET_UNREACHABLE', text, error);
  }
}

async function openSocket(
  host: TargetHost,
  target: ConnectTargetOptions['target'],
  signal: AbortSignal,
): Promise<TargetReading> {
  signal.throwIfAborted();
  const arena = new ReadArena();
  const socket: Socket = connectTcp({
    host: host.host,
    port: host.port,
    noDelay: true,
    // A target that is gone without a word (a firewall that forgot us) must be noticed while idle.
    keepAlive: true,
    keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS,
    onread: {
      buffer: arena.buffer,
      callback: (length) => {
        reading.received(arena.taken(length));
        return true;
      },
    },
  });
  const reading = new TargetReading(socket);
  // Nothing is kept for a listener: ssh2 resumes it when it listens.
  socket.pause();
  try {
    await once(socket, 'connect', { signal });
    return reading;
  } catch (cause) {
    socket.destroy();
    throw failed(target, host, 'HOOP_TARGET_UNREACHABLE', networkText(cause), cause);
  }
}

async function logIn(
  reading: TargetReading,
  host: TargetHost,
  credential: SshCredential,
  { target, login, signal }: ConnectTargetOptions,
): Promise<TargetConnection> {
  const offered = signaturesFor(target.hostKeys);
  if (offered.length === 0) {
    throw new HoopError('HOOP_CONFIG', `target "${target.name}" has no pinned host key`, {
      hint: 'Add the server’s host keys under `hostKeys` to its file in the policy repository.',
    });
  }
  checkPrivateKey(credential, target);
  const client = new ssh2.Client();
  const outcome = Promise.withResolvers<void>();
  using _ = onAbort(signal, () => outcome.reject(signal.reason));
  let shown: Uint8Array | undefined;
  let isRefused = false;
  let didHandshake = false;
  // ssh2 says several things about one failure; the first is the cause.
  client
    .on('ready', () => outcome.resolve())
    .on('handshake', () => {
      didHandshake = true;
    })
    .on('error', (error) => outcome.reject(error))
    .on('close', () => outcome.reject(new Error('the server closed the connection')))
    .on('keyboard-interactive', (_name, _text, _language, prompts, finish) => {
      // PAM asks for the password this way. Anything else it asks for we do not have.
      const password = credential.password?.expose();
      const isForPassword = prompts.length === 1 && prompts[0]?.echo === false;
      finish(isForPassword && password !== undefined ? [password] : []);
    });
  try {
    client.connect({
      sock: reading.socket,
      username: login.user,
      ...secrets(credential),
      authHandler: authMethods(credential),
      tryKeyboard: credential.password !== undefined,
      algorithms: { ...ALGORITHMS, serverHostKey: offered },
      hostVerifier: (key: Buffer) => {
        shown = key;
        isRefused = !isPinned(target.hostKeys, key);
        return !isRefused;
      },
      // Ours are connectHost and KeepAlive.
      readyTimeout: 0,
      keepaliveInterval: 0,
      ident: 'hoop',
    });
    declineGlobalRequests(client);
    openInTurns(client, reading);
    await outcome.promise;
    const software: unknown = Reflect.get(client, '_remoteVer');
    return {
      client,
      socket: reading.socket,
      reading,
      host,
      software: typeof software === 'string' ? software : '',
      fingerprint: shown === undefined ? '' : fingerprint(shown),
    };
  } catch (cause) {
    client.on('error', () => undefined);
    if (signal.aborted || cause instanceof HoopError) throw cause;
    if (isRefused && shown !== undefined) throw wrongHostKey(target, host, shown);
    throw refused(cause, { target, host, login, didHandshake });
  }
}

/** @throws HOOP_CONFIG */
function checkPrivateKey(
  { privateKey }: SshCredential,
  { name }: ConnectTargetOptions['target'],
): void {
  const parsed = privateKey === undefined ? undefined : ssh2.utils.parseKey(privateKey.expose());
  if (parsed instanceof Error) {
    throw new HoopError('HOOP_CONFIG', `the private key for target "${name}" cannot be used`, {
      detail: /encrypted|passphrase/i.test(parsed.message) ? 'It has a passphrase.' : undefined,
      hint: 'An operator must give the credential a key in PEM or OpenSSH format, without a passphrase.',
    });
  }
}

function secrets({ password, privateKey }: SshCredential): Partial<ConnectConfig> {
  return {
    ...(password === undefined ? {} : { password: password.expose() }),
    ...(privateKey === undefined ? {} : { privateKey: privateKey.expose() }),
  };
}

function authMethods({
  password,
  privateKey,
}: SshCredential): ('publickey' | 'password' | 'keyboard-interactive')[] {
  return [
    ...(privateKey === undefined ? [] : (['publickey'] as const)),
    ...(password === undefined ? [] : (['password', 'keyboard-interactive'] as const)),
  ];
}

function wrongHostKey(
  target: ConnectTargetOptions['target'],
  host: TargetHost,
  shown: Uint8Array,
): HoopError {
  const text = `The server showed ${fingerprint(shown)}; the policy pins ${pinnedText(target.hostKeys)}.`;
  return new HoopError(
    'HOOP_TARGET_HOST_KEY',
    `${MESSAGES.HOOP_TARGET_HOST_KEY} "${target.name}"`,
    {
      detail: host.shown === undefined ? text : `${host.shown}: ${text}`,
      hint: 'Another machine may be answering in its place. If the server was set up again, an operator compares the fingerprint there and corrects the target’s `hostKeys` in the policy repository.',
    },
  );
}

function refused(
  cause: unknown,
  {
    target,
    host,
    login,
    didHandshake,
  }: Pick<ConnectTargetOptions, 'target' | 'login'> & {
    readonly host: TargetHost;
    readonly didHandshake: boolean;
  },
): HoopError {
  const level: unknown = cause instanceof Error ? Reflect.get(cause, 'level') : undefined;
  const message = cause instanceof Error ? cause.message : '';
  if (level === 'client-authentication') {
    const text = `The server refused the gateway’s credential for user "${login.user}".`;
    return failed(target, host, 'HOOP_TARGET_LOGIN', text, cause);
  }
  if (level === 'client-socket') {
    return failed(target, host, 'HOOP_TARGET_UNREACHABLE', networkText(cause), cause);
  }
  if (/no matching host key format/.test(message)) {
    const kinds = target.hostKeys.map(kindOf).join(', ');
    const text = `The server has no host key of the kinds that the policy pins: ${kinds}.`;
    return failed(target, host, 'HOOP_TARGET_HOST_KEY', text, cause);
  }
  if (/no matching/.test(message)) {
    const text = `The server and the gateway have no algorithms in common; the gateway accepts ${ALGORITHMS.kex.join(', ')} with ${ALGORITHMS.cipher.join(', ')}.`;
    return failed(target, host, 'HOOP_TARGET_LOGIN', text, cause);
  }
  if (didHandshake) {
    const text = 'The server closed the connection during the login.';
    return failed(target, host, 'HOOP_TARGET_LOGIN', text, cause);
  }
  const text = 'The server closed the connection, or does not speak SSH.';
  return failed(target, host, 'HOOP_TARGET_UNREACHABLE', text, cause);
}

function failed(
  target: ConnectTargetOptions['target'],
  host: TargetHost,
  code: keyof typeof MESSAGES,
  text: string,
  cause: unknown,
): HoopError {
  return new HoopError(code, `${MESSAGES[code]} "${target.name}"`, {
    detail: host.shown === undefined ? text : `${host.shown}: ${text}`,
    cause,
  });
}
