/** The ways to the same server over SSH that are measured in turn. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startHoop } from '../src/demo/hoop-process.ts';
import { type OpensshServer, startOpensshServer } from '../src/demo/openssh-server.ts';
import { startDelayedLink } from './delayed-link.ts';
import type { LaneContext } from './lanes.ts';
import type { LaneName } from './options.ts';

export interface SshLane {
  readonly name: LaneName;
  /** ssh_config in which `host` stands. */
  readonly config: string;
  readonly host: string;
  /** Processes of hoop between client and server. */
  readonly processes: { readonly gateway: number; readonly cli: number } | undefined;
}

export const SSH_LANES: readonly LaneName[] = [
  'direct',
  'direct (defaults)',
  'ssh -J',
  'hoop allow',
];
/** What hoop's port speaks; other lanes get the same, so that no cipher is compared, but for one. */
const CIPHER = 'aes128-gcm@openssh.com';
const HOOP_TARGET = 'bench-ssh';

/**
 * Opens these lanes to the server; the caller's stack ends them.
 * @param farHome a HOOP_HOME whose gateway is behind a delayed link; the other lanes get such links then
 */
export async function openSshLanes(
  names: readonly LaneName[],
  server: OpensshServer,
  context: LaneContext,
  stack: AsyncDisposableStack,
  farHome?: string,
): Promise<readonly SshLane[]> {
  const directory = mkdtempSync(join(tmpdir(), 'hoop-bench-ssh-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const { watchdog } = context;
  const jump = stack.use(await startOpensshServer({ watchdog }));
  const far = async (end: OpensshServer): Promise<OpensshServer> => {
    if (farHome === undefined) return end;
    const { port } = stack.use(await startDelayedLink({ targetPort: end.port, watchdog }));
    return { ...end, port };
  };
  const nearest = { server: await far(server), jump: await far(jump) };
  const config = join(directory, 'config');
  writeFileSync(
    config,
    [
      ...hostLines('server', nearest.server, directory),
      `  Ciphers ${CIPHER}`,
      ...hostLines('defaults', nearest.server, directory),
      ...hostLines('jump', nearest.jump, directory),
      `  Ciphers ${CIPHER}`,
      ...hostLines('behind', server, directory),
      `  Ciphers ${CIPHER}`,
      '  ProxyJump jump',
    ].join('\n'),
  );
  const lanes: SshLane[] = [];
  for (const name of names.filter((one) => SSH_LANES.includes(one))) {
    if (name === 'hoop allow') {
      lanes.push(await openHoop(context, stack, farHome));
    } else {
      lanes.push({ name, config, host: hostOf(name), processes: undefined });
    }
  }
  return lanes;
}

function hostLines(name: string, server: OpensshServer, directory: string): readonly string[] {
  const known = join(directory, `known-${name}`);
  writeFileSync(known, server.hostKeys.map((key) => `${name} ${key}\n`).join(''));
  return [
    `Host ${name}`,
    `  HostName ${server.host}`,
    `  Port ${server.port}`,
    `  User ${server.user}`,
    `  HostKeyAlias ${name}`,
    `  UserKnownHostsFile ${known}`,
    `  IdentityFile ${server.privateKeyFile}`,
    '  IdentitiesOnly yes',
    '  BatchMode yes',
  ];
}

/** As the configuration names it. */
function hostOf(name: LaneName): string {
  switch (name) {
    case 'direct':
      return 'server';
    case 'direct (defaults)':
      return 'defaults';
    default:
      return 'behind';
  }
}

async function openHoop(
  { demo, signal }: LaneContext,
  stack: AsyncDisposableStack,
  home = demo.homes['engineer'] ?? '',
): Promise<SshLane> {
  const service = stack.use(
    await startHoop(['connect', HOOP_TARGET, '--json'], 'listening', { home, signal }),
  );
  return {
    name: 'hoop allow',
    config: String(service.ready['config']),
    host: HOOP_TARGET,
    processes: { gateway: demo.gatewayProcess().processId, cli: service.processId },
  };
}
