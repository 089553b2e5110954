/** `hoop run --fence` with a real bwrap: what is not there inside and there outside, and what works. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { childEnvironment, type HoopRun, LAUNCHER } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { firstOutput } from './first-output.ts';
import { startShell } from './live-program.ts';

const LOOK_AROUND = fileURLToPath(new URL('programs/look-around.mjs', import.meta.url));
const HOLD_FIRST = fileURLToPath(new URL('programs/hold-first.py', import.meta.url));
const SECRETS = [
  '.ssh/id_ed25519',
  '.pgpass',
  '.pg_service.conf',
  '.aws/credentials',
  '.config/gcloud/application_default_credentials.json',
  '.kube/config',
  '.docker/config.json',
  '.netrc',
  '.git-credentials',
  '.config/gh/hosts.yml',
  '.npmrc',
];

/** As a shell reads it. */
const HOOP = `'${process.execPath}' '${LAUNCHER}'`;

let bench: Bench;
/** Of a person with credentials; not below /tmp, which is private inside. */
let home: string;
let project: string;
beforeAll(async () => {
  bench = await openBench();
  home = mkdtempSync(join(homedir(), '.hoop-fence-'));
  project = join(home, 'project');
  for (const path of [...SECRETS, 'notes.txt', 'project/file.txt']) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), 'secret\n');
  }
  execFileSync('cp', [LOOK_AROUND, project]);
});
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await bench[Symbol.asyncDispose]();
});

interface Options {
  readonly fence?: boolean;
  readonly flags?: readonly string[];
  readonly variables?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Descriptor of standard input. */
  readonly input?: number;
  /** Descriptors that hoop is started with besides. */
  readonly lent?: readonly number[];
}

/** `hoop run -- COMMAND` in the project of the person, in the fence unless it says otherwise. */
async function run(command: readonly string[], options: Options = {}): Promise<HoopRun> {
  const { fence = true, flags = [], variables = {}, cwd = project, input, lent = [] } = options;
  // What other tests have changed in the project would keep a run without a fence from starting.
  const around = fence ? '--fence' : '--keep-changes';
  const args = ['run', '--target', 'prod-db', around, ...flags];
  const child = spawn(process.execPath, [LAUNCHER, ...args, '--', ...command], {
    cwd,
    env: {
      ...childEnvironment({ home: bench.home('engineer'), variables }),
      HOME: home,
    },
    stdio: [input ?? 'ignore', 'pipe', 'pipe', ...lent],
  });
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (text) => {
    stdout += String(text);
  });
  child.stderr?.on('data', (text) => {
    stderr += String(text);
  });
  const [exitCode] = await once(child, 'close');
  return { exitCode, stdout, stderr, output: stdout + stderr };
}

function sh(script: string, options: Options = {}): Promise<HoopRun> {
  return run(['sh', '-c', script], options);
}

const NOT_THERE = "Can't find source path /somewhere/gone: No such file or directory";
/** Of a socket that is covered. */
const NO_PLACE = "Can't create file at /somewhere/gone: Read-only file system";

/** On PATH: a bwrap that finds a place gone that many times, as when a program with a socket ends. */
function withVanishing(times: number, said = NOT_THERE): string {
  const directory = mkdtempSync(join(home, 'bin-'));
  const real = execFileSync('sh', ['-c', 'command -v bwrap'], { encoding: 'utf8' }).trim();
  const seen = join(directory, 'seen');
  const script = `#!/bin/sh
echo x >>${seen}
if [ "$(wc -l <${seen})" -gt ${times} ]; then exec ${real} "$@"; fi
echo "bwrap: ${said}" >&2
exit 1
`;
  writeFileSync(join(directory, 'bwrap'), script, { mode: 0o755 });
  return `${directory}:${process.env['PATH']}`;
}

describe('a place that vanishes while the fence is set up', () => {
  test('is left out: all is looked at anew', async () => {
    const variables = { PATH: withVanishing(2) };
    expect(await sh('echo inside', { variables })).toMatchObject({
      exitCode: 0,
      stdout: 'inside\n',
    });
  });

  test('is left out on a terminal, too', async () => {
    const shell = await startShell({ home: bench.home('engineer'), cwd: project });
    shell.type(
      `PATH='${withVanishing(2, NO_PLACE)}' hoop run --fence -- sh -c 'test -t 0 && echo "in-$((1+1))"'\n`,
    );
    await shell.sees(/in-2[\s\S]*ready> $/);
    shell.type('exit\n');
    await shell.ended;
  });

  test('ends the run when there is no end of it', async () => {
    const said = "Can't find source path /somewhere/$$: No such file or directory";
    const { exitCode, stderr } = await sh('echo inside', {
      variables: { PATH: withVanishing(5, said) },
    });
    expect(exitCode).toBe(255);
    expect(stderr).toMatch(/"\/somewhere\/\d+" was changed while the fence was set up/);
  });

  test('ends the run with the words of bwrap when it is the same place each time', async () => {
    const { exitCode, stderr } = await sh('echo inside', {
      variables: { PATH: withVanishing(5) },
    });
    expect(exitCode).toBe(255);
    expect(stderr).toContain('the fence could not be set up');
    expect(stderr).toContain(NOT_THERE);
    expect(stderr).not.toContain('was changed');
  });
});

describe('what a program finds that looks for a way around hoop', () => {
  let places: object;
  /** In /tmp of outside. /tmp itself is no measure: a checkout below it is there inside, too. */
  let temporary: string;
  let close: () => void;
  beforeAll(async () => {
    const byPath = createServer().listen(join(project, 'db.sock'));
    const abstract = createServer().listen(`\0hoop-fence-test-${process.pid}`);
    await Promise.all([once(byPath, 'listening'), once(abstract, 'listening')]);
    close = () => {
      byPath.close();
      abstract.close();
    };
    const gateway = new URL(bench.demo.gateway);
    const { host, port } = bench.demo.target;
    temporary = mkdtempSync('/tmp/hoop-fence-');
    writeFileSync(join(temporary, 'left-behind.txt'), 'secret\n');
    places = {
      connect: {
        database: { host, port },
        gateway: { host: gateway.hostname, port: Number(gateway.port) },
        'socket of a path': { path: join(project, 'db.sock') },
        'abstract socket': { path: `\0hoop-fence-test-${process.pid}` },
      },
      read: [
        ...SECRETS.map((path) => join(home, path)),
        join(bench.home('engineer'), 'config.json'),
        join(bench.home('engineer'), 'tokens.json'),
        join(home, 'notes.txt'),
        join(temporary, 'left-behind.txt'),
      ],
      list: ['/run', temporary, home],
      write: [join(home, 'planted'), join(project, 'written')],
      processes: [process.pid, bench.demo.gatewayProcess().processId],
    };
  });
  afterAll(() => {
    close();
    rmSync(temporary, { recursive: true });
  });

  const look = async (fence: boolean): Promise<Record<string, unknown>> => {
    const command = [process.execPath, 'look-around.mjs', JSON.stringify(places)];
    const { stdout, stderr } = await run(command, { fence });
    expect(stderr).not.toContain('error');
    return JSON.parse(stdout);
  };

  test('outside: all of it', async () => {
    const found = await look(false);
    const { processes, ...rest } = found;
    expect(new Set(Object.values(rest))).toEqual(new Set(['ok']));
    expect(processes).toHaveLength(2);
  });

  test('inside: the work, and nothing else', async () => {
    const { processes, ...rest } = await look(true);
    expect(processes).toEqual([]);
    const there = Object.entries(rest)
      .filter(([, outcome]) => outcome === 'ok')
      .map(([name]) => name);
    // In /run there is what the fence itself has put there.
    expect(there.sort()).toEqual(
      ['list run', `list ${home.split('/').at(-1)}`, 'read notes.txt', 'write written'].sort(),
    );
    expect(rest).toMatchObject({ database: 'ECONNREFUSED', gateway: 'ECONNREFUSED' });
    expect(rest).toMatchObject({ 'read .pgpass': 'ENOENT', 'read id_ed25519': 'ENOENT' });
  });

  test('the login of the person opens nothing inside, and does outside', async () => {
    const person = `env -u HOOP_RUN_DIR HOOP_HOME=${bench.home('engineer')}`;
    const hoop = `${person} ${HOOP}`;
    const connect = `${hoop} connect prod-db -- true`;
    const outside = await sh(connect, { fence: false });
    expect(outside.exitCode).toBe(0);
    const inside = await sh(`${connect}; echo "status $?"`);
    expect(inside.stdout).toBe('status 255\n');
    expect(inside.stderr).toContain('not logged in');
    // With the run's own login there is no way to the gateway, and no right either (see docs/run.md).
    const approval = await sh(`${HOOP} approvals list; echo "status $?"`);
    expect(approval.stdout).toBe('status 5\n');
  });

  test('the login of an approver approves nothing inside, and does outside', async () => {
    await using connection = await bench.connect('engineer');
    const held = spawn('psql', ['-Xc', 'DELETE FROM orders WHERE id = 1', connection.url], {
      env: childEnvironment({ home: bench.home('engineer') }),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const deleted = held.stdout.setEncoding('utf8').toArray();
    const find = () => connection.lines.find(({ event }) => event === 'held');
    await expect.poll(find).toBeDefined();
    const id = String(find()?.['request']);
    const approver = bench.home('dba');
    const hoop = `env -u HOOP_RUN_DIR HOOP_HOME=${approver} ${HOOP}`;
    const approve = `${hoop} approvals approve ${id}; echo "status $?"`;

    // What keeps it from the command wherever it is, in one's home as well: docs/fence.md.
    const named = await sh(approve, { flags: ['--fence-hide', approver] });
    expect(named.stdout).toBe('status 3\n');
    expect(named.stderr).toContain('not logged in');
    const config = readFileSync(join(approver, 'config.json'), 'utf8');
    // With all of the login, tokens and keys, there is still no way to the gateway.
    const shown = await sh(`grep -o refreshToken ${approver}/tokens.json; ${approve}`, {
      flags: ['--fence-write', approver, '--fence-show', JSON.parse(config).ca],
    });
    expect(shown.stdout).toBe('refreshToken\nstatus 5\n');
    expect(shown.stderr).toContain('cannot reach gateway');
    const pending = await bench.hoop('dba', 'approvals', 'list', '--json');
    expect(JSON.parse(pending.stdout)).toMatchObject({ approvals: [{ id, state: 'waiting' }] });

    const outside = await sh(approve, { fence: false });
    expect(outside.stdout).toContain('status 0\n');
    expect((await deleted).join('')).toBe('DELETE 1\n');
  });

  test('nothing of the terminal, the kernel’s keyrings and other machines’ sockets', async () => {
    const script = `
import ctypes, fcntl, socket, os
libc = ctypes.CDLL(None, use_errno=True)
def outcome(act):
    try:
        return act() or 'ok'
    except OSError as error:
        return os.strerror(error.errno)
def keyctl():
    if libc.syscall(250 if os.uname().machine == 'x86_64' else 219, 0, -3, 0) == -1:
        raise OSError(ctypes.get_errno(), '')
print(outcome(lambda: fcntl.ioctl(0, 0x5412, b'x')))
print(outcome(lambda: socket.socket(40, 1)))
print(outcome(keyctl))
print(outcome(lambda: os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)) in ('Permission denied', 'Read-only file system'))
print(open('/proc/self/status').read().split('CapEff:')[1].split()[0])
print(sorted(os.listdir('/proc/self/fd')))
`;
    // What hoop's own parent has left open, and what would be loaded into each of its programs.
    const lent = [openSync(home, 'r'), openSync(join(home, '.netrc'), 'r')];
    const variables = { LD_PRELOAD: '/nowhere/preloaded.so' };
    const inside = await run(['/usr/bin/python3', '-c', script], { lent, variables });
    expect(inside.stderr.match(/cannot be preloaded/g)).toHaveLength(1);
    expect(inside.stdout.split('\n').slice(0, 5)).toEqual([
      'Operation not permitted',
      'Address family not supported by protocol',
      'Operation not permitted',
      'True',
      '0000000000000000',
    ]);
    // 3 is the directory that is listed.
    expect(inside.stdout).toContain("['0', '1', '2', '3']");
  });
});

describe('other hosts', () => {
  test('are refused by name, address and rebinding, with the reason and what could be done', async () => {
    const gatewayPort = new URL(bench.demo.gateway).port;
    const urls = [
      'https://example.com/',
      `https://${hostname()}:${gatewayPort}/v1/info`,
      `https://localhost:${gatewayPort}/v1/info`,
      'https://169.254.169.254/latest/meta-data/',
      `https://127.0.0.2:${gatewayPort}/v1/info`,
    ];
    const program = `
      const { request } = require('node:http');
      const proxy = new URL(process.env.HTTPS_PROXY);
      (async () => {
        for (const url of ${JSON.stringify(urls)}) {
          const { hostname, port } = new URL(url);
          const asked = request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: hostname + ':' + (port || 443) });
          asked.end();
          await new Promise((resolve) => {
            asked.on('connect', (reply) => { console.log(reply.statusCode); resolve(); });
          });
        }
      })();`;
    // A name that is allowed and leads to this machine, as one that was rebound would.
    const flags = [
      ...['--fence-allow', `${hostname()}:${gatewayPort}`],
      ...['--fence-allow', '169.254.0.0/16'],
    ];
    const result = await run([process.execPath, '-e', program], { flags });
    expect(result.stdout).toBe('403\n403\n403\n403\n403\n');
    expect(result.stderr).toContain('the fence refused connections to: 1 × example.com:443');
    expect(result.stderr).toContain(`1 × localhost:${gatewayPort}`);
  });

  test('are refused to programs that know proxies, in words', async () => {
    const script = 'git ls-remote https://example.com/a.git 2>&1; echo "status $?"';
    const result = await sh(script);
    expect(result.stdout).toMatch(/403/);
    expect(result.stdout).toMatch(/status (?!0)/);
  });
});

describe('programs work inside', () => {
  test('psql, by its environment and by a URL', async () => {
    const script = 'psql -XAtc "SELECT 1" && psql -XAt "$HOOP_PROD_DB_URL" -c "SELECT 2"';
    const result = await sh(script);
    expect(result).toMatchObject({ stdout: '1\n2\n', exitCode: 0 });
  });

  test('hoop prompt: the statement behind it is told with it', async () => {
    const script = `${HOOP} prompt "asked in the fence" >&2 && psql -XAtc "SELECT 'fenced'"`;
    const result = await sh(script, { flags: ['--prompt', 'asked outside'] });
    expect(result.stdout, result.stderr).toBe('fenced\n');
    const why = await bench.hoop('engineer', 'sessions', 'why', 'last', '1', '--json');
    expect(JSON.parse(why.stdout).statements).toMatchObject([
      { statement: { text: "SELECT 'fenced'" }, prompts: [{ text: 'asked in the fence' }] },
    ]);
  });

  test('Python and Node.js with their usual drivers', async () => {
    const python = `
import psycopg2
with psycopg2.connect('') as connection, connection.cursor() as cursor:
    cursor.execute('SELECT 40 + %s', (2,))
    print(cursor.fetchone()[0])`;
    expect((await run(['/usr/bin/python3', '-c', python])).stdout).toBe('42\n');
    const driver = fileURLToPath(import.meta.resolve('pg'));
    const node = `
      const { default: pg } = await import(${JSON.stringify(driver)});
      const client = new pg.Client(process.env.DATABASE_URL);
      await client.connect();
      console.log((await client.query('SELECT 40 + $1::int AS n', [3])).rows[0].n);
      await client.end();`;
    const result = await run([process.execPath, '--input-type=module', '-e', node], {
      flags: ['--fence-show', dirname(dirname(dirname(driver)))],
    });
    expect(result.stdout).toBe('43\n');
  });

  test('git, npm, files of the project, temporary files', async () => {
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({
        name: 'a',
        version: '1.0.0',
        scripts: { test: 'echo tested > result.txt' },
      }),
    );
    const script = `set -e
      git init -q . && git add file.txt
      git -c user.name=a -c user.email=a@example.com commit -qm first
      npm test --silent
      cat result.txt
      mktemp -d > /dev/null
      echo more >> file.txt
      git status --short file.txt`;
    const result = await sh(script);
    expect(result.output).toContain('tested\n M file.txt\n');
    expect(result.exitCode).toBe(0);
    expect(existsSync(join(project, '.git/refs/heads'))).toBe(true);
  });

  test('Chromium, whose usual place for its state cannot be written', async () => {
    const chromium = process.env['HOOP_TEST_CHROMIUM'] ?? '/usr/bin/chromium';
    const flags = '--headless --no-sandbox --disable-gpu --dump-dom';
    const result = await sh(`${chromium} ${flags} 'data:text/html,<b>drawn</b>' 2>/dev/null`);
    expect(result.stdout).toContain('<b>drawn</b>');
  });

  test('what is named may be written or is hidden', async () => {
    mkdirSync(join(home, 'cache'));
    const flags = [
      '--fence-write',
      '~/cache',
      '--fence-show',
      '~/.npmrc',
      '--fence-hide',
      '../notes.txt',
    ];
    const script = 'echo x > ~/cache/x && cat ~/.npmrc; cat ~/notes.txt; cat ~/.netrc; true';
    const result = await sh(script, { flags });
    expect(result.stdout).toBe('secret\n');
    expect(result.stderr.match(/No such file or directory/g)).toHaveLength(2);
    expect(existsSync(join(home, 'cache/x'))).toBe(true);
  });
});

describe('the environment', () => {
  const variables = {
    STRIPE_API_KEY: 'sk_live_1',
    SLACK_BOT_TOKEN: 'xoxb-1',
    HF_TOKEN: 'hf_1',
    ANTHROPIC_API_KEY: 'sk-ant-1',
    LANG: 'C.UTF-8',
  };
  const script = 'env | grep -c "sk_live\\|xoxb\\|hf_1\\|sk-ant"; echo $LANG $STRIPE_API_KEY';

  test('of a fence is what is on the list, with the key of an agent told of', async () => {
    const outside = await sh(script, { variables, fence: false });
    expect(outside.stdout).toBe('4\nC.UTF-8 sk_live_1\n');
    const inside = await sh(script, { variables });
    expect(inside.stdout).toBe('0\nC.UTF-8\n');
    expect(inside.stderr).toContain('--env ANTHROPIC_API_KEY');
    expect(inside.stderr).not.toContain('sk-ant-1');
  });

  test('has what --env names', async () => {
    const flags = ['--env', 'STRIPE_API_KEY', '--env', 'ANTHROPIC_API_KEY'];
    const inside = await sh(script, { variables, flags });
    expect(inside.stdout).toBe('2\nC.UTF-8 sk_live_1\n');
    expect(inside.stderr).not.toContain('--env');
  });
});

describe('standard input', () => {
  test('that is a file is read, from where it was, and cannot be written', async () => {
    const path = join(home, 'input.txt');
    writeFileSync(path, 'one\ntwo\n');
    const script = `read -r first; cat; (echo planted >> /proc/self/fd/0) 2>/dev/null || echo refused`;
    const inside = await sh(script, { input: openSync(path, 'r') });
    expect(inside.stdout).toBe('two\nrefused\n');
    expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
    const advanced = openSync(path, 'r');
    readSync(advanced, Buffer.alloc(4), 0, 4, null);
    expect((await sh('cat', { input: advanced })).stdout).toBe('two\n');
  });

  test('is the file that it was, whatever is put in its place meanwhile', async () => {
    const path = join(project, 'swapped.txt');
    writeFileSync(path, 'of the project\n');
    const bin = mkdtempSync(join(home, 'bin-'));
    const swap = `ln -sf ${home}/.ssh/id_ed25519 ${path}\nexec /usr/bin/bwrap "$@"`;
    writeFileSync(join(bin, 'bwrap'), `#!/bin/sh\n${swap}\n`, { mode: 0o755 });
    const variables = { PATH: `${bin}:${process.env['PATH']}` };
    const inside = await sh('cat', { input: openSync(path, 'r'), variables });
    expect(inside).toMatchObject({ stdout: '', exitCode: 255 });
    expect(inside.stderr).toContain('was changed while the fence was set up');
  });

  test('that is a directory is refused', async () => {
    const inside = await sh('cat /proc/self/fd/0/.ssh/id_ed25519', { input: openSync(home, 'r') });
    expect(inside).toMatchObject({ stdout: '', exitCode: 255 });
    expect(inside.stderr).toContain('standard input is a directory');
  });
});

test('what is hidden is hidden where a variable has moved it, and where links lead', async () => {
  const files = ['cfg/gh/hosts.yml', 'dotfiles/aws-credentials'].map((name) => join(home, name));
  for (const path of files) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, 'secret\n');
  }
  symlinkSync(join(home, 'dotfiles/aws-credentials'), join(home, '.aws/linked'));
  const variables = { XDG_CONFIG_HOME: join(home, 'cfg') };
  const script = `cat ${files.join(' ')}; true`;
  expect((await sh(script, { variables, fence: false })).stdout).toBe('secret\nsecret\n');
  expect((await sh(script, { variables })).stdout).toBe('');
});

test('a run inside of a fence is told that it is the fence', async () => {
  const inside = await sh(`${HOOP} run --fence -- true; ${HOOP} run -- true; true`);
  expect(inside.stderr.match(/a fenced run cannot start another run/g)).toHaveLength(2);
});

test('a command inside of a fence that needs the gateway is told that it is the fence', async () => {
  const inside = await sh(`${HOOP} whoami; true`);
  expect(inside.stderr).toContain('error: cannot reach gateway');
  expect(inside.stderr).toContain('inside a `hoop run --fence`');
  expect(inside.stderr).not.toContain('the gateway is running');
});

describe('what is planted or changed around a run', () => {
  test('a .git file that names itself back opens no other repository to the next run', async () => {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: home, stdio: 'pipe' });
    git('init', '-q', 'victim');
    git(
      '-C',
      'victim',
      '-c',
      'user.name=a',
      '-c',
      'user.email=a@b',
      'commit',
      '-q',
      '--allow-empty',
      '-m',
      'x',
    );
    mkdirSync(join(home, 'work'));
    const cwd = join(home, 'work');
    const victim = join(home, 'victim/.git');
    const planted = `mkdir own && echo "gitdir: ${cwd}/own" > .git && echo "${cwd}/.git" > own/gitdir && echo "${victim}" > own/commondir`;
    expect((await sh(planted, { cwd })).exitCode).toBe(0);
    const next = await sh(`touch ${victim}/written && echo written || echo refused`, { cwd });
    expect(next.stdout).toBe('refused\n');
    expect(next.stderr).toContain(victim);
  });

  test('a program that a command puts on PATH is not run by hoop itself', async () => {
    // As `npm run` and virtual environments put directories of a project in front.
    const bin = join(project, 'bin');
    mkdirSync(bin, { recursive: true });
    const PATH = `${bin}:${process.env['PATH']}`;
    const mark = join(home, 'ran-outside');
    const script = `for name in git ssh-keygen bwrap stty; do
      printf '#!/bin/sh\\ntrue 2>/dev/null > ${mark}\\nexec /usr/bin/%s "$@"\\n' $name > bin/$name; chmod +x bin/$name; done
      bin/git --version && psql -XAtc 'SELECT 1'`;
    for (const _run of ['plants', 'next']) {
      const result = await sh(script, { variables: { PATH } });
      expect(result.stdout).toMatch(/^git version .*\n1\n$/);
      expect(existsSync(mark)).toBe(false);
    }
    rmSync(bin, { recursive: true });
  });

  test('what is replaced by a link while the fence is set up is not mounted', async () => {
    // As another run in the same project could do it; here in the moment before the mounts.
    const cwd = join(home, 'raced');
    for (const path of [cwd, join(cwd, 'sub'), join(home, 'prey')]) {
      execFileSync('git', ['init', '-q', path]);
    }
    const bin = mkdtempSync(join(home, 'bin-'));
    const swap = `mv ${cwd}/sub ${cwd}/moved && ln -s ../prey ${cwd}/sub`;
    writeFileSync(join(bin, 'bwrap'), `#!/bin/sh\n${swap}\nexec /usr/bin/bwrap "$@"\n`);
    chmodSync(join(bin, 'bwrap'), 0o755);
    const variables = { PATH: `${bin}:${process.env['PATH']}` };
    const script = `touch ${home}/prey/.git/written && echo written; true`;
    const raced = await sh(script, { cwd, variables });
    expect(raced).toMatchObject({ stdout: '', exitCode: 255 });
    expect(raced.stderr).toContain('was changed while the fence was set up');
    expect((await sh(`${script}; touch sub-is-mine && echo works`, { cwd })).stdout).toBe(
      'works\n',
    );
  });

  test('what runs by itself later cannot be written, or is told after the run', async () => {
    const cwd = join(home, 'hooked');
    execFileSync('git', ['init', '-q', cwd]);
    for (const path of ['.claude/settings.json', '.claude/hooks/start.sh', '.claude/history']) {
      mkdirSync(dirname(join(home, path)), { recursive: true });
      writeFileSync(join(home, path), '{}');
    }
    const attempts = [
      '~/.claude/settings.json',
      '~/.claude/hooks/start.sh',
      '~/.claude/hooks/new.sh',
      '.git/hooks/post-checkout',
    ].map((path) => `(echo planted > ${path}) 2>/dev/null && echo ${path}`);
    const script = `${attempts.join('; ')}
      mv .git .git2 2>/dev/null && echo moved; mv ~/.claude/hooks ~/.claude/old 2>/dev/null && echo moved
      git -c user.name=a -c user.email=a@b commit -q --allow-empty -m x && echo committed
      echo x >> ~/.claude/history && echo kept`;
    const flags = ['--fence-write', '~/.claude'];
    const quiet = await sh(script, { cwd, flags });
    expect(quiet.stdout).toBe('committed\nkept\n');
    expect(quiet.stderr).not.toContain('load them automatically');
    const told =
      'git config core.fsmonitor ./x && mkdir .vscode && echo {} > .vscode/tasks.json && echo {} > ~/.claude/settings.local.json';
    const loud = await sh(told, { cwd, flags });
    expect(loud.stderr).toContain(
      'changed during the run, and other programs load them automatically later',
    );
    for (const path of [
      'hooked/.git/config',
      'hooked/.vscode/tasks.json',
      '.claude/settings.local.json',
    ]) {
      expect(loud.stderr).toContain(join(home, path));
    }
    expect(loud.stderr).not.toContain('.git/hooks');
  });

  test('a repository above or opened beside is told of, as is what was renamed into place', async () => {
    const above = join(home, 'above');
    const beside = join(home, 'beside');
    const cwd = join(above, 'part');
    for (const path of [above, beside]) {
      execFileSync('git', ['init', '-q', path]);
    }
    mkdirSync(join(cwd, 'new/workflows'), { recursive: true });
    writeFileSync(join(cwd, 'new/workflows/evil.yml'), '');
    const script = `git config core.fsmonitor ./x; git -C ${beside} config core.fsmonitor ./x
      mv new .github; (echo x > ${beside}/.git/hooks/post-commit) 2>/dev/null || echo refused`;
    const result = await sh(script, { cwd, flags: ['--fence-write', beside] });
    expect(result.stdout).toBe('refused\n');
    for (const path of [
      'above/.git/config',
      'beside/.git/config',
      'above/part/.github/workflows',
    ]) {
      expect(result.stderr).toContain(join(home, path));
    }
    const planted = 'mkdir own && echo "gitdir: own" > .git';
    const file = await sh(planted, { cwd: mkdtempSync(join(home, 'bare-')) });
    expect(file.stderr).toMatch(/bare-\w+\/\.git\b/);
  });

  test('a hidden file that is replaced outside, and one that is made, do not appear', async () => {
    const script = `echo up; read -r go; cat ~/.netrc ~/.pypirc ~/.config/gh/hosts.yml; true`;
    const args = ['run', '--target', 'prod-db', '--fence', '--', 'sh', '-c', script];
    const child = spawn(process.execPath, [LAUNCHER, ...args], {
      cwd: project,
      env: { ...childEnvironment({ home: bench.home('engineer') }), HOME: home },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const errors = child.stderr.setEncoding('utf8').toArray();
    let shown = '';
    child.stdout.on('data', (text) => {
      shown += String(text);
    });
    await firstOutput(child);
    for (const name of ['.netrc', '.config/gh/hosts.yml', '.pypirc']) {
      writeFileSync(join(home, `${name}.new`), 'renewed\n');
      renameSync(join(home, `${name}.new`), join(home, name));
    }
    child.stdin.end('go\n');
    await once(child, 'close');
    expect(shown).toBe('up\n');
    expect((await errors).join('').match(/No such file/g)).toHaveLength(3);
  });
});

test('a run that is not started in a project is told what becomes of its files', async () => {
  const name = `hoop-fence-test-${process.pid}`;
  const inTmp = await sh(`echo kept > ${name} && cat ${name}`, { cwd: '/tmp' });
  expect(inTmp.stdout).toBe('kept\n');
  expect(inTmp.stderr).toContain('inside the fence /tmp is private to the run');
  expect(existsSync(join('/tmp', name))).toBe(false);
  const atHome = await sh(`echo kept > ${name} || echo refused`, { cwd: home });
  expect(atHome.stdout).toBe('refused\n');
  expect(atHome.stderr).toContain(`${home} is not writable inside the fence`);
});

describe('the command', () => {
  test('gives its exit status, also when a signal ends it', async () => {
    expect((await sh('exit 7')).exitCode).toBe(7);
    expect((await sh('kill -TERM $$')).exitCode).toBe(143);
    const missing = await run(['./no-such-program']);
    expect(missing.exitCode).toBe(255);
    expect(missing.stderr).toContain('cannot run');
  });

  test('kills nobody of the process group that hoop was started in, and opens no debugger', async () => {
    const inside = (signal: string) =>
      `${HOOP} run --target prod-db --fence -- sh -c 'trap "" USR1; kill -${signal} 0; echo after'`;
    const script = `${inside('KILL')}; echo $?; ${inside('USR1')}; echo end`;
    const child = spawn('setsid', ['-w', 'sh', '-c', script], {
      cwd: project,
      env: { ...childEnvironment({ home: bench.home('engineer') }), HOME: home },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (text) => {
        output += String(text);
      });
    }
    await once(child, 'close');
    expect(output).toMatch(/^137$[\s\S]*^end$/m);
    expect(output).not.toContain('Debugger');
  });

  test('is named when it is there outside and hidden inside', async () => {
    mkdirSync(join(home, '.ssh/bin'));
    const program = join(home, '.ssh/bin/report');
    const script = join(project, 'report.py');
    for (const [path, text] of [
      [program, '#!/bin/sh\necho ran'],
      [script, `#!${program}\n`],
    ] as const) {
      writeFileSync(path, text);
      chmodSync(path, 0o755);
    }
    for (const [command, variables] of [
      [program, {}],
      ['report', { PATH: `${dirname(program)}:${process.env['PATH']}` }],
      ['./report.py', {}],
    ] as const) {
      const { exitCode, stderr } = await run([command], { variables });
      expect(exitCode).toBe(255);
      expect(stderr).toContain(`cannot run "${command}"`);
      expect(stderr).toContain(
        command === 'report'
          ? 'no such program on PATH'
          : `"${program}" is missing or hidden inside the fence`,
      );
      expect(stderr).toContain('--fence-show');
    }
    const shown = await run([program], { flags: ['--fence-show', dirname(program)] });
    expect(shown.stdout).toBe('ran\n');
  });

  test('is told of signals as it would be outside, and nothing is left when hoop is killed', async () => {
    const start = (script: string) => {
      const args = ['run', '--fence', '--', 'sh', '-c', script];
      const child = spawn(process.execPath, [LAUNCHER, ...args], {
        cwd: project,
        env: { ...childEnvironment({ home: bench.home('engineer') }), HOME: home },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return { child, up: firstOutput(child), closed: once(child, 'close') };
    };
    const polite = start(`trap 'exit 42' TERM; echo up; while :; do sleep 0.1; done`);
    await polite.up;
    polite.child.kill('SIGTERM');
    expect((await polite.closed)[0]).toBe(42);
    // Its output is closed by the last process that could write to it.
    const deaf = start(`trap '' TERM HUP; echo up; sleep 600 & sleep 600`);
    await deaf.up;
    deaf.child.kill('SIGKILL');
    await deaf.closed;
  });

  test.runIf(process.arch === 'x64')(
    'outlives no hoop that is killed, whatever it has made of process 1',
    async () => {
      const args = ['run', '--fence', '--', 'python3', HOLD_FIRST, 'free'];
      const child = spawn(process.execPath, [LAUNCHER, ...args], {
        cwd: project,
        env: { ...childEnvironment({ home: bench.home('engineer') }), HOME: home },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const closed = once(child, 'close');
      await firstOutput(child);
      child.kill('SIGKILL');
      // Its output is closed by the last process that could write to it.
      await closed;
    },
  );

  test('has a terminal, and Ctrl-C is its own', async () => {
    const inner = `${HOOP} -q run --fence -- sh -c 'trap "echo caught; exit 5" INT; stty size; tty >/dev/null; echo up; while :; do sleep 0.1; done'`;
    // Without exec a dash would stay in between, die of the Ctrl-C itself and give its own status.
    const shell = `stty rows 33 cols 77; exec ${inner}`;
    const terminal = spawn('script', ['-qec', shell, '/dev/null'], {
      cwd: project,
      env: { ...childEnvironment({ home: bench.home('engineer') }), HOME: home },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let shown = '';
    terminal.stdout.on('data', (text) => {
      shown += String(text);
      if (String(text).includes('up')) {
        terminal.stdin.write('\x03');
      }
    });
    const [status] = await once(terminal, 'close');
    expect(shown).toContain('33 77');
    expect(shown).toContain('caught');
    expect(status).toBe(5);
  });
});

describe('without a fence nothing runs', () => {
  test('when bwrap cannot make one, with what it said', async () => {
    const fake = mkdtempSync(join(home, 'bin-'));
    writeFileSync(
      join(fake, 'bwrap'),
      '#!/bin/sh\necho "bwrap: setting up uid map: Permission denied" >&2\nexit 1\n',
    );
    chmodSync(join(fake, 'bwrap'), 0o755);
    const result = await sh('echo ran', {
      variables: { PATH: `${fake}:${process.env['PATH']}` },
    });
    expect(result).toMatchObject({ stdout: '', exitCode: 255 });
    expect(result.stderr).toContain('hoop: error: the fence could not be set up');
    expect(result.stderr).toContain('setting up uid map: Permission denied');
  });

  test('when hosts and paths of a fence are given without it', async () => {
    const result = await sh('echo ran', { fence: false, flags: ['--fence-allow', 'example.com'] });
    expect(result).toMatchObject({ stdout: '', exitCode: 2 });
    expect(result.stderr).toContain('fence options need --fence');
  });
});
