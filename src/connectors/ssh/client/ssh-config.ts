/**
 * What ssh(1) has to know to reach a target through us, as ssh_config(5) writes it. Each value
 * that could lead elsewhere is set, so that nothing of the user's own configuration applies.
 */
import { HoopError } from '../../../errors.ts';

export interface SshHost {
  /** Of the target; what the user types. */
  readonly name: string;
  /** The way to us: a port of this machine, or a command that speaks for us. */
  readonly via:
    | { readonly host: string; readonly port: number }
    | { readonly proxyCommand: readonly string[] };
  readonly knownHostsFile: string;
  readonly identityFile: string;
}

/** Login on the target when the user names none: the first that the policy has on offer. */
export const DEFAULT_SSH_USER = 'hoop';

/** @throws HoopError HOOP_LOCAL_PORT a name or a path that cannot stand there */
export function sshHostBlock(host: SshHost): string {
  const { name, via, knownHostsFile, identityFile } = host;
  const way =
    'proxyCommand' in via
      ? [['ProxyCommand', via.proxyCommand.map(shellWord).join(' ')]]
      : [
          ['HostName', via.host],
          ['Port', String(via.port)],
          ['ProxyCommand', 'none'],
        ];
  const settings = [
    ...way,
    ['ProxyJump', 'none'],
    ['User', DEFAULT_SSH_USER],
    ['HostKeyAlias', hostKeyAlias(name)],
    ['UserKnownHostsFile', pathValue(knownHostsFile)],
    ['GlobalKnownHostsFile', '/dev/null'],
    ['StrictHostKeyChecking', 'yes'],
    ['HostKeyAlgorithms', 'ssh-ed25519'],
    ['UpdateHostKeys', 'no'],
    ['CheckHostIP', 'no'],
    ['IdentityFile', pathValue(identityFile)],
    ['IdentitiesOnly', 'yes'],
    ['IdentityAgent', 'none'],
    ['PubkeyAuthentication', 'yes'],
    ['PreferredAuthentications', 'publickey'],
    ['Compression', 'no'],
    ['ForwardAgent', 'no'],
    ['ForwardX11', 'no'],
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
export function knownHostsLine(name: string, publicKey: string): string {
  return `${hostKeyAlias(name)} ${publicKey}\n`;
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
