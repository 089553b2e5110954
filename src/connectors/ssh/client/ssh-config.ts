/**
 * What ssh(1) has to know to reach a target through us, as ssh_config(5) writes it. Each value
 * that could lead elsewhere is set, so that nothing of the user's own configuration applies.
 */
import { HoopError } from '../../../errors.ts';
import type { SshKeyPair } from './ssh-keys.ts';

export interface SshHost {
  /** Of the target; what the user types. */
  readonly name: string;
  /** The way to us: a port of this machine, or a command that speaks for us. */
  readonly via:
    | { readonly host: string; readonly port: number }
    | { readonly proxyCommand: readonly string[] };
  readonly knownHostsFile: string;
  /** In the order in which ssh(1) should try them. */
  readonly identityFiles: readonly string[];
}

/**
 * What every ssh(1) has, also under FIPS and the crypto policies of distributions, which refuse the
 * whole file for one name that they do not allow: so no curve25519, Ed25519 or chacha20. The newer name
 * of PubkeyAcceptedKeyTypes would be unknown to versions before 8.5, and this one is known to all.
 */
const ALGORITHMS = [
  ['KexAlgorithms', 'ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521'],
  ['HostKeyAlgorithms', 'ecdsa-sha2-nistp256'],
  ['PubkeyAcceptedKeyTypes', 'ecdsa-sha2-nistp256'],
  ['Ciphers', 'aes128-gcm@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes128-ctr'],
  ['MACs', 'hmac-sha2-256,hmac-sha2-512'],
] as const;

/** Login on the target when the user names none: the first that the policy has on offer. */
export const DEFAULT_SSH_USER = 'hoop';

/** @throws HoopError HOOP_LOCAL_PORT a name or a path that cannot stand there */
export function sshHostBlock(host: SshHost): string {
  const { name, via, knownHostsFile, identityFiles } = host;
  const way =
    'proxyCommand' in via
      ? [['ProxyCommand', via.proxyCommand.map(shellWord).join(' ')]]
      : [
          ['HostName', via.host],
          ['Port', String(via.port)],
          ['ProxyCommand', 'none'],
          ['AddressFamily', 'any'],
        ];
  const settings = [
    ...way,
    ['ProxyJump', 'none'],
    ['ProxyUseFdpass', 'no'],
    ['CanonicalizeHostname', 'no'],
    ['User', DEFAULT_SSH_USER],
    ['HostKeyAlias', hostKeyAlias(name)],
    ['UserKnownHostsFile', pathValue(knownHostsFile)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['StrictHostKeyChecking', 'yes'],
    ['VerifyHostKeyDNS', 'no'],
    ...ALGORITHMS,
    ['UpdateHostKeys', 'no'],
    ['CheckHostIP', 'no'],
    ...identityFiles.map((file) => ['IdentityFile', pathValue(file)]),
    ['IdentitiesOnly', 'yes'],
    ['IdentityAgent', 'none'],
    ['PubkeyAuthentication', 'yes'],
    ['PreferredAuthentications', 'publickey'],
    ['AddKeysToAgent', 'no'],
    ['Compression', 'no'],
    ['ForwardAgent', 'no'],
    ['ForwardX11', 'no'],
    ['Tunnel', 'no'],
  ];
  const lines = settings.map(([key, value]) => `  ${key} ${value}`);
  return `Host ${hostPattern(name)}\n${lines.join('\n')}\n`;
}

/** All other hosts as they are without us. */
export function otherHosts(names: readonly string[], userConfig: string): string {
  const patterns = names.map(hostPattern).join(',');
  // `Include` takes patterns, and only since OpenSSH 9.8 tokens.
  const isPlain = !/["%*?[\]\p{Cc}]/u.test(userConfig);
  return [
    `Match !originalhost ${patterns}`,
    ...(isPlain ? [`  Include "${userConfig}"`] : []),
    '  Include /etc/ssh/ssh_config',
    '',
  ].join('\n');
}

/** Not the name of any host: nobody else's key is looked for under it. */
function hostKeyAlias(name: string): string {
  return `hoop-${requireHostName(name)}`;
}

/** @throws HoopError HOOP_LOCAL_PORT */
export function knownHostsLines(
  name: string,
  hostKeys: readonly Pick<SshKeyPair, 'publicKey'>[],
): string {
  return hostKeys.map(({ publicKey }) => `${hostKeyAlias(name)} ${publicKey}\n`).join('');
}

/**
 * Host patterns know no quotes that all versions read alike, `*` and `?` stand for others, `%` for
 * what ssh(1) puts in, and a leading `-` is an option.
 */
export function requireHostName(name: string): string {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.:+@-]*$/u.test(name)) {
    throw new HoopError('HOOP_LOCAL_PORT', 'the name of the target cannot be used in ssh_config', {
      detail:
        'It contains characters other than letters, digits and _ . : + @ -, or begins with -.',
    });
  }
  return name;
}

function hostPattern(name: string): string {
  return requireHostName(name);
}

/** A path in double quotes; `%` would begin a token, `${` a variable. */
function pathValue(path: string): string {
  if (/["\p{Cc}]|\$\{/u.test(path)) {
    throw new HoopError('HOOP_LOCAL_PORT', 'a path of hoop cannot be used in ssh_config', {
      detail: `"${path.replaceAll(/\p{Cc}/gu, '?')}" contains a quote or a control character.`,
      hint: 'Set HOOP_HOME or XDG_RUNTIME_DIR to another directory.',
    });
  }
  return `"${path.replaceAll('%', '%%')}"`;
}

/** For the shell that runs a ProxyCommand, behind ssh's own tokens. */
function shellWord(word: string): string {
  if (/\p{Cc}/u.test(word)) {
    throw new HoopError('HOOP_LOCAL_PORT', 'a path of hoop cannot be used in ssh_config', {
      detail: 'It contains a control character.',
    });
  }
  const quoted = /^[\w./:@+=-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
  return quoted.replaceAll('%', '%%');
}
