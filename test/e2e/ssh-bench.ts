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

/** The demo, whose server `web-1` lets who is in engineering do what these rules say. */
export interface SshBench extends AsyncDisposable {
  readonly bench: Bench;
  readonly server: OpensshServer;
}

export async function openSshBench(rules = RULES): Promise<SshBench> {
  await using stack = new AsyncDisposableStack();
  const bench = stack.use(await openBench());
  const { demo } = bench;
  const { server } = demo;
  if (server === undefined) {
    throw new Error('the demo has no server: OpenSSH is not installed');
  }
  await demo.policy.commit({
    message: 'other rules for the server',
    files: { 'policies/servers.yaml': rules },
  });
  // In force at once.
  await demo.restartGateway();
  const owned = stack.move();
  return { bench, server, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
