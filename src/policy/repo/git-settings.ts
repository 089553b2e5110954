/**
 * What git is told with each call, and in its environment: nothing that a repository, a URL or the
 * user's own configuration says may run a program, ask on the terminal, or reach a transport other
 * than https, ssh and local files.
 */

export const SETTINGS: readonly string[] = [
  'core.hooksPath=/dev/null',
  'core.fsmonitor=false',
  'core.askPass=',
  'core.alternateRefsCommand=false',
  'core.gitProxy=',
  'core.sshCommand=false',
  'core.attributesFile=/dev/null',
  'credential.helper=',
  'credential.interactive=false',
  'protocol.allow=never',
  'protocol.https.allow=always',
  'protocol.ssh.allow=always',
  'protocol.file.allow=always',
  'http.followRedirects=false',
  'transfer.fsckObjects=true',
  'fetch.fsckObjects=true',
  'fetch.recurseSubmodules=no',
  'submodule.recurse=false',
  // Said at each start because of GIT_GRAFT_FILE, and in front of what went wrong.
  'advice.graftFileDeprecated=false',
  'gc.auto=0',
  // A thread of git's takes memory of its own, and there is one for each processor.
  'pack.threads=1',
  'fetch.writeCommitGraph=false',
  'uploadpack.packObjectsHook=',
  // Several `hoop connect` may start at once in one home.
  'core.filesRefLockTimeout=5000',
  'maintenance.auto=false',
  // Signatures of other kinds would be checked against whatever keys this user happens to have.
  'gpg.format=ssh',
  'gpg.program=/bin/false',
  'gpg.openpgp.program=/bin/false',
  'gpg.x509.program=/bin/false',
  'gpg.ssh.program=ssh-keygen',
];

/** Variables of the caller that ssh and https need; all other GIT_… are dropped. */
const PASSED_ON =
  /^(PATH|HOME|USER|LOGNAME|TMPDIR|SSH_AUTH_SOCK|SSL_CERT_FILE|SSL_CERT_DIR|TZ|https_proxy|HTTPS_PROXY|all_proxy|ALL_PROXY|no_proxy|NO_PROXY)$/;

/** A ProxyCommand is a program of the user's, and reads nothing of the repository. */
const OWN_MEMORY = 'ulimit -S -d "$(ulimit -H -d)" 2>/dev/null';
/** Over what the user's ssh_config says. A connection that it shares would outlive git, and hold its pipes. */
const SSH_OPTIONS: readonly string[] = [
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'ForwardAgent=no',
  'ForwardX11=no',
  'ClearAllForwardings=yes',
  'PermitLocalCommand=no',
  'ControlMaster=no',
];

export function gitEnvironment(
  env: NodeJS.ProcessEnv,
  globalConfig: string | undefined,
): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => PASSED_ON.test(name));
  const { SSL_CERT_FILE: caFile, SSL_CERT_DIR: caDirectory } = env;
  return {
    ...Object.fromEntries(kept),
    // git looks at no others, and takes one that is set to nothing for a file.
    ...(caFile ? { GIT_SSL_CAINFO: caFile } : {}),
    ...(caDirectory ? { GIT_SSL_CAPATH: caDirectory } : {}),
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: globalConfig ?? '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '/bin/false',
    SSH_ASKPASS: '/bin/false',
    SSH_ASKPASS_REQUIRE: 'never',
    GIT_SSH_COMMAND: `${OWN_MEMORY}; exec ssh ${SSH_OPTIONS.map((option) => `-o ${option}`).join(' ')}`,
    GIT_SSH_VARIANT: 'ssh',
    GIT_ALLOW_PROTOCOL: 'https:ssh:file',
    GIT_PROTOCOL_FROM_USER: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_GRAFT_FILE: '/dev/null',
    GIT_NO_LAZY_FETCH: '1',
    // Where the limit of git.ts means nothing (macOS): of each piece of memory, at least.
    GIT_ALLOC_LIMIT: '512m',
    // What the clone looks like, whatever is git's default by now.
    GIT_DEFAULT_HASH: 'sha1',
    GIT_DEFAULT_REF_FORMAT: 'files',
    GIT_OPTIONAL_LOCKS: '0',
    GIT_CEILING_DIRECTORIES: '/',
  };
}
