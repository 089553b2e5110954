import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpensshServer } from '../../src/demo/openssh-server.ts';
import { type Bench, openBench } from './demo-bench.ts';

/** Rules for everybody in engineering: what the cases want, and a little that they do not. */
const RULES = `name: servers
who: { groups: [engineering] }
targets: { names: [web-1] }
rules:
  - name: forbidden-port
    deny: { ssh: forward, destinations: ["127.0.0.1:1"] }
  - name: forwards
    allow: { ssh: forward, destinations: ["127.0.0.1:*"] }
  - name: work
    allow: { ssh: [shell, exec, sftp] }
`;

/** A demo whose server `web-1` is for who is in engineering. */
export interface SshBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly server: OpensshServer;
}

/** The same server under a name of its own, with rules of its own. */
interface ServerTarget {
  readonly name: string;
  /** Default: those that it has. */
  readonly hostKeys?: readonly string[];
  /** `policies/NAME.yaml`. */
  readonly policy: string;
}

/** Needs an sshd on this machine. */
export async function openSshBench(
  rules = RULES,
  more: readonly ServerTarget[] = [],
): Promise<SshBench> {
  await using stack = new AsyncDisposableStack();
  const bench = stack.use(await openBench());
  const { demo } = bench;
  const { server } = demo;
  if (server === undefined) {
    throw new Error('the demo has no server');
  }
  const targets = more.map(({ name, policy, hostKeys = server.hostKeys }) => ({
    name,
    policy,
    file: [
      `name: ${name}`,
      'kind: ssh',
      'credential: web-1',
      'hostKeys:',
      ...hostKeys.map((key) => `  - ${key}`),
      '',
    ].join('\n'),
  }));
  await demo.policy.commit({
    message: 'servers',
    files: Object.fromEntries([
      ['policies/servers.yaml', rules],
      ...targets.flatMap(({ name, file, policy }) => [
        [`targets/${name}.yaml`, file],
        [`policies/${name}.yaml`, policy],
      ]),
    ]),
  });
  const file = join(demo.directory, 'gateway.yaml');
  const addresses = targets.map(({ name }) => `  ${name}: ${server.host}:${server.port}\n`);
  const config = readFileSync(file, 'utf8');
  writeFileSync(file, config.replace('addresses:\n', `addresses:\n${addresses.join('')}`));
  await demo.restartGateway();
  const owned = stack.move();
  return { bench, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
