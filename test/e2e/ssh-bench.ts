import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpensshServer, startOpensshServer } from '../../src/demo/openssh-server.ts';
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

/** A demo with a real sshd as the target `web-1`, for who is in engineering. */
export interface SshBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly server: OpensshServer;
}

export async function openSshBench(rules = RULES): Promise<SshBench> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startOpensshServer());
  const bench = stack.use(await openBench());
  const { demo } = bench;
  await demo.policy.commit({
    message: 'a server',
    files: {
      'targets/web-1.yaml': [
        'name: web-1',
        'kind: ssh',
        'hostKeys:',
        ...server.hostKeys.map((key) => `  - ${key}`),
        'logins:',
        `  - { user: ${server.user}, credential: web-1 }`,
        '',
      ].join('\n'),
      'policies/servers.yaml': rules,
    },
  });
  const file = join(demo.directory, 'gateway.yaml');
  const config = readFileSync(file, 'utf8')
    .replace('addresses:\n', `addresses:\n  web-1: ${server.host}:${server.port}\n`)
    .replace(
      'credentials:\n',
      `credentials:\n  web-1: { user: ${server.user}, privateKeyFile: ${server.privateKeyFile} }\n`,
    );
  writeFileSync(file, config);
  await demo.restartGateway();
  const owned = stack.move();
  return { bench, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
