/**
 * A program inside a real fence tries what it can to get out, or at what is hidden, and leaves traps
 * for hoop and for later runs. One line for each attempt, held or NOT HELD, and the exit status says.
 * Root does it again as an ordinary user, who may make namespaces in which there are rights.
 *
 *     npm run soak:fence
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startDemo } from '../../src/demo/demo.ts';
import { childEnvironment, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { RunCgroup } from '../../src/run/run-cgroup.ts';
import { Bench } from './demo-bench.ts';

const SECRET = 'the-secret-of-the-fence-soak';
const BREAK_OUT = fileURLToPath(new URL('programs/break-out.py', import.meta.url));
const HIDDEN = [
  '.ssh/id_ed25519',
  '.aws/credentials',
  '.pgpass',
  '.kube/config',
  '.claude/.credentials.json',
  '.config/gh/hosts.yml',
  'moved/gh/hosts.yml',
  'dotfiles/credentials',
];
const READ_ONLY = [
  '.bashrc',
  '.cargo/env',
  'tools/bin/tool',
  '.gitconfig',
  'notes',
  'project/.git/hooks/post-checkout',
  'input',
];
const FOREIGN_HOSTS = [
  '169.254.169.254',
  '100.100.100.200',
  '168.63.129.16',
  'fd00:ec2::254',
  '::1',
  '::ffff:127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::1',
  '0.0.0.0',
  '1.1.1.1',
];
const MARKER = `86${process.pid}`;

/** Who is nobody else on a machine. */
const ORDINARY_USER = 64_123;
const counts = { held: 0, 'NOT HELD': 0 };

function tell(name: string, got: unknown): void {
  const isHeld = got === null || got === false;
  counts[isHeld ? 'held' : 'NOT HELD'] += 1;
  process.stdout.write(isHeld ? `held     ${name}\n` : `NOT HELD ${name}: ${String(got)}\n`);
  if (!isHeld) {
    process.exitCode = 1;
  }
}

function isAlive(marker: string): boolean {
  return readdirSync('/proc').some((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'utf8').includes(`sleep\0${marker}`);
    } catch {
      return false;
    }
  });
}

await using bench = new Bench(
  await startDemo({ note: () => undefined, signal: new AbortController().signal }),
);
/** @param base of the home directory @param user whose it is; undefined: ours */
async function attack(base: string, user?: number): Promise<void> {
  process.stdout.write(user === undefined ? '' : 'as an ordinary user:\n');
  // Not below /tmp, which is private inside.
  const home = mkdtempSync(join(base, '.hoop-fence-soak-'));
  const at = (name: string): string => join(home, name);
  const project = at('project');
  mkdirSync(project);
  execFileSync('git', ['init', '-q', project]);
  for (const path of [...HIDDEN, ...READ_ONLY]) {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), `${SECRET}\n`);
  }
  symlinkSync(at('dotfiles/credentials'), at('.aws/linked'));
  const abstract = `hoop-fence-soak-${process.pid}`;
  mkdirSync(at('runtime'));
  // Of agents, shared connections of ssh (ControlMaster), Wayland, D-Bus; of a database.
  const inHome = ['agent.sock', '.ssh/master', 'runtime/wayland-0', 'runtime/bus'].map(at);
  const sockets = [...inHome, join(project, 'db.sock')];
  const servers = [...sockets, `\0${abstract}`].map((path) => createServer().listen(path));
  await Promise.all(servers.map((server) => once(server, 'listening')));

  // The same directory on a second mount, where this user may make one.
  const second = mkdtempSync(join(base, '.hoop-fence-soak-second-'));
  const isMounted = spawnSync('mount', ['--bind', home, second]).status === 0;

  const gateway = new URL(bench.demo.gateway);
  const { host, port } = bench.demo.target;
  const gatewayPort = Number(gateway.port);
  const person = user === undefined ? bench.home('engineer') : at('hoop');
  const places = {
    secret: SECRET,
    home,
    hidden: HIDDEN.map(at),
    aliases: HIDDEN.map((name) => join(second, name)),
    sockets: [
      ...sockets,
      '/run/docker.sock',
      '/run/dbus/system_bus_socket',
      '/run/systemd/private',
    ],
    abstract: [abstract, '/tmp/.X11-unix/X0', '/tmp/dbus-x'],
    hosts: [
      ...FOREIGN_HOSTS.map((address) => [address, gatewayPort]),
      [host, port],
      [gateway.hostname, gatewayPort],
    ],
    tunnels: [`localhost:${gatewayPort}`, `2130706433:${gatewayPort}`, `0x7f.1:${gatewayPort}`],
    readOnly: [...READ_ONLY.map(at), LAUNCHER],
    processes: [process.pid, bench.demo.gatewayProcess().processId],
    state: person,
    trap: at('trap'),
    marker: MARKER,
  };
  // Ways that somebody would let in by mistake: hosts that lead to this machine stay out all the same.
  const networks = ['169.254.0.0/16', '64:ff9b::/96', '2002::/16'];
  const allowed = networks.map((network) =>
    network.includes(':') ? `[${network}]:${gatewayPort}` : `${network}:${gatewayPort}`,
  );
  const flags = [
    ...allowed.flatMap((entry) => ['--fence-allow', entry]),
    ...['--fence-write', at('tools'), '--fence-write', at('.cargo')],
  ];
  const command = ['/usr/bin/python3', 'break-out.py', JSON.stringify(places)];
  writeFileSync(join(project, 'break-out.py'), readFileSync(BREAK_OUT));
  if (user !== undefined) {
    cpSync(bench.home('engineer'), person, { recursive: true });
    chmodSync(person, 0o700);
    const config = JSON.parse(readFileSync(join(person, 'config.json'), 'utf8'));
    cpSync(config.ca, join(person, 'ca.pem'));
    writeFileSync(
      join(person, 'config.json'),
      JSON.stringify({ ...config, ca: join(person, 'ca.pem') }),
    );
    execFileSync('chown', ['-R', `${user}:${user}`, home, second]);
  }
  // As systemd gives one to each terminal of a desktop.
  const cgroup = user === undefined ? undefined : RunCgroup.make(`soak-${process.pid}`);
  if (cgroup !== undefined) execFileSync('chown', ['-R', `${user}`, cgroup.directory]);
  const env = {
    ...childEnvironment({
      home: person,
      variables: {
        ...{ XDG_CONFIG_HOME: at('moved'), STRIPE_API_KEY: SECRET, MY_PASSWORD: SECRET },
        ...{ XDG_RUNTIME_DIR: at('runtime'), WAYLAND_DISPLAY: 'wayland-0', DISPLAY: ':0' },
        ...{ DBUS_SESSION_BUS_ADDRESS: `unix:path=${at('runtime/bus')}` },
        ...{ SSH_AUTH_SOCK: at('agent.sock'), XAUTHORITY: at('moved/gh/hosts.yml') },
        PATH: `${at('tools/bin')}:${process.env['PATH']}`,
      },
    }),
    HOME: home,
  };
  const ids = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  const hoop = ['setpriv', ...ids, process.execPath, LAUNCHER].slice(user === undefined ? 1 : 0);
  const [program = '', ...launcher] = hoop;
  const args = [...launcher, 'run', '--target', 'prod-db', '--fence', ...flags, '--', ...command];
  const start = (): ChildProcess =>
    spawn(program, args, {
      cwd: project,
      env,
      stdio: [openSync(at('input'), 'r'), 'pipe', 'inherit'],
    });
  const child = cgroup === undefined ? start() : cgroup.within(start);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [status] = await once(child, 'close');
  const attempts = text.split('\n').filter((line) => line.startsWith('['));
  for (const line of attempts) {
    const [name, got]: [string, string | null] = JSON.parse(line);
    tell(name, got);
  }
  tell('the program went through its list', status === 0 && attempts.length > 0 ? null : status);
  tell('hoop follows a link that was planted where it writes', existsSync(at('trap')));
  tell('a process outlives the run', existsSync(join(project, 'outlives')) && isAlive(MARKER));
  const next = spawnSync(program, [...launcher, 'whoami'], { env, encoding: 'utf8' });
  tell('the login of the person is hurt', next.status === 0 ? null : next.stderr);
  await cgroup?.remove();
  for (const server of servers) {
    server.close();
  }
  if (isMounted) {
    execFileSync('umount', [second]);
  }
  rmSync(second, { recursive: true });
  rmSync(home, { recursive: true, force: true });
}

await attack(homedir());
if (process.getuid?.() === 0) await attack('/var/lib', ORDINARY_USER);
process.stdout.write(`${counts.held} held, ${counts['NOT HELD']} NOT HELD\n`);
