/** Servers for programs of this machine: local ports with keys of their own, and what leads ssh(1) there. */
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { HoopError } from '../../../errors.ts';
import { shellWord } from '../../../shell-word.ts';
import type {
  BriefingWords,
  ClientConnector,
  Endpoint,
  LocalOffer,
  LocalPlace,
  ServedTarget,
  Told,
} from '../../../tunnel/connector.ts';
import type { LocalListener } from '../../../tunnel/local-listener.ts';
import { LocalSshPort } from './local-ssh-port.ts';
import { DEFAULT_SSH_USER, type SshHost } from './ssh-config.ts';
import { type SshFacts, type SshFiles, sshEnvironment, writeSshFiles } from './ssh-files.ts';
import { generateLocalSshKeys } from './ssh-keys.ts';

/** What an agent has to know of servers. */
export const SSH_BRIEFING: BriefingWords = {
  title: 'Access',
  recorded: 'Every command, its output and every transferred file is',
  way: ({ name }) =>
    `Connect with \`ssh ${name}\`, also \`scp\`, \`sftp\`, \`rsync\` and \`git\` with \`${name}\` as the host; \`ssh USER@${name}\` chooses another login. There is no other way in, so do not look for a key.`,
  denials: `## When a command on a server is refused
ssh ends with status 126, and stderr has the rule and what to do. Commands are decided by their words as written: keep them plain, without variables, globs or substitutions in the place of a program's name. Do not try another spelling: it will be refused too, and all of it is recorded. A command that waits for approval goes on by itself once approved.`,
};

export const sshClient: ClientConnector = {
  noun: 'a server',
  briefing: SSH_BRIEFING,
  open: (place) => new SshOffer(place),
};

class SshOffer implements LocalOffer {
  readonly #place: LocalPlace;
  readonly #served: SshFacts[] = [];
  #files: SshFiles | undefined;

  constructor(place: LocalPlace) {
    this.#place = place;
  }

  async serve({ target, tlsUntil, ...rest }: ServedTarget): Promise<LocalSshPort> {
    const { name } = target;
    if (tlsUntil !== undefined) {
      throw new HoopError('HOOP_USAGE', `--tls is for databases, and "${name}" is a server`, {
        hint: 'Omit it: SSH has its own encryption.',
      });
    }
    if (this.#place.secret !== undefined) {
      throw new HoopError('HOOP_USAGE', `--forever is for databases, and "${name}" is a server`, {
        hint: 'Servers get a lasting address with `hoop ssh-config --write`.',
      });
    }
    const keys = generateLocalSshKeys();
    this.#served.push({ name, via: this.#wayTo(rest.listener), ...keys });
    return new LocalSshPort({ ...rest, ...keys });
  }

  endpoint(): Endpoint {
    return {
      env: sshEnvironment(this.#written(), this.#place.env),
      urls: new Map(),
    };
  }

  /** The configuration leads to everything else; no key stands in what is told. */
  told(): Told {
    const [server] = this.#served;
    if (server === undefined) {
      throw new TypeError('nothing is served');
    }
    const { name, via } = server;
    const { configFile, knownHostsFile, identityFiles } = this.#written();
    return {
      facts: {
        kind: 'ssh',
        ...('proxyCommand' in via ? {} : via),
        user: DEFAULT_SSH_USER,
        config: configFile,
        knownHosts: knownHostsFile,
        identityFile: identityFiles[0]?.[0],
        identityFiles: identityFiles[0],
        command: ['ssh', '-F', configFile, name],
      },
      line: `ssh -F ${shellWord(configFile)} ${shellWord(name)}`,
      after: ['scp, sftp, rsync and git take the same -F'],
    };
  }

  #written(): SshFiles {
    const { directory, env } = this.#place;
    this.#files ??= writeSshFiles(directory, this.#served, env);
    return this.#files;
  }

  /** ssh(1) cannot connect to a socket by itself. */
  #wayTo({ host, port, socketPath }: LocalListener): SshHost['via'] {
    if (socketPath === undefined) {
      return { host, port };
    }
    const path = join(this.#place.directory, 'ssh.sock');
    symlinkSync(socketPath, path);
    return { proxyCommand: [...this.#place.self, 'ssh-stdio', '--socket', path] };
  }
}
