/** `hoop run` with the real gateway, PostgreSQL and programs that know nothing of hoop. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LAUNCHER, runHoop } from '../../src/demo/hoop-process.ts';
import { type Bench, openBench } from './demo-bench.ts';
import { startProgram } from './live-program.ts';

/** As a program inside the run starts it. */
const HOOP = `'${process.execPath}' '${LAUNCHER}'`;

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

function run(...args: string[]) {
  return bench.hoop('engineer', 'run', ...args);
}

describe('sessions', () => {
  test('none is opened for a command that does not connect', async () => {
    const before = (await bench.sessions('engineer')).length;
    const result = await run('--', 'sh', '-c', 'echo out; exit 3');
    expect(result).toMatchObject({ exitCode: 3, stdout: 'out\n' });
    expect(await bench.sessions('engineer')).toHaveLength(before);
  });

  test('one is opened by the first connection, used by the second, and uploaded at the end', async () => {
    const before = (await bench.sessions('engineer')).length;
    const script = 'psql -XAtc "SELECT 1" && psql -XAt "$HOOP_PROD_DB_URL" -c "SELECT 2"';
    const result = await run('--target', 'prod-db', '--', 'sh', '-c', script);
    expect(result.stdout).toBe('1\n2\n');
    expect(result.exitCode).toBe(0);
    const sessions = await bench.sessions('engineer');
    expect(sessions).toHaveLength(before + 1);
    expect(sessions[0]).toMatchObject({ target: 'prod-db', state: 'uploaded', statements: 2 });
  });

  test('what is denied looks as it does everywhere, and the command goes on', async () => {
    const result = await run(
      '--',
      'psql',
      '-X',
      '-c',
      'DROP TABLE orders',
      '-c',
      'SELECT 5 AS five',
    );
    expect(result.stderr).toContain('ERROR:');
    expect(result.stdout).toContain('five');
  });
});

describe('a run whose login ends under it', () => {
  const WAITING = 'psql -XAtc "SELECT pg_sleep(3600)"; psql -XAtc "SELECT 1"; sleep 3600';

  test('is over when an approver blocks its agent, and none of it starts again', async () => {
    const known = new Set((await bench.sessions('engineer')).map(({ id }) => id));
    const running = run('--agent', 'devin', '--', 'sh', '-c', WAITING);
    await expect
      .poll(async () => (await bench.sessions('engineer')).some(({ id }) => !known.has(id)))
      .toBe(true);
    const blocked = await bench.hoop('dba', 'access', 'block', 'devin', '--reason', 'INC-4711');
    expect(blocked.stderr).toMatch(/agent devin is blocked; ended: 1 session, \d logins?/);
    const ended = await running;
    // By SIGTERM, which a shell shows as 143.
    expect(ended.exitCode, ended.stderr).toBeNull();
    expect(ended.stderr).toMatch(/the run was ended: agent "devin" is blocked\. .*INC-4711/);
    expect(ended.stdout).not.toContain('1');
    const refused = await run('--agent', 'devin', '--', 'true');
    expect(refused.exitCode, refused.stderr).toBe(255);
    expect(refused.stderr).toContain('agent "devin" is blocked');
    const listed = await bench.hoop('dba', 'access', 'blocks');
    expect(listed.stdout).toMatch(/agent devin +everything +until lifted/);
    expect((await bench.hoop('dba', 'access', 'unblock', 'devin')).exitCode).toBe(0);
    expect((await run('--agent', 'devin', '--', 'true')).exitCode).toBe(0);
  });

  test('is over when its agent is blocked while it has no session', async () => {
    const args = ['run', '--agent', 'devin', '--', 'sh', '-c', 'echo begun; exec sleep 3600'];
    const running = startProgram(process.execPath, [LAUNCHER, ...args], {
      home: bench.home('engineer'),
    });
    await running.sees('begun');
    const blocked = await bench.hoop('dba', 'access', 'block', 'devin', '--reason', 'INC-4712');
    expect(blocked.stderr).toMatch(/agent devin is blocked; ended: 0 sessions, \d logins?/);
    expect(await running.ended, running.errors()).toEqual([null, 'SIGTERM']);
    expect(running.errors()).toMatch(/the run was ended: agent "devin" is blocked\. .*INC-4712/);
    expect((await bench.hoop('dba', 'access', 'unblock', 'devin')).exitCode).toBe(0);
  });

  test('is over when an approver ends one of its sessions', async () => {
    const known = new Set((await bench.sessions('engineer')).map(({ id }) => id));
    const running = run('--', 'sh', '-c', WAITING);
    let session = '';
    await expect
      .poll(async () => {
        const opened = (await bench.sessions('engineer')).find(({ id }) => !known.has(id));
        session = String(opened?.['id'] ?? '');
        return session;
      })
      .not.toBe('');
    const ending = await bench.hoop('dba', 'sessions', 'end', session, '--reason', 'enough');
    expect(ending.stderr).toContain('the login of its run has ended');
    const ended = await running;
    // By SIGTERM, which a shell shows as 143.
    expect(ended.exitCode, ended.stderr).toBeNull();
    const shown = (await bench.sessions('engineer')).find(({ id }) => id === session);
    expect(shown).toMatchObject({ state: 'uploaded' });
  });
});

describe('the environment', () => {
  const secrets = {
    GH_TOKEN: 'inherited-secret',
    PGPASSWORD: 'inherited-secret',
    PRIMARY: 'postgres://app:inherited-secret@db.internal/shop',
    ANTHROPIC_API_KEY: 'of-the-agent',
  };

  test('inherited secrets are not there, and what leads to the targets is', async () => {
    const result = await runHoop(['run', '--keep-env', 'GH_*', '--', 'env'], {
      home: bench.home('engineer'),
      variables: { ...secrets, NPM_TOKEN: 'inherited-too' },
    });
    const env = new Map(result.stdout.split('\n').map((line) => splitOnce(line)));
    expect(env.get('GH_TOKEN')).toBe('inherited-secret');
    expect(env.get('ANTHROPIC_API_KEY')).toBe('of-the-agent');
    for (const name of ['NPM_TOKEN', 'PGPASSWORD', 'PRIMARY', 'HOOP_HOME']) {
      expect(env.has(name), name).toBe(false);
    }
    expect(env.get('PGHOST')).toBe('127.0.0.1');
    expect(env.get('PGDATABASE')).toBe('shop');
    expect(env.get('HOOP_PROD_DB_URL')).toBe(env.get('DATABASE_URL'));
    // All of it is removed with the run.
    for (const name of ['PGPASSFILE', 'PGSERVICEFILE', 'HOOP_RUN_DIR']) {
      expect(existsSync(env.get(name) ?? '/'), name).toBe(false);
    }
  });

  test('--print-env says what is set, removed and kept, and shows no secret', async () => {
    const result = await runHoop(['run', '--print-env', '--drop-env', 'LANG'], {
      home: bench.home('engineer'),
      variables: { ...secrets, LANG: 'C.UTF-8' },
    });
    expect(result.exitCode).toBe(0);
    expect(result.stdout).toMatch(/^set {6}PGHOST=127\.0\.0\.1$/m);
    expect(result.stdout).toMatch(
      /^set {6}DATABASE_URL=postgresql:\/\/hoop:…@127\.0\.0\.1:\d+\/shop$/m,
    );
    expect(result.stdout).toMatch(/^set {6}HOOP_CONTEXT_URL=unix:\/.*\.sock$/m);
    expect(result.stdout).toContain('set      HOOP_CONTEXT_TOKEN=…\n');
    expect(result.stdout).toContain('removed  GH_TOKEN (code host or registry)\n');
    expect(result.stdout).toContain('removed  LANG (dropped by you)\n');
    expect(result.stdout).toContain('kept     ANTHROPIC_API_KEY\n');
    expect(result.stdout + result.stderr).not.toMatch(/inherited-secret|of-the-agent/);
  });
});

describe('what runs inside', () => {
  test('finds hoop behind everything else on PATH, if the PATH has none', async () => {
    const script = 'command -v hoop; hoop whoami --json; echo "$PATH"';
    const run = await runHoop(['run', '--', 'sh', '-c', script], {
      home: bench.home('engineer'),
      variables: { PATH: '/usr/bin:/bin' },
    });
    const [place = '', whoami = '', path = ''] = run.stdout.trim().split('\n');
    expect(place).toMatch(/own-bin\/hoop$/);
    expect(JSON.parse(whoami)).toHaveProperty('run');
    expect(path.endsWith(place.replace(/\/hoop$/, ''))).toBe(true);
  });

  test('hoop there has the login of the run, and its sessions belong to it', async () => {
    const script = [
      `${HOOP} whoami --json`,
      `${HOOP} connect prod-db -- psql -XAtc "SELECT 'inner'"`,
      `${HOOP} sessions list --json`,
      `${HOOP} login --gateway https://elsewhere; echo "login: $?"`,
      'echo "run: $HOOP_RUN"',
    ].join('\n');
    const result = await run('--', 'sh', '-c', script);
    const id = /^run: (.*)$/m.exec(result.stdout)?.[1];
    expect(JSON.parse(result.stdout.split('\n')[0] ?? '')).toMatchObject({ run: { id } });
    expect(result.stdout).toContain('inner\n');
    // Of what others have done, and of what its own person has, a run knows nothing.
    const list = JSON.parse(result.stdout.split('\n')[2] ?? '');
    expect(list).toMatchObject({ sessions: [{ run: id }] });
    expect(result.stdout).toContain('login: 2\n');
    expect(result.stderr).toContain('no `hoop login` inside a run');
    const [newest] = await bench.sessions('engineer');
    expect(newest).toMatchObject({ run: id, state: 'uploaded' });
  });

  test('a run inside a run is linked to it, and ends before it', async () => {
    const script = `${HOOP} run -- sh -c 'echo "$HOOP_RUN $HOOP_PARENT_RUN"; psql -XAtc "SELECT 7"'; echo "$HOOP_RUN"`;
    const result = await run('--', 'sh', '-c', script);
    const [first = '', seven, outer] = result.stdout.trim().split('\n');
    const [inner, parent] = first.split(' ');
    expect(seven).toBe('7');
    expect(parent).toBe(outer);
    expect(inner).not.toBe(outer);
    expect((await bench.sessions('engineer'))[0]).toMatchObject({ run: inner, state: 'uploaded' });
    expect(readdirSync(bench.home('engineer'))).not.toContain('runs');
  });

  test('when the run has ended nothing works with its directory, the person’s login neither', async () => {
    const { stdout } = await run('--', 'sh', '-c', 'echo "$HOOP_RUN_DIR"');
    const result = await runHoop(['whoami'], {
      home: bench.home('engineer'),
      variables: { HOOP_RUN_DIR: stdout.trim() },
    });
    expect(result.exitCode).toBe(3);
    expect(result.stderr).toContain('the run that this program is part of has ended');
  });

  test('a copy of its login ends with it, also when the file is not there any more', async () => {
    const copy = join(bench.demo.directory, 'copied-run');
    const state = `${bench.home('engineer')}/runs/$HOOP_RUN`;
    const { stdout } = await run(
      '--',
      'sh',
      '-c',
      `cp -a "${state}" '${copy}'; rm "${state}/tokens.json"; ls "${state}"`,
    );
    expect(stdout).toContain('config.json');
    const result = await runHoop(['targets'], {
      home: copy,
      variables: { HOOP_CA: join(copy, 'ca.pem') },
    });
    expect(result.stderr).toContain('the login has ended');
    expect(result.exitCode).toBe(3);
  });
});

function splitOnce(line: string): [string, string] {
  const at = line.indexOf('=');
  return [line.slice(0, at), line.slice(at + 1)];
}
