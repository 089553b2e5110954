/** The work of `hoop ssh-config`. */
import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openGateway } from '../../auth/open-gateway.ts';
import { keptSshKeys } from '../../connectors/ssh/client/kept-ssh-keys.ts';
import { sshHostBlock } from '../../connectors/ssh/client/ssh-config.ts';
import { HoopError } from '../../errors.ts';
import { isMissing, writeFileAtomic } from '../../home.ts';
import { renderJson } from '../../ui/render-json.ts';
import { plain } from '../../ui/text/printable.ts';
import type { Io } from '../io.ts';
import { printedAsJson } from '../print.ts';

interface SshConfigRequest {
  readonly targets: readonly string[];
  readonly write?: boolean;
  readonly json?: boolean;
}

const INCLUDE = 'Include config.d/hoop';
/** In either form, and as `config.d/*`, below any directory. */
const INCLUDED = /^[ \t]*Include[ \t=].*config\.d\/(?:hoop|\*)/im;
/** In ssh_config the first value counts: what comes before our blocks is stronger than they are. */
const FIRST_BLOCK = /^[ \t]*(?:Host|Match)[ \t=]/im;
/** What leads our commands to this login; ssh may be started without it. */
const PLACES = ['HOOP_HOME', 'HOOP_GATEWAY', 'HOOP_CA', 'HOOP_TOKEN_STORE'] as const;
const FILES: readonly string[] = ['HOOP_HOME', 'HOOP_CA'];

export async function runSshConfig(io: Io, request: SshConfigRequest): Promise<void> {
  await using open = await openGateway(io);
  const { targets } = await open.client.targets(io.signal);
  const servers = targets.filter(({ kind }) => kind === 'ssh').map(({ name }) => name);
  const chosen = chooseServers(servers, request.targets);
  const blocks: string[] = [];
  for (const name of chosen) {
    const { identityFiles, knownHostsFile } = await keptSshKeys(open.home, name, io.signal);
    const proxyCommand = [...placesIn(io), ...io.self, 'ssh-stdio', name];
    blocks.push(sshHostBlock({ name, via: { proxyCommand }, identityFiles, knownHostsFile }));
  }
  const text = `# Made by "hoop ssh-config"; run it again when targets are added or removed.\n${blocks.join('\n')}`;
  if (!request.write) {
    const json = { v: 1, targets: chosen, config: text };
    io.stdout.write(request.json ? `${renderJson(json)}\n` : text);
    return;
  }
  const directory = join(io.env['HOME'] || homedir(), '.ssh');
  const file = join(directory, 'config.d', 'hoop');
  mkdirSync(join(directory, 'config.d'), { recursive: true, mode: 0o700 });
  writeFileAtomic(file, text);
  chmodSync(file, 0o600);
  const config = readIfThere(join(directory, 'config'));
  const isAnywhere = INCLUDED.test(config);
  const isIncluded = INCLUDED.test(config.split(FIRST_BLOCK)[0] ?? '');
  if (printedAsJson(io, request, { v: 1, targets: chosen, file, included: isIncluded })) return;
  io.note(plain(`${file} has ${chosen.join(', ')}`));
  if (isIncluded) {
    io.note(`try: ssh ${plain(chosen[0] ?? '')}`);
  } else {
    io.note(
      isAnywhere
        ? 'move this line to the top of ~/.ssh/config: what comes before it overrides what it includes:'
        : 'put this line at the top of ~/.ssh/config, before any Host or Match:',
    );
    io.stdout.write(`${INCLUDE}\n`);
  }
}

function chooseServers(servers: readonly string[], asked: readonly string[]): readonly string[] {
  const missing = asked.find((name) => !servers.includes(name));
  if (missing !== undefined) {
    throw new HoopError('HOOP_ACCESS_DENIED', `no access to a server "${plain(missing)}"`, {
      detail: 'The policy in force gives you no access there, or it is not a server.',
      hint: 'See what you can reach with `hoop targets`.',
    });
  }
  const chosen = asked.length > 0 ? [...new Set(asked)] : servers;
  if (chosen.length === 0) {
    throw new HoopError('HOOP_ACCESS_DENIED', 'you may not reach any server', {
      hint: 'See what you can reach or request with `hoop targets`.',
    });
  }
  return chosen;
}

function placesIn({ env, cwd }: Io): string[] {
  const set = PLACES.flatMap((name) => {
    const value = env[name];
    return value ? [`${name}=${FILES.includes(name) ? resolve(cwd, value) : value}`] : [];
  });
  return set.length === 0 ? [] : ['env', ...set];
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) {
      return '';
    }
    throw error;
  }
}
