/**
 * Follows docs/deploy.md and docs/providers/keycloak.md on an empty directory, with what their blocks
 * say: commands, files, and what a command prints. In place of the names that stand for something on
 * the pages it has what is here; the script's own user stands for the user `hoop`, and for root.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { execa } from 'execa';
import { issueServerCertificate } from '../../src/certificates.ts';
import { startEmbeddedPostgres } from '../../src/demo/embedded-postgres.ts';
import { launchChromium, openPage } from '../../test/auth/chromium.ts';
import { freePort, type Keycloak } from './keycloak.ts';
import { pageBlock, pageBlocks, pageCommands, pageOutput } from './page-blocks.ts';
import { fillCode, fillLogin, grantCode } from './person.ts';

type Step = (title: string, work: () => Promise<void>) => Promise<void>;

const DEPLOY = 'docs/deploy.md';
const KEYCLOAK = 'docs/providers/keycloak.md';
const PASSWORD = randomBytes(12).toString('base64url');
const POLICY_FILES = ['targets/prod-db.yaml', 'policies/engineers.yaml'];

export async function runDeployment(keycloak: Keycloak, step: Step): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'hoop-deploy-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(root, { recursive: true, force: true }));
  const port = await freePort();
  const here = (path: string) => join(root, path);
  const bin = here('usr/bin');
  const { server } = keycloak;
  const database = await startDatabase(keycloak, stack);
  const known: readonly (readonly [string, string])[] = [
    ['ssh://git@git.example.com/security/hoop-policy', here('hoop-policy.git')],
    ['https://login.example.org/realms/staff', `${server}/realms/staff`],
    ['KEYCLOAK/realms', `${server}/realms`],
    ['gw.example.com:8443', `127.0.0.1:${port}`],
    ['0.0.0.0:8443', `127.0.0.1:${port}`],
    ['db.internal:5432', `127.0.0.1:${database.port}`],
    ['/etc/hoop', here('etc/hoop')],
    ['/var/lib/hoop', here('var/lib/hoop')],
    ['/usr/bin/hoop', join(bin, 'hoop')],
    ['sudo -u hoop ', ''],
    [' -o hoop -g hoop', ''],
  ];
  const real = (text: string) =>
    known.reduce((so, [name, value]) => so.replaceAll(name, value), text);
  writeFileSync(here('ca.pem'), keycloak.authority.certificate);
  writeFileSync(
    here('browser'),
    `#!/bin/sh\nprintf '%s' "$1" > ${here('url.part')} && mv ${here('url.part')} ${here('url')}\n`,
    { mode: 0o755 },
  );
  const environment = (home: string): NodeJS.ProcessEnv => {
    mkdirSync(here(home), { recursive: true });
    const path = [bin, dirname(process.execPath), keycloak.bin, process.env['PATH'] ?? ''];
    return {
      PATH: path.join(delimiter),
      HOME: here(home),
      LANG: 'C.UTF-8',
      KEYCLOAK: server,
      KC_CLI_PASSWORD: 'admin',
      HOOP_CA: here('ca.pem'),
      BROWSER: here('browser'),
    };
  };
  const run = (command: string, home: string, cwd: string, input?: string) =>
    execa('bash', ['-c', `set -eu; ${real(command)}`], {
      cwd: here(cwd),
      env: command.startsWith('npm ') ? {} : environment(home),
      // Which registry there is, is this machine's business.
      extendEnv: command.startsWith('npm '),
      all: true,
      reject: false,
      stdin: input === undefined ? 'ignore' : 'pipe',
      ...(input === undefined ? {} : { input }),
    });
  const must = async (command: string, home: string, cwd = '.', input?: string) => {
    const result = await run(command, home, cwd, input);
    assert.equal(result.exitCode, 0, `${command}\n${result.all}`);
    return result;
  };
  const write = (path: string, text: string, mode = 0o644) => {
    mkdirSync(dirname(here(path)), { recursive: true });
    writeFileSync(here(path), text, { mode });
  };
  const browser = await launchChromium();
  stack.defer(() => browser.close());
  /** What is typed behind `hoop login`, and in the browser that it opens. */
  const logIn = async (command: string, user: string): Promise<void> => {
    rmSync(here('url'), { force: true });
    const login = must(command, user);
    while (!existsSync(here('url'))) {
      await Promise.race([delay(200), login]);
    }
    await using opened = await openPage(browser);
    await opened.page.goto(readFileSync(here('url'), 'utf8').trim());
    await fillLogin(opened.page, user, PASSWORD);
    await login;
  };

  const logInByDevice = async (command: string, home: string, user: string): Promise<void> => {
    const login = run(command, home, '.');
    let said = '';
    login.all?.on('data', (text) => {
      said += String(text);
    });
    const address = /open (http\S+)[\s\S]*?enter the code (\S+)/;
    await until(
      () => address.test(said),
      () => said,
      undefined,
    );
    const [, url = '', code = ''] = address.exec(said) ?? [];
    await using opened = await openPage(browser);
    await fillCode(opened.page, url, code);
    await fillLogin(opened.page, user, PASSWORD);
    await grantCode(opened.page);
    const { exitCode, all } = await login;
    assert.equal(exitCode, 0, all);
  };

  await step('deploy.md 1: the package is installed, and the directories are there', async () => {
    await execa('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', root]);
    const { stdout: globalConfig } = await execa('npm', ['config', 'get', 'globalconfig']);
    const flags = `--prefix ${here('usr')} --globalconfig ${globalConfig} --no-audit --no-fund --silent`;
    for (const command of pageCommands(DEPLOY, 'npm install -g')) {
      await must(command.replace('npm install', `npm install ${flags}`), 'root');
    }
    for (const command of pageCommands(DEPLOY, 'useradd')) {
      if (!command.startsWith('useradd')) await must(command, 'root');
    }
  });

  await step('deploy.md 2: the role of the gateway', async () => {
    const sql = pageBlocks(DEPLOY).find(({ language }) => language === 'sql');
    assert(sql);
    await database.query(sql.text.replace('…', PASSWORD));
    write('etc/hoop/prod-db.password', `${PASSWORD}\n`, 0o600);
  });

  await step('keycloak.md: the clients', async () => {
    await keycloak.admin('POST', '', { realm: 'staff', enabled: true });
    stack.defer(() => keycloak.admin('DELETE', '/staff').then(() => undefined));
    for (const [user, group] of [
      ['ada', 'engineering'],
      ['bob', 'sales'],
    ] as const) {
      await keycloak.admin('POST', '/staff/groups', { name: group });
      await keycloak.admin('POST', '/staff/users', {
        username: user,
        enabled: true,
        email: `${user}@example.org`,
        emailVerified: true,
        firstName: user,
        lastName: 'Example',
        groups: [group],
        credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
      });
    }
    for (const file of ['hoop.json', 'hoop-device.json']) {
      write(`keycloak/${file}`, real(pageBlock(KEYCLOAK, file)));
    }
    for (const command of pageCommands(KEYCLOAK, 'kcadm.sh')) {
      await must(command, 'root', 'keycloak');
    }
  });

  await step('deploy.md 3 and 4: the policy, signed', async () => {
    await must(`git init -q --bare -b main hoop-policy.git`, 'ada');
    await must(`git clone -q hoop-policy.git policy 2>/dev/null`, 'ada');
    await must(
      `git config --global user.name Ada && git config --global user.email ada@example.org`,
      'ada',
    );
    await must(`mkdir -m 700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519`, 'ada');
    // The provider as the page of Keycloak has it; the roles as the other page.
    const [, roles] = pageBlock(DEPLOY, 'hoop.yaml').split(/^(?=roles:)/m);
    assert(roles);
    write('policy/hoop.yaml', real(`${pageBlock(KEYCLOAK, 'hoop.yaml')}\n${roles}\n`));
    for (const file of POLICY_FILES) {
      const ca = readFileSync(here('ca.pem'), 'utf8').trim().replaceAll('\n', '\n    ');
      const text = pageBlock(DEPLOY, file).replace(
        /-----BEGIN[\s\S]*?-----END CERTIFICATE-----/,
        ca,
      );
      write(`policy/${file}`, real(`${text}\n`));
    }
    for (const command of pageCommands(DEPLOY, 'git config gpg.format')) {
      const { stdout } = await must(command, 'ada', 'policy');
      if (command.startsWith('echo')) write('etc/hoop/allowed-signers', `${stdout}\n`);
    }
  });

  await step('deploy.md 5: the check prints what the page says', async () => {
    const { certificate, privateKey } = issueServerCertificate(keycloak.authority, {
      names: [],
      ips: ['127.0.0.1'],
    });
    write('etc/hoop/tls.pem', certificate);
    write('etc/hoop/tls-key.pem', privateKey, 0o600);
    write('etc/hoop/gateway.yaml', real(pageBlock(DEPLOY, '/etc/hoop/gateway.yaml')));
    const [command] = pageCommands(DEPLOY, '$ sudo -u hoop hoop gateway check');
    assert(command);
    const { stdout } = await must(command, 'var/lib/hoop');
    const commit = /commit \w+/;
    const [provider] = pageOutput(KEYCLOAK, 'ok      provider');
    const expected = pageOutput(DEPLOY, '$ sudo -u hoop hoop gateway check')
      .map((line) => (line.startsWith('ok      provider') && provider ? provider : line))
      .map((line) => real(line).replace(commit, 'commit'));
    assert.deepEqual(stdout.replace(commit, 'commit').split('\n'), expected);
  });

  const unit = pageBlock(DEPLOY, '/etc/systemd/system/hoop-gateway.service');
  const setting = (name: string) => real(new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? '');
  let gateway: ChildProcess | undefined;
  stack.defer(() => stop(gateway));
  let log = '';
  await step(
    'deploy.md 5: the gateway starts as the unit says, and a reload does not end it',
    async () => {
      gateway = spawn('bash', ['-c', `exec ${setting('ExecStart')}`], {
        env: environment('var/lib/hoop'),
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      for (const output of [gateway.stdout, gateway.stderr]) {
        output?.on('data', (text) => {
          log += String(text);
        });
      }
      await until(
        () => /"rootKeyFingerprint":"SHA256:/.test(log),
        () => log,
        gateway,
      );
      await must(setting('ExecReload').replace('$MAINPID', String(gateway.pid)), 'root');
      await until(
        () => log.includes('config.reloaded'),
        () => log,
        gateway,
      );
    },
  );

  const [login = '', targets = '', connect = '', replay = ''] = pageCommands(
    DEPLOY,
    'hoop login --gateway',
  );
  const QUERY = 'SELECT id, email FROM customers ORDER BY id;\n';
  await step('deploy.md 6: a person of the right group has a masked query', async () => {
    await logIn(login, 'ada');
    assert.match((await must(targets, 'ada')).stdout, /prod-db/);
    const { stdout } = await must(connect, 'ada', '.', QUERY);
    assert.match(stdout, /1 \| .*\*/);
    assert.doesNotMatch(stdout, /grace@navy\.example/);
    assert.match((await must(replay, 'ada')).stdout, /SELECT id, email FROM customers/);
    assert.equal((await run('hoop doctor', 'ada', '.')).exitCode, 0);
  });

  await step('a person of another group has none', async () => {
    await logIn(login, 'bob');
    const refused = await run(connect, 'bob', '.', QUERY);
    assert.equal(refused.exitCode, 255, refused.all);
    assert.match(refused.all ?? '', /no access to target "prod-db"/);
  });

  await step('who is signed out at Keycloak is out at once, with what runs', async () => {
    const running = run("hoop run -- psql -c 'SELECT pg_sleep(3600)'", 'ada', '.');
    await until(
      () => /session\.start/.test(log.slice(log.lastIndexOf('run.start'))),
      () => log,
      gateway,
    );
    const found = await keycloak.admin('GET', '/staff/users?exact=true&username=ada');
    assert(Array.isArray(found));
    await keycloak.admin('POST', `/staff/users/${found[0].id}/logout`);
    const ended = await running;
    assert.match(ended.all ?? '', /the identity provider has ended the login|the login has ended/);
    assert.match(log, /login\.ended_by_provider/);
    const whoami = await run('hoop whoami', 'ada', '.');
    assert.equal(whoami.exitCode, 3, whoami.all);
    assert.match((await run('hoop whoami', 'bob', '.')).all ?? '', /bob@example\.org/);
  });

  const commit = (change: (hoopFile: string) => string, message: string) => {
    const path = here('policy/hoop.yaml');
    const before = readFileSync(path, 'utf8');
    const after = change(before);
    assert.notEqual(after, before);
    writeFileSync(path, after);
    return must(`git commit -qam '${message}' && git push -q`, 'ada', 'policy');
  };
  /** What a session that waits says when a commit ends it, and what a new one says then. */
  const endedBy = async (user: string, work: () => Promise<unknown>): Promise<string> => {
    const before = log.length;
    const running = run(connect.replace('psql', "psql -c 'SELECT pg_sleep(3600)'"), user, '.');
    await until(
      () => log.slice(before).includes('session.start'),
      () => log,
      gateway,
    );
    await work();
    const { all = '' } = await running;
    assert.match(log, /"reason":"revoked"/);
    const again = await run(connect, user, '.', QUERY);
    assert.notEqual(again.exitCode, 0, again.all);
    return all;
  };

  await step('a commit that takes `device` away ends the sessions of such logins', async () => {
    await logInByDevice(login.replace('hoop login', 'hoop login --device'), 'ada-device', 'ada');
    const said = await endedBy('ada-device', () =>
      commit((text) => text.replace(/^ +device:.*\n/m, ''), 'no device codes'),
    );
    assert.match(said, /the policy no longer allows logins with a device code/);
    assert.equal((await run('hoop whoami', 'bob', '.')).exitCode, 0);
  });

  await step('a commit that takes the provider away ends the sessions of its logins', async () => {
    await logIn(login, 'ada');
    const said = await endedBy('ada', () =>
      commit((text) => text.replace('/realms/staff', '/realms/elsewhere'), 'another provider'),
    );
    assert.match(said, /the policy no longer names the identity provider of the login/);
    assert.notEqual((await run('hoop whoami', 'bob', '.')).exitCode, 0);
  });
}

interface Database {
  readonly port: number;
  readonly query: (sql: string) => Promise<void>;
}

/** The database `shop`, with TLS by a certificate of the private CA. */
async function startDatabase(
  { authority }: Keycloak,
  stack: AsyncDisposableStack,
): Promise<Database> {
  const server = stack.use(await startEmbeddedPostgres());
  const { dataDirectory, port, password } = server;
  const data = ['data', '.']
    .map((name) => join(dataDirectory, name))
    .find((one) => existsSync(join(one, 'PG_VERSION')));
  assert(data);
  const { uid, gid } = statSync(data);
  const { certificate, privateKey } = issueServerCertificate(authority, {
    names: [],
    ips: ['127.0.0.1'],
  });
  for (const [name, text] of [
    ['server.crt', certificate],
    ['server.key', privateKey],
  ] as const) {
    writeFileSync(join(data, name), text, { mode: 0o600 });
    chownSync(join(data, name), uid, gid);
  }
  const psql = (name: string, sql: string) =>
    execa(
      'psql',
      [
        '-XAtq',
        '-v',
        'ON_ERROR_STOP=1',
        '-h',
        '127.0.0.1',
        '-p',
        `${port}`,
        '-U',
        'postgres',
        name,
      ],
      {
        env: { PGPASSWORD: password },
        input: sql,
      },
    );
  await psql(
    'postgres',
    'ALTER SYSTEM SET ssl = on; SELECT pg_reload_conf(); CREATE DATABASE shop;',
  );
  await psql(
    'shop',
    `CREATE TABLE customers (id int PRIMARY KEY, email text);
     INSERT INTO customers VALUES (1, 'grace@navy.example'), (2, 'alan@park.example');`,
  );
  return { port, query: (sql) => psql('shop', sql).then(() => undefined) };
}

async function until(
  isSo: () => boolean,
  said: () => string,
  child: ChildProcess | undefined,
): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!isSo()) {
    if (performance.now() > deadline || (child?.exitCode ?? null) !== null) {
      throw new Error(`it did not come to that:\n${said()}`);
    }
    await delay(100);
  }
}

async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child !== undefined && child.exitCode === null) {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }
}
