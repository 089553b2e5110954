/** What `hoop connect` prints for a server. */

import type { OwnSshPort } from '../connectors/ssh/client/own-ssh-port.ts';
import { DEFAULT_SSH_USER } from '../connectors/ssh/client/ssh-config.ts';
import { shellWord } from '../connectors/ssh/client/ssh-files.ts';
import type { ClientSession } from '../tunnel/connect-session.ts';
import type { ConnectRequest, JsonWriter } from './connect-run.ts';
import type { Io } from './io.ts';
import { noteSession } from './session-notes.ts';

/** The configuration leads to everything else; no key stands in what is printed. */
export function showSsh(
  io: Io,
  request: Pick<ConnectRequest, 'command' | 'json'>,
  { session, ssh }: { readonly session: ClientSession; readonly ssh: OwnSshPort },
  json: JsonWriter,
): void {
  const { reply, policy } = session;
  const { name } = reply.target;
  const { configFile } = ssh.files;
  const hasCommand = request.command.length > 0;
  json({
    event: 'listening',
    session: reply.session,
    target: name,
    kind: 'ssh',
    ...('proxyCommand' in ssh.via ? {} : ssh.via),
    user: DEFAULT_SSH_USER,
    config: configFile,
    knownHosts: ssh.files.knownHostsFile,
    identityFile: ssh.files.identityFiles[0],
    command: ['ssh', '-F', configFile, name],
    policy: { commit: policy.commit },
    expiresAt: reply.expiresAt,
  });
  if (request.json && hasCommand) {
    return;
  }
  noteSession(io, session);
  if (hasCommand || request.json) {
    return;
  }
  io.stdout.write(`ssh -F ${shellWord(configFile)} ${shellWord(name)}\n`);
  io.note('scp, sftp, rsync and git take the same -F; Ctrl-C ends the session');
}
