/**
 * `npm run conformance:ssh-clients`: SSH clients from their registries log in, run commands, have a
 * shell, move files and forward a connection, straight to an sshd and through hoop. What they print
 * must be the same. clients.ts has them; docs/ssh.md says which there are.
 *
 *   --only CLIENT    repeated; default: all
 *   --packages DIR   where installations are kept (default: in the temporary directory)
 *
 * Exit status 0: each ran straight, and printed the same through hoop.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { startDemo } from '../../src/demo/demo.ts';
import { startHoop } from '../../src/demo/hoop-process.ts';
import { startOpensshServer } from '../../src/demo/openssh-server.ts';
import { CLIENTS, type SshClient } from './clients.ts';

const PROGRAMS = fileURLToPath(new URL('./programs', import.meta.url));
const TARGET = 'web-1';
const INSTALL_TIMEOUT_MS = 1_200_000;
const RUN_TIMEOUT_MS = 180_000;

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: CLIENTS.map(({ name }) => name) },
    packages: { type: 'string', default: join(tmpdir(), 'hoop-conformance-ssh-clients') },
  },
});
const interrupted = new AbortController();
const { signal } = interrupted;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, () => interrupted.abort(new Error(name)));
}
const say = (text: string): void => {
  process.stderr.write(`ssh-clients: ${text}\n`);
};
type Lane = Readonly<Record<'HOST' | 'PORT' | 'LOGIN' | 'KEY' | 'CONFIG' | 'HOST_KEY', string>>;

await using stack = new AsyncDisposableStack();
const scratch = mkdtempSync(join(tmpdir(), 'hoop-ssh-clients-'));
stack.defer(() => rmSync(scratch, { recursive: true, force: true }));
const input = join(scratch, 'input');
writeFileSync(input, randomBytes(3_000_000));
const echo = createServer((socket) => socket.on('error', () => undefined).pipe(socket));
await once(echo.listen(0, '127.0.0.1'), 'listening');
stack.defer(() => void echo.close());
const work = {
  PROGRAMS,
  INPUT: input,
  ECHO: String((echo.address() as AddressInfo).port),
  COMMAND: 'echo out; echo err >&2; exit 7',
  OUTPUT_COMMAND: 'yes "bytes of output" | head -c 8000000',
};
const lanes = await openLanes();
let [same, failed] = [0, 0];
for (const client of CLIENTS.filter(({ name }) => flags.only.includes(name))) {
  const problem = await problemOf(client);
  if (problem === undefined) same += 1;
  else failed += 1;
  say(`${client.name}: ${problem ?? 'the same'}`);
}
process.stdout.write(`${same} passed, ${failed} failed\n`);
process.exitCode = failed === 0 && same > 0 ? 0 : 1;

async function problemOf(client: SshClient): Promise<string | undefined> {
  const installed = join(flags.packages, digestOf(client.install ?? []));
  const done = join(installed, 'installed');
  if (client.install !== undefined && !existsSync(done)) {
    mkdirSync(installed, { recursive: true });
    const made = await shell(client.install.join(' && '), installed, {}, INSTALL_TIMEOUT_MS);
    if (made.exitCode !== 0) return `NOT INSTALLED: ${made.all}`;
    writeFileSync(done, '');
  }
  const printed: string[] = [];
  for (const lane of lanes) {
    const place = mkdtempSync(join(scratch, 'place-'));
    const env = { ...lane, PLACE: place, INSTALLED: installed };
    const ran = await shell(client.run, PROGRAMS, env, RUN_TIMEOUT_MS);
    if (ran.exitCode !== 0) {
      const packages = client.packages === undefined ? '' : ` (apt-get install ${client.packages})`;
      return `${lane === lanes[0] ? 'straight' : 'HOOP'}: ${ran.exitCode}${packages}: ${ran.all}`;
    }
    printed.push(ran.stdout);
  }
  const [direct, hoop] = printed;
  // What a client could not do on either side is no agreement.
  const silent = direct?.split('\n').find((line) => /^\S+:\s*$|\bFalse\b/.test(line));
  if (direct === '' || silent !== undefined) return `straight: no result: ${silent ?? 'nothing'}`;
  return direct === hoop ? undefined : `DIFFERS:\n${direct}\n---\n${hoop}`;
}

/** What is installed is made from it: others for other programs. */
function digestOf(install: readonly string[]): string {
  const hash = createHash('sha256').update(install.join('\n'));
  const files = globSync('**/*.*', { cwd: PROGRAMS }).sort();
  for (const file of files) hash.update(file).update(readFileSync(join(PROGRAMS, file)));
  return hash.digest('hex').slice(0, 16);
}

async function shell(script: string, cwd: string, env: Record<string, string>, timeout: number) {
  const options = { cwd, timeout, cancelSignal: signal, all: true, reject: false } as const;
  return execa('sh', ['-c', script], { ...options, stdin: 'ignore', env: { ...work, ...env } });
}

async function openLanes(): Promise<readonly Lane[]> {
  const server = stack.use(await startOpensshServer({ settings: { MaxSessions: '50' } }));
  const policy = join(scratch, 'policy');
  const write = (path: string, value: unknown): void => {
    mkdirSync(join(policy, path, '..'), { recursive: true });
    // JSON is YAML.
    writeFileSync(join(policy, path), JSON.stringify(value));
  };
  const { hostKeys } = server;
  write('hoop.yaml', { version: 1, org: 'conformance', identityProviders: [] });
  write(`targets/${TARGET}.yaml`, { name: TARGET, kind: 'ssh', credential: TARGET, hostKeys });
  write('policies/everything.yaml', {
    name: 'everything',
    who: { groups: ['engineering'] },
    targets: { names: [TARGET] },
    limits: { maxConnections: 100 },
    rules: [
      { allow: { ssh: ['shell', 'exec', 'sftp'] } },
      { allow: { ssh: 'forward', destinations: ['127.0.0.1:*'] } },
    ],
  });
  const servers = { [TARGET]: server };
  const demo = stack.use(await startDemo({ policy, servers, note: say, signal }));
  const home = demo.homes['engineer'] ?? '';
  const session = stack.use(
    await startHoop(['connect', TARGET, '--json'], 'listening', { home, signal }),
  );
  const { host, port, user, identityFile, config, knownHosts } = session.ready;
  const straight = join(scratch, 'config');
  const known = join(scratch, 'known_hosts');
  writeFileSync(known, `[${server.host}]:${server.port} ${hostKeys[0]}\n`);
  writeFileSync(
    straight,
    `Host ${TARGET}\nHostName ${server.host}\nPort ${server.port}\nUser ${server.user}\nIdentityFile ${server.privateKeyFile}\nIdentitiesOnly yes\nUserKnownHostsFile ${known}\nLogLevel ERROR\n`,
  );
  return [
    {
      ...{ HOST: server.host, PORT: String(server.port), LOGIN: server.user },
      ...{ KEY: server.privateKeyFile, CONFIG: straight, HOST_KEY: await fingerprint(known) },
    },
    {
      ...{ HOST: String(host), PORT: String(port), LOGIN: String(user) },
      ...{ KEY: String(identityFile), CONFIG: String(config) },
      HOST_KEY: await fingerprint(String(knownHosts)),
    },
  ];
}

async function fingerprint(file: string): Promise<string> {
  const { stdout } = await execa('ssh-keygen', ['-lf', file]);
  return stdout.split(' ')[1] ?? '';
}
