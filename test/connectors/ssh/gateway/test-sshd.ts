import {
  type OpensshServer,
  type OpensshServerOptions,
  startOpensshServer,
} from '../../../../src/demo/openssh-server.ts';

/**
 * A server of a test's own. Bash reads ~/.bashrc for each command that it gets from sshd; what a
 * developer has in there is not tested, may print something, and often costs more than the command.
 */
export function startTestSshd(options: OpensshServerOptions = {}): Promise<OpensshServer> {
  const settings = { SetEnv: 'HOME=/nonexistent', ...options.settings };
  return startOpensshServer({ ...options, settings });
}
