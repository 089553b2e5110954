/**
 * What tests see of the machine's environment, in every test file: a job of a CI system, a container
 * of a cluster, a terminal and a developer's settings change what hoop does (colours, who it acts
 * as, whether it waits for a person). A test that is about one of these sets it itself. A list of
 * what stays, because nobody can list what the next CI system sets.
 */
const KEPT: readonly RegExp[] = [
  /^(PATH|HOME|USER|LOGNAME|SHELL|TMPDIR|TZ|LANG|LC_[A-Z]+|(DY)?LD_[A-Z_]+)$/,
  /^(XDG_[A-Z_]+|DBUS_SESSION_BUS_ADDRESS)$/,
  // For package managers and git behind a proxy; nothing on this machine is reached through it.
  /^(HTTPS?_PROXY|NO_PROXY|ALL_PROXY|(SSL|GIT_SSL)_[A-Z_]+|NODE_(?!AUTH)[A-Z_]+|NPM_CONFIG_\w+)$/i,
  // Of vitest and of these tests themselves.
  /^(VITEST\w*|TEST|DEV|PROD|MODE|SSR|BASE_URL|HOOP_TEST_\w+)$/,
];

for (const name of Object.keys(process.env)) {
  if (!KEPT.some((pattern) => pattern.test(name))) {
    delete process.env[name];
  }
}

const hasProxy = Object.keys(process.env).some((name) => /^(https?|all)_proxy$/i.test(name));
for (const name of hasProxy ? ['NO_PROXY', 'no_proxy'] : []) {
  const before = process.env[name];
  process.env[name] = [...(before ? [before] : []), 'localhost', '127.0.0.1', '::1'].join(',');
}
